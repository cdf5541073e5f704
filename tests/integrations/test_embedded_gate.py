"""A few at a time, a few waiting, the rest told to come back."""

import asyncio

import pytest

from integrations.embedded.gate import Busy, Gate
from tests.servers import until


async def hold(gate: Gate, release: asyncio.Event) -> None:
    async with gate.place():
        await release.wait()


async def test_a_full_queue_refuses_at_once_and_says_when_to_come_back():
    gate, release = Gate(running_max=2, waiting_max=1, patience_s=30), asyncio.Event()
    inside = [asyncio.create_task(hold(gate, release)) for _ in range(3)]
    await until(lambda: gate.running == 2 and gate.waiting == 1, within_s=10)
    with pytest.raises(Busy) as busy:
        async with gate.place():
            pytest.fail("there is no room")
    assert busy.value.retry_after_s > 0
    release.set()
    await asyncio.gather(*inside)
    assert (gate.running, gate.waiting) == (0, 0)


async def test_waiting_has_an_end():
    gate, release = Gate(running_max=1, waiting_max=5, patience_s=0.05), asyncio.Event()
    inside = asyncio.create_task(hold(gate, release))
    await until(lambda: gate.running == 1, within_s=10)
    with pytest.raises(Busy):
        async with gate.place():
            pytest.fail("the place is taken")
    release.set()
    await inside


async def test_who_leaves_while_waiting_takes_no_place():
    gate, release = Gate(running_max=1, waiting_max=5, patience_s=30), asyncio.Event()
    inside = asyncio.create_task(hold(gate, release))
    await until(lambda: gate.running == 1, within_s=10)
    leaving = asyncio.create_task(hold(gate, release))
    await until(lambda: gate.waiting == 1, within_s=10)
    leaving.cancel()
    await until(lambda: gate.waiting == 0, within_s=10)
    release.set()
    await inside
    async with gate.place():
        assert gate.running == 1
