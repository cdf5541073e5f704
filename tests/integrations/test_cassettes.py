"""Every client against what was really answered: taped once, played with sockets closed.

The same walks go to the simulators as they are now. Where a tape and its simulator tell different
stories, one of them is out of date: `make cassettes` records anew.
"""

import asyncio
import re
import socket

import pytest
import vcr

from integrations.money import Money
from tests.cassettes import live, tape
from tests.cassettes.walks import STRIPE_KEY, TAPES, Facts, Place
from tests.integrations.running_merchants import KEY

NAMES = sorted(TAPES)
_SECRET = re.compile(
    r"\bauthorization['\":]|bearer |signature|sk_(test|live)_\w|whsec_|_secret_(?!filtered)|cookie",
    re.IGNORECASE,
)
_OF_A_MACHINE = re.compile(r"127\.0\.0\.1:(?!4001\b)\d|localhost|/(work|home|tmp|root|Users)/")


async def played(name: str) -> Facts:
    with tape.playing(name) as cassette:
        told = await TAPES[name].walk(Place(tape.HOME, tape.day_of(name), KEY))
    assert cassette.all_played, f"{name}: not everything on the tape was asked for"
    return told


@pytest.mark.parametrize("name", NAMES)
async def test_a_tape_plays_with_sockets_closed_and_tells_what_is_true_today(name: str):
    told = await played(name)
    async with live.place(name) as at:
        assert told == await TAPES[name].walk(at)


@pytest.mark.parametrize("name", [name for name in NAMES if name != "stripe"])
async def test_a_taped_purchase_ends_with_the_money_back(name: str):
    said = dict(await played(name))
    assert said["placed"][0] == "completed"
    assert said["ended"] == "canceled"
    refund, fee = said["back"]
    more = said["moved"][1] if "moved" in said else Money.zero(refund.currency)
    assert refund + fee == said["placed"][1] + more


async def test_a_taped_charge_gives_our_fee_back_in_proportion():
    said = dict(await played("stripe"))
    assert said["captured"][0] == "captured"
    refunded, fee, fee_refunded = said["back"]
    assert fee_refunded == fee.share(bps=10_000 * refunded.amount // 12000)
    assert said["declined"] == ("declined", "insufficient_funds")


@pytest.mark.parametrize("name", NAMES)
def test_a_tape_names_its_source_and_keeps_no_secret(name: str):
    text = tape.path(name).read_text(encoding="utf-8")
    assert text.startswith(f"recorded_from: integrations.simulators.{TAPES[name].module}")
    for pattern in (_SECRET, _OF_A_MACHINE, re.compile(re.escape(STRIPE_KEY))):
        found = pattern.search(text)
        assert found is None, f"{name}: {text[max(0, found.start() - 40) : found.end() + 20]!r}"


async def test_what_is_not_on_a_tape_is_not_asked_anywhere():
    with (
        tape.playing("booking"),
        pytest.raises(vcr.errors.CannotOverwriteExistingCassetteException),
    ):
        await TAPES["booking"].walk(Place(tape.HOME, tape.day_of("acp").replace(year=2020), KEY))


async def test_sockets_are_closed_while_a_tape_plays():
    with tape.sockets_closed():
        with pytest.raises(tape.SocketsClosed), socket.socket() as opened:
            opened.connect(("127.0.0.1", 9))
        with pytest.raises(tape.SocketsClosed):
            await asyncio.open_connection("127.0.0.1", 9)
    with socket.socket() as opened, pytest.raises(ConnectionRefusedError):
        opened.connect(("127.0.0.1", 9))
