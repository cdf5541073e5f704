"""The demo's people: made once, kept while their keys work, replaced when they are gone."""

import json
from pathlib import Path
from typing import Any

from backend import auth, demo, erasure
from backend.database import Database
from backend.vault import Vault


async def _seeded(database: Database, home: Path) -> dict[str, Any]:
    await demo.seed(
        database,
        vault=Vault.at(home),
        home=home,
        base_url="http://127.0.0.1:8000",
        addresses={},
        catalogue=None,  # type: ignore[arg-type]  # no merchant is named, so none is fed
    )
    return json.loads((home / "demo.json").read_text())["keys"]


async def test_a_second_start_keeps_the_keys(database: Database, tmp_path: Path) -> None:
    first = await _seeded(database, tmp_path)
    assert await _seeded(database, tmp_path) == first


async def test_a_demo_person_who_was_erased_stays_gone_and_somebody_new_takes_the_place(
    database: Database, tmp_path: Path
) -> None:
    first = await _seeded(database, tmp_path)
    async with database.transaction() as session:
        gone = (await auth.by_key(session, first["plus"])).user_id
        await erasure.erase(session, gone)
    second = await _seeded(database, tmp_path)
    assert second["plus"] != first["plus"]
    assert second["pro"] == first["pro"]
    async with database.transaction() as session:
        principal = await auth.by_key(session, second["plus"])
        assert principal.user_id != gone
        assert (await auth.user(session, principal.user_id)).plan == "plus"
        assert (await session.get(auth.UserAccount, gone)).name == ""
    assert await _seeded(database, tmp_path) == second
