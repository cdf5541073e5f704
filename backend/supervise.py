"""Starts and stops everything that `emptor up` embeds: database, model, simulated partners.

The application itself runs in this very process, so the tree is one level deep: whoever kills us
kills the only parent, and every child hangs on a leash. Parts start side by side, are restarted
with back-off when they crash, and stop before the database does.
"""

import asyncio
import os
import secrets
import signal
import socket
from collections.abc import (
    AsyncIterator,
    Awaitable,
    Callable,
    Coroutine,
    Iterator,
    Mapping,
    Sequence,
)
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager, nullcontext, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import structlog
import uvicorn
from pydantic import SecretStr
from starlette.types import ASGIApp

from backend.parts import PARTS_FILE, Address, Parts, StartFailed, joined, write
from backend.reachable import check_database, check_model, model_url
from backend.settings import Settings, inherited
from integrations.embedded import postgres
from integrations.embedded.homelock import HomeTaken, sole, taken
from integrations.embedded.llama import free_port
from integrations.embedded.process import Command, Process, keep, start
from integrations.embedded.weights import Store, WrongHash
from integrations.listener import listen
from integrations.tls import roots

log = structlog.get_logger()
READY_S = 45.0
POLL_S = 0.05
PROGRESS_S = 0.5
# Together under the ten seconds that a stop may take: requests, then parts, then the database.
REQUESTS_GRACE_S = 2
PARTS_GRACE_S = 2.5
DATABASE_GRACE_S = 4.0


@dataclass(frozen=True, slots=True)
class Progress:
    """What a long step is doing: `part` is `database`, `model`, `stripe` or a merchant's id."""

    part: str
    phase: str
    fraction: float | None = None


Report = Callable[[Progress], None]


@dataclass(frozen=True, slots=True)
class Part:
    """One program to run: its module, its own arguments, and the path that says it is up."""

    name: str
    module: str
    arguments: tuple[str, ...]
    health: str


# The demo's merchants: id → module. Each takes --port, --home, --key, --webhook-url and --leash.
DEMO_MERCHANTS = {
    "mer_demo_shop": "integrations.simulators.shop",
    "mer_demo_tables": "integrations.simulators.tables",
    "mer_demo_hotel": "integrations.simulators.hotel",
    "mer_demo_tickets": "integrations.simulators.tickets",
    "mer_demo_flights": "integrations.simulators.flights",
}


_STRIPE, _ORDERS = "/webhooks/stripe", "/agentic_checkout/webhooks/order_events"


def programs(settings: Settings, *, webhook_url: str, webhook_secret: str, key: str) -> list[Part]:
    """What to run besides the database, by the settings."""
    home, parts = settings.home, []
    if settings.embedded_model:
        local = ("--local-model", str(settings.local_model)) if settings.local_model else ()
        where = ("--home", str(home), *local)
        parts.append(Part("model", "integrations.embedded", where, "/health"))
    if settings.simulated_stripe:
        hooks = ("--webhook-url", webhook_url, "--webhook-secret", webhook_secret)
        where = ("--home", str(home / "stripe"), *hooks)
        parts.append(Part("stripe", "integrations.simulators.stripe", where, "/healthz"))
    if settings.demo:
        for merchant, module in DEMO_MERCHANTS.items():
            told = ("--webhook-url", f"{webhook_url.removesuffix(_STRIPE)}{_ORDERS}")
            known = ("--home", str(home / merchant), "--key", key, *told)
            parts.append(Part(merchant, module, known, "/healthz"))
    return parts


@contextmanager
def listening(settings: Settings) -> Iterator[socket.socket]:
    """The product's own socket, taken before anything starts. Raises `StartFailed`."""
    try:
        opened = listen(settings.host, settings.port, backlog=512)
    except OSError as error:
        raise StartFailed(
            f"Port {settings.port} on {settings.host} cannot be used: "
            f"{os.strerror(error.errno or 0)}. "
            "Stop the program that has it, or set EMPTOR_PORT."
        ) from error
    with opened:
        yield opened


@contextmanager
def claimed(settings: Settings) -> Iterator[socket.socket]:
    """The home and the port are ours, before anything starts. Raises `StartFailed`."""
    with _sole(settings.home), listening(settings) as opened:
        yield opened


