"""A name that is not answered: what it may hold up is the calls to it."""

import asyncio
import socket
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest

from integrations.egress import guarded_client
from integrations.names import Names
from integrations.partner import PartnerError
from tests.integrations import fakes_sockets as fakes

LONG_S = 20  # nothing here takes so long unless it hangs


class Directory:
    """A system whose lookup of `slow.example` blocks until it is released; all else is here."""

    def __init__(self) -> None:
        self.released = threading.Event()
        self.asked: list[str] = []
        self.hangs = threading.Event()  # somebody is in there

    def getaddrinfo(self, host: str, *_: Any, **__: Any) -> list[Any]:
        self.asked.append(host)
        if host == "slow.example":
            self.hangs.set()
            self.released.wait()
        if host == "nobody.example":
            raise socket.gaierror("no such name")
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", 0))]


@pytest.fixture
def directory(monkeypatch: pytest.MonkeyPatch) -> Iterator[Directory]:
    made = Directory()
    monkeypatch.setattr(socket, "getaddrinfo", made.getaddrinfo)
    yield made
    made.released.set()


async def ask(http: httpx.AsyncClient, host: str) -> int | str:
    try:
        return (await http.get(f"http://{host}/x")).status_code
    except PartnerError as error:
        return error.code


async def until_it_hangs(directory: Directory) -> None:
    with ThreadPoolExecutor(1) as beside:
        loop = asyncio.get_running_loop()
        assert await loop.run_in_executor(beside, directory.hangs.wait, LONG_S)


async def test_a_name_that_hangs_keeps_no_other_merchant_and_no_thread_waiting(
    directory: Directory,
):
    asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(2))
    async with fakes.sink(fakes.answer()) as sink:
        good, bad = f"good.example:{sink.port}", f"slow.example:{sink.port}"
        async with guarded_client(frozenset({good, bad}), total_deadline_s=LONG_S) as http:
            waiting = [asyncio.create_task(ask(http, bad)) for _ in range(8)]
            await until_it_hangs(directory)
            async with asyncio.timeout(LONG_S / 2):
                assert [await ask(http, good) for _ in range(3)] == [200] * 3
                assert await asyncio.to_thread(lambda: "done") == "done"
            assert not any(call.done() for call in waiting)
            assert directory.asked.count("slow.example") == 1  # shared by all eight
            directory.released.set()
            assert await asyncio.gather(*waiting) == [200] * 8


async def test_whoever_gives_up_on_a_name_leaves_the_others_their_lookup(directory: Directory):
    names = Names()
    impatient, patient = (asyncio.create_task(names("slow.example", 443)) for _ in range(2))
    await until_it_hangs(directory)
    impatient.cancel()
    with pytest.raises(asyncio.CancelledError):
        await impatient
    directory.released.set()
    assert await patient == ["127.0.0.1"]
    assert directory.asked == ["slow.example"]
    assert await names("slow.example", 443) == ["127.0.0.1"]
    assert directory.asked == ["slow.example"] * 2  # an answer is not kept


async def test_a_call_to_a_name_that_hangs_ends_at_its_own_deadline(directory: Directory):
    bad = "slow.example:80"
    async with guarded_client(frozenset({bad}), total_deadline_s=0.05) as http:
        assert [await ask(http, bad) for _ in range(3)] == ["timeout"] * 3
    assert directory.asked == ["slow.example"]


async def test_no_such_name_is_told_to_all_who_asked(directory: Directory):
    async with guarded_client(frozenset({"nobody.example:80"})) as http:
        answers = await asyncio.gather(*(ask(http, "nobody.example:80") for _ in range(3)))
    assert answers == ["unreachable"] * 3


async def test_what_no_name_can_be_is_unreachable_and_no_fault_of_ours():
    host = f"{'a' * 64}.example:80"
    async with guarded_client(frozenset({host})) as http:
        assert await ask(http, host) == "unreachable"


async def test_closing_waits_for_no_lookup(directory: Directory):
    names = Names()
    waiting = asyncio.create_task(names("slow.example", 443))
    await until_it_hangs(directory)
    names.close()
    with pytest.raises(OSError, match="closed"):
        await waiting
