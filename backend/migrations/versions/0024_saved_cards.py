"""Cards that people keep with the processor: what is shown of them, and whose they are."""

import sqlalchemy as sa
from alembic import op

revision = "0024_saved_cards"
down_revision = "0022_disputes"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "saved_card",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("user_id", sa.String(), nullable=False),
        sa.Column("customer_id", sa.String(), nullable=False),
        sa.Column("page_id", sa.String(), nullable=True),
        sa.Column("method_id", sa.String(), nullable=True),
        sa.Column("brand", sa.String(), nullable=False),
        sa.Column("last4", sa.String(), nullable=False),
        sa.Column("exp_month", sa.Integer(), nullable=False),
        sa.Column("exp_year", sa.Integer(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("method_id"),
    )
    op.create_index(op.f("ix_saved_card_user_id"), "saved_card", ["user_id"], unique=False)
    op.create_index(op.f("ix_saved_card_customer_id"), "saved_card", ["customer_id"], unique=False)
    op.create_index(
        "saved_card_unsettled",
        "saved_card",
        ["created_at"],
        unique=False,
        postgresql_where=sa.text("state <> 'saved'"),
    )


def downgrade() -> None:
    op.drop_table("saved_card")
