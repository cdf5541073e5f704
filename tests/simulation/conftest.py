"""One furnished database, copied for every seed."""

from collections.abc import Mapping
from typing import Any

import psycopg
import pytest

from tests.simulation.clock import Clock, add_now
from tests.simulation.furniture import furnish


@pytest.fixture(scope="session")
async def furnished(postgres: str, template: str) -> tuple[str, Mapping[str, Any]]:
    """(the template's name, what is in it)."""
    name = "simulation_template"
    with psycopg.connect(postgres, autocommit=True) as admin:
        admin.execute(f"CREATE DATABASE {name} TEMPLATE {template} STRATEGY FILE_COPY")
    url = postgres.replace("@/postgres", f"@/{name}")
    add_now(url)
    with Clock():
        return name, await furnish(url)
