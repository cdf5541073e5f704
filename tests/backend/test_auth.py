"""Keys, sessions and roles."""

from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import text

from backend import auth
from backend.auth import Principal, UserAccount
from backend.database import Database
from backend.errors import NotFound, Unauthenticated
from backend.vault import Vault, VaultError


async def person(database: Database) -> str:
    async with database.transaction() as session:
        row = UserAccount(name="Robin")
        session.add(row)
        await session.flush()
        return row.id


async def test_a_key_opens_its_persons_account_and_is_not_stored(database: Database):
    user_id = await person(database)
    async with database.transaction() as session:
        key = await auth.create_key(session, role="user", user_id=user_id)
    async with database.transaction() as session:
        assert await auth.by_key(session, key) == Principal("user", user_id)
        stored = (await session.execute(text("SELECT to_jsonb(k)::text FROM api_key k"))).scalar()
    assert key.startswith("emptor_user_")
    assert key not in stored


@pytest.mark.parametrize("token", ["", "emptor_user_wrong", "x" * 10_000])
async def test_a_key_that_was_never_given_opens_nothing(database: Database, token):
    async with database.transaction() as session:
        with pytest.raises(Unauthenticated):
            await auth.by_key(session, token)


async def test_an_expired_key_opens_nothing(database: Database):
    past = datetime.now(UTC) - timedelta(seconds=1)
    async with database.transaction() as session:
        key = await auth.create_key(session, role="operator", expires_at=past)
        with pytest.raises(Unauthenticated):
            await auth.by_key(session, key)


async def test_a_key_that_expires_later_still_opens(database: Database):
    later = datetime.now(UTC) + timedelta(hours=1)
    async with database.transaction() as session:
        key = await auth.create_key(session, role="operator", read_only=True, expires_at=later)
        assert await auth.by_key(session, key) == Principal("operator", read_only=True)


async def test_revoking_ends_every_key_and_session_of_a_person(database: Database):
    user_id = await person(database)
    async with database.transaction() as session:
        key = await auth.create_key(session, role="user", user_id=user_id)
        cookie = await auth.open_session(session, Principal("user", user_id))
        await auth.revoke(session, user_id)
    async with database.transaction() as session:
        with pytest.raises(Unauthenticated):
            await auth.by_key(session, key)
        with pytest.raises(Unauthenticated):
            await auth.by_cookie(session, cookie)


async def test_an_erased_persons_key_opens_nothing(database: Database):
    user_id = await person(database)
    async with database.transaction() as session:
        key = await auth.create_key(session, role="user", user_id=user_id)
        await session.execute(text("UPDATE user_account SET deleted_at = now()"))
    async with database.transaction() as session:
        with pytest.raises(Unauthenticated):
            await auth.by_key(session, key)
        with pytest.raises(NotFound):
            await auth.user(session, user_id)


async def test_a_session_ends_when_its_time_is_over(database: Database):
    async with database.transaction() as session:
        cookie = await auth.open_session(session, Principal("operator"))
        assert (await auth.by_cookie(session, cookie)).role == "operator"
        await session.execute(text("UPDATE web_session SET expires_at = now()"))
    async with database.transaction() as session:
        with pytest.raises(Unauthenticated):
            await auth.by_cookie(session, cookie)


def test_a_password_fits_its_own_hash_and_nobody_elses():
    stored = auth.hash_password("correct horse")
    assert auth.password_fits("correct horse", stored)
    assert not auth.password_fits("wrong horse", stored)
    assert not auth.password_fits("correct horse", None)


def test_the_vault_opens_what_it_sealed_and_only_that(tmp_path):
    vault = Vault.at(tmp_path)
    sealed = vault.seal("whsec_1")
    assert "whsec_1" not in sealed
    assert Vault.at(tmp_path).open(sealed) == "whsec_1"
    with pytest.raises(VaultError):
        Vault.at(tmp_path / "other").open(sealed)


def test_the_vaults_key_is_its_owners_alone(tmp_path):
    Vault.at(tmp_path)
    assert (tmp_path / "vault.key").stat().st_mode & 0o777 == 0o600
