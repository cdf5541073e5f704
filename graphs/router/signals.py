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

CONTEXT_CHARS: Final = 100
"""What is read of an earlier turn: its subject shows at once, and encoding costs by length."""

HISTORY_TURNS: Final = 6
HISTORY_CHARS: Final = 45
"""A chain of details ("the address?", "30 Main Street") hides its subject; six starts show it."""

SHAPE_SIZE: Final = len(SHAPE_NAMES)
CONTEXT_SIZE: Final = 15


@dataclass(frozen=True, slots=True)
class Earlier:
    """What went before: the last user turn, the last answer, the last six messages in one."""

    user: str = ""
    answer: str = ""
    history: str = ""

    @property
    def exists(self) -> bool:
        return bool(self.user or self.answer)

    @property
    def texts(self) -> tuple[str, str, str]:
        return (self.user, self.answer, self.history)


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
    """A reading's vectors: of the ask, and of each text before it that there is."""

    ask: NDArray[np.float32]
    user: NDArray[np.float32] | None = None
    answer: NDArray[np.float32] | None = None
    history: NDArray[np.float32] | None = None

    @property
    def before(self) -> tuple[NDArray[np.float32] | None, ...]:
        return (self.user, self.answer, self.history)


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
        shape=shape(plain, lang, pasted=found.pasted),
        earlier=_earlier(ask.context),
    )


def _earlier(context: Sequence[Message]) -> Earlier:
    said = [m for m in context if m.role in ("user", "assistant")][-HISTORY_TURNS:]
    users = [m.text for m in said if m.role == "user"]
    answers = [m.text for m in said if m.role == "assistant"]
    starts = (normalise(printable(m.text[:400]))[:HISTORY_CHARS] for m in said)
    return Earlier(
        user=_ends(users[-1]) if users else "",
        answer=_ends(answers[-1]) if answers else "",
        history=" ".join(starts).strip(),
    )


def _ends(text: str) -> str:
    """Both ends of an earlier turn: an answer names its subject first and asks last."""
    if len(text) > 2000:
        text = f"{text[:1000]} {text[-1000:]}"
    plain = normalise(printable(text))
    if len(plain) <= CONTEXT_CHARS:
        return plain
    return f"{plain[: CONTEXT_CHARS // 2]} … {plain[-CONTEXT_CHARS // 2 :]}"


def vectors(readings: Sequence[Reading], encoder: Encodes) -> list[Vectors]:
    """Encode readings, all their texts in one call."""
    texts = [t for r in readings for t in (r.excerpt, *filter(None, r.earlier.texts))]
    encoded = iter(encoder.encode(texts))
    return [
        Vectors(next(encoded), *(next(encoded) if t else None for t in r.earlier.texts))
        for r in readings
    ]


def context_row(reading: Reading, vector: Vectors, kinds: "KindOf") -> NDArray[np.float32]:
    """What went before as 15 numbers: how it reads on its own, and how near the ask is to it.

    `kinds` gives the three kinds' probabilities of a vector read alone. A near subject and a short
    ask mean a follow-up; a far one means a switch: the classifier learns the two from these.
    """
    row = np.zeros(CONTEXT_SIZE, dtype=np.float32)
    for i, before in enumerate(vector.before):
        if before is not None:
            row[3 * i : 3 * i + 3] = kinds(before)
            row[9 + i] = vector.ask @ before
    row[12] = reading.earlier.answer.rstrip(" .。").endswith(("?", "吗", "呢"))
    row[13], row[14] = vector.user is not None, vector.answer is not None
    return row


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
