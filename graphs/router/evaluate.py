"""Judges the router on families it never saw, beside its baselines, in one run.

For each family of the labelled turns the heads are trained without it (and without everything made
of it), calibrated on the other families' held-out logits, and asked through the whole router:
rules, context, policies. This is the only number that counts; random folds flatter by 20 points.
"""

import argparse
import json
import logging
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np

from graphs.router.baselines import by_keywords, by_length, by_tf_idf
from graphs.router.classifier import Classifier
from graphs.router.encoder import Encoder, Encodes
from graphs.router.judge import unsure
from graphs.router.measures import (
    Figures,
    Labels,
    Outcome,
    figures,
    paired_interval,
    percentiles,
    timed,
)  # fmt: skip
from graphs.router.policy import SHIPPED, Policies, PolicyError, load_policies
from graphs.router.router import Router
from graphs.router.train import (
    CORES,
    DataError,
    Floats,
    Heads,
    Labelled,
    Prepared,
    calibrations,
    fit_heads,
    folds,
    load_turns,
    own_examples,
    packed,
    prepare,
)  # fmt: skip
from graphs.state import Ask, Route

log = logging.getLogger(__name__)

LATENCY_CHARS: Final = 2000


@dataclass(frozen=True, slots=True)
class Judged:
    """Decisions on every labelled turn by a router that did not see its family, with baselines."""

    dev: Prepared
    routes: tuple[Route, ...]
    tf_idf: Labels
    keywords: Labels
    length: Labels

    @property
    def truth(self) -> Labels:
        return self.dev.kinds

    @property
    def chosen(self) -> Labels:
        return np.array([r.kind for r in self.routes])

    @property
    def outcome(self) -> Outcome:
        sure = np.array([r.confidence for r in self.routes], dtype=np.float64)
        return Outcome(self.truth, self.chosen, sure)

    @property
    def hard(self) -> Labels:
        return np.array([item.example.hard or "" for item in self.dev.labelled])

    def mask(self, *, lang: str | None = None, family: str | None = None) -> "np.ndarray[Any, Any]":
        examples = [item.example for item in self.dev.labelled]
        return np.array([lang in (None, e.lang) and family in (None, e.family) for e in examples])


def judge(
    data: Path,
    *,
    policies: Path = SHIPPED,
    encoder: Encodes | None = None,
    learnt: Sequence[Labelled] = (),
    corpus: Sequence[Labelled] | None = None,
    baselines: bool = True,
) -> Judged:
    """Train and ask without each family in turn. About five minutes on two cores.

    Without `baselines` TF-IDF is left out: its labels are then those of the keywords.
    """
    encoder = encoder or Encoder(cached=80_000, cores=CORES)
    dev = prepare(load_turns(data), encoder)
    own = prepare([*(own_examples() if corpus is None else corpus), *learnt], encoder)
    matcher = Policies(load_policies(policies), encoder)
    heads, network, grams = _fit_folds(dev, own)
    routes: list[Route | None] = [None] * len(dev)
    texts = np.array([item.example.text for item in dev.labelled], dtype=object)
    keywords = np.array([by_keywords(t) for t in texts], dtype="<U12")
    tf_idf = keywords.copy()
    for name, train, test in folds(dev):
        others = ~test
        calibration = calibrations(dev.of(others), network[others], grams[others])
        router = Router(encoder, Classifier(packed(heads[name], calibration)), matcher)
        for i in np.flatnonzero(test):
            example = dev.labelled[i].example
            routes[i] = router.route(Ask(example.text, example.context))
        if baselines:
            tf_idf[test] = by_tf_idf(list(texts[train]), list(dev.kinds[train]), list(texts[test]))
    return Judged(
        dev,
        tuple(r for r in routes if r is not None),
        tf_idf,
        keywords,
        np.array([by_length(t) for t in texts]),
    )


def _fit_folds(dev: Prepared, own: Prepared) -> tuple[dict[str, Heads], Floats, Floats]:
    heads: dict[str, Heads] = {}
    network = np.zeros((len(dev), 2), dtype=np.float32)
    grams = np.zeros_like(network)
    for name, train, test in folds(dev):
        heads[name] = fit_heads(dev.of(train) + own)
        held = dev.of(test)
        network[test], grams[test] = heads[name].network(held), heads[name].n_grams(held)
        log.info("fitted without %s (%d turns held out)", name, int(test.sum()))
    return heads, network, grams


