"""Ids, nonces and tokens are drawn by the seed too: the same world has the same ids.

Whatever the product and the simulators draw comes from `secrets`, which asks the system through
one function of the standard library. In a world the seed answers.
"""

import random
from typing import Any


class Lots:
    """Used as a context manager around a world. Never outside of a test."""

    def __init__(self, seed: int) -> None:
        self._drawn = random.Random(seed)

    def __enter__(self) -> "Lots":
        self._system: Any = random._urandom  # type: ignore[attr-defined]
        random._urandom = self._drawn.randbytes  # type: ignore[attr-defined]
        return self

    def __exit__(self, *_: object) -> None:
        random._urandom = self._system  # type: ignore[attr-defined]
