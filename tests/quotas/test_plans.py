"""The shipped plans hold, and a mistake in a plans file is named with its place."""

import copy
import re
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from quotas.plans import ROLES, Plans, PlansError, UnknownPlan, UnknownRole

SHIPPED = Path(__file__).parents[2] / "quotas" / "plans.toml"


@pytest.fixture
def document() -> dict[str, Any]:
    return tomllib.loads(SHIPPED.read_text())


@pytest.fixture(scope="module")
def plans() -> Plans:
    return Plans.load(SHIPPED)


def test_the_shipped_numbers_are_the_ones_people_were_promised(plans: Plans):
    def first(plan: str, name: str) -> tuple[int, str, int]:
        bucket = next(b for b in plans.plan(plan).buckets if b.name == name)
        return bucket.cap, bucket.policy, bucket.window

    assert first("free", "light") == (10, "session", 5 * 3_600)
    assert first("free", "reasoning") == (1, "calendar", 86_400)
    assert first("plus", "light") == (160, "session", 3 * 3_600)
    assert first("plus", "reasoning") == (3_000, "session", 7 * 86_400)
    assert first("pro", "light")[0] > first("plus", "light")[0]


@pytest.mark.parametrize("plan", ["free", "plus", "pro"])
def test_every_role_has_a_finite_allowance_in_every_plan(plans: Plans, plan: str):
    for role in ROLES:
        assert plans.plan(plan).of_role(role)


def test_the_ladder_goes_from_reasoning_down_to_the_smallest(plans: Plans):
    assert plans.plan("free").ladder("reasoning") == (
        "reasoning",
        "reasoning_mini",
        "light",
        "light_mini",
    )
    assert plans.plan("free").ladder("agent") == ("agent", "light_mini")
    assert plans.plan("plus").ladder("agent") == ("agent", "light", "light_mini")
    assert plans.plan("free").ladder("light_mini") == ("light_mini",)


@pytest.mark.parametrize("plan", ["plus", "pro"])
def test_a_paid_plan_reaches_the_smallest_model_only_after_the_light_one(plans: Plans, plan: str):
    for role in ROLES:
        ladder = plans.plan(plan).ladder(role)
        assert "light" in ladder[: ladder.index("light_mini")]


def test_a_role_below_the_floor_is_lifted_to_it(plans: Plans):
    assert plans.plan("plus").ladder("light_mini") == ("light", "light_mini")
    assert plans.plan("plus").ladder("reasoning_mini")[0] == "light"
    assert plans.plan("plus").ladder("agent")[0] == "agent"


def test_effort_stops_at_the_plans_ceiling(plans: Plans):
    assert plans.plan("free").bounded("high") == "medium"
    assert plans.plan("free").bounded("low") == "low"
    assert plans.plan("pro").bounded("high") == "high"


def test_pins_are_patterns(document: dict[str, Any]):
    document["plan"]["free"]["pins"] = ["small-*"]
    free = Plans.parse(document).plan("free")
    assert free.may_pin("small-1")
    assert not free.may_pin("large-1")


def test_an_unknown_plan_or_role_is_said(plans: Plans):
    with pytest.raises(UnknownPlan, match="free, plus, pro"):
        plans.plan("gold")
    with pytest.raises(UnknownRole, match="oracle"):
        plans.plan("free").ladder("oracle")


def test_another_cap_is_taken_as_it_is(document: dict[str, Any]):
    for bucket in document["plan"]["free"]["bucket"]:
        bucket["cap"] = 2
    assert {b.cap for b in Plans.parse(document).plan("free").buckets} == {2}


Edit = Callable[[dict[str, Any]], Any]


def bucket(document: dict[str, Any], index: int = 0) -> dict[str, Any]:
    found: dict[str, Any] = document["plan"]["free"]["bucket"][index]
    return found


