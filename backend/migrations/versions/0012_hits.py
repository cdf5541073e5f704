"""How often an address did something, counted by all processes together."""

import sqlalchemy as sa
from alembic import op

revision = "0012_hits"
down_revision = "0011_changes"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "address_hit",
        sa.Column("key", sa.Text(), primary_key=True),
        sa.Column("hits", sa.Integer(), nullable=False),
        sa.Column("ends_at", sa.DateTime(timezone=True), nullable=False),
        prefixes=["UNLOGGED"],
    )
    op.create_index("address_hit_end", "address_hit", ["ends_at"])


def downgrade() -> None:
    op.drop_table("address_hit")
