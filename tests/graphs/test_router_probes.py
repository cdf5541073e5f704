"""Turns whose kind and words nobody would dispute: `probes/`, none of them in the training data."""

from collections import defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from graphs.router.asks import find_ask
from graphs.router.rules import Intent, explicit_intent
from graphs.router.templates import corpus_examples
from graphs.state import Ask, Message
from tests.graphs.fakes_router import loaded_router, routed

PROBES = Path(__file__).with_name("probes")
LANGUAGES = ("en", "zh")


def lines(name: str) -> Iterator[tuple[str, str, str]]:
    """(section, mark, rest) of each line."""
    section = ""
    for line in (PROBES / name).read_text("utf-8").splitlines():
        if line.startswith("##"):
            section = line.removeprefix("## ")
        elif line and not line.startswith("#"):
            mark, _, rest = line.partition(": ")
            yield section, mark, rest


def asked(rest: str) -> Ask:
    *before, text = rest.split(" // ")
    roles = {"U": "user", "A": "assistant"}
    context = tuple(Message("user" if b[0] == "U" else "assistant", b[3:]) for b in before)
    assert all(b[0] in roles for b in before)
    return Ask(text, context)


@pytest.mark.parametrize("lang", LANGUAGES)
def test_plain_cases_go_where_anybody_would_send_them(lang: str) -> None:
    right, wrong = defaultdict[str, int](int), defaultdict[str, list[str]](list)
    for section, kind, rest in lines(f"turns.{lang}.txt"):
        route = loaded_router().route(asked(rest))
        if route.kind == kind:
            right[section] += 1
        else:
            wrong[section].append(f"{route.kind}: {rest}")
    missed = sum(map(len, wrong.values()))
    assert missed <= 0.06 * (missed + sum(right.values())), dict(wrong)
    for section, cases in wrong.items():
        assert len(cases) <= max(1, 0.35 * (right[section] + len(cases))), (section, cases)


@pytest.mark.parametrize("lang", LANGUAGES)
def test_outright_words_are_heard_and_only_when_meant(lang: str) -> None:
    expected: dict[str, Callable[[Intent], bool]] = {
        "high": lambda i: i.effort == "high",
        "low": lambda i: i.effort == "low",
        "refuse": lambda i: i.no_purchase,
        "plain": lambda i: i.effort != "high",
        "buys": lambda i: not i.no_purchase,
    }

    def heard(mark: str, text: str) -> bool:
        return expected[mark](explicit_intent(text))

    wrong = [
        f"{mark}: {text}" for _, mark, text in lines(f"words.{lang}.txt") if not heard(mark, text)
    ]
    assert wrong == []


def test_no_probe_is_a_line_that_the_router_was_trained_on() -> None:
    ours = {e.text.strip().lower() for e in corpus_examples()}
    probes = [rest for lang in LANGUAGES for _, _, rest in lines(f"turns.{lang}.txt")]
    alone = {p.lower() for p in probes if " // " not in p and len(p) > 10}
    assert alone & ours == set()


ARTICLE = (
    "The mill at Aldercombe burned down twice, in 1811 and in 1840, and was rebuilt each time.",
    "Its owners blamed sparks from the smithy. The smith blamed the owners, who stored tallow.",
    "A third account, found in the parish chest, names a lodger who smoked in the loft.",
    "Nobody was ever charged. The ruin was sold for its stone when the railway came.",
)
ARTICLE_ZH = (
    "奥德村的磨坊烧过两次，一次在嘉庆年间，一次在道光年间，两次都重新盖了起来。",
    "磨坊主说是铁匠铺的火星惹的祸，铁匠却说是磨坊里堆了太多油脂。",
    "县志里还有第三种说法，说是阁楼上的房客抽烟不慎引燃了麦秸。",
    "最后谁也没有受罚。通铁路那年，废墟被当作石料卖掉了，只剩一截矮墙。",
)
LOG = (
    "2026-03-01 10:02:11 INFO worker started",
    "2026-03-01 10:02:13 WARN pool exhausted, waiting 250ms for an order",
    "2026-03-01 10:02:14 ERROR checkout failed status=500",
) * 4
PASTES = {"article": "\n\n".join(ARTICLE), "文章": "\n\n".join(ARTICLE_ZH), "log": "\n".join(LOG)}
ERRANDS = (
    ("set a timer for ten minutes", "casual"),
    ("what's the weather like tomorrow?", "casual"),
    ("anyway, get me a taxi to the airport at six", "commercial"),
    ("can you find me a table for four tonight?", "commercial"),
    ("对了，帮我叫辆车，六点去机场", "commercial"),
    ("明天天气怎么样？", "casual"),
)


@pytest.mark.parametrize("paste", PASTES)
@pytest.mark.parametrize(("errand", "kind"), ERRANDS)
@pytest.mark.parametrize(
    "form", ["{paste}\n\n{errand}", "{errand}\n\n{paste}", "{paste}\n{errand}"]
)
def test_an_errand_beside_a_long_paste_is_found(
    paste: str, errand: str, kind: str, form: str
) -> None:
    text = form.format(paste=PASTES[paste], errand=errand)
    assert find_ask(text).text == errand
    assert routed(text).kind == kind


@pytest.mark.parametrize(
    "question",
    [
        "Why was nobody charged, and which of the three accounts is the most credible?",
        "Summarise the text above and say what it leaves out.",
    ],
)
def test_a_question_about_a_pasted_text_is_read_with_it(question: str) -> None:
    text = f"{PASTES['article']}\n\n{question}"
    assert routed(text).kind == "complex"


def test_a_persons_own_long_story_is_not_cut_to_its_last_question() -> None:
    story = (
        "I started a small bakery two years ago and my landlord now wants half as much rent again. "
        "My sales grew by ten percent, my flour costs by thirty, and one baker is on sick leave. "
        "I could move to a cheaper street, but most customers walk past on their way to work. "
        "What would a sensible plan look like?"
    )
    assert find_ask(story).text == story
