"""One real Router a run, a toy encoder for training tests, short ways to write conversations."""

import functools
import zlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from graphs.router.encoder import DIMENSIONS
from graphs.router.policy import SHIPPED
from graphs.router.router import Router
from graphs.state import Ask, Message, Route

DEV = Path(__file__).parents[2].parent / "shared" / "data" / "turns" / "dev.jsonl"
OTHERS = DEV.parents[1] / "routing" / "uncommonroute_other_languages.jsonl"


@functools.cache
def loaded_router() -> Router:
    """The shipped router. Loading takes seconds, so every test shares it; it holds no state."""
    return Router.load(SHIPPED)


def said(*lines: str) -> tuple[Message, ...]:
    """A conversation that ends with the assistant's line: user, assistant, user, assistant…"""
    roles = ("assistant", "user")
    back = [Message(roles[i % 2], text) for i, text in enumerate(reversed(lines))]
    return tuple(reversed(back))


def routed(text: str, *before: str) -> Route:
    return loaded_router().route(Ask(text, said(*before)))


class ToyEncoder:
    """Bags of words as unit vectors: the same text, the same vector; shared words, near vectors."""

    def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        out = np.zeros((len(texts), DIMENSIONS), dtype=np.float32)
        for row, text in zip(out, texts, strict=True):
            for word in text.split():
                row[zlib.crc32(word.encode()) % DIMENSIONS] += 1
            row[0] += 0.1
        return out / np.linalg.norm(out, axis=1, keepdims=True)
