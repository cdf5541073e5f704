"""The one client path to every model: `ChatOpenAI`.

The embedded model, a cloud and a server of one's own differ in the base URL alone. A model that
fails before its first token is answered for by the next in its chain; after the first token a
failure is the answer's end, as nobody can tell which half a second model would continue.
"""

import asyncio
import json
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import aclosing
from pathlib import Path
from typing import Any, cast

import httpx
import openai
from langchain_core.messages import AIMessage, AIMessageChunk, InvalidToolCall
from langchain_openai import ChatOpenAI
from pydantic import SecretStr

from integrations.chunk import Chunk, ToolPiece
from integrations.health import Health
from integrations.model_catalogue import (
    ROLES,
    Capability,
    Catalogue,
    CatalogueError,
    Endpoint,
    Model,
    Seat,
    needs,
)
from integrations.prices import Cost, cost
from integrations.tls import roots
from integrations.usage import Usage

__all__ = [
    "ROLES",
    "Capability",
    "Catalogue",
    "CatalogueError",
    "ChatModels",
    "Chunk",
    "Cost",
    "Endpoint",
    "Model",
    "ModelUnavailable",
    "Seat",
    "ToolPiece",
    "Usage",
    "cost",
    "needs",
]
_Answer = AsyncGenerator[AIMessageChunk, None]  # what `astream` is, though it says less
CONNECT_TIMEOUT_S = 5.0
READ_TIMEOUT_S = 120.0
# What the client raises for an answer that is none. It checks shapes as it goes and names no error
# of its own for a wrong one.
_UNREADABLE = (ValueError, TypeError, KeyError, AttributeError)
_PASSING = frozenset({401, 403, 404, 408, 409, 425, 429})  # a key, a name, a queue: its own


class ModelUnavailable(Exception):
    """The model did not answer or broke off. `status` is its HTTP status where there was one, and
    `retry_after_s` what a busy one asked for. `detail` may be the provider's own words, in which
    some repeat the key; `told` is what others than the operator may read."""

    def __init__(
        self,
        detail: str,
        *,
        told: str | None = None,
        status: int | None = None,
        retry_after_s: int | None = None,
    ) -> None:
        super().__init__(detail)
        self.detail = detail
        self.told = told or detail
        self.status = status
        self.retry_after_s = retry_after_s

    @property
    def passing(self) -> bool:
        """Another model may do better. A request that is itself wrong is wrong everywhere."""
        return self.status is None or self.status in _PASSING or self.status >= 500


