"""A turn as numbers: one reading for training and for serving, so that the two cannot drift."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from graphs.router.asks import FoundAsk, find_ask
from graphs.router.encoder import DIMENSIONS, Encodes
from graphs.router.features import (
    SHAPE_NAMES,
    Language,
    excerpt,
    language,
    normalise,
    printable,
    shape,
)
from graphs.state import Ask, Message

CONTEXT_CHARS: Final = 120
"""What is read of an earlier turn: its subject shows at once, and encoding costs by length."""

HISTORY_TURNS: Final = 6
HISTORY_CHARS: Final = 50
"""A chain of details ("the address?", "30 Main Street") hides its subject; six starts show it."""

_STYLE: Final = {"log_chars", "lines", "zh", "other"}
# Length, line count and language say more about a data set than about a turn.
_SHAPES: Final = [i for i, name in enumerate(SHAPE_NAMES) if name not in _STYLE]


SHAPE_SIZE: Final = len(_SHAPES)
CONTEXT_SIZE: Final = 18


@dataclass(frozen=True, slots=True)
class Earlier:
    """What went before: two user turns, newest last; one answer; the last six messages in one."""

    users: tuple[str, ...]
    answer: str
    history: str

    @property
    def exists(self) -> bool:
        return bool(self.users or self.answer)


@dataclass(frozen=True, slots=True)
class Reading:
    """A turn before the encoder: its ask in plain form, language and shape, what went before."""

    found: FoundAsk
    plain: str
    excerpt: str
    lang: Language
    shape: NDArray[np.float32]
    earlier: Earlier


@dataclass(frozen=True, slots=True)
class Vectors:
    """A reading's vectors: the ask, each earlier user turn (newest last), the answer, all of it."""

    ask: NDArray[np.float32]
    users: tuple[NDArray[np.float32], ...]
    answer: NDArray[np.float32] | None
    history: NDArray[np.float32] | None


def read(ask: Ask) -> Reading:
    """Read a turn. Takes about 0.1 ms for a short text, 1 ms for a long one."""
    found = find_ask(printable(ask.text))
    plain = normalise(found.text)
    lang = language(plain)
    return Reading(
        found=found,
        plain=plain,
        excerpt=excerpt(plain),
        lang=lang,
        shape=shape(plain, lang, raw_lines=found.lines, pasted=found.pasted)[_SHAPES],
        earlier=_earlier(ask.context),
    )


def _earlier(context: Sequence[Message]) -> Earlier:
    users = [m.text for m in context if m.role == "user"][-2:]
    answers = [m.text for m in context if m.role == "assistant"][-1:]
    said = [m.text for m in context if m.role in ("user", "assistant")][-HISTORY_TURNS:]
    return Earlier(
        users=tuple(filter(None, map(_start, users))),
        answer=_start(answers[0]) if answers else "",
        history=" ".join(normalise(printable(text[:400]))[:HISTORY_CHARS] for text in said).strip(),
    )


def _start(text: str) -> str:
    """Both ends of an earlier turn: an answer names its subject first and asks last."""
    plain = normalise(printable(text[:2000]))
    if len(plain) <= CONTEXT_CHARS:
        return plain
    return f"{plain[: CONTEXT_CHARS // 2]} … {plain[-CONTEXT_CHARS // 2 :]}"


def vectors(readings: Sequence[Reading], encoder: Encodes) -> list[Vectors]:
    """Encode readings, all their texts in one call."""
    texts: list[str] = []
    for r in readings:
        texts += [r.excerpt, *r.earlier.users, *filter(None, (r.earlier.answer, r.earlier.history))]
    encoded = iter(encoder.encode(texts))
    out: list[Vectors] = []
    for r in readings:
        ask = next(encoded)
        users = tuple(next(encoded) for _ in r.earlier.users)
        answer = next(encoded) if r.earlier.answer else None
        out.append(Vectors(ask, users, answer, next(encoded) if r.earlier.history else None))
    return out


def context_row(reading: Reading, vector: Vectors, kinds: "KindOf") -> NDArray[np.float32]:
    """What went before as 18 numbers: how it reads on its own, and how near the ask is to it.

    `kinds` gives the three kinds' probabilities of a vector read alone. A near subject and a short
    ask mean a follow-up; a far one means a switch: the classifier learns the two from these.
    """
    none = np.zeros(3, dtype=np.float32)
    users = [kinds(u) for u in vector.users]
    last = users[-1] if users else none
    mean = (users[-1] * 2 + users[0]) / 3 if len(users) == 2 else last
    answer = none if vector.answer is None else kinds(vector.answer)
    whole = none if vector.history is None else kinds(vector.history)
    before = (vector.users[-1] if users else None, vector.answer, vector.history)
    near = [0.0 if other is None else float(vector.ask @ other) for other in before]
    asked = float(reading.earlier.answer.rstrip(" .。").endswith(("?", "吗", "呢")))
    there = (float(bool(users)), float(vector.answer is not None))
    return np.array([*last, *mean, *answer, *whole, *near, asked, *there], dtype=np.float32)


class KindOf:
    """Kinds of a single vector: a linear softmax, trained on turns without context."""

    def __init__(self, weights: NDArray[np.float32], bias: NDArray[np.float32]) -> None:
        if weights.shape != (3, DIMENSIONS) or bias.shape != (3,):
            raise ValueError(
                f"expected (3, {DIMENSIONS}) and (3,), got {weights.shape}, {bias.shape}"
            )
        self.weights, self.bias = weights, bias

    def __call__(self, vector: NDArray[np.float32]) -> NDArray[np.float32]:
        z = self.weights @ vector + self.bias
        e = np.exp(z - z.max())
        share: NDArray[np.float32] = e / e.sum()
        return share
