"""`models.toml` as data: which models there are, who sits in which role, who takes over.

Checked at start; a mistake is named with its place. Nothing here talks to a model.
"""

import tomllib
from datetime import date, timedelta
from pathlib import Path
from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

Endpoint = Literal["embedded", "openai"]
Capability = Literal["tools", "vision", "json"]
ROLES = ("light", "reasoning", "agent", "light_mini", "reasoning_mini")
NOTICE = timedelta(days=30)  # how long before its end a pinned model's people are told


class CatalogueError(Exception):
    """`models.toml` cannot be used: names the file, the place and what is wrong."""


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
    def read(cls, path: Path) -> "Catalogue":
        """Raises `CatalogueError` naming the place in the file."""
        try:
            read = cls.model_validate(tomllib.loads(path.read_text()))
        except tomllib.TOMLDecodeError as error:
            raise CatalogueError(f"{path}: not TOML: {error}") from error
        except ValidationError as error:
            first = error.errors()[0]
            place = ".".join(str(part) for part in first["loc"])
            raise CatalogueError(f"{path}: {place}: {first['msg']}") from error
        for problem in (*read._roles_amiss(), *read._models_amiss()):
            raise CatalogueError(f"{path}: {problem}")
        return read

    def _roles_amiss(self) -> list[str]:
        found = []
        for endpoint, seats in self.roles.items():
            for role in ROLES:
                place = f"roles.{endpoint}"
                if role not in seats:
                    found.append(f"{place}: role {role!r} is missing")
                    continue
                names = seats[role].chain
                found += [f"{place}.{role}: no model {n!r}" for n in names if n not in self.models]
        return found

    def _models_amiss(self) -> list[str]:
        found = []
        for name, provider in self.providers.items():
            file = provider.api_key_file
            if file is not None and not file.is_file():
                found.append(f"providers.{name}: api_key_file: there is no file at {file}")
        seated = {name for seats in self.roles.values() for s in seats.values() for name in s.chain}
        for name, model in self.models.items():
            if model.provider is not None and model.provider not in self.providers:
                found.append(f"models.{name}: no provider {model.provider!r}")
            if model.successor is not None and model.successor not in self.models:
                found.append(f"models.{name}: no successor {model.successor!r}")
            if model.retires is not None and name in seated:
                found.append(f"models.{name}: retires but still holds a role; seat its successor")
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
