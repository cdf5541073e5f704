"""The project's own training turns: corpus lines with choices and slots, always expanded alike.

The lines were written for this project. They exist for variety of style: what separates one data
set from another is style, and a router that learned style fails on the next one.
"""

import random
import re
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

from graphs.state import Kind, Message

CORPUS: Final = Path(__file__).parent / "corpus"
_KINDS: Final[tuple[Kind, ...]] = ("casual", "complex", "commercial")
_CHOICE = re.compile(r"\[([^\[\]]*\|[^\[\]]*)\]")
_SLOT = re.compile(r"\{([a-z]+)\}")


@dataclass(frozen=True, slots=True)
class Example:
    """A turn with its kind, for training. `family` names where it comes from."""

    text: str
    kind: Kind
    lang: Literal["en", "zh"]
    context: tuple[Message, ...] = ()
    family: str = "corpus"
    hard: str | None = None


class CorpusError(ValueError):
    """A corpus line that cannot be expanded; the message names file, line and what is wrong."""


def expand(line: str, slots: Mapping[str, Sequence[str]], draw: random.Random) -> str:
    """One random reading of a line. Choices may hold slots, not the other way round."""
    line = _CHOICE.sub(lambda m: draw.choice(m[1].split("|")), line)
    return _SLOT.sub(lambda m: draw.choice(slots[m[1]]), line).strip()


def corpus_examples(seed: int = 7, *, each: int = 6) -> list[Example]:
    """All corpus lines, each read up to `each` times; dialogues, switches and noisy doubles."""
    draw = random.Random(seed)
    slots = read_slots()
    alone = list(_alone(slots, draw, each))
    turns = list(_dialogues(slots, draw))
    return [*alone, *turns, *_switches(alone, turns, draw), *_noisy(alone, draw)]


def kind_of(word: str, where: str) -> Kind:
    """A kind by its name. Raises CorpusError at `where`."""
    for kind in _KINDS:
        if word == kind:
            return kind
    raise CorpusError(f"{where}: no kind {word!r}")


def read_slots() -> dict[str, list[str]]:
    slots: dict[str, list[str]] = tomllib.loads((CORPUS / "slots.toml").read_text("utf-8"))
    return slots


def numbered_lines(path: Path) -> Iterator[tuple[int, str]]:
    for number, line in enumerate(path.read_text("utf-8").splitlines(), start=1):
        if line.strip() and not line.startswith("#"):
            yield number, line.strip()


def _alone(slots: Mapping[str, Sequence[str]], draw: random.Random, each: int) -> Iterator[Example]:
    for kind in _KINDS:
        for lang in ("en", "zh"):
            path = CORPUS / f"{kind}.{lang}.txt"
            for number, line in numbered_lines(path):
                try:
                    readings = {expand(line, slots, draw): None for _ in range(each)}
                except KeyError as missing:
                    raise CorpusError(f"{path.name}:{number}: no slot {missing}") from missing
                for text in readings:
                    yield Example(text, kind, "zh" if lang == "zh" else "en")


def _dialogues(slots: Mapping[str, Sequence[str]], draw: random.Random) -> Iterator[Example]:
    """Each alternative last turn of a dialogue, in its context; `U:`/`A:` lines open a new one."""
    path = CORPUS / "dialogues.txt"
    spoken: list[tuple[Literal["user", "assistant"], str]] = []
    answered = False
    for number, line in numbered_lines(path):
        mark, _, rest = line.partition(":")
        if mark in ("U", "A"):
            if answered:
                spoken, answered = [], False
            spoken.append(("user" if mark == "U" else "assistant", rest.strip()))
            continue
        kind = mark.removeprefix("=")
        if not mark.startswith("=") or kind not in _KINDS or not spoken:
            raise CorpusError(f"{path.name}:{number}: expected U:, A: or =kind:, got {mark!r}")
        answered = True
        for last in rest.split(" // "):
            context = tuple(Message(role, expand(text, slots, draw)) for role, text in spoken)
            text = expand(last, slots, draw)
            yield Example(text, kind, _lang(context[-1].text + text), context, hard="in_context")


def _lang(text: str) -> Literal["en", "zh"]:
    return "zh" if any("一" <= c <= "鿿" for c in text) else "en"


def _switches(
    alone: Sequence[Example], turns: Sequence[Example], draw: random.Random
) -> Iterator[Example]:
    """Turns that change the subject: a line that stands alone, behind a foreign conversation."""
    by_lang = {lang: [t for t in turns if t.lang == lang] for lang in ("en", "zh")}
    for example in draw.sample(list(alone), len(alone) // 2):
        before = draw.choice(by_lang[example.lang])
        context = (*before.context, Message("user", before.text))
        if draw.random() < 0.5:
            context = before.context
        yield Example(example.text, example.kind, example.lang, context[-6:], hard="topic_switch")


_OPENERS: Final = {
    "en": (
        "hey, ",
        "so ",
        "um ",
        "ok so ",
        "hi there. ",
        "quick one: ",
        "well, ",
        "please ",
        "hello! ",
    ),
    "zh": ("你好，", "那个，", "请问", "嗨，", "麻烦问下，", "对了，", "亲，"),
}
_CLOSERS: Final = {
    "en": (" please", " thanks", ", can you help", " asap", " 🙏", " if you can", "!!"),
    "zh": ("，谢谢", "呗", "吧", "，急", "哈", "，可以吗", "😊"),
}


def _noisy(alone: Sequence[Example], draw: random.Random) -> Iterator[Example]:
    """The same lines as people type them: an opener, a closer, slips of the finger."""
    for example in draw.sample(list(alone), len(alone) // 2):
        text = example.text
        if draw.random() < 0.5:
            text = draw.choice(_OPENERS[example.lang]) + text
        if draw.random() < 0.3:
            text = text.rstrip("?.!？。！") + draw.choice(_CLOSERS[example.lang])
        if draw.random() < 0.4:
            text = slip(text, draw)
        yield Example(text, example.kind, example.lang, hard="typo")


def slip(text: str, draw: random.Random, *, rate: float = 0.05) -> str:
    """A text with slips: letters dropped, doubled, swapped with the next. Han characters stay."""
    out: list[str] = []
    skip = False
    for here, after in zip(text, [*text[1:], ""], strict=True):
        if skip:
            skip = False
            continue
        if not (here.isascii() and here.isalpha()) or draw.random() > rate:
            out.append(here)
            continue
        what = draw.randrange(3)
        if what == 1:
            out.append(here * 2)
        elif what == 2 and after:
            out.append(after + here)
            skip = True
    return "".join(out)
