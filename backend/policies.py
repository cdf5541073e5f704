"""The operator's policies file: it holds at the start, and within seconds of an edit.

Policies are data, so an edit is no deployment: the weights that serve go on serving, beside the new
policies, as a version of their own. A file with a mistake changes nothing until it is mended.
"""

import asyncio
from pathlib import Path
from typing import Final

import structlog
from sqlalchemy.exc import SQLAlchemyError

from backend import versions
from backend.database import Database
from backend.rollout import Serving
from graphs.router.classifier import WEIGHTS
from graphs.router.policy import PolicyError, load_policies

log = structlog.get_logger()
LOOK_S: Final = 1.0


class PoliciesFile:
    """One file, followed by every process of the product."""

    def __init__(self, path: Path, database: Database) -> None:
        self._path, self._database = path, database
        self._seen: tuple[int, int] | None = None

    async def hold(self) -> str:
        """Let what the file says hold; returns the version that this installation's files make.

        Raises `PolicyError` for a file that cannot be used.
        """
        self._seen = self._stamp()
        policies = await asyncio.to_thread(self._checked)
        weights = await asyncio.to_thread(WEIGHTS.read_bytes)
        async with self._database.transaction() as session:
            return await versions.install(session, weights, policies)

    async def follow(self, routers: Serving) -> None:
        """Keeps looking until cancelled."""
        while True:
            await asyncio.sleep(LOOK_S)
            if self._stamp() == self._seen:
                continue
            try:
                await self.hold()
                await routers.refresh()
                log.info("policies_taken", file=str(self._path))
            except PolicyError as mistake:
                log.error("policies_not_taken", detail=str(mistake))  # noqa: TRY400
            except (SQLAlchemyError, OSError) as error:
                self._seen = None  # tried again at the next look
                log.warning("policies_unread", detail=type(error).__name__)

    def _checked(self) -> str:
        load_policies(self._path)
        return self._path.read_text("utf-8")

    def _stamp(self) -> tuple[int, int] | None:
        try:
            found = self._path.stat()
        except OSError:
            return None
        return found.st_mtime_ns, found.st_size
