"""`emptor up` and `emptor worker`: from settings to a product that serves, and back to nothing.

Files are checked, the port and the home are taken, and only then is anything started; what fails
says one clear line and leaves nothing behind.
"""

import asyncio
import gc
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

from fastapi import FastAPI
from rich.console import Console
from rich.panel import Panel
from rich.progress import BarColumn, Progress, SpinnerColumn, TaskID, TextColumn
from sqlalchemy.exc import SQLAlchemyError

from backend import demo, migrations, supervise
from backend.parts import Parts, StartFailed, joined
from backend.reachable import check_database, check_model, model_url
from backend.settings import Settings
from graphs.router.policy import PolicyError, load_policies
from integrations.model_catalogue import Catalogue, CatalogueError
from integrations.money import Money, MoneyError
from integrations.prices import check_providers
from quotas import packs
from quotas.plans import Plans, PlansError
from quotas.usage import RESERVED_LEASE_S

Prepare = Callable[[FastAPI], Awaitable[None]]
CreateApp = Callable[..., FastAPI]  # `backend.app.create_app`
PATIENCE_S = RESERVED_LEASE_S - 30  # routing and judging come before the first model is asked

__all__ = ["StartFailed", "database_at", "serve", "work"]


def serve(settings: Settings, *, console: Console, api_only: bool) -> None:
    """Until SIGINT or SIGTERM. Raises `StartFailed`."""
    check_files(settings)
    supervise.until_stopped(_join(settings, console) if api_only else _lead(settings, console))


def work(settings: Settings) -> None:
    """A background worker only, on a running product's database."""
    check_files(settings)

    async def working() -> None:
        app = _application()(settings, await _others(settings))
        async with app.router.lifespan_context(app):
            await asyncio.Event().wait()

    supervise.until_stopped(working())


def check_files(settings: Settings) -> None:
    """Models, plans and policies, before anything is started. Raises `StartFailed`."""
    try:
        catalogue = Catalogue.read(settings.models_file, endpoint=settings.endpoint)
        _check_patience(catalogue, source=str(settings.models_file))
        check_providers(catalogue, source=str(settings.models_file))
        plans = Plans.load(settings.plans_file)
        plans.check_pins(tuple(catalogue.models), source=str(settings.plans_file))
        packs.load(plans)
        _check_prices(plans, settings)
        load_policies(settings.policies_file)
    except (CatalogueError, PlansError, PolicyError) as error:
        raise StartFailed(str(error)) from error


def _check_patience(catalogue: Catalogue, *, source: str) -> None:
    """Raises `CatalogueError` where models may be silent for longer than an allowance is held."""
    amiss = [
        f"{source}: roles.{endpoint}.{role}: {len(seat.chain)} models, each silent for "
        f"{seat.first_token_s:g} s, outlast the {PATIENCE_S} s that an allowance is held for; "
        "lower first_token_s or name fewer fallbacks"
        for endpoint, seats in catalogue.roles.items()
        for role, seat in seats.items()
        if len(seat.chain) * seat.first_token_s > PATIENCE_S
    ]
    if amiss:
        raise CatalogueError("\n".join(amiss))


def _check_prices(plans: Plans, settings: Settings) -> None:
    """Raises `PlansError` for a currency that there is not."""
    for plan in plans.by_name.values():
        try:
            Money(plan.price.amount, plan.price.currency)
        except MoneyError as error:
            line = f"{settings.plans_file}: plan.{plan.name} price.currency: {error}"
            raise PlansError(line) from error


@asynccontextmanager
async def database_at(settings: Settings) -> AsyncIterator[str]:
    """This home's database with the newest schema, for one command. Raises `StartFailed`."""
    async with supervise.database(settings) as url:
        await _migrate(url)
        yield url


async def _migrate(url: str) -> None:
    try:
        await asyncio.to_thread(migrations.upgrade, url)
    except SQLAlchemyError as error:
        line = str(error).splitlines()[0]
        raise StartFailed(f"The database cannot be brought up to date: {line}") from error


async def _lead(settings: Settings, console: Console) -> None:
    """Everything: the parts, the schema, the demo data, the application."""
    with supervise.claimed(settings) as listener, Steps(console) as steps:
        loading = asyncio.create_task(asyncio.to_thread(_application))
        port = listener.getsockname()[1]
        async with supervise.running(settings, port=port, report=steps.report) as parts:
            steps.say("application")
            create_app = await loading
            steps.say("schema")
            await _migrate(parts.database_url)
            app = create_app(settings, parts, prepare=_prepared(settings, parts, steps))
            await supervise.serve(
                app, listener, proxies=settings.trusted_proxies, break_off=breaking_off(app)
            )


