"""The application: `create_app` builds every adapter once and mounts the surfaces and the pages."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager
from functools import partial
from typing import Any
from urllib.parse import urlsplit

import structlog
from fastapi import FastAPI
from limits.aio.strategies import FixedWindowRateLimiter
from sqlalchemy.exc import SQLAlchemyError
from starlette.middleware.body_limit import RequestBodyLimitMiddleware
from starlette.middleware.gzip import GZipMiddleware
from starlette.types import ASGIApp, Message, Receive, Scope, Send

import quotas.usage as allowances
from backend import feeds, jobs, legacy, offers, reranking, subscriptions, tripwires, wallet
from backend.api import (
    agui,
    cards,
    checkouts,
    flights,
    grants,
    guests,
    health,
    mandates,
    media,
    merchant_orders,
    merchants,
    operators,
    pages,
    problems,
    routing,
    search,
    sessions,
    spending,
    threads,
    ucp,
    webhooks,
)
from backend.api import openai as openai_surface
from backend.api import (
    plans as plans_surface,
)
from backend.auth import UserAccount
from backend.catalogue import Catalogue as Shelves
from backend.chat import finish, stay
from backend.database import Database
from backend.desk import PersonDesk
from backend.hits import Hits
from backend.live_shelf import LiveShelf
from backend.parts import Parts
from backend.policies import PoliciesFile
from backend.rollout import Load, Serving, loader
from backend.seats import Seats
from backend.settings import ROOT, Settings
from backend.signing import signing_key
from backend.subscriptions import Counter
from backend.threads import give_up
from backend.till import Till
from backend.turn import Chat
from backend.vault import Vault
from backend.wallet import Wallet
from backend.wiring import Ports, clients, searchers
from graphs.assistant import build
from graphs.router.judge import Judge
from graphs.router.router import Router
from integrations.egress import guarded_client
from integrations.models import Catalogue, ChatModels
from integrations.stripe_billing import StripeBilling
from integrations.stripe_cards import StripeCards
from integrations.stripe_delegation import delegate
from integrations.stripe_payments import StripePayments
from integrations.ucp import Platform
from integrations.ucp_profile import WELL_KNOWN, Directory
from quotas import packs
from quotas.clerk import Clerk
from quotas.plans import Plans

log = structlog.get_logger()
BODY_BYTES_MAX = 1024 * 1024
DIST = ROOT / "frontend-static" / "dist"

SURFACES = (
    health,
    openai_surface,
    agui,
    media,
    merchant_orders,
    search,
    sessions,
    guests,
    threads,
    plans_surface,
    cards,
    checkouts,
    flights,
    mandates,
    merchants,
    operators,
    grants,
    routing,
    spending,
    ucp,
    webhooks,
)

Prepare = Callable[[FastAPI], Awaitable[None]]


def create_app(
    settings: Settings,
    parts: Parts,
    *,
    prepare: Prepare | None = None,
    router: Router | None = None,
    load_version: Load | None = None,
) -> FastAPI:
    """`prepare` runs when every adapter stands and before the first request is taken. `router` is
    this installation's where it is loaded already, `load_version` makes one of a version's row.

    Raises `CatalogueError`, `PlansError` or `PoliciesError` for a file that cannot be used."""
    catalogue = Catalogue.read(settings.models_file, endpoint=settings.endpoint)
    plans = Plans.load(settings.plans_file)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        async with contextlib.AsyncExitStack() as stack:
            await _build(app, settings, parts, (catalogue, plans, router, load_version), stack)
            if prepare is not None:
                await prepare(app)
            yield

    app = FastAPI(
        title="Emptor",
        version="0.1.0",
        summary="An assistant that pays for itself: routing, allowances, commerce, books.",
        lifespan=lifespan,
        responses=dict(problems.RESPONSES),
    )
    app.state.settings = settings
    problems.install(app)
    for surface in SURFACES:
        app.include_router(surface.router)
    # Streams are small pieces that must leave at once: only the page and its assets are squeezed.
    app.add_middleware(PageHeaders, origin=settings.url)
    app.add_middleware(RequestBodyLimitMiddleware, max_body_size=BODY_BYTES_MAX)
    app.add_middleware(problems.PlainlyTooLarge)
    app.add_middleware(problems.ReadableAddress)
    app.add_middleware(problems.RequestIds)
    if DIST.is_dir():
        pages.install(app, DIST)
        app.frontend("/", directory=DIST, fallback="index.html")
    return app


async def _build(
    app: FastAPI,
    settings: Settings,
    parts: Parts,
    given: tuple[Catalogue, Plans, Router | None, Load | None],
    stack: contextlib.AsyncExitStack,
) -> None:
    """Every adapter, once. What is opened here is closed in reverse order."""
    state, (catalogue, plans, ready, load) = app.state, given
    state.database = Database(parts.database_url)
    stack.push_async_callback(state.database.dispose)
    hits = Hits(state.database.transaction)
    state.limiter = FixedWindowRateLimiter(hits)
    state.vault = Vault.at(settings.home)
    router = (
        await asyncio.to_thread(Router.load, settings.policies_file) if ready is None else ready
    )
    state.models = ChatModels(catalogue, base_url=parts.model_base_url, api_key=parts.model_api_key)
    stack.push_async_callback(state.models.close)
    _build_commerce(state, settings, parts, router, stack)
    state.policies = PoliciesFile(settings.policies_file, state.database)
    state.routers = await _routers(state.database, settings, router, load, state.policies, stack)
    state.chat = Chat(
        database=state.database,
        graph=build(),
        routers=state.routers,
        models=state.models,
        seats=Seats(catalogue, settings.endpoint),
        plans=plans,
        shelf=state.shelf,
        desk=_desks(state.till),
        watch=_watch(state.database, state.routers),
        clerk=Clerk(state.database.transaction, state.database.line),
        judge=_judge(catalogue, state.models, embedded=settings.embedded_model),
    )
    stack.push_async_callback(finish, state.chat)
    _build_counter(state, settings, plans)
    state.chat.seats.restored = await _restored(state.database)
    queue = _queue(state, hits)
    for task in (jobs.worker(queue), stay(state.chat), *_followed(state)):
        stack.push_async_callback(_stop, asyncio.create_task(task))


def _build_counter(state: Any, settings: Settings, plans: Plans) -> None:
    """Where plans, packs and cards are sold."""
    state.counter = Counter(
        database=state.database,
        billing=StripeBilling(state.payments),
        plans=plans,
        packs=packs.load(plans),
        url=settings.url,
    )
    state.wallet = Wallet(
        state.database, state.counter.billing, StripeCards(state.payments), settings.url
    )


def _followed(state: Any) -> tuple[Coroutine[Any, Any, None], ...]:
    """What other processes, operators and editors change while we run."""
    routers = state.routers
    return routers.follow(), state.policies.follow(routers), _watch_restored(state)


async def _routers(
    database: Database,
    settings: Settings,
    router: Router,
    load: Load | None,
    file: PoliciesFile,
    stack: contextlib.AsyncExitStack,
) -> Serving:
    """The installed version registered, and whatever the newest rollout names loaded."""
    serving = Serving(
        database,
        load or loader(settings.home / "router", router),
        installed={await file.hold(): router},
    )
    await serving.refresh()
    stack.callback(serving.close)
    return serving


def _watch(database: Database, routers: Serving) -> jobs.Sweep:
    """One look at the tripwires; this process follows a rollback at once, the others shortly."""

    async def watch() -> None:
        if await tripwires.watch(database) is not None:
            await routers.refresh()

    return watch


async def _restored(database: Database) -> frozenset[str]:
    async with database.transaction() as session:
        return await legacy.restored(session)


async def _watch_restored(state: Any) -> None:
    """What an operator restored through another process or the command line."""
    while True:
        await asyncio.sleep(legacy.REFRESH_S)
        try:
            state.chat.seats.restored = await _restored(state.database)
        except (SQLAlchemyError, OSError) as error:
            log.warning("restored_models_unread", detail=type(error).__name__)


def _judge(catalogue: Catalogue, models: ChatModels, *, embedded: bool) -> Judge:
    """The light model judges. Our own may still be loading: then nobody waits for it."""
    seat = catalogue.roles["embedded" if embedded else "openai"]["light"]
    return Judge(seat.model, ready=models.ready if embedded else None)


def _build_commerce(
    state: Any, settings: Settings, parts: Parts, router: Router, stack: contextlib.AsyncExitStack
) -> None:
    """Payments, merchants' clients, the catalogue and the till."""
    state.reachable = _reachable(settings, parts)
    http = guarded_client(state.reachable)
    stack.push_async_callback(http.aclose)
    state.pictures = guarded_client(state.reachable, content_types=None)
    stack.push_async_callback(state.pictures.aclose)
    state.payments = StripePayments(
        parts.stripe_api_key.get_secret_value(),
        parts.stripe_webhook_secret.get_secret_value(),
        base_url=parts.stripe_base_url,
        # A bank that must ask its card holder sends them back to the checkout's own page.
        return_url=f"{settings.url}/checkout/{{purchase_id}}",
    )
    stack.push_async_callback(state.payments.aclose)
    key = signing_key(settings.home, state.vault)
    state.ucp = Platform(settings.url + WELL_KNOWN, key, Directory(http))
    client = clients(state.vault, http, state.ucp)
    state.catalogue = Shelves(
        state.database, router.encode, searchers(client), pictures=f"{settings.url}/media"
    )
    state.shelf = LiveShelf(state.catalogue, client)
    ports = Ports(state.database, state.catalogue, client, state.vault)
    state.till = ports.till(
        state.payments, public_url=settings.url, delegate=partial(delegate, state.payments)
    )


