"""`models.toml` as data: which models there are, who sits in which role, who takes over.

Checked at start; a mistake is named with its place. Nothing here talks to a model.
"""

import tomllib
from datetime import date, timedelta
from pathlib import Path
from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from integrations.mistakes import why

Endpoint = Literal["embedded", "openai"]
Capability = Literal["tools", "vision", "json"]
ROLES = ("light", "reasoning", "agent", "light_mini", "reasoning_mini")
NOTICE = timedelta(days=30)  # how long before its end a pinned model's people are told


class CatalogueError(Exception):
    """`models.toml` cannot be used. One line for each mistake: file, place, what is wrong."""


class _Frozen(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Provider(_Frozen):
    """One OpenAI-compatible address. The key is in a file, never in the catalogue."""

    base_url: str = Field(pattern=r"^https?://")
    api_key_file: Path | None = None


class Model(_Frozen):
    """One `[models."id"]` table. Prices in µUSD per million tokens; unset: genai-prices'."""

    upstream: str | None = None
    endpoint: Endpoint = "openai"
    provider: str | None = None
    context_window: int = Field(ge=512)
    max_output: int = Field(1024, ge=1)
    reasons: bool = False
    temperature: bool = True
    tools: bool = True
    vision: bool = False
    json_output: bool = Field(default=True, alias="json")
    price_provider: str | None = None
    input_usd_micros_per_mtok: int | None = Field(None, ge=0)
    cached_usd_micros_per_mtok: int | None = Field(None, ge=0)
    output_usd_micros_per_mtok: int | None = Field(None, ge=0)
    energy_wh_per_ktok: tuple[float, float] | None = None
    announced: date | None = None
    retires: date | None = None
    successor: str | None = None
    note: str = ""

    @model_validator(mode="after")
    def _whole(self) -> Self:
        if (energy := self.energy_wh_per_ktok) and not 0 <= energy[0] <= energy[1]:
            raise ValueError("energy_wh_per_ktok is [min, max], both at least 0, min not above max")
        if (self.input_usd_micros_per_mtok is None) != (self.output_usd_micros_per_mtok is None):
            raise ValueError("give both prices, of input and of output, or neither")
        if self.retires is not None:
            if self.announced is None or self.successor is None:
                raise ValueError("a model that retires names announced and successor")
            if self.retires - self.announced < NOTICE:
                raise ValueError("retires is at least 30 days after announced")
        return self

    def can(self, capability: Capability) -> bool:
        return {"tools": self.tools, "vision": self.vision, "json": self.json_output}[capability]


class Seat(_Frozen):
    """A role's model for one kind of endpoint, who answers when it cannot, and the limits.

    `first_token_s` is how long a model may be silent before the next one is asked.
    """

    model: str
    fallbacks: tuple[str, ...] = ()
    max_tokens: int | None = Field(None, ge=1)
    first_token_s: float = Field(120.0, gt=0)

    @property
    def chain(self) -> tuple[str, ...]:
        return (self.model, *self.fallbacks)


class Catalogue(_Frozen):
    """The whole file. `roles.embedded` is used without a key, `roles.openai` with one."""

    version: str
    unknown_usd_micros_per_mtok: int = Field(100_000_000, ge=1)
    providers: dict[str, Provider] = Field(default_factory=dict)
    models: dict[str, Model]
    roles: dict[Endpoint, dict[str, Seat]]

    @classmethod
    def read(cls, path: Path, *, endpoint: Endpoint | None = None) -> "Catalogue":
        """The file, with somebody in every role at `endpoint`.

        Raises `CatalogueError` with every mistake, one line each: file, place, what is wrong.
        """
        try:
            read = cls.model_validate(tomllib.loads(path.read_text()))
        except (UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
            raise CatalogueError(f"{path}: not TOML: {error}") from error
        except ValidationError as error:
            lines = [
                ".".join(str(part) for part in mistake["loc"]) + f": {why(mistake, _KEYS)}"
                for mistake in error.errors()
            ]
            raise CatalogueError("\n".join(f"{path}: {line}" for line in lines)) from error
        problems = [*read._roles_amiss(), *read._models_amiss(), *read._successors_amiss()]
        if endpoint is not None and endpoint not in read.roles:
            problems.append(f"roles.{endpoint} is missing; it says who answers with these settings")
        if problems:
            raise CatalogueError("\n".join(f"{path}: {line}" for line in problems))
        return read

    def _roles_amiss(self) -> list[str]:
        found = []
        for endpoint, seats in self.roles.items():
            place = f"roles.{endpoint}"
            found += [
                f"{place}: role {r!r} is missing; name its model" for r in ROLES if r not in seats
            ]
            for role, seat in seats.items():
                if role not in ROLES:
                    found.append(f"{place}.{role}: no such role; there are {', '.join(ROLES)}")
                found += [f"{place}.{role}: {line}" for line in self._chain_amiss(seat, endpoint)]
        return found

    def _chain_amiss(self, seat: Seat, endpoint: Endpoint) -> list[str]:
        found = []
        for name in dict.fromkeys(seat.chain):
            model = self.models.get(name)
            if model is None:
                found.append(f"no model {name!r}; add [models.{name!r}] or name another")
            elif endpoint == "openai" and model.endpoint == "embedded" and model.provider is None:
                found.append(f"{name!r} runs on the embedded server only; name another")
            if seat.chain.count(name) > 1:
                found.append(f"{name!r} stands there twice; a fallback is another model")
        return found

    def _models_amiss(self) -> list[str]:
        found = []
        for name, provider in self.providers.items():
            file = provider.api_key_file
            if file is not None and not file.is_file():
                found.append(f"providers.{name}: api_key_file: there is no file at {file}")
        for name, model in self.models.items():
            if name == "auto":
                found.append("models.auto: `auto` asks for routing; give the model another name")
            if model.provider is not None and model.provider not in self.providers:
                found.append(
                    f"models.{name}: no provider {model.provider!r}; add "
                    f"[providers.{model.provider}] or leave it out"
                )
            if model.retires is not None and name in self._seated:
                found.append(f"models.{name}: retires but still holds a role; seat its successor")
        return found

    @property
    def _seated(self) -> frozenset[str]:
        every = (seat for seats in self.roles.values() for seat in seats.values())
        return frozenset(name for seat in every for name in seat.chain)

    def _successors_amiss(self) -> list[str]:
        """Whoever pinned a model that goes must come to one that answers."""
        found = []
        for name, model in self.models.items():
            line, step = [name], model.successor
            while step is not None and step in self.models and step not in line:
                line.append(step)
                step = self.models[step].successor
            if step is not None and step not in self.models:
                found.append(f"models.{line[-1]}: no successor {step!r}; name a model of this file")
            elif step is not None:
                circle = " → ".join([*line, step])
                found.append(f"models.{name}: successors go in a circle: {circle}")
            elif len(line) > 1 and line[-1] not in self._seated:
                found.append(
                    f"models.{name}: its successor {line[-1]!r} holds no role, so that nobody "
                    "could be answered by it; name one that does"
                )
        return found

    def seat(self, role: str, endpoint: Endpoint) -> Seat:
        return self.roles[endpoint][role]

    def listed(
        self,
        endpoint: Endpoint,
        *,
        today: date | None = None,
        restored: frozenset[str] = frozenset(),
    ) -> list[str]:
        """The ids a client may pin, in file order: those that hold a role at this endpoint, and
        legacy ones until they retire, or after it when an operator restored them."""
        held = {name for seat in self.roles[endpoint].values() for name in seat.chain}
        kept = {
            name
            for name, model in self.models.items()
            if model.retires is not None
            and model.endpoint == endpoint
            and (name in restored or today is None or today < model.retires)
        }
        return [name for name in self.models if name in held | kept]

    def retiring(self, name: str) -> Model | None:
        """The model when it has a date on which it goes."""
        model = self.models.get(name)
        return model if model is not None and model.retires is not None else None


_KEYS = tuple(
    key.alias or name
    for kind in (Catalogue, Model, Seat, Provider)
    for name, key in kind.model_fields.items()
)


def needs(messages: Any, tools: Any, response_format: Any) -> frozenset[Capability]:
    """What a turn asks of a model beyond text: tools, pictures, JSON by a schema."""
    found: set[Capability] = set()
    if tools:
        found.add("tools")
    if response_format and response_format.get("type") in ("json_schema", "json_object"):
        found.add("json")
    for message in messages:
        content = message.get("content")
        parts = content if isinstance(content, list) else []
        if any(isinstance(p, dict) and p.get("type") == "image_url" for p in parts):
            found.add("vision")
    return frozenset(found)
