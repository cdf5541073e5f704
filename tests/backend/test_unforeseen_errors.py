"""An error that nobody foresaw: answered, counted and logged once, with the request's id."""

from collections.abc import AsyncIterator

import httpx
import pytest
from fastapi import FastAPI
from fastapi.responses import StreamingResponse
from prometheus_client import REGISTRY
from structlog.contextvars import merge_contextvars
from structlog.testing import capture_logs

from backend.api import problems
from integrations.tls import roots
from tests.servers import serving


@pytest.fixture(scope="module")
async def http() -> AsyncIterator[httpx.AsyncClient]:
    app = FastAPI()
    problems.install(app)
    app.add_middleware(problems.RequestIds)

    @app.get("/api/broken")
    @app.get("/v1/broken")
    async def broken() -> None:
        raise ZeroDivisionError("a bug")

    @app.get("/api/cut")
    async def cut() -> StreamingResponse:
        async def some():
            yield "half an ans"
            raise ZeroDivisionError("a bug")

        return StreamingResponse(some())

    async with (
        serving(app) as url,
        httpx.AsyncClient(verify=roots(), base_url=url, trust_env=False) as client,
    ):
        yield client


def counted(surface: str) -> float:
    labels = {"surface": surface, "status": "5xx"}
    return REGISTRY.get_sample_value("emptor_http_answers_total", labels) or 0


async def test_a_mistake_of_ours_is_a_problem_with_the_id_that_the_log_has(http):
    before = counted("/api")
    with capture_logs([merge_contextvars]) as logs:
        answer = await http.get("/api/broken")
    assert answer.status_code == 500
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["code"] == "internal_error"
    (line,) = logs
    assert (line["event"], line["path"]) == ("unexpected_error", "/api/broken")
    assert answer.headers["x-request-id"] == line["request_id"]
    assert counted("/api") == before + 1


async def test_an_openai_client_reads_it_in_its_own_shape(http):
    with capture_logs() as logs:
        answer = await http.get("/v1/broken")
    assert answer.status_code == 500
    assert answer.json()["error"]["type"] == "server_error"
    assert answer.headers["x-request-id"].startswith("req_")
    assert len(logs) == 1


async def test_an_answer_that_breaks_off_is_cut_and_never_looks_whole(http):
    with capture_logs() as logs, pytest.raises(httpx.RemoteProtocolError):
        await http.get("/api/cut")
    assert [line["event"] for line in logs] == ["unexpected_error"]
