"""A merchant's order belongs to one purchase: two of them may never be charged for it."""

import sqlalchemy as sa
from alembic import op

revision = "0029_one_order_each"
down_revision = "0028_told_as_of"
branch_labels = None
depends_on = None

LIVE = "(changes ->> 'order_id') IS NULL AND state NOT IN ('failed', 'canceled', 'expired')"
# What was sold before the rule stays as it is; the first of such a pair guards the number.
DOUBLED = f"""
UPDATE checkout SET doubled = true FROM (
  SELECT id, row_number() OVER (PARTITION BY merchant_id, merchant_order_id ORDER BY created_at, id) n
  FROM checkout WHERE merchant_order_id IS NOT NULL AND {LIVE}
) found WHERE found.id = checkout.id AND found.n > 1
"""


def upgrade() -> None:
    op.add_column(
        "checkout", sa.Column("doubled", sa.Boolean(), nullable=False, server_default="false")
    )
    op.execute(DOUBLED)
    op.create_index(
        "checkout_theirs",
        "checkout",
        ["merchant_order_id", "merchant_id"],
        unique=True,
        postgresql_where=sa.text(f"{LIVE} AND NOT doubled"),
    )
    op.drop_index("purchase_order_theirs", "purchase_order")
    op.create_index("purchase_order_theirs", "purchase_order", ["merchant_order_id", "merchant_id"])


def downgrade() -> None:
    op.drop_index("purchase_order_theirs", "purchase_order")
    op.create_index("purchase_order_theirs", "purchase_order", ["merchant_id", "merchant_order_id"])
    op.drop_index("checkout_theirs", "checkout")
    op.drop_column("checkout", "doubled")
