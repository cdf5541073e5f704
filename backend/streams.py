"""A response that is sent piece by piece, and knows whether all of it was."""

from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing
from typing import cast

from fastapi.responses import StreamingResponse
from starlette.types import Receive, Scope, Send


class Streamed(StreamingResponse):
    """Its generator is closed with it. Of a reader who leaves between two pieces it would hear only
    when the garbage is collected, and the model would go on until then.

    `whole` is set by its generator when it has told all there is, and nothing went wrong: only then
    may the answer be given again. `ended` is called however it ended, even before its first piece.
    """

    whole = False
    ended: Callable[[], Awaitable[None]] | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            async with aclosing(cast(AsyncGenerator[str, None], self.body_iterator)):
                await super().__call__(scope, receive, send)
        finally:
            if self.ended is not None:
                await self.ended()
