"""The simulated Stripe and the demo merchants as real processes on free ports."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]
MERCHANT_KEY = "demo-merchant-key"


@contextmanager
def simulator(module: str, *arguments: str) -> Iterator[str]:
    """A leashed process; yields its base URL and ends it, by its own pid, afterwards."""
    process = subprocess.Popen(
        [sys.executable, "-m", f"integrations.simulators.{module}", "--leash", *arguments],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    line = process.stdout.readline()
    try:
        assert line.startswith("READY http://127.0.0.1:"), f"{module} said {line!r}"
        yield line.removeprefix("READY ").strip()
    finally:
        process.terminate()
        process.wait(10)
        process.stdout.close()
        assert process.stdin is not None
        process.stdin.close()


@dataclass(frozen=True)
class World:
    """Where everything outside the product is."""

    stripe: str
    shop: str
    tables: str
    hotel: str
    tickets: str
    flights: str
    home: Path

    @property
    def hosts(self) -> frozenset[str]:
        urls = (self.shop, self.tables, self.hotel, self.tickets, self.flights)
        return frozenset(url.removeprefix("http://") for url in urls)


@contextmanager
def world(home: Path, *, orders_url: str = "") -> Iterator[World]:
    """`orders_url` is where the airline sends what was bought on its own page."""
    with ExitStack() as stack:
        yield World(
            home=home,
            stripe=stack.enter_context(simulator("stripe", "--home", str(home / "stripe"))),
            shop=stack.enter_context(
                simulator("shop", "--home", str(home / "shop"), "--key", MERCHANT_KEY)
            ),
            tables=stack.enter_context(
                simulator("tables", "--home", str(home / "tables"), "--key", MERCHANT_KEY)
            ),
            hotel=stack.enter_context(
                simulator("hotel", "--home", str(home / "hotel"), "--key", MERCHANT_KEY)
            ),
            tickets=stack.enter_context(
                simulator("tickets", "--home", str(home / "tickets"), "--key", MERCHANT_KEY)
            ),
            flights=stack.enter_context(
                simulator(
                    *("flights", "--home", str(home / "flights"), "--key", MERCHANT_KEY),
                    *("--webhook-url", orders_url),
                )
            ),
        )
