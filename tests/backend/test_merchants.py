"""Merchants: what may go live, what stays secret, what people are told."""

import pytest
from cryptography.fernet import Fernet
from sqlalchemy import text

from backend import merchants
from backend.errors import Conflict, NotFound, Unprocessable
from backend.vault import Vault, VaultError
from integrations.acp import AcpPartner
from integrations.booking import BookingPartner
from integrations.duffel import DuffelPartner
from integrations.egress import guarded_client
from tests.backend.fakes_shelf import VAULT, merchant

GIVEN = {"name": "Kontor", "protocol": "acp", "base_url": "https://shop.example"}


async def make(session, **more):
    return await merchants.create(session, vault=VAULT, **(GIVEN | more))


async def test_secrets_are_sealed_in_the_row_and_never_shown(database):
    async with database.transaction() as session:
        row = await make(session, outbound_key="out-1", webhook_secret="hook-1")
        shown = merchants.document(row)
        stored = (await session.execute(text("SELECT m::text FROM merchant m"))).scalar_one()
    assert "out-1" not in stored + str(shown)
    assert "hook-1" not in stored + str(shown)
    assert (shown["outbound_key_set"], shown["webhook_secret_set"]) == (True, True)
    assert merchants.webhook_secret(row, VAULT) == "hook-1"
    with pytest.raises(VaultError):
        merchants.webhook_secret(row, Vault(Fernet.generate_key()))


async def test_a_change_keeps_what_it_does_not_name(database):
    await merchant(database, "mer_a", commission_bps=250, outbound_key="out-1")
    async with database.transaction() as session:
        row = await merchants.change(session, "mer_a", status="paused")
        assert (row.status, row.commission_bps) == ("paused", 250)
        row = await merchants.change(session, "mer_a", vault=VAULT, outbound_key=None)
        assert VAULT.open(row.outbound_key) == "out-1"
        row = await merchants.connect(
            session, "mer_a", vault=VAULT, base_url="https://b.example", outbound_key="out-2"
        )
    assert (row.base_url, VAULT.open(row.outbound_key)) == ("https://b.example", "out-2")
    assert row.updated_at > row.created_at


@pytest.mark.parametrize(
    "wrong",
    [
        {"name": "\u200b"},
        {"base_url": "shop.example"},
        {"base_url": "ftp://shop.example"},
        {"base_url": "https://user:pass@shop.example"},
        {"base_url": "https://shop.example:99999"},
        {"base_url": "https://shop.example/\u202e"},
        {"handoff_template": "javascript:alert(1)"},
        {"commission_bps": 10_001},
        {"commission_bps": -1},
        {"commission_fixed": -1},
        {"commission_currency": "XQX"},
        {"status": "live", "base_url": None},
        {"status": "live", "protocol": "ucp"},
        {"status": "live", "settlement": "handoff"},
    ],
)
async def test_terms_that_cannot_work_are_refused(database, wrong):
    with pytest.raises(Unprocessable):
        async with database.transaction() as session:
            await make(session, **wrong)


async def test_an_id_is_taken_once_and_an_unknown_one_is_not_found(database):
    await merchant(database, "mer_a")
    with pytest.raises(Conflict):
        await merchant(database, "mer_a")
    async with database.transaction() as session:
        assert await merchants.find(session, "mer_b") is None
        for ask in (merchants.fetch(session, "mer_b"), merchants.change(session, "mer_b")):
            with pytest.raises(NotFound):
                await ask


async def test_only_live_merchants_of_a_protocol_are_live(database):
    await merchant(database, "mer_a")
    await merchant(database, "mer_b", protocol="booking")
    await merchant(database, "mer_c", protocol="booking", status="testing")
    await merchant(database, "mer_d", protocol="duffel", outbound_key="token")
    async with database.transaction() as session:
        live = await merchants.live(session, protocol="booking")
        listed = await merchants.newest(session, limit=2)
    assert [row.id for row in live] == ["mer_b", "mer_d"]
    assert len(listed) == 2


async def test_the_disclosure_says_in_both_languages_whether_the_merchant_pays(database):
    pays = await merchant(database, "mer_pays", name="Kontor", commission_fixed=30)
    free = await merchant(database, "mer_free", name="Kiste")
    assert "Emptor may earn a fee from Kontor" in merchants.disclosure(pays)
    assert "Kiste pays Emptor nothing" in merchants.disclosure(free)
    assert "佣金不会影响结果的排序" in merchants.disclosure(pays, "zh")
    assert "Kiste 不向 Emptor 支付任何费用" in merchants.disclosure(free, "zh")


async def test_each_merchant_is_spoken_to_in_its_own_protocol(database):
    rows = {
        name: await merchant(database, f"mer_{name}", outbound_key="k", **more)
        for name, more in {
            "acp": {},
            "booking": {"protocol": "booking"},
            "duffel": {"protocol": "duffel", "base_url": None},
            "ucp": {"protocol": "ucp", "status": "draft"},
            "bare": {"base_url": None, "status": "draft"},
        }.items()
    }
    async with guarded_client(frozenset()) as http:
        spoken = {
            name: merchants.partner_for(rows[name], http=http, vault=VAULT)
            for name in ("acp", "booking", "duffel")
        }
        for name in ("ucp", "bare"):
            with pytest.raises(Unprocessable):
                merchants.partner_for(rows[name], http=http, vault=VAULT)
    assert isinstance(spoken["acp"], AcpPartner)
    assert isinstance(spoken["booking"], BookingPartner)
    assert isinstance(spoken["duffel"], DuffelPartner)
