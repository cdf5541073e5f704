"""What people taught the router: labelled examples and rewarded turns, from feedback alone.

A preferred kind is a label, a thumb up confirms one, asking again with more effort says that the
turn was hard, a completed booking or purchase that it was commercial. One person counts for a few
examples only, so nobody can teach the router their own idea. What anything earned is not read.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from sqlalchemy import func, select, text
from sqlalchemy.ext.asyncio import AsyncSession

from graphs.router.templates import Example
from graphs.router.train import Labelled
from graphs.state import Ask, Kind, Message

PER_PERSON: Final = 20
NEWEST: Final = 20_000
FAMILY: Final = "feedback"
_KINDS: Final[tuple[Kind, ...]] = ("casual", "complex", "commercial")

_TAUGHT = text("""
SELECT t.user_id, t.text, before.text AS before_text, before.answer AS before_answer,
  CASE WHEN t.preferred IS NOT NULL THEN t.preferred
    WHEN d.switched_up AND d.kind = 'casual' THEN 'complex'
    WHEN bought.done THEN 'commercial'
    WHEN t.rating = 'up' AND NOT t.wrong_route THEN d.kind END AS kind
FROM turn t JOIN router_decision d ON d.turn_id = t.id
LEFT JOIN LATERAL (SELECT b.text, b.answer FROM turn b WHERE b.thread_id = t.thread_id
  AND b.created_at < t.created_at AND b.state <> 'failed' ORDER BY b.created_at DESC LIMIT 1
) before ON true
CROSS JOIN LATERAL (SELECT EXISTS (SELECT 1 FROM jsonb_array_elements(t.interrupts) i
  JOIN checkout c ON c.id = i->>'checkout_id' WHERE c.state = 'completed') AS done) bought
WHERE t.text <> '' AND NOT t.housekeeping AND t.closed_at <= :until
  AND (t.preferred IS NOT NULL OR t.rating = 'up' OR d.switched_up OR bought.done)
ORDER BY t.created_at DESC LIMIT :newest
""")

# The verdict on a decision, -1 to 1. Turns that the person decided themselves say nothing of it.
_REWARDED = text("""
SELECT t.text, t.effort, before.text AS before_text, before.answer AS before_answer,
  d.kind || '/' || d.role AS chosen, d.propensity,
  GREATEST(-1, LEAST(1,
    CASE t.rating WHEN 'up' THEN 1 WHEN 'down' THEN -1 ELSE 0 END
    - CASE WHEN t.wrong_route OR COALESCE(t.preferred <> d.kind, false) THEN 1 ELSE 0 END
    - CASE WHEN d.switched_up THEN 1 WHEN d.retried OR d.repeated THEN 0.7 ELSE 0 END
    + CASE WHEN offered.completed THEN 1 WHEN offered.declined THEN -1
      WHEN d.tool_success IS FALSE THEN -0.5 ELSE 0 END
  ))::float AS reward
FROM turn t JOIN router_decision d ON d.turn_id = t.id
LEFT JOIN LATERAL (SELECT b.text, b.answer FROM turn b WHERE b.thread_id = t.thread_id
  AND b.created_at < t.created_at AND b.state <> 'failed' ORDER BY b.created_at DESC LIMIT 1
) before ON true
CROSS JOIN LATERAL (SELECT bool_or(c.state = 'completed') AS completed,
    bool_or(c.state = 'canceled') AS declined
  FROM jsonb_array_elements(t.interrupts) i JOIN checkout c ON c.id = i->>'checkout_id') offered
WHERE t.text <> '' AND t.state = 'done' AND NOT d.overridden AND d.arm <> 'rules'
  AND d.cause NOT IN ('state', 'user') ORDER BY d.number DESC LIMIT :newest
""")


@dataclass(frozen=True, slots=True)
class Taught:
    """Examples from feedback up to `until`, oldest knowledge last."""

    examples: tuple[Labelled, ...]
    until: datetime


@dataclass(frozen=True, slots=True)
class Rewarded:
    """A decided turn with its verdict; `ask` is for another version to decide anew."""

    ask: Ask
    chosen: str
    propensity: float
    reward: float


async def taught(session: AsyncSession, until: datetime | None = None) -> Taught:
    """Labelled examples from feedback; at most `PER_PERSON` of one person, the newest."""
    until = until or (await session.execute(select(func.now()))).scalar_one()
    found = await session.execute(_TAUGHT, {"until": until, "newest": NEWEST})
    counted: Counter[str] = Counter()
    examples = []
    for row in found.mappings():
        if row["kind"] not in _KINDS or counted[row["user_id"]] >= PER_PERSON:
            continue
        counted[row["user_id"]] += 1
        examples.append(_example(row))
    return Taught(tuple(examples), until)


async def rewarded(session: AsyncSession, *, newest: int = 5_000) -> Sequence[Rewarded]:
    """The newest decided turns with their rewards."""
    found = await session.execute(_REWARDED, {"newest": newest})
    return [
        Rewarded(Ask(row["text"], _before(row)), row["chosen"], row["propensity"], row["reward"])
        for row in found.mappings()
    ]


def _example(row: Any) -> Labelled:
    lang = "zh" if any("\u4e00" <= c <= "\u9fff" for c in row["text"]) else "en"
    example = Example(row["text"], row["kind"], lang, _before(row), FAMILY)  # type: ignore[arg-type]
    return Labelled(example, FAMILY)


def _before(row: Any) -> tuple[Message, ...]:
    if not row["before_text"]:
        return ()
    said = (Message("user", row["before_text"]),)
    return (*said, Message("assistant", row["before_answer"])) if row["before_answer"] else said