def _application() -> CreateApp:
    """The application's code. Reading it takes half of a start, so the parts start beside it."""
    from backend.app import create_app  # noqa: PLC0415

    gc.freeze()  # it stays: no turn is to wait while the collector walks through all of it
    return create_app


def _prepared(settings: Settings, parts: Parts, steps: "Steps") -> Prepare:
    async def prepare(app: FastAPI) -> None:
        if settings.demo:
            steps.say("demo data")
            await demo.seed(
                app.state.database,
                vault=app.state.vault,
                home=settings.home,
                base_url=settings.url,
                addresses=parts.merchants,
                catalogue=app.state.catalogue,
            )
        gc.freeze()
        steps.done(panel(settings))

    return prepare


async def _join(settings: Settings, console: Console) -> None:
    """One more API process: it starts nothing but itself."""
    with supervise.listening(settings) as listener:
        app = _application()(settings, await _others(settings))
        console.print(f"One more API process on {_address(listener)}", highlight=False)
        await supervise.serve(app, listener, break_off=breaking_off(app))


def breaking_off(app: FastAPI) -> Callable[[], Awaitable[None]]:
    """Answers that stream when we are stopped: they are settled while there is a database."""

    async def break_off() -> None:
        from backend.chat import finish  # noqa: PLC0415 (with the application's code)

        if (chat := getattr(app.state, "chat", None)) is not None:
            await finish(chat)

    return break_off


def _address(listener: socket.socket) -> str:
    host, port = listener.getsockname()[:2]
    return f"http://{host}:{port}"


async def _others(settings: Settings) -> Parts:
    """The running product's parts, or what the settings name when they name everything."""
    named = settings.database_url is not None
    if not named or settings.embedded_model or settings.simulated_stripe:
        return joined(settings.home)
    assert settings.database_url is not None
    assert settings.stripe_api_key is not None
    await check_model(settings)
    return Parts(
        database_url=await check_database(settings.database_url),
        model_base_url=model_url(settings),
        model_api_key=settings.openai_api_key or settings.stripe_api_key,
        stripe_base_url=settings.stripe_base_url,
        stripe_api_key=settings.stripe_api_key,
        stripe_webhook_secret=settings.stripe_webhook_secret or settings.stripe_api_key,
        merchants={},
    )


class Steps:
    """What is being started, line by line, until the panel replaces it."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._quiet = not console.is_terminal  # a log wants lines, not a moving picture
        self._progress = Progress(
            SpinnerColumn(),
            TextColumn("{task.description}"),
            BarColumn(bar_width=24),
            TextColumn("{task.fields[phase]}"),
            console=console,
            transient=True,
            disable=self._quiet,
        )
        self._lines: dict[str, TaskID] = {}
        self._over = False

    def __enter__(self) -> "Steps":
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.stop()

    def report(self, step: supervise.Progress) -> None:
        """A part's own report. After the panel only the model's arrival is still told."""
        if self._over:
            if step.part == "model" and step.phase in ("ready", "no_weights"):
                self._console.print(f"· The embedded model: {_MODEL_SAID[step.phase]}")
            return
        self._line(step.part, step.phase, step.fraction)

    def say(self, step: str) -> None:
        self._line(step, "…", None)

    def _line(self, name: str, phase: str, fraction: float | None) -> None:
        if self._quiet:
            if name not in self._lines:
                self._console.print(f"· {name}", highlight=False)
                self._lines[name] = TaskID(0)
            return
        if name not in self._lines:
            self._lines[name] = self._progress.add_task(name, total=None, phase=phase)
        total = None if fraction is None else 1.0
        self._progress.update(self._lines[name], total=total, completed=fraction or 0, phase=phase)

    def done(self, panel: Panel) -> None:
        self._over = True
        self._progress.stop()
        self._console.print(panel)


_MODEL_SAID = {
    "ready": "ready.",
    "no_weights": "no weights could be had; turns are refused with the reason. See README.md.",
}


def panel(settings: Settings) -> Panel:
    """What runs, what is embedded, what is simulated, and where the demo keys are."""
    database = "embedded PostgreSQL" if settings.embedded_database else "yours"
    model = (
        "embedded Qwen2.5-Coder (warming up behind the first requests)"
        if settings.embedded_model
        else f"at {settings.openai_base_url or 'the OpenAI API'}"
    )
    stripe = "simulated Stripe: no real money moves" if settings.simulated_stripe else "Stripe"
    lines = [
        f"[bold]{settings.url}[/]",
        f"database   {database}",
        f"model      {model}",
        f"payments   {stripe}",
    ]
    if settings.demo:
        lines += [
            "merchants  simulated: a shop (ACP), tickets (UCP), bookings, an airline (hand-off)",
            f"demo keys  {settings.home / 'demo.json'}   ·   try: emptor demo",
        ]
    return Panel("\n".join(lines), title="Emptor is up", expand=False, title_align="left")
