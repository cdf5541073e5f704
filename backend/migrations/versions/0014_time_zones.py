"""When a person last said in which time zone they live."""

import sqlalchemy as sa
from alembic import op

revision = "0014_time_zones"
down_revision = "0012_hits"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column(
        "user_account", sa.Column("timezone_since", sa.DateTime(timezone=True), nullable=True)
    )


def downgrade() -> None:
    op.drop_column("user_account", "timezone_since")