@asynccontextmanager
async def running(
    settings: Settings, *, port: int, report: Report = lambda _: None
) -> AsyncIterator[Parts]:
    """Everything embedded, up and answering; the model may still be loading behind it.

    The home must be `claimed`; `port` is where the application listens (for webhooks). Raises
    `StartFailed`, and then nothing is left running.
    """
    await _check(settings)
    # Hex: a key that began with a dash would be read as an option by the merchants' commands.
    secret, key = f"whsec_{secrets.token_urlsafe(24)}", secrets.token_hex(24)
    hook = f"http://127.0.0.1:{port}/webhooks/stripe"
    wanted = programs(settings, webhook_url=hook, webhook_secret=secret, key=key)
    async with AsyncExitStack() as stack:
        kept: list[list[asyncio.Task[None]]] = [[], []]  # the database, which stops last; the rest
        for tasks in kept:
            stack.push_async_callback(_stop_all, tasks)
        database_url, urls = await _started(settings, wanted, kept, report)
        if "model" in urls:
            watching = asyncio.create_task(_watch_model(urls["model"], report), name="watch model")
            kept[1].append(watching)
        parts = _addresses(settings, database_url, urls, webhook_secret=secret, key=key)
        path = settings.home / PARTS_FILE
        write(path, parts)
        stack.callback(path.unlink, missing_ok=True)
        yield parts


async def _started(
    settings: Settings,
    wanted: Sequence[Part],
    kept: Sequence[list[asyncio.Task[None]]],
    report: Report,
) -> tuple[str, dict[str, str]]:
    """The database's URL and every part's, all started side by side."""
    try:
        async with asyncio.TaskGroup() as group:
            base = group.create_task(_database(settings, kept[0], report))
            rest = {
                part.name: group.create_task(_part(part, settings.home, kept[1], report))
                for part in wanted
            }
    except ExceptionGroup as failures:
        raise failures.exceptions[0] from failures
    return base.result(), {name: task.result() for name, task in rest.items()}


def _addresses(
    settings: Settings, database_url: str, urls: Mapping[str, str], *, webhook_secret: str, key: str
) -> Parts:
    own_secret = settings.stripe_webhook_secret or SecretStr("")
    return Parts(
        database_url=database_url,
        model_base_url=f"{urls['model']}/v1" if "model" in urls else model_url(settings),
        model_api_key=settings.openai_api_key or SecretStr("none"),
        stripe_base_url=urls.get("stripe", settings.stripe_base_url),
        stripe_api_key=settings.stripe_api_key or SecretStr("sk_test_simulated"),
        stripe_webhook_secret=SecretStr(webhook_secret) if "stripe" in urls else own_secret,
        merchants={name: Address(urls[name], key) for name in DEMO_MERCHANTS if name in urls},
    )


async def _part(part: Part, home: Path, kept: list[asyncio.Task[None]], report: Report) -> str:
    """Starts one program on a free port and gives its URL once it answers.

    The task that keeps it running goes into `kept` before anything can fail.
    """
    report(Progress(part.name, "start"))
    port, log_file = free_port(), home / "logs" / f"{part.name}.log"
    command = Command.module(part.module, "--port", str(port), "--leash", *part.arguments)

    async def again() -> Process:
        return await start(command.within(inherited()), log=log_file)

    process = await again()
    kept.append(
        asyncio.create_task(
            keep(process, again, crashed=_crashed(part.name), grace_s=PARTS_GRACE_S),
            name=f"keep {part.name}",
        )
    )
    url = f"http://127.0.0.1:{port}"
    await _answers(url + part.health, process, part.name)
    report(Progress(part.name, "ready", 1.0))
    return url


async def _answers(url: str, process: Process, name: str) -> None:
    loop = asyncio.get_running_loop()
    until = loop.time() + READY_S
    async with httpx.AsyncClient(verify=roots(), trust_env=False, timeout=2) as client:
        while loop.time() < until:
            if not process.running:
                raise StartFailed(f"The part '{name}' did not start: {process.last_words()}")
            with suppress(httpx.HTTPError):
                if (await client.get(url)).status_code < 500:
                    return
            await asyncio.sleep(POLL_S)
    raise StartFailed(f"The part '{name}' does not answer: {process.last_words()}")


def _crashed(name: str) -> Callable[[Process, int], None]:
    def crashed(process: Process, code: int) -> None:
        log.warning("part_crashed", part=name, exit=code, last_words=process.last_words())

    return crashed


