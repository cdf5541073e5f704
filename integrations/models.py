"""The model catalogue and the one client path to every model: `ChatOpenAI`.

`models.toml` is data, checked at start. A role maps to a model; a model has a window, prices and
an endpoint. The embedded model, a cloud and a server of one's own differ in the base URL alone.
"""

import asyncio
import json
import tomllib
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import ROUND_CEILING, Decimal
from pathlib import Path
from typing import Any, Literal, cast

import httpx
import openai
from genai_prices import Usage as PricedUsage
from genai_prices import calc_price
from langchain_core.messages import AIMessageChunk
from langchain_openai import ChatOpenAI
from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError

Endpoint = Literal["embedded", "openai"]
_Answer = AsyncGenerator[AIMessageChunk, None]  # what `astream` is, though it says less
CONNECT_TIMEOUT_S = 5.0
READ_TIMEOUT_S = 120.0


class CatalogueError(Exception):
    """`models.toml` cannot be used: names the file, the place and what is wrong."""


class ModelUnavailable(Exception):
    """The model did not answer or broke off. `status` is its HTTP status where there was one."""

    def __init__(self, detail: str, *, status: int | None = None) -> None:
        super().__init__(detail)
        self.detail = detail
        self.status = status


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens of one call. `reasoning` is part of `output`; `estimated` when we had to count."""

    input: int = 0
    cached: int = 0
    output: int = 0
    reasoning: int = 0
    estimated: bool = False


@dataclass(frozen=True, slots=True)
class ToolPiece:
    """A piece of a tool call in a stream: the first has id and name, the rest arguments."""

    index: int
    id: str | None
    name: str | None
    arguments: str


@dataclass(frozen=True, slots=True)
class Chunk:
    """One piece of a model's answer. The last one carries `usage` and `finish_reason`."""

    text: str = ""
    tools: tuple[ToolPiece, ...] = ()
    finish_reason: str | None = None
    usage: Usage | None = None


class Model(BaseModel):
    """One `[models."id"]` table. Prices in µUSD per million tokens; unset: genai-prices'."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    upstream: str | None = None
    endpoint: Endpoint = "openai"
    context_window: int = Field(ge=512)
    max_output: int = Field(1024, ge=1)
    reasons: bool = False
    temperature: bool = True
    price_provider: str | None = None
    input_usd_micros_per_mtok: int | None = Field(None, ge=0)
    output_usd_micros_per_mtok: int | None = Field(None, ge=0)
    energy_wh_per_ktok: tuple[float, float] = (0.0, 0.0)
    note: str = ""


class Seat(BaseModel):
    """A role's model for one kind of endpoint, and how long its answers may get."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    model: str
    max_tokens: int | None = Field(None, ge=1)


ROLES = ("light", "reasoning", "agent", "light_mini", "reasoning_mini")


class Catalogue(BaseModel):
    """The whole file. `roles.embedded` is used without a key, `roles.openai` with one."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    version: str
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
        for endpoint, seats in read.roles.items():
            for role in ROLES:
                if role not in seats:
                    raise CatalogueError(f"{path}: roles.{endpoint}: role {role!r} is missing")
                if (name := seats[role].model) not in read.models:
                    raise CatalogueError(f"{path}: roles.{endpoint}.{role}: no model {name!r}")
        return read

    def seat(self, role: str, endpoint: Endpoint) -> Seat:
        return self.roles[endpoint][role]

    def listed(self, endpoint: Endpoint) -> list[str]:
        """The ids a client may pin: those that hold a role at this endpoint, in file order."""
        held = {seat.model for seat in self.roles[endpoint].values()}
        return [name for name in self.models if name in held]


def token_bound(text: str) -> int:
    """More tokens than any byte-level BPE vocabulary makes of `text`, without one at hand.

    A run of letters costs at most 0.6 tokens a letter, a digit or sign one, a CJK character two,
    anything else its UTF-8 bytes. Plain English comes out about twice too high, on purpose: a
    conversation that might not fit must not be sent.
    """
    bound = 0.0
    for c in text:
        if c.isascii():
            bound += 0.6 if c.isalpha() else (0.2 if c == " " else 1.0)
        elif "\u3000" <= c <= "\u9fff" or "\uff00" <= c <= "\uffef":
            bound += 2.0
        else:
            bound += len(c.encode("utf-8", "replace"))
    return int(bound) + 1


def conversation_bound(
    messages: Sequence[Mapping[str, Any]], tools: Sequence[Mapping[str, Any]] = ()
) -> int:
    """The same bound over messages and tools, with the chat template's own tokens (8 a message)."""
    bodies = [json.dumps(m, ensure_ascii=False, default=str) for m in (*messages, *tools)]
    return sum(token_bound(body) + 8 for body in bodies)


@dataclass(frozen=True, slots=True)
class Cost:
    """µUSD, rounded up; None when no price is known (a ceiling is then for the caller)."""

    usd_micros: int | None
    energy_wh: tuple[float, float]
    price_version: str


