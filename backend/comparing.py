"""The offline gate: a new version against the serving one, before anyone is served by it.

Three questions, each able to refuse: does it hold the golden set, does what it was taught help (or
at least not hurt) on families of turns that it never saw, and would it have earned more on the
turns that people really asked?
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, Final

import numpy as np
from sqlalchemy import update
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from backend import lessons, versions
from backend.lessons import Rewarded, Taught
from backend.rollout import loader
from backend.versions import RouterVersion
from graphs.router.encoder import Encoder, Encodes
from graphs.router.evaluate import Judged, judge
from graphs.router.golden import golden
from graphs.router.measures import macro_f1, paired_interval
from graphs.router.offpolicy import Logged, TooFewTurns, estimate
from graphs.router.rules_only import RulesOnly
from graphs.router.train import CORES, Labelled
from graphs.state import RouterPort

WORSE: Final = 0.01
"""How much worse the lower end of an interval may be: one point of macro-F1 or of mean reward."""


@dataclass(frozen=True, slots=True)
class Material:
    """Both versions and what the database knows of them."""

    new: RouterVersion
    serving: RouterVersion | None  # None: rules alone serve
    taught: Taught
    turns: tuple[Rewarded, ...]


async def gather(session: AsyncSession, version: str) -> Material:
    """Raises `NotFound` for an unknown version, `Conflict` before the first start."""
    new = await versions.version(session, version)
    held = await versions.current(session)
    serving = None
    if held.serving != versions.RULES_ONLY:
        serving = await versions.version(session, held.serving)
    taught = await lessons.taught(session, new.learnt_until)
    return Material(new, serving, taught, tuple(await lessons.rewarded(session)))


@dataclass(frozen=True, slots=True)
class Ground:
    """What is compared on: labelled turns, and the encoder and corpus (ours, when None)."""

    data: Path
    encoder: Encodes | None = None
    corpus: Sequence[Labelled] | None = None


def compare(material: Material, ground: Ground, folder: Path) -> dict[str, Any]:
    """All figures and the verdict, as plain data. Takes minutes: the folds are trained twice.

    Raises `DataError` or `OSError` for data that cannot be read.
    """
    encoder = ground.encoder or Encoder(cached=80_000, cores=CORES)
    ground = replace(ground, encoder=encoder)
    load = loader(folder, encoder)
    new = load(material.new)
    serving: RouterPort = load(material.serving) if material.serving else RulesOnly()
    found: dict[str, Any] = {"against": material.serving.id if material.serving else "rules-only"}
    found["golden"] = _golden(new, serving)
    found["folds"] = _folds(ground, material)
    found["traffic"] = _traffic(new, material)
    found["failed"] = failures(found)
    found["passed"] = not found["failed"]
    return found


def failures(found: Mapping[str, Any]) -> list[str]:
    """One sentence for each question that the version does not pass."""
    said = []
    for name, unit in (("golden", "golden set"), ("folds", "families left out")):
        gain, low, high = found[name]["gain"]
        if low < -WORSE:
            said.append(f"{unit}: {gain:+.3f} [{low:+.3f}, {high:+.3f}] macro-F1")
    traffic = found["traffic"]
    if "refused" in traffic:
        said.append(f"real turns: {traffic['refused']}")
    elif traffic["gain"][1] < -WORSE:
        gain, low, high = traffic["gain"]
        said.append(f"real turns: {gain:+.3f} [{low:+.3f}, {high:+.3f}] reward a turn")
    return said


def _golden(new: RouterPort, serving: RouterPort) -> dict[str, Any]:
    truth = np.array([kind for _, kind in golden()])
    ours = np.array([new.route(ask).kind for ask, _ in golden()])
    theirs = np.array([serving.route(ask).kind for ask, _ in golden()])
    return {
        "turns": len(truth),
        "macro_f1": macro_f1(truth, ours),
        "against": macro_f1(truth, theirs),
        "gain": list(paired_interval(truth, ours, theirs)),
    }


def _folds(ground: Ground, material: Material) -> dict[str, Any]:
    """What the feedback changes on families left out, item by item."""
    ask = partial(judge, ground.data, encoder=ground.encoder, corpus=ground.corpus, baselines=False)
    with_it = ask(learnt=material.taught.examples)
    without = ask() if material.taught.examples else with_it
    gain = paired_interval(with_it.truth, with_it.chosen, without.chosen)
    return {
        "macro_f1": _f1(with_it),
        "against": _f1(without),
        "learnt": len(material.taught.examples),
        "gain": list(gain),
    }


def _f1(judged: Judged) -> float:
    return macro_f1(judged.truth, judged.chosen)


def _traffic(new: RouterPort, material: Material) -> dict[str, Any]:
    log = []
    for turn in material.turns:
        route = new.route(turn.ask)
        target = f"{route.kind}/{route.role}"
        log.append(Logged(turn.chosen, turn.propensity, turn.reward, target))
    try:
        return asdict(estimate(log))
    except TooFewTurns as few:
        return {"turns": len(log), "refused": str(few)}


async def keep(session: AsyncSession, version: str, found: Mapping[str, Any]) -> None:
    """The newest comparison is the version's gate."""
    await session.execute(
        update(RouterVersion).where(col(RouterVersion.id) == version).values(evaluation=found)
    )


def lines(found: Mapping[str, Any]) -> list[str]:
    out = []
    for name in ("golden", "folds"):
        one = found[name]
        gain, low, high = one["gain"]
        out.append(
            f"{name:8} macro-F1 {one['macro_f1']:.3f} against {one['against']:.3f}: "
            f"{gain:+.3f} [{low:+.3f}, {high:+.3f}]"
        )
    traffic = found["traffic"]
    if "refused" in traffic:
        out.append(f"traffic  no estimate: {traffic['refused']}")
    else:
        gain, low, high = traffic["gain"]
        out.append(
            f"traffic  SNIPS {traffic['snips']:+.3f}, DR {traffic['dr']:+.3f} against "
            f"{traffic['earned']:+.3f}: {gain:+.3f} [{low:+.3f}, {high:+.3f}] over "
            f"{traffic['effective']:.0f} effective turns"
        )
    out.append("passes" if found["passed"] else "does not pass")
    return out