def report(judged: Judged) -> dict[str, Any]:
    """All figures as plain data: over all, by language and family, and against the baselines."""
    families = sorted({item.example.family for item in judged.dev.labelled})
    found: dict[str, Any] = {
        "router": _figures(judged).as_dict(),
        "by_language": {lang: _figures(judged, lang=lang).as_dict() for lang in ("en", "zh")},
        "by_family": {
            f: float((judged.truth == judged.chosen)[judged.mask(family=f)].mean())
            for f in families
        },
        "causes": _causes(judged.routes),
        "judge_share": _judge_share(judged),
    }
    for name in ("tf_idf", "keywords", "length"):
        theirs: Labels = getattr(judged, name)
        sure = np.ones(len(theirs))
        gain, low, high = paired_interval(judged.truth, judged.chosen, theirs)
        found[name] = {
            "macro_f1": figures(Outcome(judged.truth, theirs, sure)).macro_f1,
            "gain": [gain, low, high],
        }
    return found


def _figures(judged: Judged, lang: str | None = None) -> Figures:
    keep = judged.mask(lang=lang)
    return figures(judged.outcome.of(keep), judged.hard[keep])


def _judge_share(judged: Judged) -> float:
    """The share of turns that a judge would be asked about; here none is asked."""
    asks = [Ask(item.example.text, item.example.context) for item in judged.dev.labelled]
    return sum(map(unsure, asks, judged.routes)) / max(len(asks), 1)


def _causes(routes: Sequence[Route]) -> dict[str, int]:
    counted: dict[str, int] = {}
    for route in routes:
        cause = route.cause.split(":")[0]
        counted[cause] = counted.get(cause, 0) + 1
    return dict(sorted(counted.items(), key=lambda item: -item[1]))


def latency(router: Router, asks: Sequence[Ask]) -> dict[str, float]:
    """Milliseconds a decision, over asks of up to 2,000 characters, new to the encoder."""
    router.route(Ask("warm up"))
    short = [a for a in asks if len(a.text) <= LATENCY_CHARS]
    return percentiles([timed(lambda a=a: router.route(a), time.perf_counter) for a in short])  # type: ignore[misc]


def lines(found: dict[str, Any]) -> list[str]:
    """The report for a reader: one figure set a line, hard kinds last."""
    out = [_line("all", found["router"])]
    out += [_line(lang, f) for lang, f in found["by_language"].items()]
    out.append("families  " + "  ".join(f"{k} {v:.2f}" for k, v in found["by_family"].items()))
    out.append("hard      " + "  ".join(f"{k} {v:.2f}" for k, v in found["router"]["hard"].items()))
    for name in ("tf_idf", "keywords", "length"):
        gain, low, high = found[name]["gain"]
        out.append(
            f"{name:9} macro-F1 {found[name]['macro_f1']:.3f}; "
            f"we gain {gain:+.3f} [{low:+.3f}, {high:+.3f}]"
        )
    out.append(f"judge     would be asked about {found['judge_share']:.1%} of the turns")
    out.append("causes    " + "  ".join(f"{k} {v}" for k, v in found["causes"].items()))
    return out


def _line(name: str, f: dict[str, Any]) -> str:
    kinds = " ".join(f"{k} {v:.3f}" for k, v in f["f1"].items())
    return (
        f"{name:9} n {f['n']}  macro-F1 {f['macro_f1']:.3f} ({kinds})  "
        f"commercial recall {f['commercial_recall']:.3f}  "
        f"false-commercial {f['false_commercial']:.3f}  ECE {f['ece']:.3f}"
    )


def main(argv: Sequence[str] | None = None) -> int:
    """Print the report of families left out; with `--json`, as one JSON object."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--policies", type=Path, default=SHIPPED)
    parser.add_argument("--json", action="store_true")
    chosen = parser.parse_args(argv)
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    try:
        found = report(judge(chosen.data, policies=chosen.policies))
    except (DataError, PolicyError, OSError) as bad:
        parser.exit(1, f"{bad}\n")
    text = json.dumps(found, indent=1) if chosen.json else "\n".join(lines(found))
    sys.stdout.write(text + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
