"""Policies in plain words: they name a turn, a new one works at once, a broken file says where."""

from pathlib import Path

import pytest

from graphs.router.classifier import Classifier
from graphs.router.policy import SHIPPED, Policies, PolicyError, load_policies
from graphs.router.router import Router
from graphs.state import Ask, Route
from tests.graphs.fakes_router import loaded_router, routed

LEGAL = """
[[policy]]
name = "contract-review"
domain = "legal"
action = "contract-review"
kind = "complex"
role = "reasoning"
effort = "high"
en = "looking over a rental agreement, an employment contract or terms and conditions"
zh = "看看租房合同、劳动合同、条款"
"""


def with_policy(folder: Path, extra: str) -> Path:
    path = folder / "policies.toml"
    path.write_text(SHIPPED.read_text("utf-8") + extra, "utf-8")
    return path


def route_with(folder: Path, extra: str, text: str) -> Route:
    """Route by the shipped weights and encoder with one more policy."""
    shared = loaded_router()
    policies = Policies(load_policies(with_policy(folder, extra)), shared)
    return Router(shared, Classifier.load(), policies).route(Ask(text))


def test_at_least_twenty_five_policies_are_shipped_over_all_kinds() -> None:
    policies = load_policies().policy
    assert len(policies) >= 25
    assert {p.kind for p in policies} == {"casual", "complex", "commercial"}
    assert {p.sub for p in policies if p.kind == "commercial"} == {"booking", "purchase"}


@pytest.mark.parametrize(
    ("text", "sub", "domain"),
    [
        ("book a flight to Lisbon next Friday", "booking", "flight"),
        ("我想在成都订一间酒店，住两晚", "booking", "hotel"),
        ("a table for four at a Thai place tonight", "booking", "restaurant"),
        ("叫辆出租车去机场", "booking", "ride"),
        ("I want to buy a waterproof backpack under 60 dollars", "purchase", "product"),
        ("给我来一杯大杯拿铁", "purchase", "coffee"),
        ("make an appointment with a dentist", "booking", "services"),
        ("where is my parcel", "purchase", "product"),
    ],
)
def test_a_commercial_turn_is_named_by_its_policy(text: str, sub: str, domain: str) -> None:
    route = routed(text)
    assert (route.kind, route.sub, route.domain) == ("commercial", sub, domain)
    assert route.role == "agent"


def test_an_added_policy_works_without_training(tmp_path: Path) -> None:
    text = "can you look over my rental agreement"
    assert routed(text).domain != "legal"
    route = route_with(tmp_path, LEGAL, text)
    assert (route.kind, route.domain, route.action) == ("complex", "legal", "contract-review")
    assert (route.role, route.effort) == ("reasoning", "high")


def test_an_added_policy_may_leave_the_kind_to_the_classifier(tmp_path: Path) -> None:
    shy = LEGAL + "decides = false\n"
    text = "can you look over my rental agreement"
    assert route_with(tmp_path, shy, text).kind == routed(text).kind


def test_a_policy_alone_never_makes_a_turn_commercial(tmp_path: Path) -> None:
    greedy = """
[[policy]]
name = "umbrella-sales"
domain = "product"
action = "sell"
kind = "commercial"
sub = "purchase"
en = "will it rain tomorrow"
zh = "明天会下雨吗"
"""
    assert route_with(tmp_path, greedy, "will it rain tomorrow").kind == "casual"


@pytest.mark.parametrize(
    ("broken", "said"),
    [
        ('kind = "complex"', "kind"),
        ('kind = "expensive"\nsub = "none"', "kind"),
        ('kind = "casual"\nsub = "booking"', "sub must be"),
        ('kind = "casual"\nrole = "agent"', "role 'agent' does not serve kind 'casual'"),
        ('kind = "casual"\neffort = "extreme"', "effort"),
        ('kind = "casual"\nprice = 3', "price: Extra inputs are not permitted"),
    ],
)
def test_a_wrong_field_is_named_with_its_policy(tmp_path: Path, broken: str, said: str) -> None:
    head = '\n[[policy]]\nname = "odd-one"\ndomain = "x"\naction = "y"\nen = "some words"\n'
    missing = "" if broken == 'kind = "complex"' else 'zh = "几个字"\n'
    with pytest.raises(PolicyError) as raised:
        load_policies(with_policy(tmp_path, head + missing + broken))
    assert "odd-one" in str(raised.value)
    assert (said if missing else "zh: Field required") in str(raised.value)


def test_a_name_that_stands_twice_is_refused(tmp_path: Path) -> None:
    with pytest.raises(PolicyError, match="more than once: contract-review"):
        load_policies(with_policy(tmp_path, LEGAL + LEGAL))


def test_broken_toml_and_a_missing_file_say_so(tmp_path: Path) -> None:
    path = tmp_path / "bad.toml"
    path.write_text("version = [", "utf-8")
    with pytest.raises(PolicyError, match="not valid TOML"):
        load_policies(path)
    with pytest.raises(PolicyError, match="No such file"):
        load_policies(tmp_path / "none.toml")


def test_a_file_without_a_kind_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "few.toml"
    path.write_text('version = "1"\n' + LEGAL, "utf-8")
    with pytest.raises(PolicyError, match="none of: casual, commercial"):
        load_policies(path)
