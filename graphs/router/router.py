"""Decides where a turn goes: state, then outright words, then the classifier, then the policies.

Each layer can end the matter, and the route's `cause` names the one that did. The same ask, weights
and policies give the same route, always. A fault in a layer is not an error for the person: without
the classifier, the rules and the policies still answer.
"""

import hashlib
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from graphs.router.classifier import KINDS, WEIGHTS, Classifier, Scores
from graphs.router.encoder import Encoder, Encodes
from graphs.router.policy import Match, Policies, load_policies
from graphs.router.rules import Intent, explicit_intent
from graphs.router.signals import Reading, Vectors, read, vectors
from graphs.state import Ask, Effort, Kind, Role, Route

COMMERCIAL_FROM: Final = 0.5
REFUSED_FROM: Final = 0.75
"""After "don't buy" only a turn that is plainly about goods or bookings still shows offers."""

POLICY_NEAR: Final = 0.62
"""From this nearness on a policy decides where the classifier is unsure."""
UNSURE: Final = 0.75
FOLLOW_UP_IDLE_S: Final = 300.0
EFFORT_OVER_COMMERCE: Final = 0.9

_ROLES: Final[Mapping[Kind, Role]] = {
    "casual": "light", "complex": "reasoning", "commercial": "agent",
}  # fmt: skip
_CERTAIN: Final = 1.0


@dataclass(frozen=True, slots=True)
class _Decided:
    kind: Kind
    confidence: float
    cause: str


class Router:
    """The router. Load it once; `route` is synchronous, CPU only, and safe from many threads."""

    def __init__(self, encoder: Encodes, classifier: Classifier, policies: Policies) -> None:
        self._encoder, self._classifier, self._policies = encoder, classifier, policies
        joined = f"{classifier.version}:{policies.version}".encode()
        self.version = f"{policies.version}+{hashlib.sha256(joined).hexdigest()[:8]}"

    @classmethod
    def load(cls, policies_file: Path, *, weights: Path = WEIGHTS) -> "Router":
        """Load encoder (about 2 s), weights and policies.

        Raises PolicyError or WeightsError, each with what is wrong and where.
        """
        file = load_policies(policies_file)
        classifier = Classifier.load(weights)
        encoder = Encoder()
        return cls(encoder, classifier, Policies(file, encoder))

    def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Unit vectors of shape (len(texts), 512): the catalogue shares the router's encoder."""
        return self._encoder.encode(texts)

    def route(self, ask: Ask) -> Route:
        """Decide one turn. Never raises for any text."""
        started = time.perf_counter_ns()
        reading = read(ask)
        intent = explicit_intent(reading.found.text, ask.context)
        vector = vectors([reading], self._encoder)[0]
        scores = self._classifier.scores(reading, vector)
        decided = self._decide(ask, intent, reading, vector, scores)
        route = self._named(ask, intent, reading, vector, scores, decided)
        return _timed(route, started)

    def _decide(
        self, ask: Ask, intent: Intent, reading: Reading, vector: Vectors, scores: Scores
    ) -> _Decided:
        if ask.locked is not None:
            return _Decided(ask.locked, _CERTAIN, "state")
        if ask.kind is not None:
            return _Decided(ask.kind, _CERTAIN, "user")
        by_words = _by_words(ask, intent, reading, scores)
        if by_words is not None:
            return by_words
        if intent.answers:
            return self._answered(ask, vector)
        return self._by_scores(ask, intent, reading, vector, scores)

    def _answered(self, ask: Ask, vector: Vectors) -> _Decided:
        """A bare yes or no means what was asked: its kind is that of the conversation."""
        if ask.previous is not None:
            return _Decided(ask.previous, 0.95, "answer")
        before = [v for v in (*vector.users, vector.answer, vector.history) if v is not None]
        shares = np.stack([self._classifier.alone(v) for v in before])
        commercial = float(shares[:, KINDS.index("commercial")].max())
        if commercial >= COMMERCIAL_FROM:
            # Whoever asks back in commerce asks about an order: one commercial turn is enough.
            return _Decided("commercial", commercial, "answer")
        mean = shares.mean(axis=0)
        best = int(mean.argmax())
        return _Decided(KINDS[best], float(mean[best]), "answer")

    def _by_scores(
        self, ask: Ask, intent: Intent, reading: Reading, vector: Vectors, scores: Scores
    ) -> _Decided:
        shares = scores.kinds()
        needed = REFUSED_FROM if intent.no_purchase else COMMERCIAL_FROM
        kind: Kind = "commercial" if scores.commercial >= needed else _quieter(scores)
        confidence = shares[kind]
        if confidence < UNSURE:
            inherited = _inherited(ask, reading, kind)
            if inherited is not None:
                return _Decided(inherited, confidence, "follow-up")
            near = self._policies.nearest(vector.ask)
            if near.nearness >= POLICY_NEAR and near.policy.kind != kind and _may(near, scores):
                return _Decided(near.policy.kind, near.nearness, f"policy:{near.policy.name}")
        if intent.effort == "low" and kind == "complex" and confidence < 0.8:
            return _Decided("casual", 1 - confidence, "effort-down")
        return _Decided(kind, confidence, "classifier")

    def _named(
        self,
        ask: Ask,
        intent: Intent,
        reading: Reading,
        vector: Vectors,
        scores: Scores,
        decided: _Decided,
    ) -> Route:
        match = self._policies.nearest(_subject(reading, vector), decided.kind)
        policy = match.policy
        effort = ask.effort or intent.effort or policy.effort
        role = policy.role or _ROLES[decided.kind]
        return Route(
            kind=decided.kind,
            sub=policy.sub,
            domain=policy.domain,
            action=policy.action,
            role=role,
            effort=effort,
            confidence=round(decided.confidence, 4),
            cause=decided.cause,
            policy_version=self.version,
            probabilities={k: round(v, 4) for k, v in _by_kind(scores).items()},
            no_purchase=intent.no_purchase,
        )


