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

from graphs.router.classifier import KINDS, WEIGHTS, Classifier, Floats, Scores
from graphs.router.encoder import Encoder, Encodes
from graphs.router.features import SHAPE_NAMES, Language
from graphs.router.policy import Match, Policies, load_policies
from graphs.router.rules import Intent, explicit_intent, reads_back
from graphs.router.signals import Reading, Vectors, read, vectors
from graphs.router.subjects import asks_of_shown, buys_goods, named_domain, shows_offers
from graphs.state import Ask, Kind, Role, Route

COMMERCIAL_FROM: Final[Mapping[Language, float]] = {"en": 0.54, "zh": 0.39, "other": 0.5}
"""A wrong purchase path costs more than a missed one, and the languages err differently: chosen on
families left out, for a recall of 0.93 at fewer than 3 % of other turns led into commerce."""
HARD_FROM: Final = 0.5
BUILDS_FROM: Final = 0.25
"""Words that order software need this little of the classifier's agreement."""
INHERIT_FROM: Final = 0.05
"""A follow-up takes the kind before it only where the classifier does not rule that out."""
TAKES_FROM: Final = 0.15
"""Comparing that ends in taking one needs this little: whatever is taken is for sale."""
SEEKS_FROM: Final = 0.01
"""A message that is nothing but the show or the thing it looks for needs hardly any: it is sold."""
SOUGHT: Final = 0.9
IDLE: Final = 0.9
REFUSED_FROM: Final = 0.75
"""After "don't buy" only a turn that is plainly about goods or bookings still shows offers."""

POLICY_NEAR: Final = 0.5
"""A clear match. Of the labelled turns 0.6 % come this near to a policy of another kind."""
POLICY_COMMERCIAL_FROM: Final = 0.35
POLICY_COMMERCIAL_BELOW: Final = 0.9
"""Between these a policy may lead into or out of commerce; beyond them the classifier stands."""

ANSWERED_FROM: Final = 0.5
READ_BACK_FROM: Final = 0.3
"""Orders are read back to be confirmed, chats are not: less of a sign is needed then."""
SUBJECT_SHORT: Final = 0.8
SUBJECT_LONG: Final = 0.3
"""What a conversation's subject weighs beside the ask's own, where domain and action are named."""
UNSURE: Final = 0.75
FOLLOW_UP_IDLE_S: Final = 300.0
EFFORT_OVER_COMMERCE: Final = 0.9
EFFORT_DOWN_BELOW: Final = 0.8
"""A plainly hard task stays with the reasoning model even when a short answer is asked for."""
BOTH_FROM: Final = 0.6

SAME_SUBJECT_FROM: Final = 0.3
"""Nearness of an ask to the turns before it; below, the subject has changed."""

_ROLES: Final[Mapping[Kind, Role]] = {
    "casual": "light", "complex": "reasoning", "commercial": "agent",
}  # fmt: skip
_CERTAIN: Final = 1.0
_COMMERCIAL: Final = KINDS.index("commercial")


@dataclass(frozen=True, slots=True)
class _Decided:
    kind: Kind
    confidence: float
    cause: str


@dataclass(frozen=True, slots=True)
class _Seen:
    """All that the layers know of a turn."""

    ask: Ask
    intent: Intent
    reading: Reading
    vector: Vectors
    scores: Scores


class _Watch:
    """Microseconds from one lap to the next."""

    def __init__(self) -> None:
        self.laps: dict[str, int] = {}
        self._at = time.perf_counter_ns()

    def lap(self, name: str) -> None:
        now = time.perf_counter_ns()
        self.laps[name] = (now - self._at) // 1000
        self._at = now


