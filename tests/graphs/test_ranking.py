"""The order of offers: what moves it, and that a fee never can."""

from dataclasses import fields, replace

from hypothesis import given
from hypothesis import strategies as st

import graphs.ranking
from backend.catalogue import Candidate, rankable
from backend.merchants import Merchant
from graphs.ranking import Rankable, rank, reasons
from integrations.money import Money
from integrations.partner import Found


def offer(id_, *, fit=1.0, total=100_00, stock="in_stock", days=3, rating=4.5, currency="EUR"):
    return Rankable(id_, fit, Money(total, currency), stock, days, rating)


def order(*offers, query="q") -> list[str]:
    return [o.offer_id for o in rank(query, offers)]


offers = st.lists(
    st.builds(
        Rankable,
        offer_id=st.uuids().map(str),
        fit=st.sampled_from([0.2, 0.5, 0.5, 1.0]),
        total=st.builds(Money, st.integers(1, 10**6), st.sampled_from(["EUR", "JPY"])),
        availability=st.sampled_from(["in_stock", "low_stock", "on_request", "odd"]),
        delivery_days=st.none() | st.integers(0, 365),
        rating=st.none() | st.floats(0, 5),
    ),
    max_size=8,
    unique_by=lambda o: o.offer_id,
)
merchants = st.builds(
    Merchant,
    id=st.just("mer_a"),
    name=st.just("A"),
    protocol=st.just("acp"),
    commission_bps=st.integers(0, 10_000),
    commission_fixed=st.integers(0, 10**9),
    stripe_account=st.none() | st.just("acct_1"),
    settlement=st.sampled_from(["platform", "merchant", "handoff"]),
)


@given(offers, st.data())
def test_the_order_does_not_depend_on_how_the_offers_came(found, data):
    shuffled = data.draw(st.permutations(found))
    assert order(*found) == order(*shuffled)


@given(offers, st.data())
def test_no_commission_or_settlement_moves_an_offer(found, data):
    def ranked() -> list[str]:
        candidates = [
            Candidate(
                o.offer_id,
                "purchase",
                data.draw(merchants),
                Found("item", "Title", o.total, rating=o.rating, delivery_days=o.delivery_days),
                o.fit,
            )
            for o in found
        ]
        return order(*(rankable(candidate, 1) for candidate in candidates))

    assert ranked() == ranked()


def test_the_ranker_has_no_word_for_money_that_is_ours():
    assert {field.name for field in fields(Rankable)} == {
        "offer_id", "fit", "total", "availability", "delivery_days", "rating",
    }  # fmt: skip
    modules = {getattr(v, "__module__", "") for v in vars(graphs.ranking).values()}
    assert not any("fees" in module or "merchants" in module for module in modules)


def test_fit_comes_before_everything_else():
    pegs = offer("pegs", fit=0.6, total=9_50, days=1, rating=4.9)
    tent = offer("tent", fit=1.0, total=189_00, days=9, rating=3.9)
    assert order(pegs, tent) == ["tent", "pegs"]


def test_of_the_same_thing_cheaper_sooner_better_rated_and_in_stock_wins():
    base = offer("b")
    assert order(base, offer("a", total=80_00)) == ["a", "b"]
    assert order(base, offer("a", days=1)) == ["a", "b"]
    assert order(base, offer("a", rating=4.9)) == ["a", "b"]
    assert order(base, offer("a", stock="low_stock")) == ["b", "a"]


def test_equal_offers_take_turns_by_query_not_by_name():
    equal = [offer("a"), offer("b")]
    firsts = {order(*equal, query=f"query {n}")[0] for n in range(40)}
    assert firsts == {"a", "b"}


def test_reasons_are_facts_and_superlatives_are_unshared():
    ranked = [
        offer("a", total=80_00, days=4, rating=4.5),
        offer("b", total=90_00, days=2, rating=4.5),
        offer("c", total=90_00, days=1, rating=4.2, stock="low_stock"),
    ]
    english, chinese = reasons(ranked, "en"), reasons(ranked, "zh")
    assert english == {
        "a": "cheapest of 3; arrives in 4 days",
        "b": "arrives in 2 days",
        "c": "arrives first, within a day; only a few left",
    }
    assert chinese["a"] == "3 个中最便宜；4 天送达"
    best = replace(ranked[1], rating=4.8)
    assert reasons([ranked[0], best], "zh")["b"] == "评分最高（4.8）；最快送达，2 天"


def test_prices_in_two_currencies_are_never_called_cheapest():
    ranked = [offer("a", total=1), offer("b", total=10**6, currency="JPY")]
    assert "cheapest" not in reasons(ranked, "en")["a"]


def test_a_lone_offer_has_no_rivals_to_beat():
    alone = replace(offer("a"), delivery_days=None)
    assert reasons([alone], "en") == {"a": "closest to what you asked for"}
