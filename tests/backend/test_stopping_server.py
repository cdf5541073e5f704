"""How a server stops while it answers: first what has an end of its own, then whatever is left."""

import asyncio
import socket
from collections.abc import AsyncIterator

import httpx
import pytest
from fastapi import FastAPI
from fastapi.responses import StreamingResponse

from backend import supervise
from integrations.tls import roots


class Words:
    """An application that says a word every few milliseconds, until it is told that it is over."""

    def __init__(self) -> None:
        self.said = 0
        self.over = False
        self.app = FastAPI()
        self.app.get("/")(self.say)

    async def say(self) -> StreamingResponse:
        return StreamingResponse(self.words(), media_type="text/plain")

    async def words(self) -> AsyncIterator[str]:
        while not self.over:
            self.said += 1
            yield "word "
            await asyncio.sleep(0.02)
        yield "the end"

    async def broken_off(self, *, after: int, ends: bool) -> None:
        """Takes as long as it takes to say so many words more."""
        until = self.said + after
        while self.said < until:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
        self.over = ends


async def heard(words: Words, *, ends: bool) -> str:
    """All that a reader gets of an answer whose server is stopped at its third word."""
    listener = socket.create_server(("127.0.0.1", 0))
    host, port = listener.getsockname()[:2]
    serving = asyncio.create_task(
        supervise.serve(
            words.app, listener, break_off=lambda: words.broken_off(after=25, ends=ends)
        )
    )
    got = ""
    try:
        async with (
            httpx.AsyncClient(verify=roots(), timeout=30) as http,
            http.stream("GET", f"http://{host}:{port}/") as answer,
        ):
            async for piece in answer.aiter_text():
                got += piece
                if got.count("word") >= 3 and not serving.cancelling():
                    serving.cancel()
    finally:
        await asyncio.wait([serving], timeout=60)
        assert serving.cancelled()
    return got


@pytest.fixture(autouse=True)
def _in_haste(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(supervise, "REQUESTS_GRACE_S", 0.2)


async def test_what_is_broken_off_in_good_order_is_never_cut_by_the_limit_of_requests():
    assert (await heard(Words(), ends=True)).endswith("the end")


async def test_a_request_without_an_end_is_cut_once_the_others_are_over():
    words = Words()
    with pytest.raises(httpx.RemoteProtocolError):
        await heard(words, ends=False)
    assert words.said >= 25
