"""From feedback to a served version: train, register, compare, roll out; on a small ground."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError

from backend import comparing, lessons, versions
from backend.comparing import Ground
from backend.database import Database
from backend.errors import Conflict
from backend.rollout import Serving, loader
from backend.versions import RouterVersion
from graphs.router.classifier import WEIGHTS
from graphs.router.policy import SHIPPED
from graphs.router.rules_only import RulesOnly
from graphs.router.train import train
from graphs.state import Ask
from tests.backend.test_lessons import decided
from tests.graphs.fakes_router import DEV, ToyEncoder

ENOUGH = 340
FAMILIES = {"sgd", "clinc150", "uncommonroute", "gsm8k"}


@dataclass(frozen=True)
class School:
    """A few labelled turns of every family, a little corpus, an encoder that is quick."""

    database: Database
    home: Path
    ground: Ground

    async def learn(self) -> str:
        """What `emptor router train` does."""
        async with self.database.transaction() as session:
            taught = await lessons.taught(session)
        train(
            self.ground.data,
            self.home,
            self.ground.encoder,
            learnt=taught.examples,
            corpus=self.ground.corpus,
        )
        async with self.database.transaction() as session:
            return await versions.register(
                session,
                weights=(self.home / "router.npz").read_bytes(),
                policies=SHIPPED.read_text("utf-8"),
                source="trained",
                learnt=len(taught.examples),
                learnt_until=taught.until,
            )

    async def compare(self, version: str) -> dict[str, Any]:
        """What `emptor router evaluate --version` does."""
        async with self.database.transaction() as session:
            material = await comparing.gather(session, version)
        found = comparing.compare(material, self.ground, self.home)
        async with self.database.transaction() as session:
            await comparing.keep(session, version, found)
        return found

    async def answered(self, turns: int) -> None:
        """Turns that nobody minded, decided as any healthy router decides them."""
        for number in range(turns):
            asked = f"Good morning to you, number {number}!"
            await decided(self.database, f"t{number}", user=f"usr_{number}", text=asked)

    async def served_by_the_same_weights(self) -> None:
        """On so small a ground no version is better than the shipped one: an equal serves."""
        async with self.database.transaction() as session:
            equal = await versions.register(
                session,
                weights=(self.home / "router.npz").read_bytes(),
                policies=SHIPPED.read_text("utf-8") + "\n# as before\n",
                source="installed",
            )
            await versions.roll_out(session, equal, "100")


@pytest.fixture
async def school(database: Database, tmp_path: Path) -> School:
    data = tmp_path / "turns.jsonl"
    of_families = (
        line
        for line in DEV.read_text("utf-8").splitlines(keepends=True)
        if json.loads(line)["family"] in FAMILIES
    )
    data.write_text("".join(list(of_families)[::15]), "utf-8")
    async with database.transaction() as session:
        await versions.install(session, WEIGHTS.read_bytes(), SHIPPED.read_text("utf-8"))
    return School(database, tmp_path / "router", Ground(data, ToyEncoder(), corpus=()))


async def test_what_people_taught_becomes_a_version_that_only_a_comparison_lets_serve(
    school: School,
):
    await school.answered(40)
    await decided(school.database, "taught", preferred="complex", text="Sum these invoices up")
    version = await school.learn()
    async with school.database.transaction() as session:
        row = await versions.version(session, version)
        assert (row.source, row.learnt) == ("trained", 1)
        with pytest.raises(Conflict, match="never compared"):
            await versions.roll_out(session, version, "1")
    found = await school.compare(version)
    assert found["folds"]["learnt"] == 1
    assert "effective turns of 300" in found["failed"][-1]  # too few to speak for it
    async with school.database.transaction() as session:
        with pytest.raises(Conflict, match="effective turns of 300"):
            await versions.roll_out(session, version, "1")
        assert (await versions.roll_out(session, version, "shadow")).stage == "shadow"


async def test_a_version_that_passes_its_comparison_serves(school: School):
    await school.answered(ENOUGH)
    version = await school.learn()
    await school.served_by_the_same_weights()
    found = await school.compare(version)
    assert found["failed"] == []
    assert found["traffic"]["effective"] >= 300
    async with school.database.transaction() as session:
        await versions.roll_out(session, version, "100")
    load = loader(school.home, ToyEncoder())
    serving = Serving(school.database, load, installed={"other": RulesOnly()})
    await serving.refresh()
    assert serving.pick("usr_1").route(Ask("Good morning!")).policy_version == version
    serving.close()


async def test_a_version_never_changes(school: School):
    first = await school.learn()
    again = await school.learn()
    assert first == again  # the same turns, the same weights: the same version
    async with school.database.transaction() as session:
        kept = (await session.get(RouterVersion, first)).weights
        with pytest.raises(IntegrityError, match="only grow"):
            await session.execute(text("UPDATE router_version SET weights = 'x'"))
    assert kept == (school.home / "router.npz").read_bytes()
