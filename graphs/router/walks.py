"""Whole conversations for training, walked through the subjects of `corpus/conversations.*.txt`.

A turn inside a conversation means what the conversation is about: "yes" confirms a table, or agrees
about a film. The walks give every kind of turn (a detail, a change, a choice, a thanks) in every
subject, and subjects that change half-way.
"""

import random
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Literal

from graphs.router.templates import (
    CORPUS,
    CorpusError,
    Example,
    expand,
    kind_of,
    numbered_lines,
    read_slots,
)
from graphs.state import Kind, Message

_ACTS: Final = frozenset(
    (
        *("open", "ask", "slot", "offer", "detail", "inform", "more", "select", "confirm"),
        *("change", "done", "comment", "affirm", "thanks"),
    )
)
_SPLIT: Final = re.compile(r"\s*//\s*")
_CHANGES_SUBJECT: Final = 0.7
_THANKS_SHARE: Final = 0.3
Lang = Literal["en", "zh"]


@dataclass(slots=True)
class Subject:
    """One subject's lines by act, with the acts that every subject shares."""

    name: str
    kind: Kind
    lines: dict[str, Sequence[str]] = field(default_factory=dict)

    def has(self, act: str) -> bool:
        return act in self.lines


def walked_examples(alone: Sequence[Example], seed: int = 11, *, walks: int = 150) -> list[Example]:
    """Examples of `walks` conversations a subject, in both languages, the same at every call.

    `alone` are turns that need no context: half of the changes of subject lead to one of them.
    """
    draw = random.Random(seed)
    slots = read_slots()
    found: list[Example] = []
    for lang in ("en", "zh"):
        subjects = read_subjects(CORPUS / f"conversations.{lang}.txt")
        fresh = [e for e in alone if e.lang == lang and not e.context]
        for subject in subjects:
            for _ in range(walks * 2 if subject.kind == "complex" else walks):
                found += _Walk(subject, subjects, fresh, slots, draw, lang).examples()
    return found


def read_subjects(path: Path) -> list[Subject]:
    """The subjects of a file, each with the shared acts. Raises CorpusError naming the line."""
    subjects: list[Subject] = []
    shared: dict[str, Sequence[str]] = {}
    lines = shared
    for number, line in numbered_lines(path):
        if line.startswith("@"):
            name, kind = line[1:].split()
            if kind != "any":
                subjects.append(Subject(name, kind_of(kind, f"{path.name}:{number}")))
                lines = subjects[-1].lines
            continue
        act, colon, rest = line.partition(":")
        if not colon or act not in _ACTS:
            raise CorpusError(f"{path.name}:{number}: expected one of {sorted(_ACTS)}, got {act!r}")
        lines[act] = _SPLIT.split(rest.strip())
    for subject in subjects:
        subject.lines = {**shared, **subject.lines}
    return subjects


