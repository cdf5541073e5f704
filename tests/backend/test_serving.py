"""How we listen: whose word on who a request is from is taken, and what a models file may ask."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import httpx
import pytest
from fastapi import FastAPI, Request

from backend import supervise
from backend.parts import StartFailed
from backend.serve import check_files
from backend.settings import ROOT, Settings

CLAIM = {"X-Forwarded-For": "203.0.113.7"}


@asynccontextmanager
async def served(proxies: str) -> AsyncIterator[str]:
    app = FastAPI()

    @app.get("/who")
    async def who(request: Request) -> str:
        return request.client.host if request.client else ""

    listener = socket.create_server(("127.0.0.1", 0))
    serving = asyncio.create_task(supervise.serve(app, listener, proxies=proxies))
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        serving.cancel()
        with suppress(asyncio.CancelledError):
            await serving


@pytest.mark.parametrize(
    ("proxies", "seen"),
    [("", "127.0.0.1"), ("127.0.0.1", "203.0.113.7"), ("192.0.2.1", "127.0.0.1")],
)
async def test_a_header_says_who_asks_only_where_its_proxy_is_trusted(proxies: str, seen: str):
    async with served(proxies) as url, httpx.AsyncClient(trust_env=False) as http:
        assert (await http.get(f"{url}/who", headers=CLAIM)).json() == seen


def test_models_that_may_be_silent_for_longer_than_an_allowance_is_held_are_refused(tmp_path: Path):
    shipped = (ROOT / "integrations" / "models.toml").read_text()
    patient = tmp_path / "models.toml"
    patient.write_text(shipped.replace("first_token_s = 90", "first_token_s = 140"))
    with pytest.raises(StartFailed, match=r"openai.reasoning: 2 models, each silent for 140 s"):
        check_files(Settings(models_file=patient))
    check_files(Settings())