def cost(name: str, model: Model, usage: Usage, *, at: datetime | None = None) -> Cost:
    """What a call cost: the overlay in `models.toml` first, else the dated public price list."""
    low, high = model.energy_wh_per_ktok
    energy = (low * usage.output / 1000, high * usage.output / 1000)
    if model.input_usd_micros_per_mtok is not None:
        tokens = usage.input * model.input_usd_micros_per_mtok
        tokens += usage.output * (model.output_usd_micros_per_mtok or 0)
        return Cost(-(-tokens // 1_000_000), energy, "models.toml")
    priced = PricedUsage(
        input_tokens=usage.input, cache_read_tokens=usage.cached, output_tokens=usage.output
    )
    try:
        found = calc_price(
            priced,
            model_ref=model.upstream or name,
            provider_id=model.price_provider,
            genai_request_timestamp=at or datetime.now(UTC),
        )
    except LookupError:
        return Cost(None, energy, "unknown")
    micros = (Decimal(found.total_price) * 1_000_000).to_integral_value(ROUND_CEILING)
    return Cost(int(micros), energy, "genai-prices")


class ChatModels:
    """The `graphs.state.Models` port over one OpenAI-compatible address."""

    def __init__(self, catalogue: Catalogue, *, base_url: str, api_key: SecretStr) -> None:
        self.catalogue = catalogue
        timeout = httpx.Timeout(READ_TIMEOUT_S, connect=CONNECT_TIMEOUT_S)
        # Idle connections are not kept: a reused one that the server has just closed would fail a
        # stream that has no retry, and the embedded server does close them under load.
        limits = httpx.Limits(max_connections=200, max_keepalive_connections=0)
        self._http = httpx.AsyncClient(timeout=timeout, limits=limits, trust_env=False)
        self._base_url = base_url
        self._api_key = api_key

    async def close(self) -> None:
        await self._http.aclose()

    async def ready(self) -> dict[str, Any]:
        """What stands at the address: `{"ok", "detail"}`; the embedded one tells its progress."""
        root = self._base_url.removesuffix("/v1")
        try:
            answer = await self._http.get(root + "/health", timeout=2.0)
        except httpx.HTTPError as error:
            return {"ok": False, "detail": f"model address unreachable ({type(error).__name__})"}
        if answer.headers.get("content-type", "").startswith("application/json"):
            body = answer.json()
            if isinstance(body, dict):
                return {"ok": body.get("status", "ready") in {"ready", "ok"}, "detail": body}
        return {"ok": answer.status_code < 500, "detail": f"HTTP {answer.status_code}"}

    def _client(self, name: str, **options: Any) -> ChatOpenAI:
        model = self.catalogue.models[name]
        if not model.temperature:
            options.pop("temperature", None)
        if not model.reasons:
            options.pop("reasoning_effort", None)
        given = {key: value for key, value in options.items() if value is not None}
        return ChatOpenAI(
            model=model.upstream or name,
            base_url=self._base_url,
            api_key=self._api_key,
            http_async_client=self._http,
            max_retries=2,
            stream_usage=True,
            **given,
        )

    async def stream(
        self,
        model: str,
        messages: Sequence[Mapping[str, Any]],
        *,
        effort: str | None = None,
        tools: Sequence[Mapping[str, Any]] = (),
        tool_choice: Any = None,
        max_tokens: int | None = None,
        temperature: float | None = None,
        stop: Sequence[str] = (),
        response_format: Mapping[str, Any] | None = None,
    ) -> AsyncGenerator[Chunk, None]:
        """Raises `ModelUnavailable`. Closing the iterator closes the connection to the model."""
        client = self._client(
            model,
            reasoning_effort=effort,
            max_completion_tokens=max_tokens,
            temperature=temperature,
            stop=list(stop) or None,
            # In the body, not as an option of the client: its parsing of structured answers
            # would hold the stream back and turn a cut answer into an exception.
            extra_body={"response_format": dict(response_format)} if response_format else None,
        )
        extra: dict[str, Any] = {}
        if tools:
            extra["tools"] = [dict(tool) for tool in tools]
            if tool_choice is not None:
                extra["tool_choice"] = tool_choice
        try:
            answer = client.astream([dict(m) for m in messages], **extra)
            async with aclosing(cast(_Answer, answer)) as pieces:
                async for piece in pieces:
                    yield _chunk(piece)
        except openai.APIStatusError as error:
            raise ModelUnavailable(error.message, status=error.status_code) from error
        except (openai.APIError, httpx.HTTPError) as error:
            raise ModelUnavailable(str(error) or type(error).__name__) from error

    async def fill(
        self,
        model: str,
        messages: Sequence[Mapping[str, Any]],
        schema: Mapping[str, Any],
        *,
        max_tokens: int,
        timeout_s: float,
    ) -> tuple[dict[str, Any] | None, Usage]:
        """One JSON object by `schema`, or None when time is up or the answer is not one."""
        shape = {"type": "json_schema", "json_schema": {"name": "answer", "schema": dict(schema)}}
        text, usage = [], Usage(estimated=True)
        try:
            async with asyncio.timeout(timeout_s):
                answer = self.stream(
                    model,
                    messages,
                    max_tokens=max_tokens,
                    temperature=0.0,
                    response_format=shape,
                )
                async with aclosing(answer) as pieces:
                    async for piece in pieces:
                        text.append(piece.text)
                        usage = piece.usage or usage
        except (TimeoutError, ModelUnavailable):
            return None, usage
        try:
            filled = json.loads("".join(text))
        except json.JSONDecodeError:
            return None, usage
        return (filled if isinstance(filled, dict) else None), usage


def _chunk(piece: AIMessageChunk) -> Chunk:
    tools = tuple(
        ToolPiece(p.get("index") or 0, p.get("id"), p.get("name"), p.get("args") or "")
        for p in piece.tool_call_chunks
    )
    usage = None
    if piece.usage_metadata:
        said = piece.usage_metadata
        usage = Usage(
            input=said["input_tokens"],
            cached=said.get("input_token_details", {}).get("cache_read", 0) or 0,
            output=said["output_tokens"],
            reasoning=said.get("output_token_details", {}).get("reasoning", 0) or 0,
        )
    return Chunk(
        text=piece.text if isinstance(piece.text, str) else "",
        tools=tools,
        finish_reason=piece.response_metadata.get("finish_reason"),
        usage=usage,
    )
