"""Trains the router's weights from labelled turns and the project's own corpus.

`python -m graphs.router.train --data ../shared/data/turns/dev.jsonl --out graphs/router/weights`
makes the shipped weights again: every draw is seeded and linear algebra runs on one thread. Needs
the `train` extra (scikit-learn); serving does not.
"""

import argparse
import hashlib
import json
import logging
import sys
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from graphs.router.classifier import VECTOR_SCALE, pack, two_heads
from graphs.router.encoder import Encoder, Encodes
from graphs.router.features import ngram_rows
from graphs.router.signals import KindOf, Reading, Vectors, context_row, read, vectors
from graphs.router.templates import Example, corpus_examples
from graphs.router.walks import walked_examples
from graphs.state import Ask, Kind, Message

KINDS: Final[tuple[Kind, ...]] = ("casual", "complex", "commercial")
SEED: Final = 20_26
NETS: Final = 3
HIDDEN: Final = 64
PASSES: Final = 20
DECAY: Final = 0.3
CORES: Final = 2
"""Always two, whatever the machine has: a vector's last bits depend on the texts beside it."""
HEADS: Final = ("commercial", "complex")
GRAM_BITS: Final = 15
_ORIGINS: Final = {
    "C1": "clinc150", "S1": "sgd", "X1": "crosswoz", "W1": "webshop", "T4": "taskmaster",
    "R1": "uncommonroute", "K1": "chatterbot", "V1": "kdconv", "G1": "gsm8k", "Q1": "gsm8k",
    "A1": "agieval",
}  # fmt: skip

log = logging.getLogger(__name__)
Floats = NDArray[np.float32]


class DataError(ValueError):
    """A line of the data that is not a labelled turn. The message names the line."""


@dataclass(frozen=True, slots=True)
class Labelled:
    """A labelled turn; `origin` is the source that a synthetic turn was made of."""

    example: Example
    origin: str


@dataclass(frozen=True, slots=True)
class Prepared:
    """Turns read and encoded once, so that every fold shares the costly part."""

    labelled: tuple[Labelled, ...]
    readings: tuple[Reading, ...]
    vectors: tuple[Vectors, ...]

    def __len__(self) -> int:
        return len(self.labelled)

    @property
    def kinds(self) -> NDArray[np.str_]:
        return np.array([item.example.kind for item in self.labelled])

    def of(self, keep: NDArray[np.bool_]) -> "Prepared":
        rows = np.flatnonzero(keep)
        return Prepared(
            tuple(self.labelled[i] for i in rows),
            tuple(self.readings[i] for i in rows),
            tuple(self.vectors[i] for i in rows),
        )

    def __add__(self, other: "Prepared") -> "Prepared":
        return Prepared(
            self.labelled + other.labelled,
            self.readings + other.readings,
            self.vectors + other.vectors,
        )


def load_turns(path: Path) -> list[Labelled]:
    """Labelled turns of a JSONL file. Raises DataError with the line's number."""
    found = []
    with path.open(encoding="utf-8") as lines:
        for number, line in enumerate(lines, start=1):
            try:
                found.append(_labelled(json.loads(line)))
            except (KeyError, TypeError, ValueError) as bad:
                raise DataError(f"{path}:{number}: not a labelled turn: {bad!r}") from bad
    return found


def _labelled(row: dict[str, Any]) -> Labelled:
    if row["label"] not in KINDS:
        raise ValueError(f"label {row['label']!r}")
    context = tuple(Message(m["role"], m["text"]) for m in row.get("context", ()))
    example = Example(
        row["text"], row["label"], row["lang"], context, row["family"], row.get("hard")
    )
    return Labelled(example, _origin(row))


def _origin(row: dict[str, Any]) -> str:
    """The natural source that a synthetic turn was made of; for a natural one its own family."""
    rule, licence = str(row.get("rule", "")), str(row.get("licence", ""))
    if "<-" in rule:
        return _ORIGINS.get(rule.split("<-")[1][:2], str(row["family"]))
    if licence.startswith("derived:"):
        return licence.removeprefix("derived:")
    family = str(row["family"])
    return "sgd" if family == "synthetic" and "SGD" in licence else family


def prepare(labelled: Sequence[Labelled], encoder: Encodes) -> Prepared:
    readings = [read(Ask(item.example.text, item.example.context)) for item in labelled]
    encoded: list[Vectors] = []
    for start in range(0, len(readings), 256):
        encoded += vectors(readings[start : start + 256], encoder)
    return Prepared(tuple(labelled), tuple(readings), tuple(encoded))


def own_examples() -> list[Labelled]:
    alone = corpus_examples()
    return [Labelled(e, "corpus") for e in (*alone, *walked_examples(alone))]


