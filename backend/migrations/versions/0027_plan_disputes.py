"""Disputes of what was paid for plans and packs, and what of a payment a bank took back."""

import sqlalchemy as sa
from alembic import op

revision = "0027_plan_disputes"
down_revision = "0026_looked_at"
branch_labels = None
depends_on = None

_CHECK = "billing_payment_refunds"


def upgrade() -> None:
    op.add_column(
        "billing_payment", sa.Column("lost", sa.BigInteger(), nullable=False, server_default="0")
    )
    op.alter_column("billing_payment", "lost", server_default=None)
    op.drop_constraint(_CHECK, "billing_payment")
    op.create_check_constraint(
        _CHECK, "billing_payment", "refunded >= 0 AND lost >= 0 AND refunded + lost <= amount"
    )
    op.create_table(
        "billing_dispute",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("payment_id", sa.String(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("amount", sa.BigInteger(), nullable=False),
        sa.Column("currency", sa.String(length=3), nullable=False),
        sa.Column("charged", sa.Boolean(), nullable=False),
        sa.Column("opened_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("closed_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint(
            "state IN ('inquiry', 'open', 'won', 'lost')", name="billing_dispute_state"
        ),
        sa.ForeignKeyConstraint(["payment_id"], ["billing_payment.id"]),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index(op.f("ix_billing_dispute_payment_id"), "billing_dispute", ["payment_id"])


def downgrade() -> None:
    op.drop_table("billing_dispute")
    op.drop_constraint(_CHECK, "billing_payment")
    op.create_check_constraint(_CHECK, "billing_payment", "refunded BETWEEN 0 AND amount")
    op.drop_column("billing_payment", "lost")