def _reachable(settings: Settings, parts: Parts) -> frozenset[str]:
    """Private addresses that merchant calls may reach: those allowed, and our own demo's."""
    demo = (urlsplit(where.url).netloc for where in parts.merchants.values())
    return settings.egress_hosts | frozenset(demo)


def _desks(of: Till) -> Any:
    def desk(user: UserAccount, thread_id: str | None) -> PersonDesk:
        return PersonDesk(of, user.id, thread_id)

    return desk


def _queue(state: Any, hits: Hits) -> Any:
    """The jobs of this process: purchases to drive on, and what runs out or is due at night."""
    return jobs.build(
        state.till,
        sweeps=[
            _sweeps(state.database),
            partial(subscriptions.sweep, state.counter),
            partial(wallet.sweep, state.wallet),
            hits.sweep,
        ],
        subscriber=partial(subscriptions.sync, state.counter),
        cards=partial(wallet.refresh, state.wallet),
        billing=state.counter.billing,
        watch=state.chat.watch,
        rerank=partial(reranking.nightly, state.catalogue),
    )


def _sweeps(database: Database) -> jobs.Sweep:
    """What runs out outside the till: allowance holds, live offers, feeds cut half-way."""

    async def sweep() -> None:
        for end in (allowances.sweep, give_up, offers.sweep, feeds.sweep):
            async with database.transaction() as session:
                await end(session)

    return sweep


