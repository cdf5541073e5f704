"""`emptor up` with a tiny application: what the supervisor does, without what it serves.

Prints one JSON line with the parts when it serves; a start that fails is one line and exit 1.
"""

import asyncio
import json
import sys
from collections.abc import AsyncIterator

from fastapi import FastAPI
from fastapi.responses import StreamingResponse

from backend import settings as configuration
from backend.supervise import StartFailed, claimed, running, serve, until_stopped

app = FastAPI()


@app.get("/slow")
async def slow() -> StreamingResponse:
    """An answer that never ends, as a long chat stream would look."""

    async def words() -> AsyncIterator[str]:
        while True:
            yield "word "
            await asyncio.sleep(0.1)

    return StreamingResponse(words())


async def main() -> None:
    settings = configuration.load()
    with claimed(settings) as listener:
        port = listener.getsockname()[1]
        async with running(settings, port=port) as parts:
            said = {
                "url": f"http://127.0.0.1:{port}",
                "database": parts.database_url,
                "model": parts.model_base_url,
                "stripe": parts.stripe_base_url,
                "merchants": {name: where.url for name, where in parts.merchants.items()},
            }
            sys.stdout.write(json.dumps(said) + "\n")
            sys.stdout.flush()
            await serve(app, listener)


if __name__ == "__main__":
    try:
        until_stopped(main())
    except StartFailed as failure:
        sys.exit(str(failure))
