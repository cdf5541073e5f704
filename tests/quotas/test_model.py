"""Any sequence of turns, time and changes of plan: the database agrees with a model in memory."""

import asyncio
import secrets
from collections.abc import Coroutine
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    consumes,
    invariant,
    multiple,
    precondition,
    rule,
    run_state_machine_as_test,
)
from sqlalchemy import text

from backend.database import Database
from quotas import grants, many, usage
from quotas.plans import Plan, Viewer
from tests.quotas.fakes_model import Model
from tests.quotas.fakes_plans import DAY, HOUR, bucket, light, plan

T = TypeVar("T")
START = datetime(2026, 11, 20, 22, 30, tzinfo=UTC)


def two_plans() -> tuple[Plan, Plan]:
    """Every kind of window, two buckets for one role; the larger plan has other lengths too."""
    small = plan(
        light(2),
        light(3, name="light_day", policy="calendar", window=DAY),
        bucket("reasoning", 1, policy="rolling", window=HOUR, fallback="light"),
        bucket("light_mini", 2, window=2 * HOUR),
    )
    large = plan(
        light(3, window=2 * HOUR),
        light(5, name="light_day", policy="calendar", window=DAY),
        bucket("reasoning", 3, policy="rolling", window=HOUR, fallback="light"),
        bucket("light_mini", 3, window=HOUR),
        name="plus",
    )
    return small, large


