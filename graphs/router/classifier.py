"""The second layer: probability of a commercial act, and of a task that needs reasoning.

Two heads, because a turn can be both ("compare five plans, then take the best one"). Each head
joins a small network over the encoder and the context with a linear one over hashed character
n-grams; the n-grams know the languages they were trained on and are not asked about any other.
"""

import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from graphs.router.encoder import DIMENSIONS
from graphs.router.features import ngram_rows
from graphs.router.signals import (
    CONTEXT_SIZE,
    SHAPE_SIZE,
    KindOf,
    Reading,
    Vectors,
    context_row,
)
from graphs.state import Kind

KINDS: Final[tuple[Kind, ...]] = ("casual", "complex", "commercial")
WEIGHTS: Final = Path(__file__).parent / "weights" / "router.npz"
VECTOR_SCALE: Final = 4.0
"""Unit vectors of 512 numbers are tiny beside the other inputs; this evens them out."""

ROW_SIZE: Final = DIMENSIONS + CONTEXT_SIZE + SHAPE_SIZE
"""Numbers in the network's input: the ask's vector, the context, the shape."""

Floats = NDArray[np.float32]


class WeightsError(ValueError):
    """The weights file is missing, of another format, or damaged. The message says which."""


@dataclass(frozen=True, slots=True)
class Scores:
    """Calibrated probabilities of the two heads; how far n-grams and encoder disagree, 0..1."""

    commercial: float
    difficulty: float
    disagreement: float

    def kinds(self) -> dict[Kind, float]:
        """Probabilities of the three kinds. Commercial leads: what is both is commercial."""
        rest = 1 - self.commercial
        return {
            "casual": rest * (1 - self.difficulty),
            "complex": rest * self.difficulty,
            "commercial": self.commercial,
        }


def pack(values: Floats) -> dict[str, NDArray[np.generic]]:
    """Eight bits a number and one scale a column: a quarter of the size, no measurable loss."""
    scale = np.maximum(np.abs(values).max(axis=0), 1e-9).astype(np.float32) / 127
    return {"q": np.rint(values / scale).astype(np.int8), "s": scale}


def unpack(found: Mapping[str, NDArray[np.generic]], name: str) -> Floats:
    scaled: Floats = found[f"{name}.q"].astype(np.float32) * found[f"{name}.s"].astype(np.float32)
    return scaled


def two_heads(logits: Floats) -> Floats:
    """Logits of the three kinds, in the order of KINDS, as those of the two heads.

    A softmax over three kinds is exactly two questions: is it a commercial act, and if it were not,
    would it need reasoning? Asked apart, both can be answered yes.
    """
    casual, hard, commercial = logits[..., 0], logits[..., 1], logits[..., 2]
    heads: Floats = np.stack((commercial - np.logaddexp(casual, hard), hard - casual), axis=-1)
    return heads.astype(np.float32)


class Classifier:
    """The trained heads. Immutable after loading, so any thread may ask."""

    def __init__(self, arrays: Mapping[str, NDArray[np.generic]]) -> None:
        self.alone = KindOf(unpack(arrays, "alone"), arrays["alone.bias"].astype(np.float32))
        self._w1 = [unpack(arrays, f"net{i}.w1") for i in range(int(arrays["nets"]))]
        self._b1 = [arrays[f"net{i}.b1"].astype(np.float32) for i in range(len(self._w1))]
        self._w2 = [arrays[f"net{i}.w2"].astype(np.float32) for i in range(len(self._w1))]
        self._b2 = [arrays[f"net{i}.b2"].astype(np.float32) for i in range(len(self._w1))]
        if any(len(w) != ROW_SIZE for w in self._w1):
            raise WeightsError(
                f"router weights are of another version (rows of {len(self._w1[0])}, this code "
                f"reads {ROW_SIZE}): run `emptor router train`"
            )
        self._grams = unpack(arrays, "grams")
        self._gram_bias = arrays["grams.bias"].astype(np.float32)
        self._bits = int(np.log2(len(self._grams)))
        self._calibration = {
            lang: arrays[f"calibration.{lang}"].astype(np.float32) for lang in ("en", "zh", "other")
        }
        self.version = str(arrays["version"])

    @classmethod
    def load(cls, path: Path = WEIGHTS) -> "Classifier":
        """Load weights. Raises WeightsError when the file is missing or not ours."""
        try:
            with np.load(path, allow_pickle=False) as found:
                return cls({name: found[name] for name in found.files})
        except FileNotFoundError as missing:
            raise WeightsError(
                f"no router weights at {path}: run `emptor router train`"
            ) from missing
        except WeightsError:
            raise
        except (KeyError, ValueError, OSError, zipfile.BadZipFile) as damaged:
            raise WeightsError(f"router weights at {path} cannot be read: {damaged}") from damaged

    def row(self, reading: Reading, vector: Vectors) -> Floats:
        """The network's input."""
        context = context_row(reading, vector, self.alone)
        return np.concatenate((vector.ask * VECTOR_SCALE, context * 2, reading.shape))

    def scores(self, reading: Reading, vector: Vectors) -> Scores:
        return self.scores_of(self.row(reading, vector), reading)

    def scores_of(self, row: Floats, reading: Reading) -> Scores:
        """The scores of a reading whose `row` is already made."""
        network = self._network(row)
        lang = reading.lang
        slope, shift, share = self._calibration[lang]
        if lang == "other":
            logits, apart = network, 0.0
        else:
            grams = self._n_grams(reading.plain)
            apart = float(np.abs(_sigmoid(grams) - _sigmoid(network)).max())
            logits = (1 - share) * network + share * grams
        commercial, difficulty = _sigmoid(logits * slope + shift)
        return Scores(float(commercial), float(difficulty), apart)

    def _network(self, row: Floats) -> Floats:
        logits = [
            np.maximum(row @ w1 + b1, 0) @ w2 + b2
            for w1, b1, w2, b2 in zip(self._w1, self._b1, self._w2, self._b2, strict=True)
        ]
        return two_heads(np.mean(logits, axis=0))

    def _n_grams(self, plain: str) -> Floats:
        rows = ngram_rows(plain, self._bits)
        summed = self._grams[rows].sum(axis=0) / np.sqrt(max(len(rows), 1))
        logits: Floats = summed + self._gram_bias
        return logits


def _sigmoid(z: Floats) -> Floats:
    return np.asarray(1 / (1 + np.exp(-np.clip(z, -30, 30))), dtype=np.float32)