async def _stop_all(tasks: list[asyncio.Task[None]]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


async def _watch_model(url: str, report: Report) -> None:
    """Passes on how far the model is, until it is ready or cannot be."""
    async with httpx.AsyncClient(verify=roots(), trust_env=False, timeout=5) as client:
        while True:
            with suppress(httpx.HTTPError):
                said = (await client.get(f"{url}/health")).json()
                phase = said["status"] if said["status"] != "loading" else said["phase"]
                report(Progress("model", phase, said["progress"]))
                if said["status"] == "ready":
                    return
            await asyncio.sleep(PROGRESS_S)


@contextmanager
def _sole(home: Path) -> Iterator[None]:
    try:
        with sole(home):
            yield
    except HomeTaken as error:
        raise StartFailed(str(error)) from error
    except PermissionError as error:
        raise StartFailed(
            f"{home} cannot be written. Set EMPTOR_HOME to a folder of yours."
        ) from error


async def _check(settings: Settings) -> None:
    """What was configured must be usable before anything starts. Raises `StartFailed`."""
    if settings.embedded_model and settings.local_model is not None:
        try:
            await Store(settings.home).identify(settings.local_model)
        except (WrongHash, OSError) as error:
            raise StartFailed(f"EMPTOR_LOCAL_MODEL: {error}") from error
    if not settings.embedded_model:
        await check_model(settings)


async def _database(settings: Settings, kept: list[asyncio.Task[None]], report: Report) -> str:
    """The configured database, or the embedded one started; its keeper goes into `kept`."""
    if settings.database_url is not None:
        return await check_database(settings.database_url)
    report(Progress("database", "start"))
    try:
        log_file = settings.home / "logs" / "postgres.log"
        place = await asyncio.to_thread(postgres.prepared, settings.home, log=log_file)
        first = await postgres.run(place)
    except postgres.PostgresFailed as error:
        raise StartFailed(f"The embedded database: {error}") from error

    async def again() -> Process:
        return await start(place.command(), log=place.log)

    kept.append(
        asyncio.create_task(
            keep(first, again, crashed=_crashed("database"), grace_s=DATABASE_GRACE_S),
            name="keep database",
        )
    )
    report(Progress("database", "ready", 1.0))
    return place.url


@asynccontextmanager
async def database(settings: Settings) -> AsyncIterator[str]:
    """A database for one command: the configured one, the running product's, or ours for now."""
    if settings.database_url is not None:
        yield await check_database(settings.database_url)
    elif taken(settings.home):
        yield joined(settings.home).database_url
    else:
        with _sole(settings.home):
            kept: list[asyncio.Task[None]] = []
            try:
                yield await _database(settings, kept, lambda _: None)
            finally:
                await _stop_all(kept)


async def serve(
    app: ASGIApp,
    listener: socket.socket,
    *,
    proxies: str = "",
    break_off: Callable[[], Awaitable[None]] | None = None,
) -> None:
    """Serves until cancelled, then lets running requests end within `REQUESTS_GRACE_S`.

    `break_off` first ends in good order what may run for longer than that, such as answers that
    stream; it has an end of its own.

    `proxies`: the addresses, by commas, whose word on who a request is from is taken. Without any
    nobody's is: limits by address would otherwise be a header's to lift.
    """
    config = uvicorn.Config(
        app,
        log_level="warning",
        access_log=False,
        server_header=False,
        proxy_headers=bool(proxies),
        forwarded_allow_ips=proxies or None,
        timeout_graceful_shutdown=REQUESTS_GRACE_S if break_off is None else None,
    )
    server = uvicorn.Server(config)
    server.capture_signals = nullcontext  # type: ignore[method-assign,assignment]
    serving = asyncio.create_task(server.serve(sockets=[listener]), name="serve")
    try:
        await asyncio.shield(serving)
    except asyncio.CancelledError:
        server.should_exit = True
        if break_off is not None:
            await break_off()
            await _let_end(server, serving)
        await serving
        raise
    if not server.started:
        raise StartFailed("The application did not start: see the lines above.")


async def _let_end(server: uvicorn.Server, serving: "asyncio.Task[None]") -> None:
    """uvicorn's own limit would count from the signal on, and cut what is still being settled."""
    _, late = await asyncio.wait({serving}, timeout=REQUESTS_GRACE_S)
    for request in list(server.server_state.tasks) if late else ():
        request.cancel()
    _, late = await asyncio.wait({serving}, timeout=REQUESTS_GRACE_S)
    server.force_exit = bool(late)


def until_stopped(work: Coroutine[Any, Any, None]) -> None:
    """Runs `work` to its end, or until SIGINT or SIGTERM cancels it and it has cleaned up."""

    async def main() -> None:
        loop, task = asyncio.get_running_loop(), asyncio.ensure_future(work)
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, task.cancel)
        with suppress(asyncio.CancelledError):
            await task

    asyncio.run(main())
