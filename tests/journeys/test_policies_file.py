"""An operator edits the policies file: obeyed at once, whatever serves; mistakes are not."""

import os
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
from pydantic import SecretStr

from backend import auth, versions
from backend.app import create_app
from backend.auth import UserAccount
from backend.parts import Parts
from backend.settings import Settings
from graphs.router.classifier import WEIGHTS, Classifier
from graphs.router.policy import SHIPPED, Policies, load_policies
from graphs.router.router import Router
from integrations.tls import roots
from tests.databases import fresh_database
from tests.fakes_model import FakeModel
from tests.graphs.fakes_router import loaded_router
from tests.servers import eventually, free_port, serving

ASKED = "Could you look over the lease of my flat before I sign it?"
LEGAL = """
[[policy]]
name = "contracts"
domain = "legal"
action = "contract-review"
kind = "complex"
role = "reasoning"
effort = "high"
en = "Review a contract, a lease or an agreement before it is signed"
zh = "签字前审阅合同、租约或协议"
examples = ["look over this lease before I sign", "check my employment contract"]
"""


@dataclass(frozen=True)
class Edited:
    """The running product beside a policies file that the test may edit."""

    app: Any
    file: Path
    http: httpx.AsyncClient

    def edit(self, more: str) -> None:
        """As an editor saves: a whole new file in the old one's place."""
        fresh = self.file.with_suffix(".new")
        fresh.write_text(SHIPPED.read_text("utf-8") + more, "utf-8")
        os.replace(fresh, self.file)

    async def route(self, words: str = ASKED) -> dict[str, Any]:
        body = {"model": "auto", "messages": [{"role": "user", "content": words}]}
        answer = await self.http.post("/v1/chat/completions", json=body)
        assert answer.status_code == 200, answer.text
        return dict(answer.json()["route"])

    async def cause(self) -> str:
        return str((await self.route())["cause"])

    async def roll_out(self, weights: bytes) -> str:
        """A trained version that passed its comparison, made beside the file as it was."""
        async with self.app.state.database.transaction() as session:
            version = await versions.register(
                session,
                weights=weights,
                policies=self.file.read_text("utf-8"),
                source="trained",
                evaluation={"passed": True, "failed": []},
            )
            await versions.roll_out(session, version, "100")
        await self.app.state.routers.refresh()
        return version


@pytest.fixture
async def edited(postgres: str, template: str, tmp_path: Path) -> AsyncIterator[Edited]:
    file, port = tmp_path / "policies.toml", free_port()
    file.write_text(SHIPPED.read_text("utf-8"), "utf-8")
    encoder = loaded_router()
    installed = Router(encoder, Classifier.load(), Policies(load_policies(file), encoder))
    settings = Settings(
        home=tmp_path, port=port, openai_base_url="http://127.0.0.1:9", policies_file=file
    )
    with fresh_database(postgres, template) as database_url:
        async with serving(FakeModel().app()) as model_url:
            parts = Parts(
                database_url=database_url,
                model_base_url=f"{model_url}/v1",
                model_api_key=SecretStr("sk-test"),
                stripe_api_key=SecretStr("sk_test_policies"),
                stripe_webhook_secret=SecretStr("whsec_policies"),
                stripe_base_url="http://127.0.0.1:9",
                merchants={},
            )
            app = create_app(settings, parts, router=installed)
            async with serving(app, port=port) as url:
                async with app.state.database.transaction() as session:
                    session.add(UserAccount(id="usr_1", plan="pro"))
                    await session.flush()
                    key = await auth.create_key(session, role="user", user_id="usr_1")
                async with httpx.AsyncClient(
                    verify=roots(),
                    base_url=url,
                    timeout=60,
                    headers={"authorization": f"Bearer {key}"},
                ) as http:
                    yield Edited(app, file, http)


async def test_a_new_policy_works_at_once_and_says_itself_why(edited: Edited):
    assert (await edited.route())["domain"] != "legal"
    edited.edit(LEGAL)
    await eventually(edited.cause, "policy:contracts", within_s=60)
    route = await edited.route()
    assert (route["kind"], route["role"], route["effort"]) == ("complex", "reasoning", "high")
    assert (route["domain"], route["action"]) == ("legal", "contract-review")
    assert route["explanation"] == "Answered by reasoning: legal · contract review"
    chinese = await edited.route("签字之前帮我审阅一下这份租约")
    assert (chinese["cause"], chinese["effort"]) == ("policy:contracts", "high")
    assert chinese["explanation"] == "由推理模型回答：legal · contract review"


async def test_an_edit_is_obeyed_after_a_trained_version_has_taken_over(edited: Edited):
    base = edited.app.state.routers.plan.base
    trained = await edited.roll_out(WEIGHTS.read_bytes() + b" ")
    edited.edit(LEGAL)
    await eventually(edited.cause, "policy:contracts", within_s=60)
    async with edited.app.state.database.transaction() as session:
        held = await versions.current(session)
        serving_now = await versions.version(session, held.serving)
        before = await versions.version(session, trained)
        back = await versions.version(session, (await versions.roll_back(session)).base)
    assert (held.stage, serving_now.weights) == ("100", before.weights)
    assert serving_now.evaluation == {"passed": True, "failed": []}
    assert "contract-review" in serving_now.policies
    assert "contract-review" in back.policies  # and so does the version behind it
    assert back.id != base


async def test_a_mistake_in_the_file_changes_nothing_until_it_is_mended(edited: Edited):
    serving_now = edited.app.state.routers.plan.base
    edited.edit('\n[[policy]]\nname = "half"\n')
    edited.edit(LEGAL.replace('kind = "complex"', 'kind = "difficult"'))
    assert (await edited.route())["policy_version"] == serving_now
    edited.edit(LEGAL)
    await eventually(edited.cause, "policy:contracts", within_s=60)
