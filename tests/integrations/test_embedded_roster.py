"""Which model answers for which name, and what the shim says while there is none."""

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import pytest

from integrations.embedded.llama import free_port
from integrations.embedded.process import Command, start
from integrations.embedded.weights import MINI
from integrations.tls import roots
from tests.weights import eventually, fetched


@asynccontextmanager
async def shim(home: Path, *arguments: str) -> AsyncIterator[httpx.AsyncClient]:
    """The real process with a cache of its own; yields a client for it once it answers."""
    port = free_port()
    words = ("--home", str(home), "--port", str(port), "--leash", "--sources", "", *arguments)
    command = Command((sys.executable, "-m", "integrations.embedded", *words))
    process = await start(command, log=home / "shim.log")
    async with httpx.AsyncClient(
        verify=roots(), base_url=f"http://127.0.0.1:{port}", trust_env=False, timeout=60
    ) as client:

        async def answers() -> bool:
            assert process.running, process.last_words()
            try:
                return (await client.get("/health")).is_success
            except httpx.HTTPError:
                return False

        try:
            await eventually(answers, within_s=60)
            yield client
        finally:
            await process.stop()


async def settled(client: httpx.AsyncClient) -> dict:
    async def no_longer_loading() -> bool:
        return (await client.get("/health")).json()["status"] != "loading"

    await eventually(no_longer_loading, within_s=60)
    return (await client.get("/health")).json()


async def ask(client: httpx.AsyncClient, model: str) -> httpx.Response:
    messages = [{"role": "user", "content": "Say hi."}]
    body = {"model": model, "messages": messages, "max_tokens": 8}
    return await client.post("/v1/chat/completions", json=body)


async def test_without_weights_the_shim_lives_and_says_why(tmp_path: Path):
    async with shim(tmp_path, "--shared-cache", str(tmp_path / "none")) as client:
        health = await settled(client)
        assert health["status"] == "no_weights"
        assert "1.5B" in health["reason"]
        assert "0.5B" in health["reason"]
        async with asyncio.timeout(20):
            answer = await ask(client, "emptor-local")
    assert answer.status_code == 503
    error = answer.json()["error"]
    assert error["code"] == "no_weights"
    assert "EMPTOR_LOCAL_MODEL" in error["message"]
    assert int(answer.headers["retry-after"]) > 0


async def test_a_named_file_with_a_wrong_hash_is_never_loaded(tmp_path: Path):
    forged = tmp_path / "model.gguf"
    forged.write_bytes(b"GGUF but not ours")
    arguments = ("--local-model", str(forged), "--shared-cache", str(tmp_path / "none"))
    async with shim(tmp_path, *arguments) as client:
        health = await settled(client)
    assert health["status"] == "no_weights"
    assert "not an official weights file" in health["reason"]
    assert all(model["state"] == "missing" for model in health["models"])


@pytest.mark.weights
@pytest.mark.timeout(300)
async def test_a_model_that_is_missing_is_answered_by_the_other_one_openly(tmp_path: Path):
    only_mini = (await fetched())[MINI.alias]
    arguments = ("--local-model", str(only_mini), "--shared-cache", str(tmp_path / "none"))
    async with shim(tmp_path, *arguments) as client:
        health = await settled(client)
        assert health["status"] == "ready"
        main, mini = health["models"]
        assert (main["state"], main["answered_by"]) == ("missing", "emptor-local-mini")
        assert mini["answered_by"] == "emptor-local-mini"
        answer = (await ask(client, "emptor-local")).json()
    assert answer["model"] == "emptor-local-mini"
    assert answer["choices"][0]["message"]["content"]
