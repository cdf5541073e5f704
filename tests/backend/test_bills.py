"""What a turn cost us, and what of it an allowance of cost counts."""

import pytest

from backend.bill import Bill, draw_up
from backend.tally import Tally
from graphs.state import Admission, Ask, Called, Route, Routed, Turn
from integrations.models import Catalogue, Model, Usage

USED = Usage(input=10, output=5)


def model(micros: int | None) -> Model:
    """A million tokens of it cost so much that one of them costs `micros`."""
    price = None if micros is None else micros * 1_000_000
    return Model(
        context_window=4_000, input_usd_micros_per_mtok=price, output_usd_micros_per_mtok=price
    )


CATALOGUE = Catalogue(
    version="t",
    models={"small": model(2), "large": model(10), "judge": model(1), "odd": model(None)},
    roles={},
)


def drawn(*calls: tuple[str, str], served: str = "small", instead_of: str | None = None) -> Bill:
    ask = Ask(text="hello", context=())
    turn = Turn("t", ask, (), "en", now=None, timezone="UTC")  # type: ignore[arg-type]
    admission = Admission("light", served, instead_of=instead_of)
    tally = Tally("t", text=["x"], routed=Routed(Route("casual"), admission))
    tally.calls = [Called(name, USED, by=by) for name, by in calls]  # type: ignore[arg-type]
    return draw_up(CATALOGUE, turn, tally, cut=False)


def test_a_judges_call_is_our_cost_and_not_the_persons():
    bill = drawn(("judge", "judge"), ("small", "answer"))
    assert (bill.usd_micros, bill.charged) == (15 + 30, 30)


def test_a_judge_without_a_price_leaves_the_persons_part_known():
    bill = drawn(("odd", "judge"), ("small", "answer"))
    assert (bill.usd_micros, bill.charged) == (None, 30)


@pytest.mark.parametrize(
    ("promised", "served", "charged"),
    [
        ("small", "large", 30),  # a dearer stand-in costs what was promised
        ("large", "small", 30),  # a cheaper one what it is worth
        ("small", "odd", 30),
        ("odd", "small", 30),
        ("odd", "odd", None),
    ],
)
def test_a_stand_in_costs_the_person_no_more_than_who_should_have_answered(
    promised: str, served: str, charged: int | None
):
    bill = drawn((served, "answer"), served=served, instead_of=promised)
    assert bill.charged == charged
    assert bill.usd_micros == {"small": 30, "large": 150, "odd": None}[served]


def test_a_turn_without_a_call_costs_nothing():
    assert (drawn().usd_micros, drawn().charged) == (0, 0)
