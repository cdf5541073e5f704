"""A change of routing from outside: shadow, canary, tripwires, kill switch, bad versions."""

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
from pydantic import SecretStr
from sqlalchemy import text

from backend import auth
from backend.app import create_app
from backend.auth import UserAccount
from backend.parts import Parts
from backend.settings import Settings
from integrations.tls import roots
from tests.databases import fresh_database
from tests.fakes_model import FakeModel
from tests.graphs.fakes_router import loaded_router
from tests.journeys.fakes_versions import (
    Spoil,
    Workshop,
    all_commercial,
    as_it_is,
    broken,
    differs_a_little,
    doubts,
    hanging,
    slower_by,
    smallest_for,
)
from tests.servers import eventually, free_port, serving

pytestmark = pytest.mark.timeout(900)  # hundreds of real turns: a busy machine takes its time
CASUAL = ("Good morning, how are you {}?", "What is the capital of country number {}?")
HARD = "Prove that the sum of the first {} odd numbers is a square, step by step."


@dataclass(frozen=True)
class Routed:
    """The application with a workshop of versions, forty paid people, and an operator."""

    url: str
    app: Any
    workshop: Workshop
    model: FakeModel
    people: list[str]
    operator: str
    reader: str
    http: httpx.AsyncClient

    def client(self, key: str) -> httpx.AsyncClient:
        return httpx.AsyncClient(
            verify=roots(),
            base_url=self.url,
            headers={"authorization": f"Bearer {key}"},
            timeout=60,
            trust_env=False,
        )

    async def operate(self, path: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
        """Ask the operator's surface; every process has followed when this returns."""
        async with self.client(self.operator) as http:
            address = f"/operator/v1/router/{path}"
            answer = await (http.get(address) if body is None else http.post(address, json=body))
        assert answer.status_code == 200, answer.text
        await self.app.state.routers.refresh()
        return answer.json()

    async def begin(self, name: str, by: Spoil, stage: str) -> str:
        version = await self.workshop.version(self.app.state.database, name, by)
        await self.operate("rollout", {"version": version, "stage": stage})
        return version

    async def say(self, number: int) -> dict[str, Any]:
        words = HARD if number % 5 < 2 else CASUAL[number % 2]
        body = {
            "model": "auto",
            "messages": [{"role": "user", "content": words.format(number + 10)}],
        }
        key = self.people[number % len(self.people)]
        answer = await self.http.post(
            "/v1/chat/completions", json=body, headers={"authorization": f"Bearer {key}"}
        )
        assert answer.status_code == 200, answer.text
        return answer.json()

    async def turns_until_rolled_back(self, most: int) -> int:
        """Talks, a few people at once, until the rollout is over. Returns the turns it took."""
        for start in range(0, most, 10):
            await asyncio.gather(*(self.say(n) for n in range(start, start + 10)))
            await self.settled()
            if self.app.state.routers.plan.candidate is None:
                return start + 10
        return most + 1

    async def settled(self) -> None:
        """The look that every fiftieth turn starts runs beside the turns: until none runs."""
        watching = [t for t in asyncio.all_tasks() if "_watched" in repr(t.get_coro())]
        await asyncio.gather(*watching)

    async def one(self, query: str, **bound: str) -> Any:
        async with self.app.state.database.transaction() as session:
            return (await session.execute(text(query), bound)).scalar_one_or_none()


@pytest.fixture
async def routed(postgres: str, template: str, tmp_path: Path) -> AsyncIterator[Routed]:
    workshop, model, port = Workshop(loaded_router()), FakeModel(), free_port()
    settings = Settings(home=tmp_path, port=port, openai_base_url="http://127.0.0.1:9", demo=False)
    with fresh_database(postgres, template) as database_url:
        async with serving(model.app()) as model_url:
            parts = Parts(
                database_url=database_url,
                model_base_url=f"{model_url}/v1",
                model_api_key=SecretStr("sk-test"),
                stripe_api_key=SecretStr("sk_test_rollout"),
                stripe_webhook_secret=SecretStr("whsec_rollout"),
                stripe_base_url="http://127.0.0.1:9",
                merchants={},
            )
            app = create_app(settings, parts, router=loaded_router(), load_version=workshop)
            async with serving(app, port=port) as url:
                people, operator, reader = await _people(app)
                async with httpx.AsyncClient(
                    verify=roots(), base_url=url, timeout=60, trust_env=False
                ) as http:
                    yield Routed(url, app, workshop, model, people, operator, reader, http)


async def _people(app: Any) -> tuple[list[str], str, str]:
    async with app.state.database.transaction() as session:
        keys = []
        for number in range(40):
            person = UserAccount(id=f"usr_{number}", plan="pro" if number % 2 else "plus")
            session.add(person)
            await session.flush()
            keys.append(await auth.create_key(session, role="user", user_id=person.id))
        operator = await auth.create_key(session, role="operator")
        return keys, operator, await auth.create_key(session, role="operator", read_only=True)


async def test_the_installed_version_serves_everyone_until_something_is_rolled_out(routed):
    status = await routed.operate("status")
    listed = (await routed.operate("versions"))["data"]
    assert [v["version"] for v in listed] == [status["serving"]]
    assert (listed[0]["source"], listed[0]["stage"]) == ("installed", "100")
    assert (status["rules_only"], status["candidate"]) == (False, None)
    assert (await routed.say(1))["route"]["policy_version"] == status["serving"]


async def test_a_shadow_decides_without_serving_and_disagreement_is_logged(routed):
    before = (await routed.operate("status"))["serving"]
    version = await routed.begin("commercial", all_commercial, "shadow")
    answer = await routed.say(2)
    assert (answer["route"]["kind"], answer["route"]["policy_version"]) == ("casual", before)
    logged = await routed.one(
        "SELECT version || ' ' || kind || ' ' || other_version || ' ' || other_kind"
        " FROM router_decision"
    )
    assert logged == f"{before} casual {version} commercial"


async def test_a_canary_serves_its_share_of_people_and_always_the_same(routed):
    version = await routed.begin("same", as_it_is, "25")

    async def chosen(people: range) -> list[bool]:
        answers = [await routed.say(n) for n in people]
        return [a["route"]["policy_version"] == version for a in answers]

    first = await chosen(range(40))
    assert 2 <= sum(first) <= 20
    some = range(first.index(True) + 1)
    assert await chosen(some) == first[: len(some)]
    await routed.operate("rollout", {"version": version, "stage": "100"})
    assert all(await chosen(range(4)))


async def test_the_propensity_of_a_choice_that_the_lot_made_is_its_share(routed):
    version = await routed.begin("commercial", all_commercial, "25")
    seen: list[bool] = []
    while not (True in seen and False in seen):  # few: a tripwire looks at ten of a candidate
        answer = await routed.say(len(seen))
        seen.append(answer["route"]["policy_version"] == version)
        assert len(seen) < 60
    by_arm = await routed.one(
        "SELECT json_object_agg(arm, shares)::text FROM (SELECT arm,"
        " array_agg(DISTINCT propensity) AS shares FROM router_decision GROUP BY arm) s"
    )
    assert json.loads(by_arm) == {"base": [0.75], "candidate": [0.25]}


@pytest.mark.parametrize(
    ("name", "by", "stage", "wire"),
    [
        ("smallest", smallest_for(0.37), "100", "paid_tier_share"),
        ("smallest-canary", smallest_for(0.37), "5", "paid_tier_share"),
        ("commercial", all_commercial, "100", "commercial_share"),
        # On a busy machine it is beyond its time as well, which is a failure.
        ("slow", slower_by(50), "100", "p99_latency failures"),
        ("broken", broken, "100", "failures"),
        ("doubting", doubts, "5", "judge_share"),
    ],
)
async def test_a_bad_version_is_rolled_back_within_a_hundred_turns(routed, name, by, stage, wire):
    before = (await routed.operate("status"))["serving"]
    version = await routed.begin(name, by, stage)
    assert await routed.turns_until_rolled_back(100) <= 100
    status = await routed.operate("status")
    assert (status["serving"], status["candidate"]) == (before, None)
    assert status["changed_by"] == "tripwire"
    assert any(one in status["reason"] for one in wire.split())
    async with routed.client(routed.operator) as http:
        incidents = (await http.get("/operator/v1/incidents")).json()["data"]
    assert [i["kind"] for i in incidents] == ["router_rolled_back"]
    assert version in incidents[0]["detail"]
    assert (await routed.say(3))["route"]["policy_version"] == before


async def test_a_healthy_version_stays(routed):
    version = await routed.begin("healthy", differs_a_little, "100")
    assert await routed.turns_until_rolled_back(100) == 101  # longer ones: test_tripwires.py
    status = await routed.operate("status")
    assert (status["serving"], status["stage"]) == (version, "100")
    assert {r["name"] for r in status["tripwires"] if r["tripped"]} == set()
    assert {r["turns"] for r in status["tripwires"] if r["name"] == "paid_tier_share"} == {100}


async def test_complaints_about_offers_nobody_asked_for_roll_a_version_back(routed):
    await routed.begin("same", as_it_is, "100")
    for number in range(20):
        await routed.say(number)
    async with routed.app.state.database.transaction() as session:
        await session.execute(text("UPDATE router_decision SET kind = 'commercial'"))
        await session.execute(text("UPDATE turn SET wrong_route = true, preferred = 'casual'"))
    await routed.app.state.chat.watch()
    assert "false_commercial" in (await routed.operate("status"))["reason"]


async def test_a_judges_verdict_stands_in_the_log_and_a_mere_doubt_as_one(routed):
    def verdict(body: dict[str, Any]) -> str:
        return json.dumps({"kind": "complex"}) if "response_format" in body else "Well."

    routed.model.reply = verdict
    await routed.begin("doubting", doubts, "100")
    answer = await routed.say(2)
    assert (answer["route"]["kind"], answer["route"]["cause"]) == ("complex", "judge")
    logged = "SELECT kind || ' ' || role || ' ' || cause || ' ' || other_kind FROM router_decision"
    assert await routed.one(logged) == "complex reasoning judge casual"
    await routed.operate("rollback", {})
    await routed.begin("doubting too", doubts, "shadow")
    await routed.say(4)
    shadow = "SELECT cause || ' ' || other_cause FROM router_decision WHERE number = 2"
    assert await routed.one(shadow) == "classifier unsure"


async def test_a_broken_version_is_never_an_error_to_the_person(routed):
    before = (await routed.operate("status"))["serving"]
    version = await routed.begin("broken", broken, "100")
    assert (await routed.say(1))["route"]["policy_version"] == before
    assert await routed.one("SELECT failed->>0 FROM router_decision") == version
    await routed.operate("rollback", {})
    slow = await routed.begin("hangs", hanging(3), "100")
    assert (await routed.say(2))["route"]["policy_version"] == before
    assert await routed.one("SELECT max(failed->>0) FROM router_decision WHERE number = 2") == slow


async def test_when_every_version_fails_the_rules_still_answer(routed):
    first = await routed.begin("broken", broken, "100")
    await routed.begin("broken too", broken, "100")
    assert routed.app.state.routers.plan.base == first
    answer = await routed.say(0)
    assert answer["route"]["policy_version"] == "rules-only"
    assert answer["route"]["kind"] == "complex"


async def test_the_kill_switch_leaves_rules_alone_and_rollback_ends_it(routed):
    before = (await routed.operate("status"))["serving"]
    killed = await routed.operate("rollout", {"version": "rules-only", "stage": 100})
    assert (killed["rules_only"], killed["serving"]) == (True, "rules-only")
    assert (await routed.say(1))["route"]["policy_version"] == "rules-only"
    await routed.app.state.chat.watch()
    assert (await routed.operate("status"))["rules_only"] is True
    back = await routed.operate("rollback", {"reason": "fixed"})
    assert (back["rules_only"], back["serving"], back["reason"]) == (False, before, "fixed")


async def test_a_second_process_follows_without_a_restart(routed):
    version = await routed.workshop.version(routed.app.state.database, "same", as_it_is)
    async with routed.client(routed.operator) as http:
        body = {"version": version, "stage": "100"}
        assert (await http.post("/operator/v1/router/rollout", json=body)).status_code == 200

    async def followed() -> str | None:
        return routed.app.state.routers.plan.candidate

    await eventually(followed, version, within_s=60)


async def test_an_untested_version_may_only_be_a_shadow(routed):
    version = await routed.workshop.version(routed.app.state.database, "new", as_it_is)
    async with routed.app.state.database.transaction() as session:
        await session.execute(text("UPDATE router_version SET evaluation = NULL"))
    async with routed.client(routed.operator) as http:
        path = "/operator/v1/router/rollout"
        refused = await http.post(path, json={"version": version, "stage": "1"})
        assert (refused.status_code, refused.json()["code"]) == (409, "offline_gate")
        shadow = await http.post(path, json={"version": version, "stage": "shadow"})
        assert (shadow.status_code, shadow.json()["stage"]) == (200, "shadow")


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"version": "nothing", "stage": "1"}, 404),
        ({"version": "rules-only", "stage": "50"}, 422),
        ({"version": "rules-only", "stage": True}, 422),
        ({"version": "rules-only"}, 422),
        ({"version": 1, "stage": "1"}, 422),
        ({"version": "rules-only", "stage": "1", "now": True}, 422),
    ],
)
async def test_a_bad_rollout_is_a_problem_document_and_changes_nothing(routed, body, status):
    async with routed.client(routed.operator) as http:
        answer = await http.post("/operator/v1/router/rollout", json=body)
    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"
    assert (await routed.operate("status"))["candidate"] is None


