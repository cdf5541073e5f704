"""What every command shares: one clear line and exit 1, the settings, a session on the database."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, NoReturn

import typer
from rich.console import Console
from sqlalchemy.exc import SQLAlchemyError

from backend import settings as configuration
from backend.settings import Settings, SettingsError

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


def with_session(act: Callable[[Any], Awaitable[Any]]) -> Any:
    """Runs `act(session)` on this home's database, started for it when it is not running."""
    # What only some commands need is imported here: `emptor route` starts no server.
    from backend.database import Database
    from backend.serve import StartFailed, database_at

    async def run(settings: Settings) -> Any:
        async with database_at(settings) as url:
            database = Database(url, pool_size=2)
            try:
                async with database.transaction() as session:
                    return await act(session)
            finally:
                await database.dispose()

    try:
        return asyncio.run(run(load()))
    except StartFailed as error:
        fail(str(error))
    except SQLAlchemyError as error:
        fail(f"The database did not answer: {str(error).splitlines()[0]}")
