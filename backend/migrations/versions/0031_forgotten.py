"""A turn whose words went while it was answered takes none afterwards."""

import sqlalchemy as sa
from alembic import op

revision = "0031_forgotten"
down_revision = "0030_sealed_answers"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column(
        "turn",
        sa.Column("forgotten", sa.Boolean(), nullable=False, server_default=sa.false()),
    )


def downgrade() -> None:
    op.drop_column("turn", "forgotten")
