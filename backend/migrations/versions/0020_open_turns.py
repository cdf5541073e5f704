"""Turns that are open: few, and looked for at every sweep."""

import sqlalchemy as sa
from alembic import op

revision = "0020_open_turns"
down_revision = "0019_promised_days"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_index("turn_open", "turn", ["created_at"], postgresql_where=sa.text("state = 'open'"))


def downgrade() -> None:
    op.drop_index("turn_open", "turn")
