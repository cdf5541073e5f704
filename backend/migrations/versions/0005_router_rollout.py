"""Router versions, their rollouts, and the log of what they decided."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0005_router_rollout"
down_revision = "0004_cost"
branch_labels = None
depends_on = None

# Versions and rollouts are only added; a version's evaluation may be renewed.
GUARDS = (
    """CREATE FUNCTION router_history_only_grows() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION 'router versions and rollouts only grow: % on % is refused', TG_OP, TG_TABLE_NAME
    USING ERRCODE = 'integrity_constraint_violation';
END $$
    """,
    """CREATE TRIGGER router_version_is_immutable BEFORE DELETE OR UPDATE OF id, source, weights,
  policies, learnt, learnt_until ON router_version
  FOR EACH ROW EXECUTE FUNCTION router_history_only_grows()
    """,
    """CREATE TRIGGER router_rollout_is_immutable BEFORE DELETE OR UPDATE ON router_rollout
  FOR EACH ROW EXECUTE FUNCTION router_history_only_grows()
    """,
)


def upgrade() -> None:
    moment = sa.DateTime(timezone=True)
    op.create_table(
        "router_version",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("source", sa.String(), nullable=False),
        sa.Column("weights", sa.LargeBinary(), nullable=False),
        sa.Column("policies", sa.Text(), nullable=False),
        sa.Column("learnt", sa.Integer(), nullable=False, server_default="0"),
        sa.Column("learnt_until", moment, nullable=True),
        sa.Column("evaluation", postgresql.JSONB(none_as_null=True), nullable=True),
        sa.Column("created_at", moment, nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_table(
        "router_rollout",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("base", sa.String(), nullable=False),
        sa.Column("candidate", sa.String(), nullable=True),
        sa.Column("stage", sa.String(), nullable=True),
        sa.Column("changed_by", sa.String(), nullable=False),
        sa.Column("reason", sa.String(), nullable=False),
        sa.Column("created_at", moment, nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_table(
        "router_decision",
        sa.Column("turn_id", sa.String(), nullable=False),
        sa.Column("number", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("rollout_id", sa.BigInteger(), nullable=False),
        sa.Column("version", sa.String(), nullable=False),
        sa.Column("arm", sa.String(), nullable=False),
        sa.Column("plan", sa.String(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("role", sa.String(), nullable=False),
        sa.Column("effort", sa.String(), nullable=True),
        sa.Column("served_role", sa.String(), nullable=True),
        sa.Column("confidence", sa.Float(), nullable=False),
        sa.Column("cause", sa.String(), nullable=False),
        sa.Column("propensity", sa.Float(), nullable=False),
        sa.Column("probabilities", postgresql.JSONB(), nullable=False),
        sa.Column("feature_hash", sa.String(), nullable=False),
        sa.Column("latency_us", sa.Integer(), nullable=False),
        sa.Column("failed", postgresql.JSONB(), nullable=False),
        sa.Column("other_version", sa.String(), nullable=True),
        sa.Column("other_kind", sa.String(), nullable=True),
        sa.Column("other_role", sa.String(), nullable=True),
        sa.Column("other_cause", sa.String(), nullable=True),
        sa.Column("other_latency_us", sa.Integer(), nullable=True),
        sa.Column("overridden", sa.Boolean(), nullable=False),
        sa.Column("overflow", sa.Boolean(), nullable=False),
        sa.Column("tool_success", sa.Boolean(), nullable=True),
        sa.Column("retried", sa.Boolean(), nullable=False),
        sa.Column("repeated", sa.Boolean(), nullable=False),
        sa.Column("switched_up", sa.Boolean(), nullable=False),
        sa.Column("created_at", moment, nullable=False),
        sa.PrimaryKeyConstraint("turn_id"),
    )
    op.create_index("router_decision_rollout", "router_decision", ["rollout_id", "number"])
    op.create_index("router_decision_version", "router_decision", ["version", "arm", "number"])
    for statement in GUARDS:
        op.execute(statement)


def downgrade() -> None:
    raise NotImplementedError("Rollouts are history: restore a backup instead.")
