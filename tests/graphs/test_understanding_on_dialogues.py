"""Reading slots from real dialogues of the shared development set: floors under measured figures.

Schema-Guided Dialogue gives words and normalised values (its clock stands at 1 March 2019),
CrossWOZ gives price spans and the service that is meant. Truth there is what the dialogue ended
with, so a person who changes their mind counts against us; the floors leave room for that only.
"""

import json
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from graphs.budgets import budget
from graphs.dates import days
from graphs.hours import hour
from graphs.numerals import Page, number
from graphs.quantities import party
from graphs.wishes import read, vertical_of

CLOCK = date(2019, 3, 1)
DAYS = {"leaving_date", "departure_date", "pickup_date", "check_in_date", "date", "show_date"}
DAYS |= {"appointment_date", "event_date", "dropoff_date", "return_date", "check_out_date"}
HOURS = {"leaving_time", "time", "pickup_time", "show_time", "appointment_time"}
VERTICALS = {"酒店": "room", "餐馆": "table"}


@pytest.fixture(scope="module")
def shared() -> Path:
    folder = Path(__file__).resolve().parents[2].parent / "shared"
    assert folder.is_dir(), f"the shared facts and data are missing: {folder}"
    return folder


@pytest.fixture(scope="module")
def dialogues(shared: Path) -> list[dict[str, Any]]:
    lines = (shared / "data/turns/dev_dialogues.jsonl").read_text("utf-8").splitlines()
    return [json.loads(line) for line in lines]


def told(dialogues: list[dict[str, Any]], slots: set[str]) -> Iterator[tuple[str, str, set[str]]]:
    """(message, its words for the slot, all normalised values of the dialogue) in English."""
    for dialogue in dialogues:
        if not dialogue["source"].startswith("sgd"):
            continue
        calls = dialogue["searches"] + dialogue["transactions"]
        truth = {v for c in calls for k, v in c["parameters"].items() if k in slots}
        for turn in dialogue["turns"]:
            for act in turn.get("acts", []) if turn["role"] == "user" else []:
                if act["act"] == "INFORM" and act["slot"] in slots:
                    words = act["values"][0]
                    if words.lower() in turn["text"].lower() and words != "dontcare":
                        yield turn["text"], words, truth


def test_days_are_found_and_resolved(dialogues: list[dict[str, Any]]):
    cases = list(told(dialogues, DAYS))
    found = [(days(Page(text), today=CLOCK), truth) for text, _, truth in cases]
    assert len(cases) >= 100
    assert sum(bool(f) for f, _ in found) / len(cases) >= 0.98
    judged = [(f[0].day.isoformat() in truth) for f, truth in found if f and truth]
    assert sum(judged) / len(judged) >= 0.93


def test_hours_are_found_and_resolved(dialogues: list[dict[str, Any]]):
    exact = [c for c in told(dialogues, HOURS) if any(d.isdigit() for d in c[1])]
    found = []
    for text, _, truth in exact:
        page = Page(text)
        days(page, today=CLOCK)
        found.append((hour(page, dining=True), truth))
    assert len(exact) >= 35
    assert sum(f is not None for f, _ in found) / len(exact) >= 0.97
    judged = [f"{f.time:%H:%M}" in truth for f, truth in found if f and truth]
    assert sum(judged) / len(judged) >= 0.8


def test_people_are_counted(dialogues: list[dict[str, Any]]):
    cases = list(told(dialogues, {"party_size", "travelers"}))
    right = [party(Page(text)) == number(words) for text, words, _ in cases]
    assert len(cases) >= 6
    assert all(right)


def chinese_turns(dialogues: list[dict[str, Any]]) -> Iterator[tuple[str, list[dict[str, Any]]]]:
    for dialogue in dialogues:
        if dialogue["lang"] == "zh":
            for turn in dialogue["turns"]:
                if turn["role"] == "user":
                    yield turn["text"], turn.get("acts", [])


def test_chinese_limits_of_money_are_read_and_lower_limits_are_not(dialogues: list[dict[str, Any]]):
    upper, lower = [], []
    for text, acts in chinese_turns(dialogues):
        for act in acts:
            if act.get("slot") not in {"价格", "人均消费"} or act["act"] != "Inform":
                continue
            words = act["values"][0]
            if words in text:
                found = budget(Page(text), language="zh")
                (lower if words.endswith("以上") else upper).append(found is not None)
    assert len(upper) >= 30
    assert all(upper)
    assert not any(lower)


def test_opening_turns_in_chinese_point_at_the_right_kind(dialogues: list[dict[str, Any]]):
    """First mention of a hotel or a restaurant, where the turn is about one of them alone."""
    right = []
    for text, acts in chinese_turns(dialogues):
        services = {a["service"] for a in acts if a["act"] == "Inform"}
        nearby = any("周边" in str(a.get("slot")) for a in acts)
        if len(services) == 1 and not nearby and (service := services.pop()) in VERTICALS:
            found = vertical_of(text)
            if found is not None:
                right.append(found == VERTICALS[service])
    assert len(right) >= 40
    assert sum(right) / len(right) >= 0.88


def test_no_dialogue_turn_breaks_the_reader_or_invents_a_price(dialogues: list[dict[str, Any]]):
    money = (
        "$",
        "元",
        "块",
        "钱",
        "dollar",
        "buck",
        "budget",
        "under",
        "预算",
        "价",
        "消费",
        "€",
        "£",
    )
    for dialogue in dialogues:
        for turn in dialogue["turns"]:
            if turn["role"] != "user":
                continue
            draft = read(turn["text"], today=CLOCK, language=dialogue["lang"]).draft
            if draft.budget is not None:
                assert any(word in turn["text"].lower() for word in money), turn["text"]
