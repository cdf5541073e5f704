"""A till with its fake merchants and payments, on a database of its own."""

import pytest

from tests.backend.fakes_checkout import World


@pytest.fixture
async def world(database):
    made = World.on(database)
    yield made
    await made.database.dispose()