class Allowances(RuleBasedStateMachine):
    """One subject. Every step is done twice, and every answer compared."""

    turns = Bundle("turns")
    url = ""
    steps = 0

    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        self.database = Database(self.url, pool_size=1)
        self.subject = f"usr_{secrets.token_hex(8)}"
        self.plans = two_plans()
        self.plan = self.plans[0]
        self.at = START
        self.model = Model()
        self.promised: dict[str, tuple[str, datetime]] = {}

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        return self.runner.run(work)

    async def _in_transaction(self, function: Any, *args: Any, **named: Any) -> Any:
        async with self.database.transaction() as session:
            return await function(session, *args, **named)

    def call(self, function: Any, *args: Any, **named: Any) -> Any:
        return self.run(self._in_transaction(function, *args, at=self.at, **named))

    def meter(self) -> dict[str, dict[str, Any]]:
        quota = self.call(usage.meter, self.subject, self.plan)
        return {b["name"]: b for b in quota["buckets"]}

    @rule(
        target=turns,
        roles=st.lists(
            st.sampled_from(["light", "reasoning", "light_mini"]), min_size=1, max_size=5
        ),
    )
    def reserve(self, roles: list[str]) -> Any:
        return multiple(*(turn for role in roles for turn in self.reserved(role)))

    def reserved(self, role: str) -> list[str]:
        turn = f"trn_{secrets.token_hex(8)}"
        before = self.meter()
        expected = self.model.reserve(turn, self.plan, role, self.at)
        given = self.call(
            usage.reserve, turn_id=turn, subject=self.subject, plan=self.plan, role=role
        )
        assert given.served_role == expected
        # Denied ⇔ remaining < cost, by the numbers that people were shown before.
        shown = next(
            (
                rung
                for rung in self.plan.ladder(role)
                if all(before[b.name]["remaining"] >= 1 for b in self.plan.of_role(rung))
            ),
            None,
        )
        assert given.served_role == shown
        assert given.granted == (shown is not None)
        assert (given.downgrade_reason is None) == (shown in (role, None))
        if given.granted:
            for name in given.buckets:
                after = next(b for b in given.quota["buckets"] if b["name"] == name)
                assert after["used"] + after["held"] <= after["cap"]
        else:
            assert given.retry_after_s is not None
            assert given.retry_after_s > 0
        return [turn] if given.granted else []

    @rule(
        target=turns,
        roles=st.lists(
            st.sampled_from(["light", "light", "reasoning", "light_mini"]), min_size=2, max_size=5
        ),
    )
    def reserve_together(self, roles: list[str]) -> Any:
        """A batch; what it leaves undecided goes alone after it, as the clerk has it."""
        by = Viewer(self.subject, self.plan)
        asks = [many.Ask(f"trn_{secrets.token_hex(8)}", by, role) for role in roles]
        given = self.call(many.reserve, asks)
        kept = []
        for ask, allowance in sorted(zip(asks, given, strict=True), key=lambda g: g[1] is None):
            expected = self.model.reserve(ask.turn_id, self.plan, ask.role, self.at)
            decided = allowance or self.call(
                usage.reserve,
                turn_id=ask.turn_id,
                subject=self.subject,
                plan=self.plan,
                role=ask.role,
            )
            assert decided.served_role == expected
            kept += [ask.turn_id] if decided.granted else []
        return multiple(*kept)

    @rule(over=st.lists(turns, min_size=2, max_size=4), counted=st.booleans())
    def end_together(self, over: list[str], *, counted: bool) -> None:
        by = Viewer(self.subject, self.plan)
        endings = [many.Ending(turn, by, counted=counted) for turn in over]
        states = "settled" if counted else "released"
        single = usage.settle if counted else usage.release
        ended = self.call(many.end, endings)
        read = [self.call(usage.meter, self.subject, self.plan, turn_id=turn) for turn in over]
        for end, shown in zip(ended, read, strict=True):
            assert end is None or end.quota == shown
        for turn, end in sorted(zip(over, ended, strict=True), key=lambda e: e[1] is None):
            expected = self.model.end(turn, states, counted=counted)
            assert (self.call(single, turn) if end is None else end.now) == expected

    @rule(begun=st.lists(turns, min_size=2, max_size=4, unique=True))
    def start_together(self, begun: list[str]) -> None:
        said = self.call(many.start, begun)
        assert said == [self.model.start(turn, self.at) for turn in begun]

    @rule(turn=turns)
    def reserve_again(self, turn: str) -> None:
        hold = self.model.holds[turn]
        before = self.meter()
        again = self.call(
            usage.reserve, turn_id=turn, subject=self.subject, plan=self.plan, role=hold.role
        )
        assert (again.replayed, again.served_role, again.state) == (True, hold.served, hold.state)
        assert self.meter() == before

    @rule(turn=turns)
    def start(self, turn: str) -> None:
        assert self.call(usage.start, turn) == self.model.start(turn, self.at)

    @rule(turn=turns)
    def settle(self, turn: str) -> None:
        expected = self.model.end(turn, "settled", counted=True)
        assert self.call(usage.settle, turn) == expected

    @rule(turn=consumes(turns))
    def release(self, turn: str) -> None:
        expected = self.model.end(turn, "released", counted=False)
        assert self.call(usage.release, turn) == expected

    @rule()
    def sweep(self) -> None:
        swept = self.call(usage.sweep)
        assert (swept.refunded, swept.settled) == self.model.sweep(self.at)

    @rule(seconds=st.sampled_from([1, 59, 119, 120, 900, 1_800, HOUR - 1, HOUR, 5 * HOUR, DAY]))
    def pass_time(self, seconds: int) -> None:
        self.at += timedelta(seconds=seconds)

    @rule(
        bucket=st.sampled_from(["light", "light_day", "reasoning"]),
        units=st.integers(1, 3),
        priority=st.integers(1, 2),
        lasts=st.sampled_from([None, HOUR, DAY]),
        rollover=st.booleans(),
    )
    def give(
        self, bucket: str, units: int, priority: int, lasts: int | None, *, rollover: bool
    ) -> None:
        expires_at = None if lasts is None else self.at + timedelta(seconds=lasts)
        made = self.model.give(bucket, units, priority, expires_at, self.at, rollover=rollover)
        self.call(
            grants.grant,
            id=f"{self.subject}.{len(self.model.grants) - 1:04}",
            subject=self.subject,
            bucket=bucket,
            units=units,
            priority=priority,
            expires_at=expires_at,
            rollover=rollover,
            reason="a rule of the machine",
        )
        assert made.left == units

    @precondition(lambda self: self.model.grants)
    @rule(data=st.data())
    def revoke(self, data: st.DataObject) -> None:
        n = data.draw(st.integers(0, len(self.model.grants) - 1))
        grant = self.model.grants[n]
        taken = self.run(self._in_transaction(grants.revoke, id=f"{self.subject}.{n:04}"))
        assert taken == (0 if grant.revoked else grant.left)
        grant.revoked = True

    @rule(which=st.integers(0, 1))
    def change_plan(self, which: int) -> None:
        self.plan = self.plans[which]

    @invariant()
    def count(self) -> None:
        type(self).steps += 1

    @invariant()
    def the_meter_shows_what_the_model_has_and_keeps_its_promises(self) -> None:
        for name, shown in self.meter().items():
            allowance = next(b for b in self.plan.buckets if b.name == name)
            used, held = self.model.level(allowance, self.at)
            assert (shown["used"], shown["held"]) == (used, held), name
            assert shown["remaining"] == self.model.remaining(allowance, self.at)
            window = self.model.open.get(name)
            if window is not None and window.end is not None and window.end > self.at:
                assert shown["resets_at"] == window.end.isoformat().replace("+00:00", "Z")

    def teardown(self) -> None:
        self.at += timedelta(days=30)
        self.call(usage.sweep, limit=1_000)
        self.model.sweep(self.at)
        assert self.run(self._in_transaction(self._totals)) == (
            sum(window.used for window in self.model.all),
            0,
        )
        self.run(self.database.dispose())
        self.runner.close()

    async def _totals(self, session: Any) -> tuple[int, int]:
        query = text("SELECT sum(used), sum(held) FROM quota_bucket WHERE subject = :s")
        used, held = (await session.execute(query, {"s": self.subject})).one()
        return int(used or 0), int(held or 0)


def explore(url: str, *, examples: int, steps: int) -> int:
    """Run the machine and say how many steps it took; the bench asks for many more."""
    machine = type("Bound", (Allowances,), {"url": url})
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=examples,
            stateful_step_count=steps,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
    return machine.steps


@pytest.mark.timeout(600)
def test_any_history_agrees_with_the_model(database_url: str):
    done = 0
    while done < 2_000:
        done += explore(database_url, examples=25, steps=50)
    assert done >= 2_000
