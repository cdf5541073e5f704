"""What a person chose for goods that travel apart."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0009_deliveries"
down_revision = "0008_search"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column(
        "checkout",
        sa.Column("delivery_ids", postgresql.JSONB(), nullable=False, server_default="{}"),
    )


def downgrade() -> None:
    op.drop_column("checkout", "delivery_ids")
