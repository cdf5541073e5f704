"""When it was that a consent was asked for and a route was marked: reports tell it as of a moment.

A checkout that was revised forgets its confirmation, so that only this column knows of it. What was
asked before is dated by what is known: the consent itself, else the row's last change.
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0028_told_as_of"
down_revision = "0027_plan_disputes"
branch_labels = None
depends_on = None

MOMENT = sa.DateTime(timezone=True)


def upgrade() -> None:
    op.add_column("checkout", sa.Column("asked_at", MOMENT, nullable=True))
    op.execute(
        "UPDATE checkout SET asked_at = COALESCE(confirmed_at, updated_at)"
        " WHERE confirmed_at IS NOT NULL OR jsonb_typeof(confirmation) = 'object'"
    )
    op.add_column(
        "turn",
        sa.Column("flagged_at", postgresql.ARRAY(MOMENT), nullable=False, server_default="{}"),
    )


def downgrade() -> None:
    op.drop_column("turn", "flagged_at")
    op.drop_column("checkout", "asked_at")
