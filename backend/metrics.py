"""What this process counts for Prometheus at `/metrics`. Whoever scrapes several adds them up.

No label holds a word of a person, a merchant or a model's answer: every set of values is ours.
"""

from typing import Final

from prometheus_client import Counter, Gauge, Histogram

from backend.tally import Tally
from integrations.health import Health

_SECONDS: Final = (0.1, 0.25, 0.5, 1, 2, 4, 8, 15, 30, 60, 120)
_SURFACES: Final = (
    *("/v1", "/agui", "/api", "/operator/v1", "/merchant/v1", "/agentic_checkout", "/webhooks"),
    *("/ucp", "/.well-known", "/media"),
)

TURNS = Counter(
    "emptor_turns", "Turns that ended", ["kind", "requested_role", "served_role", "state"]
)
DOWNGRADES = Counter("emptor_downgrades", "Turns answered by a lower rung, by reason", ["reason"])
TURN_SECONDS = Histogram(
    "emptor_turn_seconds", "From the request to the end of the turn", ["role"], buckets=_SECONDS
)
FIRST_SECONDS = Histogram(
    "emptor_first_token_seconds", "Until the person sees something", ["role"], buckets=_SECONDS
)
COST = Counter("emptor_turn_cost_usd_micros", "Known cost of turns, micro-dollars", ["role"])
ANSWERS = Counter("emptor_http_answers", "HTTP answers", ["surface", "status"])
FAILING = Gauge(
    "emptor_model_failures", "Failures in a row; from three on a model rests", ["model"]
)


def turn_ended(tally: Tally, state: str, usd_micros: int | None) -> None:
    """`state` is the turn row's: done, aborted or failed."""
    if tally.routed is None:
        TURNS.labels("none", "none", "none", state).inc()
        return
    route, admission = tally.routed.route, tally.routed.admission
    TURNS.labels(route.kind, route.role, admission.role, state).inc()
    if admission.downgrade_reason is not None:
        DOWNGRADES.labels(admission.downgrade_reason.split(":")[0]).inc()
    TURN_SECONDS.labels(admission.role).observe(tally.elapsed_ms() / 1_000)
    if tally.first_token_ms is not None:
        FIRST_SECONDS.labels(admission.role).observe(tally.first_token_ms / 1_000)
    if usd_micros:
        COST.labels(admission.role).inc(usd_micros)


def answered(path: str, status: int) -> None:
    """Counted by surface, never by address: addresses hold ids."""
    surface = next((s for s in _SURFACES if path == s or path.startswith(s + "/")), "page")
    ANSWERS.labels(surface, f"{status // 100}xx").inc()


def models(health: Health, names: list[str]) -> None:
    """Taken down when somebody looks."""
    for name in names:
        FAILING.labels(name).set(health.of(name)["failures"])
