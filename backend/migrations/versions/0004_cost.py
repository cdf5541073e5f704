"""What a call cost is kept whole: money, energy, whose tables said so. Written once."""

import sqlalchemy as sa
from alembic import op

revision = "0004_cost"
down_revision = "0003_subscribers"
branch_labels = None
depends_on = None

# An open turn is closed once; afterwards its figures stand, as those of a call always do.
GUARDS = (
    """CREATE OR REPLACE FUNCTION cost_stands() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION 'what a % cost is written once', TG_TABLE_NAME
    USING ERRCODE = 'integrity_constraint_violation';
END $$
    """,
    """CREATE TRIGGER model_call_stands BEFORE UPDATE ON model_call
FOR EACH ROW EXECUTE FUNCTION cost_stands()
    """,
    """CREATE TRIGGER turn_cost_stands BEFORE UPDATE OF cost_usd_micros, price_version,
  energy_wh_min, energy_wh_max, energy_version, input_tokens, cached_tokens, output_tokens,
  reasoning_tokens ON turn FOR EACH ROW WHEN (OLD.state <> 'open' AND (
    OLD.cost_usd_micros, OLD.price_version, OLD.energy_wh_min, OLD.energy_wh_max,
    OLD.energy_version, OLD.input_tokens, OLD.cached_tokens, OLD.output_tokens,
    OLD.reasoning_tokens) IS DISTINCT FROM (
    NEW.cost_usd_micros, NEW.price_version, NEW.energy_wh_min, NEW.energy_wh_max,
    NEW.energy_version, NEW.input_tokens, NEW.cached_tokens, NEW.output_tokens,
    NEW.reasoning_tokens)) EXECUTE FUNCTION cost_stands()
    """,
)


def upgrade() -> None:
    op.add_column("turn", sa.Column("energy_version", sa.String(), nullable=True))
    for name in ("energy_wh_min", "energy_wh_max"):
        op.alter_column("turn", name, existing_type=sa.Float(), nullable=True)
        op.add_column("model_call", sa.Column(name, sa.Float(), nullable=True))
    op.add_column(
        "model_call",
        sa.Column("energy_version", sa.String(), nullable=False, server_default=""),
    )
    op.alter_column("model_call", "energy_version", server_default=None)
    op.add_column("model_call", sa.Column("seconds", sa.Float(), nullable=True))
    op.create_table(
        "restored_model",
        sa.Column("model", sa.String(), nullable=False),
        sa.Column("restored_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("model"),
    )
    for statement in GUARDS:
        op.execute(statement)
