"""The `emptor` command. Exit 0 when the thing asked for holds; 1 with one clear line when not."""

import asyncio
import json
import logging
import os
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import structlog
import typer
from rich.console import Console
from sqlalchemy.exc import SQLAlchemyError

from backend.console import fail, load, on_database, said, with_session
from backend.router_commands import router
from backend.settings import Settings

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)
keys = typer.Typer(no_args_is_help=True, help="Keys for people, merchants and operators.")
books = typer.Typer(no_args_is_help=True, help="The double-entry ledger.")
models = typer.Typer(no_args_is_help=True, help="The model catalogue.")
app.add_typer(keys, name="keys")
app.add_typer(books, name="ledger")
app.add_typer(router, name="router")
app.add_typer(models, name="models")


def log_to_stderr(settings: Settings) -> None:
    """Logs are for machines or people, never mixed into a command's own output."""
    structured = settings.log_format == "json"
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            *([structlog.processors.format_exc_info] if structured else []),
            structlog.processors.JSONRenderer()
            if structured
            # Plain tracebacks: local variables hold keys and addresses.
            else structlog.dev.ConsoleRenderer(
                colors=sys.stderr.isatty(), exception_formatter=structlog.dev.plain_traceback
            ),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
        logger_factory=structlog.PrintLoggerFactory(file=sys.stderr),
    )


@app.command()
def up(
    api_only: Annotated[
        bool, typer.Option("--api-only", help="One more API process on the same database.")
    ] = False,
) -> None:
    """Start the product, or one more API process of it."""
    from backend.serve import StartFailed, serve

    settings = load()
    log_to_stderr(settings)
    try:
        serve(settings, console=said, api_only=api_only)
    except StartFailed as error:
        fail(str(error))


@app.command()
def worker() -> None:
    """Start a background worker only, on the same database."""
    from backend.serve import StartFailed, work

    settings = load()
    log_to_stderr(settings)
    try:
        work(settings)
    except StartFailed as error:
        fail(str(error))


@app.command()
def demo() -> None:
    """Play a casual, a complex and a commercial conversation against the running product."""
    from backend.story import play

    path = load().home / "demo.json"
    try:
        document = json.loads(path.read_text())
    except FileNotFoundError:
        fail(f"There is no {path}: start the product first, with EMPTOR_DEMO=1 and this home.")
    if not play(document["base_url"], document["keys"], fail):
        raise typer.Exit(1)


@app.command()
def route(
    source: Annotated[Path, typer.Option("-i", help="JSON lines: id, text, context.")],
    target: Annotated[Path, typer.Option("-o", help="Where the routes go, in the same order.")],
) -> None:
    """Route every line of a file. Needs no server, database or network."""
    from graphs.router.batch import route_file
    from graphs.router.policy import PolicyError
    from graphs.router.router import Router

    settings = load()
    if not source.is_file():
        fail(f"There is no file at {source}.")
    try:
        loaded = Router.load(settings.policies_file, cores=os.cpu_count() or 1)
        code = route_file(source, target, loaded)
    except PolicyError as error:
        fail(str(error))
    except OSError as error:
        fail(f"{error.filename or target}: {error.strerror or error}")
    raise typer.Exit(code)


@app.command()
def migrate() -> None:
    """Bring the database to the newest schema. Safe to repeat."""

    async def nothing_more(_: Any) -> None:
        return None

    with_session(nothing_more)
    typer.echo("The schema is up to date.")


@keys.command("create")
def create_key(
    role: Annotated[str, typer.Option(help="user, merchant or operator")],
    plan: Annotated[str, typer.Option(help="For a new person: free, plus or pro.")] = "free",
    merchant: Annotated[str | None, typer.Option(help="The merchant's id.")] = None,
    read_only: Annotated[bool, typer.Option("--read-only")] = False,
    expires: Annotated[str | None, typer.Option(help="ISO 8601, with a time zone.")] = None,
) -> None:
    """Print a new key, once. A user key makes a new person on the plan."""
    from backend import auth, merchants
    from backend.errors import NotFound
    from quotas.plans import Plans

    if role not in ("user", "merchant", "operator"):
        fail(f"--role {role}: choose user, merchant or operator.")
    if role == "merchant" and not merchant:
        fail("--role merchant needs --merchant ID.")
    if plan not in Plans.load(load().plans_file).by_name:
        fail(f"--plan {plan}: there is no such plan.")
    until = _moment(expires)

    async def create(session: Any) -> str:
        user_id = None
        if role == "user":
            person = auth.UserAccount(name="", plan=plan)
            session.add(person)
            await session.flush()
            user_id = person.id
        if role == "merchant":
            await merchants.fetch(session, merchant or "")
        return await auth.create_key(
            session,
            role=role,  # type: ignore[arg-type]
            user_id=user_id,
            merchant_id=merchant if role == "merchant" else None,
            read_only=read_only,
            expires_at=until,
        )

    try:
        typer.echo(with_session(create))
    except NotFound:
        fail(f"There is no merchant {merchant}.")


def _moment(text: str | None) -> datetime | None:
    if text is None:
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        fail(f"--expires {text}: write ISO 8601, such as 2027-01-31T00:00:00+00:00.")
    if moment.tzinfo is None:
        fail("--expires needs a time zone, such as +00:00.")
    try:
        return moment.astimezone(UTC)
    except OverflowError:
        fail(f"--expires {text}: in UTC its year must lie between 1 and 9999.")


