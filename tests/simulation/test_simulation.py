"""Some seeds of the simulation; `make bench` plays many more."""

import pytest

from tests.conftest import fresh_database
from tests.simulation.play import play

SEEDS = (1, 2, 3, 4, 5, 6)


@pytest.mark.parametrize("seed", SEEDS)
async def test_whatever_fails_charge_order_and_ledger_agree_within_a_minute(
    postgres, furnished, seed
):
    template, furniture = furnished
    with fresh_database(postgres, template) as url:
        played = await play(url, furniture, seed)
    assert played.faults > 10
    assert played.states.get("completed", 0) > 0