class ChatModels:
    """The `graphs.state.Models` port over one OpenAI-compatible address."""

    def __init__(self, catalogue: Catalogue, *, base_url: str, api_key: SecretStr) -> None:
        self.catalogue = catalogue
        timeout = httpx.Timeout(READ_TIMEOUT_S, connect=CONNECT_TIMEOUT_S)
        # Idle connections are not kept: a reused one that the server has just closed would fail a
        # stream that has no retry, and the embedded server does close them under load.
        limits = httpx.Limits(max_connections=200, max_keepalive_connections=0)
        self._http = httpx.AsyncClient(
            timeout=timeout, limits=limits, verify=roots(), trust_env=False
        )
        self.health = Health()
        self._home = (base_url, api_key)
        self._providers = {
            name: (provider.base_url, _key(provider.api_key_file))
            for name, provider in catalogue.providers.items()
        }

    async def close(self) -> None:
        await self._http.aclose()

    async def ready(self) -> dict[str, Any]:
        """What stands at the address: `{"ok", "detail"}`; the embedded one tells its progress."""
        root = self._home[0].removesuffix("/v1")
        try:
            answer = await self._http.get(root + "/health", timeout=2.0)
        except httpx.HTTPError as error:
            return {"ok": False, "detail": f"model address unreachable ({type(error).__name__})"}
        if answer.headers.get("content-type", "").startswith("application/json"):
            body = answer.json()
            if isinstance(body, dict):
                return {"ok": body.get("status", "ready") in {"ready", "ok"}, "detail": body}
        return {"ok": answer.status_code < 500, "detail": f"HTTP {answer.status_code}"}

    def _client(self, name: str, *, retries: int, **options: Any) -> ChatOpenAI:
        model = self.catalogue.models[name]
        if not model.temperature:
            options.pop("temperature", None)
        if not model.reasons:
            options.pop("reasoning_effort", None)
        given = {key: value for key, value in options.items() if value is not None}
        where = self._providers[model.provider] if model.provider else self._home
        return ChatOpenAI(
            model=model.upstream or name,
            base_url=where[0],
            api_key=where[1],
            http_async_client=self._http,
            max_retries=retries,
            stream_usage=True,
            **given,
        )

    async def stream(
        self,
        model: str,
        messages: Sequence[Mapping[str, Any]],
        *,
        fallbacks: Sequence[str] = (),
        first_token_s: float = READ_TIMEOUT_S,
        effort: str | None = None,
        tools: Sequence[Mapping[str, Any]] = (),
        tool_choice: Any = None,
        max_tokens: int | None = None,
        temperature: float | None = None,
        stop: Sequence[str] = (),
        response_format: Mapping[str, Any] | None = None,
    ) -> AsyncGenerator[Chunk, None]:
        """Raises `ModelUnavailable`. Closing the iterator closes the connection to the model.

        `fallbacks` are asked in turn when the one before is silent for `first_token_s`, fails
        before it has said anything, or is known to be down; the first piece names who answers.
        """
        options = {
            "reasoning_effort": effort,
            "max_completion_tokens": max_tokens,
            "temperature": temperature,
            "stop": list(stop) or None,
            # In the body, not as an option of the client: its parsing of structured answers
            # would hold the stream back and turn a cut answer into an exception.
            "extra_body": {"response_format": dict(response_format)} if response_format else None,
        }
        extra: dict[str, Any] = {"tools": [dict(tool) for tool in tools]} if tools else {}
        if tools and tool_choice is not None:
            extra["tool_choice"] = tool_choice
        chain = (model, *fallbacks)
        self.health.asked()
        for place, name in enumerate(chain):
            last = place == len(chain) - 1
            if not last and not self.health.open_to(name):
                continue
            try:
                client = self._client(name, retries=2 if len(chain) == 1 else 0, **options)
                answer = self._begun(name, client, messages, extra, first_token_s)
                async with aclosing(answer) as pieces:
                    async for piece in pieces:
                        last = True  # something was said: no other model goes on from here
                        yield piece
            except ModelUnavailable as error:
                if last or not error.passing or not self.health.may_retry():
                    raise
            else:
                return

    async def _begun(
        self,
        name: str,
        client: ChatOpenAI,
        messages: Sequence[Mapping[str, Any]],
        extra: Mapping[str, Any],
        first_token_s: float,
    ) -> AsyncGenerator[Chunk, None]:
        """One model's answer, named on its first piece; its health is noted as it ends."""
        ended: str | None = None
        try:
            answer = client.astream([_sent(m) for m in messages], **extra)
            async with aclosing(cast(_Answer, answer)) as pieces:
                async with asyncio.timeout(first_token_s):
                    first = await _first_that_says(pieces, name)
                self.health.worked(name)
                chunk, ended = _chunk(first, name), _end_of(first)
                yield chunk
                async for piece in pieces:
                    chunk, ended = _chunk(piece), _end_of(piece) or ended
                    yield chunk
            if ended is None:  # a stream that just stops was cut, however politely
                self.health.failed(name, "broke off")
                raise ModelUnavailable(f"{name} broke off before its answer was whole")
        except TimeoutError as error:
            self.health.failed(name, "no first token in time")
            raise ModelUnavailable(f"{name} said nothing for {first_token_s:g} s") from error
        except openai.APIStatusError as error:
            wait = error.response.headers.get("retry-after", "")
            refused = ModelUnavailable(
                error.message,
                told=f"it answered with status {error.status_code}",
                status=error.status_code,
                retry_after_s=int(wait) if wait.isdecimal() else None,
            )
            if refused.passing:
                self.health.failed(name, f"HTTP {error.status_code}")
            raise refused from error
        except (openai.APIError, httpx.HTTPError) as error:
            self.health.failed(name, type(error).__name__)
            detail = str(error) or type(error).__name__
            raise ModelUnavailable(detail, told="the connection to it failed") from error
        except _UNREADABLE as error:  # a page of HTML, half a line of JSON, numbers that are none
            if ended is not None:  # all was said, and only what it used cannot be read
                return
            self.health.failed(name, "unreadable answer")
            raise ModelUnavailable(f"{name} answered what cannot be read") from error

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


def _sent(message: Mapping[str, Any]) -> dict[str, Any] | AIMessage:
    """As the client takes it. A call whose arguments are no JSON object goes back to the model as
    it wrote it: small models cut them short, and only they can mend it."""
    calls = message.get("tool_calls") or ()
    if all(_is_object(call["function"]["arguments"]) for call in calls):
        return dict(message)
    return AIMessage(
        content=message.get("content") or "",
        invalid_tool_calls=[
            InvalidToolCall(
                type="invalid_tool_call",
                id=call["id"],
                name=call["function"]["name"],
                args=call["function"]["arguments"],
                error=None,
            )
            for call in calls
        ],
    )


def _is_object(arguments: str) -> bool:
    try:
        return isinstance(json.loads(arguments), dict)
    except (ValueError, RecursionError):
        return False


async def _first_that_says(pieces: _Answer, name: str) -> AIMessageChunk:
    """Providers open with an empty piece before the model has done anything: that is no token."""
    async for piece in pieces:
        if piece.text or piece.tool_call_chunks or _end_of(piece):
            return piece
    raise ModelUnavailable(f"{name} ended without an answer")


def _key(path: Path | None) -> SecretStr:
    """A provider's key from its file; one without a file (a server of one's own) needs none."""
    return SecretStr(path.read_text().strip() if path else "none")


def _end_of(piece: AIMessageChunk) -> str | None:
    ended: str | None = piece.response_metadata.get("finish_reason")
    return ended


def _chunk(piece: AIMessageChunk, model: str | None = None) -> Chunk:
    tools = tuple(
        ToolPiece(p.get("index") or 0, p.get("id"), p.get("name"), p.get("args") or "")
        for p in piece.tool_call_chunks
    )
    usage = None
    if piece.usage_metadata:
        said = piece.usage_metadata
        usage = Usage.said(
            input=said["input_tokens"],
            cached=said.get("input_token_details", {}).get("cache_read", 0) or 0,
            output=said["output_tokens"],
            reasoning=said.get("output_token_details", {}).get("reasoning", 0) or 0,
        )
    return Chunk(
        text=piece.text if isinstance(piece.text, str) else "",
        model=model,
        tools=tools,
        finish_reason=_end_of(piece),
        usage=usage,
    )