@books.command("verify")
def verify_ledger() -> None:
    """Check sums and the hash chain; name the first row that was tampered with."""
    from backend import ledger

    found = with_session(ledger.verify)
    if not found.ok:
        first = found.problems[0]
        fail(f"The ledger does not hold: {first}")
    typer.echo(f"The ledger holds: {found.transactions} transactions, head {found.head[:16]}.")


@app.command()
def reconcile(
    days: Annotated[int, typer.Option(min=1, max=400, help="How far back.")] = 31,
) -> None:
    """Hold charges, orders and the ledger against each other; exit 1 with the first difference."""
    made = _reconciled(days)
    if made.differences:
        first = made.differences[0]
        fail(
            f"{len(made.differences)} differences. First: {first.kind} at {first.subject}, expected"
            f" {first.expected}, found {first.found} {first.currency}."
        )
    if made.unanswered:
        asked_for = made.charges + made.customers
        fail(f"The processor gave no answer to {made.unanswered} of {asked_for} questions.")
    asked = f"{made.charges} charges" if made.charges else "no charges asked for"
    typer.echo(f"All agree: {made.orders} orders, {made.bookings} bookings, {asked}.")


def _reconciled(days: int) -> Any:
    """Against the running product's processor, or the configured one; else the books alone."""
    from contextlib import AsyncExitStack

    from backend import reconciling
    from backend.database import Database
    from backend.processor import processor_at
    from backend.serve import StartFailed, database_at
    from integrations.stripe_billing import StripeBilling

    async def run(settings: Settings) -> Any:
        payments = processor_at(settings)  # before the database is ours: is a product running?
        async with AsyncExitStack() as stack:
            if payments is not None:
                stack.push_async_callback(payments.aclose)
            database = Database(await stack.enter_async_context(database_at(settings)), pool_size=2)
            stack.push_async_callback(database.dispose)
            billing = StripeBilling(payments) if payments is not None else None
            return await reconciling.reconcile(database, payments, billing, days=days)

    try:
        return asyncio.run(run(load()))
    except StartFailed as error:
        fail(str(error))
    except SQLAlchemyError as error:
        fail(f"The database did not answer: {str(error).splitlines()[0]}")


@app.command()
def report(
    name: Annotated[
        str, typer.Argument(help="revenue, funnel, quota, routing, partners or margin")
    ],
    from_: Annotated[str, typer.Option("--from", help="First day, YYYY-MM-DD, or an instant.")],
    to: Annotated[str, typer.Option("--to", help="Last day, included; an instant is not.")],
    tz: Annotated[str, typer.Option("--tz", help="IANA time zone.")] = "UTC",
    form: Annotated[str, typer.Option("--format", help="table, csv, json, parquet")] = "table",
    group_by: Annotated[str | None, typer.Option("--group-by")] = None,
    as_of: Annotated[str | None, typer.Option("--as-of", help="An instant, RFC 3339.")] = None,
) -> None:
    """Print a report from the rows that turns and purchases wrote."""
    from backend import formats, reports
    from backend.errors import AppError

    async def run(session: Any) -> reports.Report:
        return await reports.run(
            session, name, from_=from_, to=to, tz=tz, group_by=group_by, as_of=as_of
        )

    if form not in ("table", "csv", "json", "parquet"):
        fail(f"--format {form}: choose table, csv, json or parquet.")
    try:
        made = with_session(run)
    except AppError as error:
        fail(error.detail)
    if form == "csv":
        sys.stdout.write(formats.as_csv(made))
    elif form == "json":
        typer.echo(formats.as_json(made))
    elif form == "parquet":
        sys.stdout.buffer.write(formats.as_parquet(made))
    else:
        formats.show(Console(), made.name, made.rows)


@models.command("list")
def list_models() -> None:
    """The models of the file, their roles, and when those that go will go."""
    from integrations.models import Catalogue, CatalogueError

    try:
        catalogue = Catalogue.read(load().models_file)
    except CatalogueError as error:
        fail(str(error))
    going = any(model.retires for model in catalogue.models.values())
    kept = _restored() if going else frozenset()
    for name, model in catalogue.models.items():
        seats = catalogue.roles.get(model.endpoint, {}).items()
        roles = ", ".join(role for role, seat in seats if name in seat.chain)
        ends = f"retires {model.retires}"
        if name in kept:
            ends = f"restored ({ends} in the file)"
        typer.echo(f"{name}\t{roles or ends}")


def _restored() -> frozenset[str]:
    """What the rows bring back; the file is worth reading where nobody can ask them."""
    from backend import legacy
    from backend.serve import StartFailed

    try:
        return asyncio.run(on_database(load(), legacy.restored))
    except (StartFailed, SQLAlchemyError) as error:
        line = str(error).splitlines()[0]
        said.print(f"Without the models that were restored: {line}", markup=False, soft_wrap=True)
        return frozenset()


@models.command("restore")
def restore_model(model: Annotated[str, typer.Argument(help="A model that retires.")]) -> None:
    """Keep a model beyond its date; running processes follow within seconds."""
    from backend import legacy
    from backend.errors import AppError
    from integrations.models import Catalogue, CatalogueError

    async def restore(session: Any) -> None:
        await legacy.restore(session, Catalogue.read(load().models_file), model)

    try:
        with_session(restore)
    except (AppError, CatalogueError) as error:
        fail(str(error))
    typer.echo(f"{model} is back.")


def main() -> None:
    app()