async def _stop(task: "asyncio.Task[None]") -> None:
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task


_PAGE_HEADERS = (
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"same-origin"),
    (b"x-frame-options", b"DENY"),
)
_POLICY = (
    "default-src 'self'; img-src 'self' data: {origin}; style-src 'self'; script-src 'self'; "
    "connect-src 'self'; object-src 'none'; base-uri 'none'; frame-ancestors 'none'; "
    "form-action 'self'"
)
_NOT_PAGES = (
    *("/v1", "/agui", "/api", "/docs", "/media", "/operator/v1", "/merchant/v1"),
    *("/.well-known", "/ucp"),
)


class PageHeaders:
    """Security headers on the pages; `/docs` loads its own viewer and is left alone."""

    def __init__(self, app: ASGIApp, origin: str) -> None:
        self.app = app
        self.squeezed = GZipMiddleware(app, minimum_size=1024)
        policy = _POLICY.format(origin=origin).encode()
        self.headers = (*_PAGE_HEADERS, (b"content-security-policy", policy))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        path = scope.get("path", "")
        if scope["type"] != "http" or path.startswith(_NOT_PAGES):
            await self.app(scope, receive, send)
            return

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = [*message.get("headers", []), *self.headers]
                if path.startswith("/assets/"):
                    headers.append((b"cache-control", b"public, max-age=31536000, immutable"))
                message["headers"] = headers
            await send(message)

        await self.squeezed(scope, receive, send_with_headers)
