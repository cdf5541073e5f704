"""Everybody who may have paid is read once: a lost event has left some with nothing to wake them.

`asked` tells a reading that an event asked for from one whose time has merely come."""

import sqlalchemy as sa
from alembic import op

revision = "0026_looked_at"
down_revision = "0025_debts_end"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column(
        "subscriber", sa.Column("asked", sa.Boolean(), nullable=False, server_default=sa.false())
    )
    op.alter_column("subscriber", "asked", server_default=None)
    op.execute(
        "UPDATE subscriber SET next_sync_at = now(), version = version + 1"
        " WHERE customer_id IS NOT NULL AND next_sync_at IS NULL"
    )


def downgrade() -> None:
    op.drop_column("subscriber", "asked")
