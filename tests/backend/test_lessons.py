"""What feedback teaches: labels, rewards, one person's share, and never revenue."""

import re
from typing import Any

import pytest
from sqlalchemy import text

from backend import lessons
from backend.checkout import Checkout
from backend.database import Database
from backend.decisions import RouterDecision
from backend.threads import TurnRow


async def decided(database: Database, turn_id: str, *, user: str = "usr_a", **more: Any) -> None:
    """A closed turn with its decision; `more` goes to whichever row has the column."""
    turn = {k: v for k, v in more.items() if k in TurnRow.model_fields}
    made = {k: v for k, v in more.items() if k in RouterDecision.model_fields}
    async with database.transaction() as session:
        session.add(
            TurnRow(
                id=turn_id,
                user_id=user,
                plan="plus",
                surface="rest",
                state="done",
                **{"text": f"words of {turn_id}", **turn},
            )
        )
        await session.flush()
        await session.execute(text("UPDATE turn SET closed_at = now() - interval '1 s'"))
        shown = {"kind": "casual", "role": "light", "arm": "base", "cause": "classifier"}
        session.add(
            RouterDecision(
                turn_id=turn_id,
                rollout_id=1,
                version="v",
                plan="plus",
                confidence=0.9,
                feature_hash="",
                latency_us=1,
                **{"propensity": 1.0, **shown, **made},
            )
        )


async def labels(database: Database) -> dict[str, str]:
    async with database.transaction() as session:
        taught = await lessons.taught(session)
    return {e.example.text.removeprefix("words of "): e.example.kind for e in taught.examples}


async def rewards(database: Database) -> dict[str, float]:
    async with database.transaction() as session:
        found = await lessons.rewarded(session)
    return {r.ask.text.removeprefix("words of "): r.reward for r in found}


async def proposed(database: Database, turn_id: str, state: str, **money: int) -> None:
    """A turn that proposed a checkout, and what became of it."""
    shown = [{"checkout_id": f"chk_{turn_id}"}]
    await decided(database, turn_id, kind="commercial", tool_success=True, interrupts=shown)
    async with database.transaction() as session:
        session.add(
            Checkout(
                id=f"chk_{turn_id}",
                user_id="usr_a",
                merchant_id="mer",
                merchant_name="Mer",
                merchant_of_record="Mer",
                settlement="platform",
                kind="purchase",
                state=state,
                lines=[],
                currency="EUR",
                **money,
            )
        )


async def test_each_sign_becomes_a_label_and_silence_none(database: Database):
    await decided(database, "preferred", preferred="complex", wrong_route=True)
    await decided(database, "up", rating="up")
    await decided(database, "higher", switched_up=True, retried=True)
    await decided(database, "down", rating="down")
    await decided(database, "silent")
    await decided(database, "forgotten", preferred="complex", text="")
    found = await labels(database)
    assert found == {"preferred": "complex", "up": "casual", "higher": "complex"}


async def test_one_person_teaches_a_few_examples_only(database: Database):
    for number in range(lessons.PER_PERSON + 15):
        await decided(database, f"loud{number}", user="usr_loud", preferred="commercial")
    await decided(database, "quiet", user="usr_quiet", preferred="complex")
    found = await labels(database)
    assert len(found) == lessons.PER_PERSON + 1
    assert found["quiet"] == "complex"


async def test_an_example_brings_what_was_said_before(database: Database):
    await decided(database, "first", thread_id="thr", answer="Which one?")
    await decided(database, "second", thread_id="thr", preferred="commercial")
    async with database.transaction() as session:
        (only,) = (await lessons.taught(session)).examples
    assert [(m.role, m.text) for m in only.example.context] == [
        ("user", "words of first"),
        ("assistant", "Which one?"),
    ]


@pytest.mark.parametrize(
    ("signs", "reward"),
    [
        ({}, 0.0),
        ({"rating": "up"}, 1.0),
        ({"rating": "down", "wrong_route": True}, -1.0),
        ({"repeated": True}, -0.7),
        ({"retried": True, "switched_up": True}, -1.0),
        ({"kind": "commercial", "tool_success": False}, -0.5),
    ],
)
async def test_a_decision_is_rewarded_by_what_people_and_tools_say(database, signs, reward):
    await decided(database, "turn", **signs)
    assert await rewards(database) == {"turn": pytest.approx(reward)}


async def test_what_the_person_decided_themselves_is_no_verdict(database: Database):
    await decided(database, "pinned", overridden=True, rating="up")
    await decided(database, "locked", cause="state", rating="up")
    await decided(database, "rules", arm="rules", rating="up")
    assert await rewards(database) == {}


async def test_completed_and_declined_offers_count_and_what_they_earned_does_not(database):
    await proposed(database, "small", "completed", total=1, fee=0)
    await proposed(database, "large", "completed", total=10_000_000, fee=900_000)
    await proposed(database, "declined", "canceled", total=10_000_000, fee=900_000)
    assert await rewards(database) == {"small": 1.0, "large": 1.0, "declined": -1.0}
    assert await labels(database) == {"small": "commercial", "large": "commercial"}


def test_no_lesson_reads_what_anything_earned():
    """The import contract keeps the books out; this keeps money out of the statements."""
    read = f"{lessons._TAUGHT.text} {lessons._REWARDED.text}".lower()
    money = r"total|amount|fee|commission|price|currency|ledger|revenue|cost|purchase_order"
    assert re.findall(money, read) == []
    assert set(re.findall(r"c\.(\w+)", read)) == {"id", "state"}