@dataclass(frozen=True, slots=True)
class Heads:
    """Fitted heads in full precision, before calibration."""

    alone: KindOf
    nets: tuple[tuple[Floats, Floats, Floats, Floats], ...]
    grams: Floats
    gram_bias: Floats

    def network(self, data: Prepared) -> Floats:
        rows = _rows(data, self.alone)
        logits = [np.maximum(rows @ w1 + b1, 0) @ w2 + b2 for w1, b1, w2, b2 in self.nets]
        return two_heads(np.mean(logits, axis=0))

    def n_grams(self, data: Prepared) -> Floats:
        found = [ngram_rows(r.plain, GRAM_BITS) for r in data.readings]
        rows = [self.grams[g].sum(axis=0) / np.sqrt(max(len(g), 1)) for g in found]
        logits: Floats = np.stack(rows) + self.gram_bias
        return logits


def fit_heads(data: Prepared, *, seed: int = SEED, nets: int = NETS) -> Heads:
    """Fit all heads on `data`: about 15 s for 20,000 turns on one core.

    On one thread always, because sums over several threads come out in another order each time.
    """
    from threadpoolctl import threadpool_limits  # noqa: PLC0415 - train extra

    with threadpool_limits(limits=1):
        return _fit_heads(data, seed=seed, nets=nets)


def _fit_heads(data: Prepared, *, seed: int, nets: int) -> Heads:
    alone = _fit_alone(data)
    rows = _rows(data, alone)
    fitted = tuple(_fit_net(rows, data.kinds, seed=seed + i) for i in range(nets))
    grams, bias = _fit_grams(data)
    return Heads(alone, fitted, grams, bias)


def _rows(data: Prepared, alone: KindOf) -> Floats:
    found = [
        np.concatenate((v.ask * VECTOR_SCALE, context_row(r, v, alone) * 2, r.shape))
        for r, v in zip(data.readings, data.vectors, strict=True)
    ]
    return np.stack(found)


def _fit_alone(data: Prepared) -> KindOf:
    from sklearn.linear_model import LogisticRegression  # noqa: PLC0415 - train extra

    keep = np.array([not r.earlier.exists for r in data.readings])
    x = np.stack([v.ask for v, k in zip(data.vectors, keep, strict=True) if k])
    y = np.array([KINDS.index(k) for k in data.kinds[keep]])
    model = LogisticRegression(C=3, class_weight="balanced", max_iter=500).fit(x, y)
    return KindOf(model.coef_.astype(np.float32), model.intercept_.astype(np.float32))


def _fit_net(
    rows: Floats, kinds: NDArray[np.str_], *, seed: int
) -> tuple[Floats, Floats, Floats, Floats]:
    from sklearn.exceptions import ConvergenceWarning  # noqa: PLC0415 - train extra
    from sklearn.neural_network import MLPClassifier  # noqa: PLC0415 - train extra

    model = MLPClassifier(
        (HIDDEN,), alpha=DECAY, learning_rate_init=2e-3, batch_size=min(128, len(rows)),
        random_state=seed, max_iter=PASSES, tol=0.0, n_iter_no_change=1000,
    )  # fmt: skip
    with warnings.catch_warnings():
        # So many passes are the plan, not a failure to converge.
        warnings.simplefilter("ignore", ConvergenceWarning)
        model.fit(rows, np.array([KINDS.index(k) for k in kinds]))
    (w1, w2), (b1, b2) = model.coefs_, model.intercepts_
    return (
        w1.astype(np.float32),
        b1.astype(np.float32),
        w2.astype(np.float32),
        b2.astype(np.float32),
    )


def _fit_grams(data: Prepared) -> tuple[Floats, Floats]:
    """Commercial against the rest on all turns; complex against casual on the others."""
    from scipy.sparse import csr_matrix  # type: ignore[import-untyped]  # noqa: PLC0415
    from sklearn.linear_model import LogisticRegression  # noqa: PLC0415

    found = [ngram_rows(r.plain, GRAM_BITS) for r in data.readings]
    ends = np.cumsum([0, *map(len, found)])
    values = np.concatenate([np.full(len(g), 1 / np.sqrt(max(len(g), 1))) for g in found])
    x = csr_matrix((values, np.concatenate(found), ends), shape=(len(found), 1 << GRAM_BITS))
    kinds = data.kinds
    heads = []
    for rows, goal in ((kinds != "", "commercial"), (kinds != "commercial", "complex")):
        model = LogisticRegression(C=3, class_weight="balanced", max_iter=300)
        heads.append(model.fit(x[np.flatnonzero(rows)], kinds[rows] == goal))
    weights = np.stack([h.coef_[0] for h in heads], axis=1).astype(np.float32)
    return weights, np.array([h.intercept_[0] for h in heads], dtype=np.float32)


def folds(data: Prepared) -> Iterator[tuple[str, NDArray[np.bool_], NDArray[np.bool_]]]:
    """(family, training rows, test rows): the family is out, and all that was made of it too."""
    family = np.array([item.example.family for item in data.labelled])
    origin = np.array([item.origin for item in data.labelled])
    for name in sorted(set(family)):
        test = family == name
        yield name, ~test & (origin != name), test


MIN_FAMILIES: Final = 3