async def test_rollback_without_a_rollout_is_refused_and_a_reader_may_only_read(routed):
    async with routed.client(routed.operator) as http:
        nothing = await http.post("/operator/v1/router/rollback")
        assert (nothing.status_code, nothing.json()["code"]) == (409, "nothing_to_roll_back")
    async with routed.client(routed.reader) as http:
        assert (await http.get("/operator/v1/router/status")).status_code == 200
        kill = {"version": "rules-only", "stage": "100"}
        assert (await http.post("/operator/v1/router/rollout", json=kill)).status_code == 403
        assert (await http.post("/operator/v1/router/rollback")).status_code == 403
    async with routed.client(routed.people[0]) as http:
        assert (await http.get("/operator/v1/router/status")).status_code == 403


async def test_the_same_key_rolls_out_once(routed):
    kill = {"version": "rules-only", "stage": "100"}
    async with routed.client(routed.operator) as http:
        keyed = {"idempotency-key": "once"}
        path = "/operator/v1/router/rollout"
        first = await http.post(path, json=kill, headers=keyed)
        again = await http.post(path, json=kill, headers=keyed)
    assert (again.json(), again.headers["idempotent-replayed"]) == (first.json(), "true")
    assert await routed.one("SELECT count(*) FROM router_rollout") == 2


async def test_what_the_person_does_next_is_noted_on_the_decision(routed):
    async with routed.client(routed.people[1]) as http:
        thread = (await http.post("/api/threads", json={})).json()["id"]
        plain = {"accept": "application/json"}
        path = f"/api/threads/{thread}/turns"
        first = (await http.post(path, json={"text": "Good morning!"}, headers=plain)).json()
        await http.post(path, json={"text": "good morning! "}, headers=plain)
        retry = f"/api/turns/{first['id']}/retry"
        await http.post(retry, json={"effort": "high"}, headers=plain)
    signs = await routed.one(
        "SELECT json_build_array(repeated, retried, switched_up)::text FROM router_decision"
        " WHERE turn_id = :turn",
        turn=first["id"],
    )
    assert json.loads(signs) == [True, True, True]
    overridden = "SELECT count(*) FROM router_decision WHERE overridden"
    assert await routed.one(overridden) == 1