class _Walk:
    """One conversation, grown turn by turn; every user turn after the first can be an example."""

    def __init__(
        self,
        subject: Subject,
        others: Sequence[Subject],
        fresh: Sequence[Example],
        slots: Mapping[str, Sequence[str]],
        draw: random.Random,
        lang: Lang,
    ) -> None:
        self._subject, self._others, self._fresh = subject, others, fresh
        self._slots = slots
        self._draw, self._lang = draw, lang
        self._said: list[Message] = []
        self._found: list[Example] = []

    def examples(self) -> Iterator[Example]:
        """Two turns of the conversation, its thanks, and perhaps a change of subject."""
        self._say("open")
        state = "asked" if self._subject.has("ask") and self._draw.random() < 0.5 else "offered"
        for _ in range(self._draw.randrange(1, 5)):
            state = self._step(state)
        inner = self._draw.sample(self._found, min(2, len(self._found)))
        yield from inner
        if self._draw.random() < _THANKS_SHARE:
            yield self._example(self._line("thanks"), "casual", "thanks")
        if self._draw.random() < _CHANGES_SUBJECT:
            yield self._changed()

    def _step(self, state: str) -> str:
        """One exchange; returns the state that the answer leaves the conversation in."""
        if state == "asked":
            self._answer("ask")
            self._turn("slot")
            return "asked" if self._draw.random() < 0.4 else "offered"
        if state == "confirming":
            self._answer("confirm")
            self._turn("change" if self._draw.random() < 0.4 else "affirm")
            return "confirming" if self._draw.random() < 0.2 else "done"
        self._answer("done" if state == "done" else self._draw.choice(("offer", "inform")))
        act = self._pick("detail", "detail", "more", "select", "comment", "affirm", "change")
        self._turn(act)
        return "confirming" if act == "select" and self._subject.has("confirm") else "offered"

    def _pick(self, *acts: str) -> str:
        return self._draw.choice([a for a in acts if self._subject.has(a)])

    def _turn(self, act: str) -> None:
        """A user turn: plain, or after a word of agreement ("ok. what's the address")."""
        text = self._line(act)
        if act == "detail":
            text = self._asked(text)
        if act in {"detail", "more", "slot", "change"} and self._draw.random() < 0.3:
            lead = self._line("affirm")
            text = f"{lead}，{text}" if self._lang == "zh" else f"{lead}. {text}"
        self._found.append(self._example(text, self._subject.kind, act))
        self._said.append(Message("user", text))

    def _asked(self, text: str) -> str:
        """A detail as people ask for it: two at once, or with words around it."""
        if self._draw.random() < 0.25:
            joint = "，" if self._lang == "zh" else self._draw.choice((" and ", "? also, "))
            text = f"{text}{joint}{self._line('detail')}"
        if self._draw.random() < 0.35:
            before, after = self._draw.choice(_AROUND[self._lang])
            text = f"{before}{text}{after}"
        return text

    def _changed(self) -> Example:
        """The same conversation, then another subject, with or without a word of thanks first."""
        other = self._draw.choice(self._others)
        text, kind = self._read(other.lines["open"]), other.kind
        if self._fresh and self._draw.random() < 0.6:
            example = self._draw.choice(self._fresh)
            text, kind = example.text, example.kind
        if self._draw.random() < 0.3:
            lead = self._line(self._draw.choice(("thanks", "affirm")))
            joint = "，" if self._lang == "zh" else ". "
            text = lead + joint + self._draw.choice(_JOINTS[self._lang]) + text
        return self._example(text, kind, "changed")

    def _answer(self, act: str) -> None:
        lines = self._subject.lines.get(act) or self._subject.lines["offer"]
        self._said.append(Message("assistant", self._read(lines)))

    def _say(self, act: str) -> None:
        self._said.append(Message("user", self._line(act)))

    def _line(self, act: str) -> str:
        return self._read(self._subject.lines[act])

    def _read(self, lines: Sequence[str]) -> str:
        return expand(self._draw.choice(lines), self._slots, self._draw)

    def _example(self, text: str, kind: Kind, act: str) -> Example:
        said = self._said
        if said[-1].role == "user":
            act_before = self._draw.choice(("done", "inform", "offer"))
            lines = self._subject.lines.get(act_before) or self._subject.lines["offer"]
            said = [*said, Message("assistant", self._read(lines))]
        return Example(text, kind, self._lang, tuple(said[-6:]), hard=f"walk_{act}")


_JOINTS: Final = {
    "en": ("now ", "also ", "one more thing: ", "by the way, ", "and ", ""),
    "zh": ("对了，", "另外", "再", "还有，", "然后", ""),
}

_AROUND: Final = {
    "en": (
        ("and ", "?"),
        ("great, ", "?"),
        ("just wondering, ", ""),
        ("before that, ", "?"),
        ("I also want to know, ", ""),
        ("hmm, ", " by any chance?"),
        ("could you tell me, ", "?"),
        ("one question: ", "?"),
        ("thanks. ", "?"),
    ),
    "zh": (
        ("请问", "？"),
        ("那", "呀？"),
        ("你帮我看看", ""),
        ("我还想知道", "，告诉我一下"),
        ("好的，", "呢？"),
        ("麻烦问下，", "，谢谢"),
        ("知道", "吗？"),
        ("不错，", "？"),
        ("行，挺好，", "啊？"),
    ),
}
