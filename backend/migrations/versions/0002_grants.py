"""Grants on top of a plan, what a window owes the one before it, which turn a turn asks again."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0002_grants"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "quota_grant",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("subject", sa.Text(), nullable=False),
        sa.Column("bucket", sa.Text(), nullable=False),
        sa.Column("units", sa.BigInteger(), nullable=False),
        sa.Column("remaining", sa.BigInteger(), nullable=False),
        sa.Column("priority", sa.Integer(), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("rollover", sa.Boolean(), nullable=False),
        sa.Column("ordinal", sa.Integer(), nullable=True),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.Column("revoked_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint(
            "units > 0 AND remaining BETWEEN 0 AND units", name="quota_grant_counts"
        ),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index(
        "quota_grant_live",
        "quota_grant",
        ["subject"],
        unique=False,
        postgresql_where=sa.text("remaining > 0 AND revoked_at IS NULL"),
    )
    op.create_index("quota_grant_of_subject", "quota_grant", ["subject", "created_at"])
    for name in ("drawn", "overage", "carried"):
        op.add_column(
            "quota_bucket",
            sa.Column(name, sa.BigInteger(), server_default="0", nullable=False),
        )
    op.create_check_constraint(
        "quota_bucket_beside_the_cap",
        "quota_bucket",
        "drawn >= 0 AND overage >= 0 AND carried >= 0",
    )
    op.add_column("turn", sa.Column("retry_of", sa.String(), nullable=True))
    op.create_index(
        "turn_retries",
        "turn",
        ["retry_of"],
        unique=False,
        postgresql_where=sa.text("retry_of IS NOT NULL"),
    )
    for name, kind in (
        ("burnt_ids", sa.Text()),
        ("burnt_buckets", sa.BigInteger()),
        ("burnt_units", sa.BigInteger()),
    ):
        op.add_column(
            "quota_hold",
            sa.Column(name, postgresql.ARRAY(kind), server_default="{}", nullable=False),
        )
