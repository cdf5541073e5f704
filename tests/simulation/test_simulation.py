"""Some seeds of the simulation, and proof that it repeats itself and that it sees what it should.

`make bench` plays many more; `python -m tests.simulation SEED` plays one again, step by step.
"""

from dataclasses import replace
from typing import Any

import pytest

from integrations.money import Money
from tests.conftest import fresh_database
from tests.simulation.invariants import Violated
from tests.simulation.play import Played, play


async def played(postgres, furnished, seed, **how) -> Played:
    template, furniture = furnished
    with fresh_database(postgres, template) as url:
        return await play(url, furniture, seed, **how)


@pytest.mark.parametrize(("seed", "rate"), [(1, 0.05), (5, 0.12)])
async def test_whatever_fails_charge_order_and_ledger_agree_within_a_minute(
    postgres, furnished, seed, rate
):
    got = await played(postgres, furnished, seed, rate=rate, people=3, errands=2, every=5)
    assert got.faults > 10
    assert got.purchases > 0


async def test_a_seed_plays_the_same_world_again(postgres, furnished):
    small = {"rate": 0.06, "people": 2, "errands": 1, "every": 100}
    one, other = [await played(postgres, furnished, 7, **small) for _ in range(2)]
    assert one.trace == other.trace
    assert one.states == other.states


# --- broken products: each must be seen ----------------------------------------------------------


class Careless:
    """Payments that make one of the mistakes that this product must not make."""

    def __init__(self, inner: Any, mistake: str) -> None:
        self._inner, self._mistake, self._calls = inner, mistake, 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    async def authorise(self, *, key: str, **how: Any) -> Any:
        self._calls += 1
        if self._mistake == "a new key at every try":
            key = f"{key}:{self._calls}"
        if self._mistake == "another amount":
            how["amount"] = how["amount"] + Money(1, how["amount"].currency)
        return await self._inner.authorise(key=key, **how)

    async def find(self, purchase_id: str) -> Any:
        if self._mistake == "a new key at every try":
            return None
        return await self._inner.find(purchase_id)

    async def void(self, payment_id: str, *, key: str) -> Any:
        if self._mistake == "never lets go":
            return replace(await self._inner.read(payment_id), status="voided")
        return await self._inner.void(payment_id, key=key)


# Each with a seed whose faults bring it to light.
MISTAKES = (("a new key at every try", 57), ("another amount", 40), ("never lets go", 56))


@pytest.mark.parametrize(("mistake", "seed"), MISTAKES)
async def test_a_product_that_makes_this_mistake_is_seen(postgres, furnished, mistake, seed):
    with pytest.raises(Violated):
        await played(
            postgres,
            furnished,
            seed,
            rate=0.15,
            people=2,
            errands=2,
            every=20,
            payments=lambda real: Careless(real, mistake),
        )