def _by_words(ask: Ask, intent: Intent, reading: Reading, scores: Scores) -> _Decided | None:
    """What the person's own words settle, strongest first; None when they settle nothing."""
    if intent.blank:
        return _Decided("casual", _CERTAIN, "blank")
    if intent.thanks:
        return _Decided("casual", _CERTAIN, "thanks")
    if intent.quoted:
        return _Decided("casual", 0.95, "quoted")
    if intent.ack and not reading.earlier.exists and ask.previous is None:
        return _Decided("casual", 0.95, "acknowledgement")
    asked: Effort | None = ask.effort or intent.effort
    if asked == "high":
        if scores.commercial >= EFFORT_OVER_COMMERCE:
            return _Decided("commercial", scores.commercial, "classifier")
        return _Decided("complex", _CERTAIN, "user" if ask.effort else "effort-up")
    return None


def _quieter(scores: Scores) -> Kind:
    return "complex" if scores.difficulty >= 0.5 else "casual"


def _inherited(ask: Ask, reading: Reading, kind: Kind) -> Kind | None:
    """The kind of the turn before, for a short unclear turn soon after it."""
    fresh = ask.idle_s is None or ask.idle_s <= FOLLOW_UP_IDLE_S
    short = len(reading.plain) <= (16 if reading.lang == "zh" else 40)
    if ask.previous is None or ask.previous == kind or not fresh or not short:
        return None
    return ask.previous


def _may(near: Match, scores: Scores) -> bool:
    """Whether a policy may overrule an unsure classifier: never alone into commerce."""
    return near.policy.kind != "commercial" or scores.commercial >= 0.35


def _subject(reading: Reading, vector: Vectors) -> NDArray[np.float32]:
    """What a turn is about: its own vector, leaning on the turn before when it is short."""
    if not vector.users or len(reading.plain) > 60:
        return vector.ask
    mixed = vector.ask + vector.users[-1] * np.float32(0.7)
    return np.asarray(mixed / max(float(np.linalg.norm(mixed)), 1e-9), dtype=np.float32)


def _by_kind(scores: Scores) -> dict[Kind, float]:
    shares = scores.kinds()
    return {
        "casual": shares["casual"],
        "complex": shares["complex"],
        "commercial": shares["commercial"],
    }


def _timed(route: Route, started_ns: int) -> Route:
    return replace(route, latency_us=(time.perf_counter_ns() - started_ns) // 1000)
