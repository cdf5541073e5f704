"""Several errands in one message: 'buy the first lamp and book a table for two tomorrow at 7'.

Each is understood by itself, as if it had been said alone; what they propose waits on one sheet.
Words that ask for several goods are one errand (`graphs.things`), and in doubt it is one. What is
missing is asked one errand after the other.
"""

import re
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from typing import Any, Final

from graphs import acts, sentences
from graphs.memory import Memory, Proposed, again, recall
from graphs.numerals import shortened
from graphs.outings import is_outing
from graphs.state import Cards, Consent, Event, Message, Turn
from graphs.visit import Outcome, Visit
from graphs.wishes import vertical_of

_VERB = (
    r"(?:buy|book|reserve|order|purchase|get (?:me|us)|find (?:me|us)"
    r"|make (?:me |us )?a (?:reservation|booking))\b"
)
_HEAD = (
    r"(?:an?|one|two|three|some)\s+(?:[\w-]+\s+){0,2}?"
    r"(?:table|room|flight|tickets?|restaurant|hotel)\b"
)
_BETWEEN: Final = re.compile(
    rf"\s*(?:[,;.]\s*)?\b(?:and|then|plus|as well as)\b\s*(?:(?:also|then|please)\s+)*"
    rf"(?={_VERB}|{_HEAD})|\s*[,;.]\s+(?:(?:also|then|please)\s+)*(?={_VERB})",
    re.IGNORECASE,
)
_BETWEEN_ZH: Final = re.compile(
    r"\s*(?:[,，。;；、]\s*(?:并且?|和|再|然后|同时|顺便|另外|还要|还有|以及|也)*|并且?|再|然后|同时|顺便"
    r"|以及)(?:请|帮我们?|给我们?|替我)?(?=(?:预订|预定|预约|购买|下单|订|买))"
)
ERRANDS_MAX: Final = 4

Emit = Callable[[Event], None]
One = Callable[[Turn, Emit], Awaitable[Outcome]]


def errands(text: str) -> list[str]:
    """The stretches that ask for one kind of thing each; the whole text when there is one."""
    said = shortened(text)
    pattern = _BETWEEN_ZH if re.search(r"[\u4e00-\u9fff]", said) else _BETWEEN
    parts = [part.strip() for part in pattern.split(said) if part.strip()]
    kinds = [_kind(part) for part in parts]
    if not 1 < len(set(kinds)) <= ERRANDS_MAX or None in kinds or acts.refuses_purchase(said):
        return [text]
    joined: list[str] = [parts[0]]
    for before, kind, part in zip(kinds, kinds[1:], parts[1:], strict=False):
        if kind == before:  # two goods, two tables: one errand of several things
            joined[-1] = f"{joined[-1]} {'和' if pattern is _BETWEEN_ZH else 'and'} {part}"
        else:
            joined.append(_with_verb(part, kind, said))
    return joined


def _with_verb(part: str, kind: str | None, said: str) -> str:
    """'book a table and a room': the room is to be booked as well."""
    verb = re.search(_VERB, said, re.IGNORECASE)
    if verb is None or re.search(_VERB, part, re.IGNORECASE):
        return part
    whole = (f"{word} {part}" for word in (verb[0], "book"))
    return next((one for one in whole if _kind(one) == kind), part)


def _kind(part: str) -> str | None:
    vertical = vertical_of(part)
    return "outing" if vertical == "product" and is_outing(part) else vertical


async def together(parts: Sequence[str], turn: Turn, emit: Emit, one: One) -> Outcome:
    """Run each errand with the conversation as it was; ask for consent once, for all of them.

    One question is asked: an errand that has another one says nothing yet and waits its turn.
    """
    consents: list[Consent] = []
    outcomes: list[Outcome] = []
    waiting: list[Memory] = []
    asked = False
    for place, part in enumerate(parts, 1):
        own = replace(turn, id=f"{turn.id}.{place}", ask=replace(turn.ask, text=part))
        events: list[Event] = []
        outcome = await one(own, events.append)
        note = _recalled(outcome)
        if asked and note and note.asked:
            waiting.append(replace(note, offers=(), nth=None))  # nothing of it has been shown
            events = [event for event in events if not isinstance(event, Cards)]
        else:
            asked = asked or bool(note and note.asked)
            outcomes.append(outcome)
        for event in events:
            consents.append(event) if isinstance(event, Consent) else emit(event)
    proposals = tuple(p for consent in consents for p in consent.proposals)
    blocked = tuple(b for consent in consents for b in consent.blocked)
    if consents:
        emit(Consent(proposals, blocked))
    said = [outcome.text for outcome in outcomes]
    if proposals:
        said.append(sentences.altogether(proposals, turn.language, blocked=blocked))
    return Outcome("\n\n".join(said), _kept(outcomes, waiting), proposals)


def _kept(outcomes: Sequence[Outcome], waiting: Sequence[Memory]) -> str:
    """The question that stands, or what was proposed last; the other proposals beside it."""
    kept = [note for note in map(_recalled, outcomes) if note]
    if not kept:
        return ""
    ranks: list[Callable[[Memory], Any]] = [lambda m: m.asked, lambda m: m.lines]
    main = next((m for rank in ranks for m in reversed(kept) if rank(m)), kept[-1])
    beside: list[Proposed] = [(m.lines, m.key) for m in kept if m is not main and m.lines]
    beside += [pair for m in kept for pair in m.beside]
    return again(replace(main, beside=tuple(beside), waiting=tuple(waiting)))


def turned_to(memory: Memory, text: str) -> Memory:
    """The errand that the message names. The one whose question stood waits then."""
    said = vertical_of(text)
    for place, other in enumerate(memory.waiting):
        if said not in {None, memory.draft.vertical} and other.draft.vertical == said:
            left = (*memory.waiting[:place], *memory.waiting[place + 1 :])
            mine = replace(memory, beside=(), waiting=())
            return replace(other, beside=memory.beside, waiting=(mine, *left))
    return memory


def next_question(visit: Visit, outcome: Outcome) -> Outcome:
    """Once an errand is settled, what the next one lacks. A new subject leaves all of them."""
    waiting, declined = visit.memory.waiting, visit.reading.act == "decline"
    if visit.reading.fresh or not (waiting or visit.memory.beside):
        return outcome
    after = _recalled(outcome) or Memory()
    if after.asked and not after.beside:  # what is prepared stays on the sheet meanwhile
        after = replace(after, beside=visit.memory.beside)
        outcome = replace(outcome, memory=again(after))
    if not waiting:
        return outcome
    settled = after.lines or not after.offers
    if not declined and (after.asked or not settled):
        return replace(outcome, memory=again(replace(after, waiting=waiting)))
    following, rest = waiting[0], waiting[1:]
    done: list[Proposed] = [(after.lines, after.key)] if after.lines else []
    text = f"{outcome.text}\n\n{_now(following, visit.language)}"
    memory = replace(following, beside=(*after.beside, *done), waiting=rest)
    return replace(outcome, text=text, memory=again(memory))


def _now(following: Memory, language: str) -> str:
    """The next question, with what it is about."""
    about = following.draft
    names = {"table": ("the table", "餐位"), "room": ("the room", "房间")}
    english, chinese = names.get(about.vertical or "", (f"“{about.words}”", f"“{about.words}”"))
    question = sentences.ask(following.asked, language)
    lowered = question[:1].lower() + question[1:]
    return sentences.pick(language, f"Now {english}: {lowered}", f"接下来是{chinese}：{question}")


def _recalled(outcome: Outcome) -> Memory | None:
    return recall([Message("assistant", outcome.memory)]) if outcome.memory else None
