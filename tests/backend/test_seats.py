"""Any conversation gets a model that holds it, or is refused: no window is ever too small."""

from collections.abc import Mapping, Sequence
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from backend.seats import ANSWER_ROOM, ContextTooLong, Seat, Seats
from integrations.models import ROLES, Catalogue, Model
from integrations.models import Seat as Chair
from integrations.tokens import conversation_bound

WINDOWS = st.integers(512, 9_000)


def seats(windows: list[int]) -> Seats:
    """One model a role, each with a window of its own."""
    models = {role: Model(context_window=w) for role, w in zip(ROLES, windows, strict=True)}
    chairs = {role: Chair(model=role) for role in ROLES}
    roles = {"openai": chairs, "embedded": chairs}
    return Seats(Catalogue(version="t", models=models, roles=roles), "openai")


@given(st.lists(WINDOWS, min_size=5, max_size=5), st.integers(0, 10_000), st.sampled_from(ROLES))
def test_a_seat_holds_the_conversation_and_an_answer_or_there_is_none(
    windows: list[int], tokens: int, role: str
):
    room = seats(windows)
    try:
        seat = room.take(role, tokens)
    except ContextTooLong:
        assert tokens + ANSWER_ROOM > max(windows)
        return
    assert tokens + ANSWER_ROOM <= room.window(seat.model)
    assert tokens + seat.answer_tokens <= room.window(seat.model)
    assert seat.role == role  # a larger model stands in; the allowance stays that of the role


@given(st.lists(WINDOWS, min_size=5, max_size=5), st.integers(0, 10_000))
def test_only_a_role_whose_own_model_holds_it_may_stand_in(windows: list[int], tokens: int):
    room = seats(windows)
    for role in ROLES:
        fits = tokens + ANSWER_ROOM <= room.window(role)
        assert (role in room.able(tokens)) == fits
        if fits:
            assert room.take(role, tokens).model == role


def test_a_model_without_a_price_reserves_a_ceiling():
    unknown = seats([4_000] * 5)
    asked = unknown.ceiling(Seat("light", "light", 200), 1_000, 50)
    assert asked == unknown.catalogue.unknown_usd_micros_per_mtok * 1_050 // 1_000_000


def test_a_pinned_stand_in_spends_its_own_roles_allowance():
    """`reasoning` stands in for `light` when that fails; pinned, it is no cheaper for it."""
    models = {role: Model(context_window=4_000) for role in (*ROLES, "spare")}
    chairs = {role: Chair(model=role) for role in ROLES}
    chairs["light"] = Chair(model="light", fallbacks=("reasoning", "spare"))
    room = Seats(Catalogue(version="t", models=models, roles={"openai": chairs}), "openai")
    assert room.role_of("reasoning", "light") == "reasoning"
    assert room.role_of("light", "light") == "light"
    assert room.role_of("light_mini", "reasoning") == "light_mini"
    assert room.role_of("spare", "agent") == "light"  # it has no role of its own


@given(
    st.lists(st.text(max_size=400), min_size=1, max_size=30),
    st.integers(1_024, 9_000),
)
def test_the_newest_messages_that_fit_are_kept_and_the_newest_one_always(
    said: list[str], window: int
):
    messages = [{"role": "user", "content": text} for text in said]
    kept = seats([window] * 5).trim(messages, [])
    assert kept == messages[-len(kept) :] != []
    fits = [n for n in range(1, len(said) + 1) if _needed(messages[-n:]) <= window]
    assert len(kept) == max(fits, default=1)


def _needed(messages: Sequence[Mapping[str, Any]]) -> int:
    return conversation_bound(messages) + ANSWER_ROOM


def test_a_long_history_is_read_once_and_not_once_a_message():
    messages = [{"role": "user", "content": "word " * 400} for _ in range(200)]
    reads = 0

    class Counted(dict[str, Any]):
        def get(self, key: str, default: Any = None) -> Any:
            nonlocal reads
            reads += 1
            return super().get(key, default)

    assert len(seats([2_000_000] * 5).trim([Counted(m) for m in messages], [])) == 200
    assert reads == 200
