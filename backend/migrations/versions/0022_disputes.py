"""Cancellations as the merchant quoted them, and disputes of charges."""

import sqlalchemy as sa
from alembic import op

revision = "0022_disputes"
down_revision = "0020_open_turns"
branch_labels = None
depends_on = None


def upgrade() -> None:
    for name in ("merchant_refund", "merchant_fee"):
        op.add_column("order_refund", sa.Column(name, sa.BigInteger(), nullable=True))
    op.create_table(
        "order_dispute",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("order_id", sa.String(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("amount", sa.BigInteger(), nullable=False),
        sa.Column("currency", sa.String(length=3), nullable=False),
        sa.Column("before", sa.String(), nullable=False),
        sa.Column("charged", sa.Boolean(), nullable=False),
        sa.Column("opened_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("closed_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint(
            "state IN ('inquiry', 'open', 'won', 'lost')", name="order_dispute_state"
        ),
        sa.ForeignKeyConstraint(["order_id"], ["purchase_order.id"]),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index(op.f("ix_order_dispute_order_id"), "order_dispute", ["order_id"])


def downgrade() -> None:
    op.drop_table("order_dispute")
    for name in ("merchant_fee", "merchant_refund"):
        op.drop_column("order_refund", name)
