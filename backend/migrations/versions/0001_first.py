"""The first schema: people, turns, allowances, merchants, purchases, books, the queue."""

import sqlalchemy as sa
from alembic import op
from pgvector.sqlalchemy import VECTOR
from sqlalchemy.dialects import postgresql

from backend.queue import schema_sql

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


# What the metadata cannot say: windows that never overlap, books that are only appended.
GUARDS = (
    """CREATE OR REPLACE FUNCTION quota_bucket_keeps_its_promise() RETURNS trigger
LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION 'quota_bucket %: a window that was shown never moves', OLD.id
    USING ERRCODE = 'integrity_constraint_violation';
END $$
    """,
    """CREATE TRIGGER quota_bucket_promise BEFORE UPDATE OF window_start, resets_at ON quota_bucket
FOR EACH ROW WHEN (
  (OLD.resets_at IS NOT NULL AND OLD.resets_at IS DISTINCT FROM NEW.resets_at)
  OR (OLD.window_start IS NOT NULL AND OLD.window_start IS DISTINCT FROM NEW.window_start)
) EXECUTE FUNCTION quota_bucket_keeps_its_promise()
    """,
    """CREATE OR REPLACE FUNCTION ledger_only_grows() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION 'the ledger only grows: % on % is refused', TG_OP, TG_TABLE_NAME
    USING ERRCODE = 'integrity_constraint_violation';
END $$
    """,
    """CREATE OR REPLACE FUNCTION ledger_must_balance() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE posted bigint;
BEGIN
  posted := to_jsonb(NEW) ->> TG_ARGV[0];
  IF (SELECT count(*) FROM ledger_entry WHERE transaction_id = posted) < 2 OR EXISTS (
    SELECT 1 FROM ledger_entry WHERE transaction_id = posted
    GROUP BY currency HAVING sum(amount) <> 0
  ) THEN
    RAISE EXCEPTION 'ledger transaction % does not balance', posted
      USING ERRCODE = 'integrity_constraint_violation';
  END IF;
  RETURN NULL;
END $$
    """,
    """CREATE TRIGGER ledger_transaction_grows_ROW BEFORE UPDATE OR DELETE ON ledger_transaction FOR EACH ROW EXECUTE FUNCTION ledger_only_grows()
    """,
    """CREATE TRIGGER ledger_transaction_grows_STATEMENT BEFORE TRUNCATE ON ledger_transaction FOR EACH STATEMENT EXECUTE FUNCTION ledger_only_grows()
    """,
    """CREATE TRIGGER ledger_entry_grows_ROW BEFORE UPDATE OR DELETE ON ledger_entry FOR EACH ROW EXECUTE FUNCTION ledger_only_grows()
    """,
    """CREATE TRIGGER ledger_entry_grows_STATEMENT BEFORE TRUNCATE ON ledger_entry FOR EACH STATEMENT EXECUTE FUNCTION ledger_only_grows()
    """,
    """CREATE TRIGGER ledger_head_grows_ROW BEFORE DELETE ON ledger_head FOR EACH ROW EXECUTE FUNCTION ledger_only_grows()
    """,
    """CREATE TRIGGER ledger_head_grows_STATEMENT BEFORE TRUNCATE ON ledger_head FOR EACH STATEMENT EXECUTE FUNCTION ledger_only_grows()
    """,
    """CREATE TRIGGER ledger_head_one_step BEFORE UPDATE ON ledger_head FOR EACH ROW WHEN (NEW.transactions <> OLD.transactions + 1 OR NEW.entries < OLD.entries + 2) EXECUTE FUNCTION ledger_only_grows()
    """,
    """CREATE CONSTRAINT TRIGGER ledger_transaction_balances AFTER INSERT ON ledger_transaction DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION ledger_must_balance('id')
    """,
    """CREATE CONSTRAINT TRIGGER ledger_entry_balances AFTER INSERT ON ledger_entry DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION ledger_must_balance('transaction_id')
    """,
    """INSERT INTO ledger_head (sole, transactions, entries, hash) VALUES (true, 0, 0, '0000000000000000000000000000000000000000000000000000000000000000')
    """,
)


