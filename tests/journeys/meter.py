"""A client's connection that reads along: every quota object in every answer must be sound.

What the person is told has to agree with itself and with what the gate did: what is left is cap
less used less held, a change of rung names a bucket that had too little for the turn, and nothing
that is refused had room.
"""

import json
from collections.abc import AsyncIterator, Iterator
from typing import Any

import httpx


class Watched(httpx.AsyncHTTPTransport):
    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        answer = await super().handle_async_request(request)
        assert isinstance(answer.stream, httpx.AsyncByteStream)
        answer.stream = _Read(answer.stream, answer.status_code)
        return answer


class _Read(httpx.AsyncByteStream):
    def __init__(self, stream: httpx.AsyncByteStream, status: int) -> None:
        self._stream, self._status, self._seen = stream, status, bytearray()

    async def __aiter__(self) -> AsyncIterator[bytes]:
        async for piece in self._stream:
            self._seen += piece
            yield piece
        for quota in quotas_in(bytes(self._seen)):
            sound(quota, self._status)

    async def aclose(self) -> None:
        await self._stream.aclose()


def quotas_in(body: bytes) -> Iterator[dict[str, Any]]:
    """In one JSON document, or in each event of a stream."""
    for line in [body, *body.splitlines()]:
        try:
            found = json.loads(line.removeprefix(b"data:"))
        except ValueError:
            continue
        yield from _within(found)
        if line is body:
            return


def _within(value: Any) -> Iterator[dict[str, Any]]:
    if isinstance(value, dict):
        if {"plan", "buckets", "charged", "binding"} <= value.keys():
            yield value
        for inner in value.values():
            yield from _within(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _within(inner)


def sound(quota: dict[str, Any], status: int = 200) -> None:
    """Raises `AssertionError` for a meter that contradicts itself or the gate."""
    buckets = {b["name"]: b for b in quota["buckets"]}
    for one in buckets.values():
        assert one["remaining"] == max(0, one["cap"] - one["used"] - one["held"]), one
        assert min(one["used"], one["held"]) >= 0, one
        if one["remaining"] and one["unit"] == "turns":
            assert one["next_free_at"] is None, one
    reason, binding = quota["downgrade_reason"], quota["binding"]
    if reason and reason.startswith("allowance_used"):
        assert binding in buckets, quota
        if buckets[binding]["unit"] == "turns":
            assert buckets[binding]["remaining"] < 1, quota
        assert quota["served_role"] != quota["requested_role"], quota
    if status == 429:
        assert binding in buckets, quota
        assert quota["charged"] == {}, quota
    assert set(quota["charged"]) <= set(buckets), quota
