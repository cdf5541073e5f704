"""Cancellations as the merchant quoted them, and disputes of charges."""

import sqlalchemy as sa
from alembic import op

revision = "0022_disputes"
down_revision = "0018_planned_once"
branch_labels = None
depends_on = None


def upgrade() -> None:
    for name in ("merchant_refund", "merchant_fee"):
        op.add_column("order_refund", sa.Column(name, sa.BigInteger(), nullable=True))


def downgrade() -> None:
    for name in ("merchant_fee", "merchant_refund"):
        op.drop_column("order_refund", name)
