"""Answers kept for a repeat are sealed. Those of before lay open, secrets and all: they go."""

from alembic import op

revision = "0030_sealed_answers"
down_revision = "0029_one_order_each"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("DELETE FROM idempotency_key WHERE status IS NOT NULL")


def downgrade() -> None:
    op.execute("DELETE FROM idempotency_key WHERE status IS NOT NULL")
