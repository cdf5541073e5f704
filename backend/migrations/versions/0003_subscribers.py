"""Who pays monthly, the pages they were sent to, and what was booked."""

import sqlalchemy as sa
from alembic import op

revision = "0003_subscribers"
down_revision = "0002_grants"
branch_labels = None
depends_on = None


def upgrade() -> None:
    moment = sa.DateTime(timezone=True)
    op.create_table(
        "subscriber",
        sa.Column("user_id", sa.String(), nullable=False),
        sa.Column("customer_id", sa.String(), nullable=True),
        sa.Column("subscription_id", sa.String(), nullable=True),
        sa.Column("granted", sa.String(), nullable=False),
        sa.Column("standing", sa.String(), nullable=False),
        sa.Column("ends", sa.Boolean(), nullable=False),
        sa.Column("period_end", moment, nullable=True),
        sa.Column("past_due_at", moment, nullable=True),
        sa.Column("grace_until", moment, nullable=True),
        sa.Column("closing", sa.Boolean(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("next_sync_at", moment, nullable=True),
        sa.Column("created_at", moment, nullable=False),
        sa.Column("updated_at", moment, nullable=False),
        sa.PrimaryKeyConstraint("user_id"),
        sa.UniqueConstraint("customer_id"),
    )
    op.create_index(
        "subscriber_due",
        "subscriber",
        ["next_sync_at"],
        unique=False,
        postgresql_where=sa.text("next_sync_at IS NOT NULL"),
    )
    op.create_table(
        "billing_order",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("user_id", sa.String(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("item", sa.String(), nullable=False),
        sa.Column("page_id", sa.String(), nullable=True),
        sa.Column("created_at", moment, nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index(op.f("ix_billing_order_user_id"), "billing_order", ["user_id"], unique=False)
    op.create_table(
        "billing_payment",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("user_id", sa.String(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("item", sa.String(), nullable=False),
        sa.Column("ref", sa.String(), nullable=False),
        sa.Column("amount", sa.BigInteger(), nullable=False),
        sa.Column("tax", sa.BigInteger(), nullable=False),
        sa.Column("fee", sa.BigInteger(), nullable=False),
        sa.Column("refunded", sa.BigInteger(), nullable=False),
        sa.Column("recognised", sa.BigInteger(), nullable=False),
        sa.Column("currency", sa.String(length=3), nullable=False),
        sa.Column("paid_at", moment, nullable=False),
        sa.CheckConstraint("refunded BETWEEN 0 AND amount", name="billing_payment_refunds"),
        sa.CheckConstraint("recognised BETWEEN 0 AND amount", name="billing_payment_earned"),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("billing_payment_when", "billing_payment", ["paid_at"], unique=False)
    op.create_index(
        op.f("ix_billing_payment_user_id"), "billing_payment", ["user_id"], unique=False
    )