@pytest.mark.parametrize(
    ("edit", "place", "why"),
    [
        (lambda d: bucket(d).update(cap="10"), "plan.free.bucket[0] (light) cap", "integer"),
        (lambda d: bucket(d).update(cap=True), "plan.free.bucket[0] (light) cap", "integer"),
        (lambda d: bucket(d).update(cap=1.5), "plan.free.bucket[0] (light) cap", "integer"),
        (lambda d: bucket(d).update(cap=-1), "plan.free.bucket[0] (light) cap", "greater"),
        (lambda d: bucket(d).pop("cap"), "plan.free.bucket[0] (light) cap", "required"),
        (lambda d: bucket(d).update(caps=3), "plan.free.bucket[0] (light) caps", "not permitted"),
        (lambda d: bucket(d).update(window=0), "plan.free.bucket[0] (light) window", "greater"),
        (lambda d: bucket(d).update(policy="hourly"), "bucket[0] (light) policy", "'session'"),
        (lambda d: bucket(d).update(unit="tokens"), "bucket[0] (light) unit", "'turns'"),
        (lambda d: bucket(d).update(role="heavy"), "bucket[0] (light) role", "'light'"),
        (lambda d: bucket(d).update(name="A b"), "bucket[0] (A b) name", "pattern"),
        (lambda d: bucket(d, 1).update(window=3_600), "bucket[1] (reasoning)", "86_400 (day)"),
        (lambda d: bucket(d).update(fallback="light"), "bucket[0] (light)", "the role itself"),
        (lambda d: bucket(d, 4).update(fallback="light"), "plan.free", "in a circle"),
        (lambda d: d["plan"]["free"]["bucket"].pop(), "plan.free", "no bucket in this plan"),
        (lambda d: d["plan"]["free"]["bucket"].pop(2), "plan.free", "for the role 'agent'"),
        (lambda d: bucket(d, 1).update(name="light"), "plan.free", "two buckets are named"),
        (
            lambda d: d["plan"]["free"].update(floor="light"),
            "plan.free",
            "agent → light_mini step past the floor 'light'",
        ),
        (lambda d: d["plan"]["free"].update(floor="x"), "plan.free floor", "'light'"),
        (lambda d: d["plan"]["free"].update(effort_max=3), "plan.free effort_max", "'low'"),
        (lambda d: d["plan"]["free"]["price"].update(amount=1.2), "free price.amount", "integer"),
        (lambda d: d["plan"]["free"].update(bucket=[]), "plan.free bucket", "at least 1"),
        (lambda d: d["plan"].update(gold=3), "plan.gold", "write [plan.gold]"),
        (lambda d: d.update(plans={}), "unknown key 'plans'", ""),
        (lambda d: d["plan"].pop("free"), "[plan.free] is missing", ""),
        (lambda d: bucket(d).update(unit="micro_usd"), "plan.plus.bucket (light) unit", "free"),
        (lambda d: bucket(d).update(cap=-1), "plan.free.bucket[0] (light) cap", "it is -1; write"),
        (lambda d: bucket(d).update(caps=3), "(light) caps", "did you mean 'cap'?"),
        (lambda d: d["plan"]["plus"]["price"].update(currency="usd"), "plus price.currency", "USD"),
        (
            lambda d: d["plan"]["pro"]["price"].update(currency="EUR"),
            "plan.pro price.currency",
            "price all plans in one currency",
        ),
        (lambda d: d["plan"]["free"]["price"].update(amount=1), "free price.amount", "write 0"),
    ],
)
def test_a_mistake_is_named_with_its_place_and_reason(
    document: dict[str, Any], edit: Edit, place: str, why: str
):
    edit(document)
    with pytest.raises(PlansError) as caught:
        Plans.parse(document, source="my.toml")
    line = next(line for line in str(caught.value).splitlines() if place in line)
    assert line.startswith("my.toml: ")
    assert why in line


def test_buckets_of_one_role_must_agree_about_the_fallback(document: dict[str, Any]):
    week = copy.deepcopy(bucket(document)) | {"name": "light_week", "fallback": "reasoning_mini"}
    document["plan"]["free"]["bucket"].append(week)
    with pytest.raises(PlansError, match="disagree"):
        Plans.parse(document)


def test_all_mistakes_are_named_at_once(document: dict[str, Any]):
    bucket(document).update(cap="x")
    document["plan"]["pro"]["title"] = 7
    with pytest.raises(PlansError) as caught:
        Plans.parse(document)
    assert len(str(caught.value).splitlines()) == 2


@pytest.mark.parametrize("content", [b"[plan.free", b"\xff\xfe"])
def test_a_file_that_is_no_toml_is_refused_with_its_name(tmp_path: Path, content: bytes):
    path = tmp_path / "broken.toml"
    path.write_bytes(content)
    with pytest.raises(PlansError, match=r"broken\.toml: cannot be read"):
        Plans.load(path)


def test_a_missing_file_is_refused_with_its_name(tmp_path: Path):
    with pytest.raises(PlansError, match=r"gone\.toml"):
        Plans.load(tmp_path / "gone.toml")


def test_nothing_costs_less_than_any_price_in_whatever_currency(document: dict[str, Any]):
    document["plan"]["free"]["price"]["currency"] = "EUR"
    assert Plans.parse(document).plan("free").upgrades == ("plus", "pro")


def test_a_pin_that_no_model_answers_to_is_refused_by_name(document: dict[str, Any]):
    document["plan"]["plus"]["pins"] = ["small-*", "gtp-9"]
    plans = Plans.parse(document)
    plans.check_pins(["small-chat", "gtp-9"], source="my.toml")
    said = "my.toml: plan.plus pins: no model is named like 'gtp-9'; there are small-chat, large"
    with pytest.raises(PlansError, match=f"^{re.escape(said)}$"):
        plans.check_pins(["small-chat", "large"], source="my.toml")
