"""Sizes and colours: what belongs together, and what tells one from the other."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0016_variants"
down_revision = "0015_feed_versions"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column(
        "product", sa.Column("item_group_id", sa.String(), server_default="", nullable=False)
    )
    op.add_column(
        "product", sa.Column("options", postgresql.JSONB(), server_default="{}", nullable=False)
    )
    op.alter_column("product", "item_group_id", server_default=None)
    op.alter_column("product", "options", server_default=None)


def downgrade() -> None:
    op.drop_column("product", "options")
    op.drop_column("product", "item_group_id")
