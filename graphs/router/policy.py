"""Domain–action policies in plain words, matched by the encoder without training.

An operator adds "legal · contract review → reasoning, high effort" as a few lines of TOML and sees
it work at the next start. The file is checked as a whole before anything runs; an error names the
policy and the field.
"""

import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Final, Literal, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, StringConstraints, ValidationError, model_validator

from graphs.router.encoder import Encodes
from graphs.router.features import normalise
from graphs.state import Effort, Kind, Sub

SHIPPED: Final = Path(__file__).parent / "policies.toml"
_OWN_ROLE: Final[Mapping[str, str]] = {
    "casual": "light", "complex": "reasoning", "commercial": "agent",
}  # fmt: skip

Slug = Annotated[str, StringConstraints(pattern=r"^[a-z0-9]+(?:[-_][a-z0-9]+)*$", max_length=60)]
Sentence = Annotated[str, StringConstraints(strip_whitespace=True, min_length=2, max_length=300)]
TurnRole = Literal["light", "reasoning", "agent"]


class PolicyError(ValueError):
    """The policies file cannot be used. The message says what is wrong and where."""


class Policy(BaseModel):
    """One domain–action policy. Unknown fields are refused: a slip must not pass in silence."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    name: Slug
    domain: Slug
    action: Slug
    kind: Kind
    sub: Sub = "none"
    role: TurnRole | None = None
    effort: Effort | None = None
    decides: bool | None = None
    en: Sentence
    zh: Sentence
    examples: tuple[Sentence, ...] = ()

    @model_validator(mode="before")
    @classmethod
    def _arrays_are_tuples(cls, value: object) -> object:
        if isinstance(value, dict) and isinstance(value.get("examples"), list):
            return {**value, "examples": tuple(value["examples"])}
        return value

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if (self.kind == "commercial") != (self.sub != "none"):
            raise ValueError(
                "sub must be 'booking' or 'purchase' for kind 'commercial', unset for the others"
            )
        if self.role is not None and (self.kind == "commercial") != (self.role == "agent"):
            raise ValueError(f"role {self.role!r} does not serve kind {self.kind!r}")
        return self

    @property
    def served_by(self) -> str:
        return self.role or _OWN_ROLE[self.kind]


class PolicyFile(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    version: Annotated[str, StringConstraints(min_length=1, max_length=40)]
    policy: list[Policy]

    @model_validator(mode="after")
    def _complete(self) -> Self:
        names = [p.name for p in self.policy]
        twice = sorted({n for n in names if names.count(n) > 1})
        if twice:
            raise ValueError(f"policy names must be unique; more than once: {', '.join(twice)}")
        missing = sorted(set(_OWN_ROLE) - {p.kind for p in self.policy})
        if missing:
            raise ValueError(
                f"at least one policy of each kind is needed; none of: {', '.join(missing)}"
            )
        return self


def load_policies(path: Path = SHIPPED) -> PolicyFile:
    """Read and check a policies file. Raises PolicyError with one line for each fault."""
    try:
        found = tomllib.loads(path.read_text("utf-8"))
    except OSError as missing:
        raise PolicyError(f"{path}: {missing.strerror or missing}") from missing
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as broken:
        raise PolicyError(f"{path}: not valid TOML: {broken}") from broken
    try:
        return PolicyFile.model_validate(found)
    except ValidationError as invalid:
        raise PolicyError(
            "\n".join(f"{path}: {fault}" for fault in _faults(invalid, found))
        ) from invalid


def _faults(invalid: ValidationError, found: Mapping[str, object]) -> list[str]:
    listed = found.get("policy")
    policies: Sequence[object] = listed if isinstance(listed, list) else []
    faults = []
    for error in invalid.errors():
        where = [str(part) for part in error["loc"]]
        if len(where) > 1 and where[0] == "policy" and where[1].isdigit():
            index = int(where[1])
            entry = policies[index] if index < len(policies) else None
            name = entry.get("name") if isinstance(entry, dict) else None
            label = f"policy {index + 1}" + (f" ({name})" if name else "")
            where = [label, *where[2:]]
        faults.append(f"{', '.join(where) or 'file'}: {error['msg'].removeprefix('Value error, ')}")
    return faults


@dataclass(frozen=True, slots=True)
class Match:
    """The nearest policy, how near (cosine, -1..1), and whether it may settle a turn's kind."""

    policy: Policy
    nearness: float
    decides: bool


class Policies:
    """Policies with their vectors. Matching is one small matrix product."""

    def __init__(self, file: PolicyFile, encoder: Encodes) -> None:
        self.version = file.version
        self._policies = tuple(file.policy)
        self._shipped = shipped = _shipped_names()
        self._decides = tuple(
            p.name not in shipped if p.decides is None else p.decides for p in self._policies
        )
        texts: list[str] = []
        firsts: list[int] = []  # where each policy's texts begin
        for policy in self._policies:
            firsts.append(len(texts))
            texts += map(normalise, (policy.en, policy.zh, *policy.examples))
        self._vectors = encoder.encode(texts)
        self._firsts = np.array(firsts)

    def __len__(self) -> int:
        return len(self._policies)

    def nearest(self, vector: NDArray[np.float32]) -> Match:
        """The nearest policy of all to a unit vector."""
        near = self.nearness(vector)
        index = int(near.argmax())
        return Match(self._policies[index], float(near[index]), self._decides[index])

    def best_of(self, kind: Kind, near: NDArray[np.float32], domain: str = "") -> Policy:
        """The policy of one kind with the greatest nearness (of `nearness`, or a mix of such).

        Where the words name a `domain`, its policies and the operator's own are the ones to choose
        from: a description is only like the words, and Rome is in those of flights and of hotels.
        """
        of_kind = [i for i, policy in enumerate(self._policies) if policy.kind == kind]
        own = [i for i in of_kind if self._policies[i].name not in self._shipped]
        named = [i for i in of_kind if domain and self._policies[i].domain == domain]
        among = [*named, *own] if named else of_kind
        return self._policies[max(among, key=lambda i: float(near[i]))]

    def nearness(self, vector: NDArray[np.float32]) -> NDArray[np.float32]:
        """Cosine to each policy: to the nearest of its descriptions and examples."""
        best: NDArray[np.float32] = np.maximum.reduceat(self._vectors @ vector, self._firsts)
        return best


def _shipped_names() -> frozenset[str]:
    """Policies that the classifier was trained beside: it knows their kind better than they do."""
    listed = tomllib.loads(SHIPPED.read_text("utf-8"))["policy"]
    return frozenset(str(entry["name"]) for entry in listed)