def unseen_logits(dev: Prepared, own: Prepared) -> tuple[Floats, Floats]:
    """Network and n-gram logits of every dev turn by heads that never saw its family."""
    network = np.zeros((len(dev), 2), dtype=np.float32)
    grams = np.zeros_like(network)
    for name, train, test in folds(dev):
        heads = fit_heads(dev.of(train) + own)
        held = dev.of(test)
        network[test], grams[test] = heads.network(held), heads.n_grams(held)
        log.info("fold without %s: %d turns held out", name, int(test.sum()))
    return network, grams


def calibrate(logits: Floats, kinds: NDArray[np.str_], head: int) -> tuple[float, float]:
    """Slope and shift of a head so that its sigmoid is a probability (Platt scaling).

    Head 0 is judged on all turns, head 1 (difficulty) on those that are not commercial.
    """
    from sklearn.linear_model import LogisticRegression  # noqa: PLC0415 - train extra

    rows = kinds != ("" if head == 0 else "commercial")
    goal = kinds[rows] == HEADS[head]
    model = LogisticRegression(C=1e3).fit(logits[rows][:, [head]], goal)
    return float(model.coef_[0, 0]), float(model.intercept_[0])


GRAM_SHARE: Final = {"en": 0.25, "zh": 0.25, "other": 0.0}
"""How much the n-grams count beside the network, by language: chosen on families left out."""


def calibrations(dev: Prepared, network: Floats, grams: Floats) -> dict[str, Floats]:
    """Per language: slopes, shifts and n-gram share, rows of a (3, 2) array.

    A head is calibrated on a language's own turns only where several families of that language hold
    positives: with one family, the calibration would learn that family and fail on the next.
    """
    lang = np.array([r.lang for r in dev.readings])
    family = np.array([item.example.family for item in dev.labelled])
    kinds = dev.kinds
    found = {}
    for name, share in GRAM_SHARE.items():
        mixed = (1 - share) * network + share * grams
        columns = []
        for head, goal in enumerate(HEADS):
            own = lang == name
            enough = _families_with_many(family[own & (kinds == goal)]) >= MIN_FAMILIES
            rows = own if enough else np.ones(len(dev), dtype=bool)
            columns.append((*calibrate(mixed[rows], kinds[rows], head), share))
        found[name] = np.array(columns, dtype=np.float32).T
    return found


def _families_with_many(families: NDArray[np.str_], *, many: int = 20) -> int:
    return int((np.unique(families, return_counts=True)[1] >= many).sum())


def packed(heads: Heads, calibration: dict[str, Floats]) -> dict[str, NDArray[Any]]:
    """All arrays of a weights file, eight bits where it matters; the version is their own hash."""
    arrays: dict[str, NDArray[Any]] = {
        **_named("alone", pack(heads.alone.weights)),
        "alone.bias": heads.alone.bias,
        "nets": np.array(len(heads.nets)),
        **_named("grams", pack(heads.grams)),
        "grams.bias": heads.gram_bias,
    }
    for i, (w1, b1, w2, b2) in enumerate(heads.nets):
        arrays |= _named(f"net{i}.w1", pack(w1))
        arrays |= {f"net{i}.b1": b1, f"net{i}.w2": w2, f"net{i}.b2": b2}
    arrays |= {f"calibration.{lang}": values for lang, values in calibration.items()}
    digest = hashlib.sha256()
    for name in sorted(arrays):
        digest.update(name.encode() + np.ascontiguousarray(arrays[name]).tobytes())
    return arrays | {"version": np.array(digest.hexdigest()[:12])}


def _named(prefix: str, found: dict[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
    return {f"{prefix}.{name}": values for name, values in found.items()}


def train(
    data: Path,
    out: Path,
    encoder: Encodes | None = None,
    *,
    learnt: Sequence[Labelled] = (),
    corpus: Sequence[Labelled] | None = None,
) -> str:
    """Train on `data`, the corpus (ours, when None) and what people's feedback taught, write
    `out/router.npz`, return the version."""
    encoder = encoder or Encoder(cores=CORES)
    dev = prepare(load_turns(data), encoder)
    own = prepare([*(own_examples() if corpus is None else corpus), *learnt], encoder)
    log.info("%d labelled turns, %d of our own", len(dev), len(own))
    network, grams = unseen_logits(dev, own)
    arrays = packed(fit_heads(dev + own), calibrations(dev, network, grams))
    out.mkdir(parents=True, exist_ok=True)
    with (out / "router.npz").open("wb") as file:
        savez: Callable[..., None] = np.savez_compressed
        savez(file, **arrays)
    return str(arrays["version"])


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    chosen = parser.parse_args(argv)
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    try:
        version = train(chosen.data, chosen.out)
    except (DataError, OSError) as bad:
        parser.exit(1, f"{bad}\n")
    log.info("wrote %s, version %s", chosen.out / "router.npz", version)
    return 0


if __name__ == "__main__":
    sys.exit(main())