class Router:
    """The router. Load it once; `route` is synchronous, CPU only, and safe from many threads."""

    def __init__(self, encoder: Encodes, classifier: Classifier, policies: Policies) -> None:
        self._encoder, self._classifier, self._policies = encoder, classifier, policies
        joined = f"{classifier.version}:{policies.version}".encode()
        self.version = f"{policies.version}+{hashlib.sha256(joined).hexdigest()[:8]}"

    @classmethod
    def load(cls, policies_file: Path, *, weights: Path = WEIGHTS, cores: int = 1) -> "Router":
        """Load encoder (about 2 s), weights and policies. More `cores` serve `route_all` only.

        Raises PolicyError or WeightsError, each with what is wrong and where.
        """
        file = load_policies(policies_file)
        classifier = Classifier.load(weights)
        encoder = Encoder(cores=cores)
        return cls(encoder, classifier, Policies(file, encoder))

    def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Unit vectors of shape (len(texts), 512): the catalogue shares the router's encoder."""
        return self._encoder.encode(texts)

    def route(self, ask: Ask) -> Route:
        """Decide one turn. Never raises for any text."""
        return self.route_all((ask,))[0]

    def route_all(self, asks: Sequence[Ask]) -> list[Route]:
        """Decide many turns, each by itself: only the encoder takes them together.

        A turn's `latency_us` is then its share of the time.
        """
        watch = _Watch()
        readings = [read(ask) for ask in asks]
        intents = [
            explicit_intent(reading.found.text, ask.context, ask.models)
            for ask, reading in zip(asks, readings, strict=True)
        ]
        watch.lap("words")
        encoded = vectors(readings, self._encoder)
        watch.lap("encoder")
        before = {name: us // max(len(asks), 1) for name, us in watch.laps.items()}
        return [
            self._route(ask, intent, reading, vector, before)
            for ask, intent, reading, vector in zip(asks, intents, readings, encoded, strict=True)
        ]

    def _route(
        self,
        ask: Ask,
        intent: Intent,
        reading: Reading,
        vector: Vectors,
        before: Mapping[str, int],
    ) -> Route:
        watch = _Watch()
        row = self._classifier.row(reading, vector)
        seen = _Seen(ask, intent, reading, vector, self._classifier.scores_of(row, reading))
        watch.lap("classifier")
        route = self._named(seen, self._decide(seen))
        watch.lap("policies")
        laps = {**before, **watch.laps}
        return replace(
            route,
            features=_named_by(row, reading),
            latency_us=sum(laps.values()),
            layers_us=laps,
        )

    def _decide(self, seen: _Seen) -> _Decided:
        if seen.ask.locked is not None:
            return _Decided(seen.ask.locked, _CERTAIN, "state")
        if seen.ask.kind is not None:
            return _Decided(seen.ask.kind, _CERTAIN, "user")
        by_words = _by_words(seen)
        if by_words is not None:
            return by_words
        if seen.intent.answers:
            return self._answered(seen)
        return self._by_scores(seen)

    def _answered(self, seen: _Seen) -> _Decided:
        """A bare yes or no means what was asked: its kind is that of the conversation."""
        if seen.ask.previous is not None:
            return _Decided(seen.ask.previous, 0.95, "answer")
        shares = [self._classifier.alone(v) for v in seen.vector.before if v is not None]
        mean = np.mean(shares, axis=0)
        # An offer of the assistant's ("want to hear one?") can sound like a shop's: what the person
        # said and the whole of it speak for themselves, the answer only with them.
        said = (seen.vector.user, seen.vector.history)
        own = [self._classifier.alone(v)[_COMMERCIAL] for v in said if v is not None]
        of_commerce = float(max(mean[_COMMERCIAL], *own))
        asked_back = reads_back(seen.ask.context)
        if of_commerce >= (READ_BACK_FROM if asked_back else ANSWERED_FROM):
            return _Decided("commercial", max(of_commerce, 0.5), "answer")
        best = int(mean.argmax())
        return _Decided(KINDS[best], float(mean[best]), "answer")

    def _in_commerce(self, seen: _Seen) -> bool:
        """Whether a purchase is what the conversation was about."""
        if seen.ask.previous is not None:
            return seen.ask.previous == "commercial"
        before = seen.vector.history
        if before is None:
            return False
        return float(self._classifier.alone(before)[_COMMERCIAL]) >= ANSWERED_FROM

    def _asks_of_shown(self, seen: _Seen) -> bool:
        """A question about offers is the agent's: it has their rows, a model would make it up."""
        if not asks_of_shown(seen.reading.plain) or not shows_offers(seen.ask.context):
            return False
        return self._in_commerce(seen)

    def _by_scores(self, seen: _Seen) -> _Decided:
        scores, intent = seen.scores, seen.intent
        if intent.idle == "chat" or (intent.idle and not self._in_commerce(seen)):
            return _Decided(_quieter(scores), IDLE, intent.idle)
        if self._asks_of_shown(seen):
            return _Decided("commercial", max(scores.commercial, SOUGHT), "shown")
        needed = REFUSED_FROM if intent.no_purchase else COMMERCIAL_FROM[seen.reading.lang]
        if (intent.takes or buys_goods(seen.reading.plain)) and not intent.no_purchase:
            needed = TAKES_FROM
        if intent.seeks and not intent.no_purchase:
            needed = min(needed, SEEKS_FROM)
        kind: Kind = "commercial" if scores.commercial >= needed else _quieter(scores)
        confidence = scores.kinds()[kind]
        if intent.seeks and kind == "commercial" and not intent.no_purchase:
            # The words are plain: no judge is asked, whose silence would mean "do not buy".
            return _Decided(kind, max(confidence, SOUGHT), "sought")
        near = self._policies.nearest(seen.vector.ask)
        if _may(near, scores):
            return _Decided(near.policy.kind, near.nearness, f"policy:{near.policy.name}")
        if confidence < UNSURE:
            inherited = _inherited(seen, kind)
            if inherited is not None:
                return _Decided(inherited, confidence, "follow-up")
        if intent.effort == "low" and kind == "complex" and confidence < EFFORT_DOWN_BELOW:
            return _Decided("casual", 1 - confidence, "effort-down")
        return _Decided(kind, confidence, "classifier")

    def _named(self, seen: _Seen, decided: _Decided) -> Route:
        named = _named_in(seen) if decided.kind == "commercial" else ""
        policy = self._policies.best_of(decided.kind, self._subject(seen), named)
        effort = seen.ask.effort or seen.intent.effort or policy.effort
        if effort is None and decided.kind == "commercial" and seen.scores.difficulty >= BOTH_FROM:
            effort = "medium"  # commerce leads, the reasoning follows
        held = _held(seen, decided)
        if held:
            effort = effort or "low"
        plain = policy.role or _ROLES[decided.kind]
        likely = seen.scores.kinds()
        return Route(
            kind=decided.kind,
            sub=policy.sub,
            domain=policy.domain,
            action=policy.action,
            role="reasoning" if held else plain,
            lifted_from=plain if held and plain != "reasoning" else None,
            effort=effort,
            confidence=round(decided.confidence, 4),
            cause=decided.cause,
            policy_version=self.version,
            probabilities={k: round(v, 4) for k, v in likely.items()},
            no_purchase=seen.intent.no_purchase,
            asked_model=seen.intent.model,
            alternatives=tuple(
                k for k in sorted(likely, key=likely.__getitem__, reverse=True) if k != decided.kind
            ),
        )

    def _subject(self, seen: _Seen) -> NDArray[np.float32]:
        """How near each policy is: to the ask, and for a short ask to what went before as well."""
        near = self._policies.nearness(seen.vector.ask)
        if seen.vector.history is None:
            return near
        share = SUBJECT_SHORT if len(seen.reading.plain) <= 60 else SUBJECT_LONG
        before = self._policies.nearness(seen.vector.history)
        return np.asarray(near + share * before, dtype=np.float32)


def _named_in(seen: _Seen) -> str:
    """The domain that the words name outright, or ''."""
    if seen.intent.goods:
        return "product"
    return named_domain(seen.reading.plain, seen.ask.context)


def _named_by(row: Floats, reading: Reading) -> str:
    """A hash of all that the classifier read. Rounded: the last bits depend on which texts the
    encoder took together."""
    return hashlib.sha256(np.round(row, 2).tobytes() + reading.plain.encode()).hexdigest()[:16]


def _by_words(seen: _Seen) -> _Decided | None:
    """What the person's own words settle, strongest first; None when they settle nothing."""
    ask, intent, scores = seen.ask, seen.intent, seen.scores
    if intent.blank:
        return _Decided("casual", _CERTAIN, "blank")
    if intent.thanks:
        return _Decided("casual", _CERTAIN, "thanks")
    if (ask.effort or intent.effort) == "high":
        if scores.commercial >= EFFORT_OVER_COMMERCE:
            return _Decided("commercial", scores.commercial, "classifier")
        return _Decided("complex", _CERTAIN, "user" if ask.effort else "effort-up")
    if intent.light and scores.commercial < EFFORT_OVER_COMMERCE:
        return _Decided("casual", _CERTAIN, "light-model")
    if intent.quoted:
        return _Decided("casual", 0.95, "quoted")
    if intent.builds and scores.difficulty >= BUILDS_FROM:
        return _Decided("complex", max(scores.difficulty * (1 - scores.commercial), 0.9), "builds")
    if intent.ack and not seen.reading.earlier.exists and ask.previous is None:
        return _Decided("casual", 0.95, "acknowledgement")
    return None


def _quieter(scores: Scores) -> Kind:
    return "complex" if scores.difficulty >= HARD_FROM else "casual"


def _inherited(seen: _Seen, kind: Kind) -> Kind | None:
    """The kind of the turn before, for a short unclear turn soon after it."""
    ask, reading = seen.ask, seen.reading
    fresh = ask.idle_s is None or ask.idle_s <= FOLLOW_UP_IDLE_S
    short = len(reading.plain) <= (16 if reading.lang == "zh" else 40)
    if ask.previous is None or ask.previous == kind or not fresh or not short:
        return None
    return ask.previous if seen.scores.kinds()[ask.previous] >= INHERIT_FROM else None


def _held(seen: _Seen, decided: _Decided) -> bool:
    """Whether a lighter turn stays with the reasoning model: it follows up on a hard one.

    A model is left only for good: at the second confident lighter turn, after five idle minutes, or
    when the subject changes. Thanks, and whatever a person chose, are answered as they are.
    """
    ask = seen.ask
    if not ask.ratchet or decided.kind != "casual" or decided.cause not in _HOLDS:
        return False
    if ask.idle_s is not None and ask.idle_s > FOLLOW_UP_IDLE_S:
        return False
    near = [float(seen.vector.ask @ v) for v in seen.vector.before if v is not None]
    return seen.reading.shape[_ANAPHORA] > 0 or max(near, default=1.0) >= SAME_SUBJECT_FROM


_HOLDS: Final = frozenset({"classifier", "follow-up", "acknowledgement", "answer"})
_ANAPHORA: Final = SHAPE_NAMES.index("anaphora")


def _may(near: Match, scores: Scores) -> bool:
    """Whether a policy may overrule the classifier: it is the operator's own, clearly matched, and
    the classifier does not plainly say the opposite about commerce."""
    if not near.decides or near.nearness < POLICY_NEAR:
        return False
    if near.policy.kind == "commercial":
        return scores.commercial >= POLICY_COMMERCIAL_FROM
    return scores.commercial < POLICY_COMMERCIAL_BELOW
