"""Broken products: each makes one mistake that this one must not make, and must be seen making it.

`python -m tests.simulation.mistakes 1-20` says which of these seeds bring each to light, and how
soon: a change of the world moves what a seed meets.
"""

import asyncio
import sys
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import psycopg

from backend.till import Till
from integrations.money import Money
from tests.conftest import fresh_database
from tests.simulation.invariants import Violated
from tests.simulation.play import Played, play

# Small and full of faults, so that a mistake costs seconds to find.
SMALL: Mapping[str, Any] = {"rate": 0.15, "people": 3, "errands": 3}


class _Payments:
    """Passes everything on; whoever is careless overrides a part."""

    def __init__(self, inner: Any) -> None:
        self._inner, self._calls = inner, 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)


class _NewKeys(_Payments):
    async def authorise(self, *, key: str, **how: Any) -> Any:
        self._calls += 1
        return await self._inner.authorise(key=f"{key}:{self._calls}", **how)

    async def find(self, purchase_id: str) -> Any:
        del purchase_id  # nobody looks whether it is charged already


class _AnotherAmount(_Payments):
    async def authorise(self, *, amount: Money, **how: Any) -> Any:
        return await self._inner.authorise(amount=amount + Money(1, amount.currency), **how)


class _NeverVoids(_Payments):
    async def void(self, payment_id: str, *, key: str) -> Any:
        del key
        return replace(await self._inner.read(payment_id), status="voided")


class _CapturesFirst(_Payments):
    async def authorise(self, *, key: str, **how: Any) -> Any:
        made = await self._inner.authorise(key=key, **how)
        if made.status == "authorised":
            return await self._inner.capture(made.id, key=f"{key}:capture")
        return made


class _RefundsAnew(_Payments):
    async def refund(self, payment_id: str, amount: Money, *, with_fee: bool, key: str) -> Any:
        self._calls += 1
        return await self._inner.refund(
            payment_id, amount, with_fee=with_fee, key=f"{key}:{self._calls}"
        )


class _SaysItIsUndone(_Payments):
    """A partner: the merchant is never told that its order will not be paid, or goes back."""

    async def confirm_cancellation(self, order_id: str, quote: Any, *, key: str) -> Any:
        del quote, key
        return replace(await self._inner.order(order_id), status="canceled")


def _payments(kind: Callable[[Any], Any]) -> Callable[[Till], Till]:
    return lambda till: replace(till, payments=kind(till.payments))


def _partner(till: Till) -> Till:
    async def partner_for(merchant_id: str) -> Any:
        return _SaysItIsUndone(await till.partner_for(merchant_id))

    return replace(till, partner_for=partner_for)


def _as_it_is(till: Till) -> Till:
    return till


# What the ledger would show if it were written by a transaction of its own that never came.
_UNBOOKED = """
CREATE FUNCTION mistaken() RETURNS trigger LANGUAGE plpgsql AS
  $$ BEGIN NEW.ref := NEW.ref || '?'; RETURN NEW; END $$;
CREATE TRIGGER mistaken BEFORE INSERT ON ledger_transaction FOR EACH ROW
  WHEN (NEW.kind = 'captured') EXECUTE FUNCTION mistaken();
"""

MISTAKES: Mapping[str, tuple[Callable[[Till], Till], str]] = {
    "a new key at every try": (_payments(_NewKeys), ""),
    "another amount": (_payments(_AnotherAmount), ""),
    "a forgotten void": (_payments(_NeverVoids), ""),
    "the capture before the order": (_payments(_CapturesFirst), ""),
    "a refund with a new key at every try": (_payments(_RefundsAnew), ""),
    "an order that is not canceled at the merchant": (_partner, ""),
    "an order without its entry in the ledger": (_as_it_is, _UNBOOKED),
}


async def seek(server: str, template: str, furniture: Any, mistake: str, seed: int) -> Played:
    """Play a small world with this mistake. Raises `Violated`, with the trace, where it shows."""
    change, spoil = MISTAKES[mistake]
    with fresh_database(server, template) as url:
        if spoil:
            with psycopg.connect(url, autocommit=True) as admin:
                admin.execute(spoil)
        return await play(url, furniture, seed, change=change, **SMALL)


def main() -> None:
    from tests.simulation.__main__ import TEMPLATE, prepared

    first, _, last = sys.argv[1].partition("-")
    with prepared() as (server, furniture):
        for mistake in MISTAKES:
            found: list[str] = []
            for seed in range(int(first), int(last or first) + 1):
                try:
                    asyncio.run(seek(server, TEMPLATE, furniture, mistake, seed))
                except Violated as seen:
                    found.append(f"{seed} ({len(seen.trace)} steps)")  # type: ignore[attr-defined]
            sys.stdout.write(f"{mistake}: {', '.join(found) or 'never'}\n")
            sys.stdout.flush()


if __name__ == "__main__":
    main()
