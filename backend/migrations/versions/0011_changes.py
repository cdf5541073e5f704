"""Bookings that are changed: what a checkout changes, and what was paid for a change."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0011_changes"
down_revision = "0010_batches"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("checkout", sa.Column("changes", postgresql.JSONB(), nullable=True))
    op.add_column("purchase_order", sa.Column("part_of", sa.String(), nullable=True))
    op.create_foreign_key(
        "purchase_order_part_of_fkey", "purchase_order", "purchase_order", ["part_of"], ["id"]
    )
    op.create_index(op.f("ix_purchase_order_part_of"), "purchase_order", ["part_of"])
    op.add_column("order_refund", sa.Column("with_id", sa.String(), nullable=True))
    op.create_index(op.f("ix_order_refund_with_id"), "order_refund", ["with_id"])
    for name in ("part_amount", "part_fee"):
        column = sa.Column(name, sa.BigInteger(), nullable=False, server_default="0")
        op.add_column("order_refund", column)
        op.alter_column("order_refund", name, server_default=None)


def downgrade() -> None:
    op.drop_column("order_refund", "part_fee")
    op.drop_column("order_refund", "part_amount")
    op.drop_index(op.f("ix_order_refund_with_id"), table_name="order_refund")
    op.drop_column("order_refund", "with_id")
    op.drop_index(op.f("ix_purchase_order_part_of"), table_name="purchase_order")
    op.drop_constraint("purchase_order_part_of_fkey", "purchase_order", type_="foreignkey")
    op.drop_column("purchase_order", "part_of")
    op.drop_column("checkout", "changes")