def _as_written(sql: str) -> None:
    # Past SQLAlchemy: percent signs and colons in these bodies are not parameters.
    cursor = op.get_bind().connection.cursor()
    cursor.execute(sql)
    cursor.close()


def upgrade() -> None:
    op.execute("CREATE EXTENSION IF NOT EXISTS vector")
    op.create_table(
        "api_key",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("hash", sa.String(), nullable=False),
        sa.Column("hint", sa.String(), nullable=False),
        sa.Column("role", sa.String(), nullable=False),
        sa.Column("user_id", sa.String(), nullable=True),
        sa.Column("merchant_id", sa.String(), nullable=True),
        sa.Column("read_only", sa.Boolean(), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("revoked_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("hash"),
    )
    op.create_index(op.f("ix_api_key_merchant_id"), "api_key", ["merchant_id"], unique=False)
    op.create_index(op.f("ix_api_key_user_id"), "api_key", ["user_id"], unique=False)
    op.create_table(
        "checkout",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("user_id", sa.String(), nullable=False),
        sa.Column("thread_id", sa.String(), nullable=True),
        sa.Column("request_key", sa.String(), nullable=True),
        sa.Column("merchant_id", sa.String(), nullable=False),
        sa.Column("merchant_name", sa.String(), nullable=False),
        sa.Column("merchant_of_record", sa.String(), nullable=False),
        sa.Column("settlement", sa.String(), nullable=False),
        sa.Column("disclosure", sa.String(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("step", sa.String(), nullable=True),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("lines", postgresql.JSONB(), nullable=False),
        sa.Column("booking", postgresql.JSONB(), nullable=True),
        sa.Column("buyer", postgresql.JSONB(), nullable=True),
        sa.Column("address", postgresql.JSONB(), nullable=True),
        sa.Column("delivery_id", sa.String(), nullable=True),
        sa.Column("discount_codes", postgresql.JSONB(), nullable=False),
        sa.Column("reference", sa.String(), nullable=True),
        sa.Column("quote", postgresql.JSONB(), nullable=True),
        sa.Column("total", sa.BigInteger(), nullable=True),
        sa.Column("currency", sa.String(3), nullable=False),
        sa.Column("fee", sa.BigInteger(), nullable=True),
        sa.Column("fee_terms", postgresql.JSONB(), nullable=True),
        sa.Column("destination", sa.String(), nullable=True),
        sa.Column("confirmation", postgresql.JSONB(), nullable=True),
        sa.Column("confirmation_hash", sa.String(), nullable=True),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("hold_expires_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("handoff_url", sa.String(), nullable=True),
        sa.Column("messages", postgresql.JSONB(), nullable=False),
        sa.Column("confirmed", postgresql.JSONB(), nullable=True),
        sa.Column("confirmed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("payment_method", postgresql.JSONB(), nullable=True),
        sa.Column("payment_id", sa.String(), nullable=True),
        sa.Column("next_action", postgresql.JSONB(), nullable=True),
        sa.Column("merchant_order_id", sa.String(), nullable=True),
        sa.Column("permalink_url", sa.String(), nullable=True),
        sa.Column("order_id", sa.String(), nullable=True),
        sa.Column("failure_code", sa.String(), nullable=True),
        sa.Column("failure_detail", sa.String(), nullable=True),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("next_drive_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("lease", sa.String(), nullable=True),
        sa.Column("lease_until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("release_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint(
            "state IN ('draft', 'quoted', 'held', 'awaiting_confirmation', 'authorising', 'placing', 'outcome_unknown', 'completed', 'failed', 'canceled', 'expired')",
            name="checkout_state",
        ),
        sa.CheckConstraint("fee IS NULL OR fee >= 0", name="checkout_fee"),
        sa.CheckConstraint("total IS NULL OR total >= 0", name="checkout_total"),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index(
        "checkout_due",
        "checkout",
        ["next_drive_at"],
        unique=False,
        postgresql_where="next_drive_at IS NOT NULL",
    )
    op.create_index(
        "checkout_expiry",
        "checkout",
        ["expires_at"],
        unique=False,
        postgresql_where="state IN ('draft', 'quoted', 'held', 'awaiting_confirmation')",
    )
    op.create_index("checkout_reference", "checkout", ["reference"], unique=False)
    op.create_index(
        "checkout_release",
        "checkout",
        ["release_at"],
        unique=False,
        postgresql_where="release_at IS NOT NULL",
    )
    op.create_index("checkout_request", "checkout", ["user_id", "request_key"], unique=True)
    op.create_index(op.f("ix_checkout_merchant_id"), "checkout", ["merchant_id"], unique=False)
    op.create_index(op.f("ix_checkout_payment_id"), "checkout", ["payment_id"], unique=False)
    op.create_index(op.f("ix_checkout_thread_id"), "checkout", ["thread_id"], unique=False)
    op.create_index(op.f("ix_checkout_user_id"), "checkout", ["user_id"], unique=False)
    op.create_table(
        "idempotency_key",
        sa.Column("scope", sa.String(), nullable=False),
        sa.Column("key", sa.String(), nullable=False),
        sa.Column("request_hash", sa.String(), nullable=False),
        sa.Column("claim", sa.String(), nullable=False),
        sa.Column("lease_until", sa.DateTime(timezone=True), nullable=False),
        sa.Column("status", sa.Integer(), nullable=True),
        sa.Column("headers", postgresql.JSONB(), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("scope", "key"),
    )
    op.create_index(
        op.f("ix_idempotency_key_created_at"), "idempotency_key", ["created_at"], unique=False
    )
    op.create_table(
        "incident",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("subject", sa.String(), nullable=False),
        sa.Column("merchant_id", sa.String(), nullable=True),
        sa.Column("detail", sa.String(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("resolved_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("incident_subject", "incident", ["subject", "kind"], unique=True)
    op.create_index(op.f("ix_incident_created_at"), "incident", ["created_at"], unique=False)
    op.create_index(op.f("ix_incident_merchant_id"), "incident", ["merchant_id"], unique=False)
    op.create_table(
        "ledger_head",
        sa.Column("sole", sa.Boolean(), nullable=False),
        sa.Column("transactions", sa.BigInteger(), nullable=False),
        sa.Column("entries", sa.BigInteger(), nullable=False),
        sa.Column("hash", sa.Text(), nullable=False),
        sa.CheckConstraint("sole", name="ledger_head_only"),
        sa.PrimaryKeyConstraint("sole"),
    )
    op.create_table(
        "ledger_transaction",
        sa.Column("id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("ref", sa.Text(), nullable=False),
        sa.Column("body_hash", sa.Text(), nullable=False),
        sa.Column("effective_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("prev_hash", sa.Text(), nullable=False),
        sa.Column("hash", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("kind", "ref", name="ledger_transaction_once"),
        sa.UniqueConstraint("prev_hash", name="ledger_transaction_no_fork"),
    )
    op.create_index(
        "ledger_transaction_effective", "ledger_transaction", ["effective_at"], unique=False
    )
    op.create_table(
        "merchant",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("protocol", sa.String(), nullable=False),
        sa.Column("base_url", sa.String(), nullable=True),
        sa.Column("discovery_url", sa.String(), nullable=True),
        sa.Column("status", sa.String(), nullable=False),
        sa.Column("settlement", sa.String(), nullable=False),
        sa.Column("handoff_template", sa.String(), nullable=True),
        sa.Column("commission_bps", sa.Integer(), nullable=False),
        sa.Column("commission_fixed", sa.BigInteger(), nullable=False),
        sa.Column("commission_currency", sa.String(3), nullable=False),
        sa.Column("stripe_account", sa.String(), nullable=True),
        sa.Column("outbound_key", sa.String(), nullable=True),
        sa.Column("webhook_secret", sa.String(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("protocol IN ('acp', 'ucp', 'booking')", name="merchant_protocol"),
        sa.CheckConstraint(
            "settlement IN ('platform', 'merchant', 'handoff')", name="merchant_settlement"
        ),
        sa.CheckConstraint(
            "status IN ('draft', 'testing', 'live', 'paused')", name="merchant_status"
        ),
        sa.CheckConstraint("commission_bps BETWEEN 0 AND 10000", name="merchant_bps"),
        sa.CheckConstraint("commission_fixed >= 0", name="merchant_fixed"),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index(op.f("ix_merchant_status"), "merchant", ["status"], unique=False)
    op.create_table(
        "model_call",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("turn_id", sa.String(), nullable=False),
        sa.Column("model", sa.String(), nullable=False),
        sa.Column("input_tokens", sa.Integer(), nullable=False),
        sa.Column("cached_tokens", sa.Integer(), nullable=False),
        sa.Column("output_tokens", sa.Integer(), nullable=False),
        sa.Column("reasoning_tokens", sa.Integer(), nullable=False),
        sa.Column("estimated", sa.Boolean(), nullable=False),
        sa.Column("cost_usd_micros", sa.BigInteger(), nullable=True),
        sa.Column("price_version", sa.String(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index(op.f("ix_model_call_turn_id"), "model_call", ["turn_id"], unique=False)
    op.create_table(
        "quota_bucket",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("subject", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("ordinal", sa.Integer(), nullable=False),
        sa.Column("unit", sa.Text(), nullable=False),
        sa.Column("policy", sa.Text(), nullable=False),
        sa.Column("window_s", sa.BigInteger(), nullable=False),
        sa.Column("cap", sa.BigInteger(), nullable=False),
        sa.Column("used", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("held", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("timezone", sa.Text(), nullable=False),
        sa.Column("window_start", sa.DateTime(timezone=True), nullable=True),
        sa.Column("resets_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("after_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("slots", postgresql.JSONB(), server_default="{}", nullable=False),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.CheckConstraint("resets_at > window_start", name="quota_bucket_forward"),
        sa.CheckConstraint("used >= 0 AND held >= 0 AND cap >= 0", name="quota_bucket_counts"),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("subject", "name", "ordinal", name="quota_bucket_window"),
        postgresql_with={"fillfactor": "70"},
    )
    op.create_table(
        "quota_hold",
        sa.Column("turn_id", sa.Text(), nullable=False),
        sa.Column("subject", sa.Text(), nullable=False),
        sa.Column("plan", sa.Text(), nullable=False),
        sa.Column("requested_role", sa.Text(), nullable=False),
        sa.Column("served_role", sa.Text(), nullable=False),
        sa.Column("binding", sa.Text(), nullable=True),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("bucket_ids", sa.ARRAY(sa.BigInteger()), nullable=False),
        sa.Column("amounts", sa.ARRAY(sa.BigInteger()), nullable=False),
        sa.Column("spent", sa.ARRAY(sa.BigInteger()), nullable=True),
        sa.Column("lease_until", sa.DateTime(timezone=True), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("closed_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint(
            "state IN ('reserved', 'in_flight', 'settled', 'released', 'expired')",
            name="quota_hold_state",
        ),
        sa.PrimaryKeyConstraint("turn_id"),
    )
    op.create_index(
        "quota_hold_lease",
        "quota_hold",
        ["lease_until"],
        unique=False,
        postgresql_where=sa.text("state IN ('reserved', 'in_flight')"),
    )
    op.create_index("quota_hold_of_subject", "quota_hold", ["subject", "created_at"], unique=False)
    op.create_index("quota_hold_when", "quota_hold", ["created_at"], unique=False)
    op.create_table(
        "thread",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("user_id", sa.String(), nullable=False),
        sa.Column("title", sa.String(), nullable=False),
        sa.Column("client_id", sa.String(), nullable=True),
        sa.Column("running_turn_id", sa.String(), nullable=True),
        sa.Column("running_until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("thread_client", "thread", ["user_id", "client_id"], unique=True)
    op.create_index("thread_of_user", "thread", ["user_id", "updated_at"], unique=False)
    op.create_table(
        "turn",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("thread_id", sa.String(), nullable=True),
        sa.Column("user_id", sa.String(), nullable=False),
        sa.Column("plan", sa.String(), nullable=False),
        sa.Column("surface", sa.String(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("answer", sa.Text(), nullable=False),
        sa.Column("memory", sa.Text(), nullable=False),
        sa.Column("cards", postgresql.JSONB(), nullable=False),
        sa.Column("interrupts", postgresql.JSONB(), nullable=False),
        sa.Column("kind", sa.String(), nullable=True),
        sa.Column("sub", sa.String(), nullable=True),
        sa.Column("domain", sa.String(), nullable=True),
        sa.Column("action", sa.String(), nullable=True),
        sa.Column("role", sa.String(), nullable=True),
        sa.Column("served_role", sa.String(), nullable=True),
        sa.Column("model", sa.String(), nullable=True),
        sa.Column("requested_model", sa.String(), nullable=False),
        sa.Column("effort", sa.String(), nullable=True),
        sa.Column("cause", sa.String(), nullable=True),
        sa.Column("confidence", sa.Float(), nullable=True),
        sa.Column("policy_version", sa.String(), nullable=True),
        sa.Column("downgrade_reason", sa.String(), nullable=True),
        sa.Column("charged", postgresql.JSONB(), nullable=False),
        sa.Column("quota", postgresql.JSONB(), nullable=False),
        sa.Column("cost_usd_micros", sa.BigInteger(), nullable=True),
        sa.Column("price_version", sa.String(), nullable=True),
        sa.Column("input_tokens", sa.Integer(), nullable=False),
        sa.Column("cached_tokens", sa.Integer(), nullable=False),
        sa.Column("output_tokens", sa.Integer(), nullable=False),
        sa.Column("reasoning_tokens", sa.Integer(), nullable=False),
        sa.Column("estimated", sa.Boolean(), nullable=False),
        sa.Column("energy_wh_min", sa.Float(), nullable=False),
        sa.Column("energy_wh_max", sa.Float(), nullable=False),
        sa.Column("latency_ms", sa.Integer(), nullable=True),
        sa.Column("first_token_ms", sa.Integer(), nullable=True),
        sa.Column("housekeeping", sa.Boolean(), nullable=False),
        sa.Column("rating", sa.String(), nullable=True),
        sa.Column("wrong_route", sa.Boolean(), nullable=False),
        sa.Column("preferred", sa.String(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("closed_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("turn_of_thread", "turn", ["thread_id", "created_at"], unique=False)
    op.create_index("turn_of_user", "turn", ["user_id", "created_at"], unique=False)
    op.create_index("turn_when", "turn", ["created_at"], unique=False)
    op.create_table(
        "user_account",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("email", sa.String(), nullable=True),
        sa.Column("password_hash", sa.String(), nullable=True),
        sa.Column("plan", sa.String(), nullable=False),
        sa.Column("timezone", sa.String(), nullable=False),
        sa.Column("style", sa.String(), nullable=False),
        sa.Column("warmth", sa.Integer(), nullable=False),
        sa.Column("effort", sa.String(), nullable=False),
        sa.Column("pinned_model", sa.String(), nullable=True),
        sa.Column("buyer", postgresql.JSONB(), nullable=True),
        sa.Column("address", postgresql.JSONB(), nullable=True),
        sa.Column("payment_token", sa.String(), nullable=True),
        sa.Column("guest", sa.Boolean(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("deleted_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("email"),
    )
    op.create_table(
        "web_session",
        sa.Column("hash", sa.String(), nullable=False),
        sa.Column("role", sa.String(), nullable=False),
        sa.Column("user_id", sa.String(), nullable=True),
        sa.Column("merchant_id", sa.String(), nullable=True),
        sa.Column("read_only", sa.Boolean(), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("hash"),
    )
    op.create_index(op.f("ix_web_session_user_id"), "web_session", ["user_id"], unique=False)
    op.create_table(
        "webhook_event",
        sa.Column("source", sa.String(), nullable=False),
        sa.Column("event_id", sa.String(), nullable=False),
        sa.Column("type", sa.String(), nullable=False),
        sa.Column("received_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("source", "event_id"),
    )
    op.create_index(
        op.f("ix_webhook_event_received_at"), "webhook_event", ["received_at"], unique=False
    )
    op.create_table(
        "feed_intake",
        sa.Column("load_id", sa.String(), nullable=False),
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("merchant_id", sa.String(), nullable=False),
        sa.Column("fields", postgresql.JSONB(), nullable=False),
        sa.Column("embedding", VECTOR(dim=512), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["merchant_id"],
            ["merchant.id"],
        ),
        sa.PrimaryKeyConstraint("load_id", "id"),
    )
    op.create_index(
        op.f("ix_feed_intake_merchant_id"), "feed_intake", ["merchant_id"], unique=False
    )
    op.create_table(
        "ledger_entry",
        sa.Column("id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("transaction_id", sa.BigInteger(), nullable=False),
        sa.Column("account", sa.Text(), nullable=False),
        sa.Column("amount", sa.BigInteger(), nullable=False),
        sa.Column("currency", sa.CHAR(length=3), nullable=False),
        sa.CheckConstraint("amount <> 0", name="ledger_entry_moves"),
        sa.ForeignKeyConstraint(
            ["transaction_id"],
            ["ledger_transaction.id"],
        ),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("ledger_entry_account", "ledger_entry", ["account", "currency"], unique=False)
    op.create_index("ledger_entry_transaction", "ledger_entry", ["transaction_id"], unique=False)
    op.create_table(
        "offer",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("merchant_id", sa.String(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("item_id", sa.String(), nullable=False),
        sa.Column("snapshot", postgresql.JSONB(), nullable=False),
        sa.Column("booking", postgresql.JSONB(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["merchant_id"],
            ["merchant.id"],
        ),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index(op.f("ix_offer_merchant_id"), "offer", ["merchant_id"], unique=False)
    op.create_index("offer_expiry", "offer", ["expires_at"], unique=False)
    op.create_table(
        "product",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("merchant_id", sa.String(), nullable=False),
        sa.Column("item_id", sa.String(), nullable=False),
        sa.Column("title", sa.String(), nullable=False),
        sa.Column("title_zh", sa.String(), nullable=False),
        sa.Column("description", sa.String(), nullable=False),
        sa.Column("description_zh", sa.String(), nullable=False),
        sa.Column("category", sa.String(), nullable=False),
        sa.Column("price_amount", sa.BigInteger(), nullable=False),
        sa.Column("currency", sa.String(3), nullable=False),
        sa.Column("availability", sa.String(), nullable=False),
        sa.Column("image_url", sa.String(), nullable=True),
        sa.Column("rating", sa.Float(), nullable=True),
        sa.Column("delivery_days", sa.Integer(), nullable=True),
        sa.Column("attributes", postgresql.JSONB(), nullable=False),
        sa.Column("feed_version", sa.String(), nullable=False),
        sa.Column("about", sa.String(), nullable=False),
        sa.Column("title_grams", sa.String(), nullable=False),
        sa.Column("about_grams", sa.String(), nullable=False),
        sa.Column(
            "words",
            postgresql.TSVECTOR(),
            sa.Computed(
                "setweight(to_tsvector('english', title), 'A') || setweight(to_tsvector('english', about), 'C') || setweight(to_tsvector('simple', title_grams), 'A') || setweight(to_tsvector('simple', about_grams), 'C')",
                persisted=True,
            ),
            nullable=True,
        ),
        sa.Column("meaning", sa.String(), nullable=False),
        sa.Column("embedding", VECTOR(dim=512), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("price_amount > 0", name="product_price"),
        sa.ForeignKeyConstraint(
            ["merchant_id"],
            ["merchant.id"],
        ),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("merchant_id", "item_id", name="product_item"),
    )
    op.create_index(op.f("ix_product_merchant_id"), "product", ["merchant_id"], unique=False)
    op.create_index("product_words", "product", ["words"], unique=False, postgresql_using="gin")
    op.create_table(
        "purchase_effect",
        sa.Column("checkout_id", sa.String(), nullable=False),
        sa.Column("effect", sa.String(), nullable=False),
        sa.Column("key", sa.String(), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("maybe", sa.Boolean(), nullable=False),
        sa.Column("outcome", sa.String(), nullable=True),
        sa.Column("begun_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["checkout_id"], ["checkout.id"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("checkout_id", "effect"),
    )
    op.create_table(
        "purchase_order",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("checkout_id", sa.String(), nullable=False),
        sa.Column("user_id", sa.String(), nullable=False),
        sa.Column("thread_id", sa.String(), nullable=True),
        sa.Column("merchant_id", sa.String(), nullable=False),
        sa.Column("merchant_name", sa.String(), nullable=False),
        sa.Column("merchant_order_id", sa.String(), nullable=False),
        sa.Column("permalink_url", sa.String(), nullable=True),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("settlement", sa.String(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("lines", postgresql.JSONB(), nullable=False),
        sa.Column("totals", postgresql.JSONB(), nullable=False),
        sa.Column("booking", postgresql.JSONB(), nullable=True),
        sa.Column("cancellation_policy", sa.String(), nullable=False),
        sa.Column("total", sa.BigInteger(), nullable=False),
        sa.Column("currency", sa.String(3), nullable=False),
        sa.Column("fee", sa.BigInteger(), nullable=False),
        sa.Column("refunded", sa.BigInteger(), nullable=False),
        sa.Column("fee_refunded", sa.BigInteger(), nullable=False),
        sa.Column("payment_id", sa.String(), nullable=True),
        sa.Column("destination", sa.String(), nullable=True),
        sa.Column("placed_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint(
            "state IN ('placed', 'fulfilled', 'partially_refunded', 'refunded', 'canceled', 'disputed')",
            name="purchase_order_state",
        ),
        sa.CheckConstraint("fee_refunded >= 0 AND fee_refunded <= fee", name="purchase_order_fee"),
        sa.CheckConstraint("refunded >= 0 AND refunded <= total", name="purchase_order_refunded"),
        sa.ForeignKeyConstraint(
            ["checkout_id"],
            ["checkout.id"],
        ),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("checkout_id"),
    )
    op.create_index(
        op.f("ix_purchase_order_payment_id"), "purchase_order", ["payment_id"], unique=False
    )
    op.create_index(
        "purchase_order_merchant", "purchase_order", ["merchant_id", "placed_at"], unique=False
    )
    op.create_index(
        "purchase_order_newest", "purchase_order", ["user_id", "placed_at"], unique=False
    )
    op.create_index(
        "purchase_order_theirs",
        "purchase_order",
        ["merchant_id", "merchant_order_id"],
        unique=False,
    )
    op.create_table(
        "order_event",
        sa.Column("id", sa.BigInteger(), nullable=False),
        sa.Column("order_id", sa.String(), nullable=False),
        sa.Column("type", sa.String(), nullable=False),
        sa.Column("ref", sa.String(), nullable=False),
        sa.Column("detail", postgresql.JSONB(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["order_id"],
            ["purchase_order.id"],
        ),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index(op.f("ix_order_event_order_id"), "order_event", ["order_id"], unique=False)
    op.create_index("order_event_ref", "order_event", ["order_id", "type", "ref"], unique=True)
    op.create_table(
        "order_refund",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("order_id", sa.String(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("amount", sa.BigInteger(), nullable=False),
        sa.Column("fee", sa.BigInteger(), nullable=False),
        sa.Column("currency", sa.String(3), nullable=False),
        sa.Column("reason", sa.String(), nullable=False),
        sa.Column("request_key", sa.String(), nullable=True),
        sa.Column("merchant_quote_id", sa.String(), nullable=True),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("base", sa.BigInteger(), nullable=False),
        sa.Column("maybe", sa.Boolean(), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("failure", sa.String(), nullable=True),
        sa.Column("lease", sa.String(), nullable=True),
        sa.Column("lease_until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("next_drive_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("amount >= 0 AND fee >= 0", name="order_refund_amounts"),
        sa.ForeignKeyConstraint(
            ["order_id"],
            ["purchase_order.id"],
        ),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index(op.f("ix_order_refund_order_id"), "order_refund", ["order_id"], unique=False)
    op.create_index(
        "order_refund_due",
        "order_refund",
        ["next_drive_at"],
        unique=False,
        postgresql_where="next_drive_at IS NOT NULL",
    )
    op.create_index(
        "order_refund_one_at_a_time",
        "order_refund",
        ["order_id"],
        unique=True,
        postgresql_where="state IN ('confirming', 'refunding')",
    )
    op.create_index(
        "order_refund_request", "order_refund", ["order_id", "request_key"], unique=True
    )
    for statement in GUARDS:
        _as_written(statement)
    # The queue's schema is its release's own; a newer release brings its own migrations.
    _as_written(schema_sql())


def downgrade() -> None:
    raise NotImplementedError("The first schema has nothing before it: drop the database instead.")
