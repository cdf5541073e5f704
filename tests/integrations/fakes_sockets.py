"""Loopback servers that answer as told, byte by byte, and count what they received."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager

Play = Callable[[bytes, asyncio.StreamWriter], Awaitable[None]]


class Sink:
    """One listener. `received` holds every byte of every connection."""

    def __init__(self, play: Play) -> None:
        self.received = bytearray()
        self.connections = 0
        self.port = 0
        self._play = play

    async def handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            head = await reader.readuntil(b"\r\n\r\n")
            self.received += head
            await self._play(head, writer)
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()


@asynccontextmanager
async def sink(play: Play, tls: ssl.SSLContext | None = None) -> AsyncIterator[Sink]:
    served = Sink(play)
    server = await asyncio.start_server(served.handle, "127.0.0.1", 0, ssl=tls)
    served.port = server.sockets[0].getsockname()[1]
    try:
        yield served
    finally:
        server.close()


def answer(
    body: bytes = b"{}",
    *,
    status: str = "200 OK",
    kind: str = "application/json",
    more: str = "",
) -> Play:
    async def play(_head: bytes, writer: asyncio.StreamWriter) -> None:
        head = f"HTTP/1.1 {status}\r\ncontent-type: {kind}\r\ncontent-length: {len(body)}\r\n{more}"
        writer.write(head.encode() + b"\r\n" + body)
        await writer.drain()

    return play


class Rebinding:
    """A resolver whose answer changes with each question, as a rebinding attacker's would."""

    def __init__(self, *answers: Sequence[str]) -> None:
        self._answers = list(answers)
        self.questions = 0

    async def __call__(self, _host: str, _port: int) -> Sequence[str]:
        self.questions += 1
        return self._answers[min(self.questions, len(self._answers)) - 1]
