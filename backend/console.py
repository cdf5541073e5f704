"""What every command shares: one clear line and exit 1, the settings, a session on the database."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, NoReturn, TypeVar

import typer
from rich.console import Console
from sqlalchemy.exc import SQLAlchemyError

from backend import settings as configuration
from backend.settings import Settings, SettingsError

T = TypeVar("T")
said = Console(stderr=True, highlight=False)


def fail(line: str) -> NoReturn:
    """One clear line, exit 1."""
    said.print(line, style="bold red", markup=False, soft_wrap=True)
    raise typer.Exit(1)


def load() -> Settings:
    try:
        return configuration.load()
    except SettingsError as error:
        fail(str(error))


async def on_database(settings: Settings, act: Callable[[Any], Awaitable[T]]) -> T:
    """`act(session)` on this home's database, started for it when it is not running. Raises
    `StartFailed` where there is none, and what the database says."""
    # What only some commands need is imported here: `emptor route` starts no server.
    from backend.database import Database
    from backend.serve import database_at

    async with database_at(settings) as url:
        database = Database(url, pool_size=2)
        try:
            async with database.transaction() as session:
                return await act(session)
        finally:
            await database.dispose()


def with_session(act: Callable[[Any], Awaitable[Any]]) -> Any:
    """What `act(session)` gives; without a database, one clear line and exit 1."""
    from backend.serve import StartFailed

    try:
        return asyncio.run(on_database(load(), act))
    except StartFailed as error:
        fail(str(error))
    except SQLAlchemyError as error:
        fail(f"The database did not answer: {str(error).splitlines()[0]}")
