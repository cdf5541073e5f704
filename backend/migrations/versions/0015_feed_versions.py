"""The versions of its feed that a merchant has sent, so that a repeat is told from a change."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0015_feed_versions"
down_revision = "0014_time_zones"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "feed_version",
        sa.Column("merchant_id", sa.String(), sa.ForeignKey("merchant.id"), primary_key=True),
        sa.Column("version", sa.String(), primary_key=True),
        sa.Column("digest", sa.String(), nullable=False),
        sa.Column("answer", postgresql.JSONB(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
    )


def downgrade() -> None:
    op.drop_table("feed_version")
