"""Merchants may be reached by Duffel."""

from alembic import op

revision = "0006_duffel"
down_revision = "0005_router_rollout"
branch_labels = None
depends_on = None

BEFORE = "protocol IN ('acp', 'ucp', 'booking')"
AFTER = "protocol IN ('acp', 'ucp', 'booking', 'duffel')"


def upgrade() -> None:
    op.drop_constraint("merchant_protocol", "merchant", type_="check")
    op.create_check_constraint("merchant_protocol", "merchant", AFTER)


def downgrade() -> None:
    op.execute(
        "UPDATE merchant SET protocol = 'booking', status = 'paused' WHERE protocol = 'duffel'"
    )
    op.drop_constraint("merchant_protocol", "merchant", type_="check")
    op.create_check_constraint("merchant_protocol", "merchant", BEFORE)
