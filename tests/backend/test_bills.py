"""What a turn cost us, and what of it an allowance of cost counts."""

from backend.chat import Bill
from graphs.state import Called
from integrations.prices import Cost
from integrations.usage import Usage


def priced(micros: int | None, by: str = "answer") -> tuple[Called, Cost]:
    called = Called("m", Usage(input=10, output=5), by=by)  # type: ignore[arg-type]
    return called, Cost(micros, (0.1, 0.2), "t@1", "e@1")


def test_a_judges_call_is_our_cost_and_not_the_persons():
    bill = Bill((priced(7, by="judge"), priced(100)))
    assert (bill.usd_micros, bill.theirs) == (107, 100)


def test_a_judge_without_a_price_leaves_the_persons_part_known():
    bill = Bill((priced(None, by="judge"), priced(100)))
    assert (bill.usd_micros, bill.theirs) == (None, 100)
    assert Bill((priced(None),)).theirs is None


def test_a_turn_without_a_call_costs_nothing():
    assert (Bill(()).usd_micros, Bill(()).theirs) == (0, 0)
