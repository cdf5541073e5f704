"""Broken products: each makes one mistake that this one must not make, and must be seen making it.

`python -m tests.simulation.mistakes 1-20` says which of these seeds bring each to light, and how
soon: a change of the world moves what a seed meets.
"""

import asyncio
import sys
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import psycopg

from backend.till import Till
from integrations.money import Money
from integrations.partner import PartnerOrder, PartnerRefused
from integrations.payments import PaymentUnknown
from tests.databases import fresh_database
from tests.simulation.invariants import Violated
from tests.simulation.people import Habits
from tests.simulation.play import Played, play

# Small and full of faults, so that a mistake costs seconds to find.
SMALL: dict[str, Any] = {"rate": 0.1, "people": 2, "errands": 2}
# Little goes wrong, so that there are orders, and everybody has theirs given back or canceled.
_GIVEN_BACK = Habits(("shop", "box", "tables"), baskets=0, regrets=1, ends=(1, 0, 0))
_CANCELED = Habits(("shop", "box", "tables"), baskets=0, regrets=1, ends=(0, 1, 0))
GIVEN_BACK: dict[str, Any] = {"rate": 0.02, "habits": _GIVEN_BACK}
CANCELED: dict[str, Any] = {"rate": 0.02, "habits": _CANCELED}


class _Passing:
    """Passes everything on; whoever is careless overrides a part."""

    def __init__(self, inner: Any) -> None:
        self._inner = inner

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)


class _NewKeys(_Passing):
    """The processor of this world loses each first answer, so that there is a second try."""

    def __init__(self, inner: Any) -> None:
        super().__init__(inner)
        self._tries: Counter[str] = Counter()

    async def authorise(self, *, key: str, **how: Any) -> Any:
        self._tries[key] += 1
        made = await self._inner.authorise(key=f"{key}:{self._tries[key]}", **how)
        if self._tries[key] == 1:
            raise PaymentUnknown("the answer was lost")
        return made

    async def find(self, purchase_id: str) -> Any:
        del purchase_id  # nobody looks whether it is charged already


class _ForgetfulRefunds(_Passing):
    """As above for what is given back: each first answer is lost, and what had come back by then is
    not looked at before it is sent again."""

    def __init__(self, inner: Any) -> None:
        super().__init__(inner)
        self._tries: Counter[str] = Counter()
        self._unseen: dict[str, Any] = {}

    async def read(self, payment_id: str) -> Any:
        return self._unseen.pop(payment_id, None) or await self._inner.read(payment_id)

    async def refund(self, payment_id: str, amount: Money, *, key: str, **how: Any) -> Any:
        self._tries[key] += 1
        before = await self._inner.read(payment_id)
        key = f"{key}:{self._tries[key]}"
        made = await self._inner.refund(payment_id, amount, key=key, **how)
        if key.endswith(":1"):
            self._unseen[payment_id] = before
            raise PaymentUnknown("the answer was lost")
        return made


class _AnotherAmount(_Passing):
    async def authorise(self, *, amount: Money, **how: Any) -> Any:
        return await self._inner.authorise(amount=amount + Money(1, amount.currency), **how)


class _NeverVoids(_Passing):
    async def void(self, payment_id: str, *, key: str) -> Any:
        del key
        return replace(await self._inner.read(payment_id), status="voided")


class _Refusing(_Passing):
    async def place(self, *what: Any, **how: Any) -> Any:
        del what, how
        raise PartnerRefused("not today")


class _NeverCancels(_Passing):
    async def confirm_cancellation(self, order_id: str, quote: Any, *, key: str) -> Any:
        del quote, key  # the merchant still expects the guest
        return PartnerOrder(order_id, "canceled")


class _CapturesFirst(_Passing):
    async def authorise(self, *, key: str, **how: Any) -> Any:
        made = await self._inner.authorise(key=key, **how)
        if made.status == "authorised":
            return await self._inner.capture(made.id, key=f"{key}:capture")
        return made


def _payments(kind: Callable[[Any], Any]) -> Callable[[Till], Till]:
    return lambda till: replace(till, payments=kind(till.payments))


def _partners(kind: Callable[[Any], Any]) -> Callable[[Till], Till]:
    def change(till: Till) -> Till:
        async def partner_for(merchant_id: str) -> Any:
            return kind(await till.partner_for(merchant_id))

        return replace(till, partner_for=partner_for)

    return change


def _never_voids(till: Till) -> Till:
    """Beside merchants that refuse every order, so that there is money to let go."""
    return _partners(_Refusing)(_payments(_NeverVoids)(till))


def _as_it_is(till: Till) -> Till:
    return till


# What the ledger would show if it were written by a transaction of its own that never came.
_UNBOOKED = """
CREATE FUNCTION mistaken() RETURNS trigger LANGUAGE plpgsql AS
  $$ BEGIN NEW.ref := NEW.ref || '?'; RETURN NEW; END $$;
CREATE TRIGGER mistaken BEFORE INSERT ON ledger_transaction FOR EACH ROW
  WHEN (NEW.kind = 'captured') EXECUTE FUNCTION mistaken();
"""

# What an allowance shows if a hold that ends gives nothing back.
_KEPT = """
CREATE FUNCTION mistaken() RETURNS trigger LANGUAGE plpgsql AS
  $$ BEGIN NEW.held := OLD.held; RETURN NEW; END $$;
CREATE TRIGGER mistaken BEFORE UPDATE ON quota_bucket FOR EACH ROW
  WHEN (NEW.held < OLD.held) EXECUTE FUNCTION mistaken();
"""


@dataclass(frozen=True)
class Mistake:
    """How the product is broken, in Python or in its database, and the world that shows it."""

    change: Callable[[Till], Till] = _as_it_is
    spoil: str = ""
    world: dict[str, Any] = field(default_factory=dict)


MISTAKES: Mapping[str, Mistake] = {
    "the capture before the order": Mistake(_payments(_CapturesFirst)),
    "an order without its entry in the ledger": Mistake(spoil=_UNBOOKED),
    "a hold that gives nothing back": Mistake(spoil=_KEPT, world={"turns": 6}),
    "another amount": Mistake(_payments(_AnotherAmount)),
    "a forgotten void": Mistake(_never_voids),
    "a new key at every try": Mistake(_payments(_NewKeys)),
    "a refund that is sent again with a new key": Mistake(
        _payments(_ForgetfulRefunds), world=GIVEN_BACK
    ),
    "an order that is not canceled at the merchant": Mistake(
        _partners(_NeverCancels), world=CANCELED
    ),
}


async def seek(server: str, template: str, furniture: Any, mistake: str, seed: int) -> Played:
    """Play a small world with this mistake. Raises `Violated`, with the trace, where it shows."""
    made = MISTAKES[mistake]
    with fresh_database(server, template) as url:
        if made.spoil:
            with psycopg.connect(url, autocommit=True) as admin:
                admin.execute(made.spoil)
        return await play(url, furniture, seed, change=made.change, **SMALL | made.world)


def main() -> None:
    from tests.simulation.__main__ import TEMPLATE, prepared

    """`SEEDS [WORDS]`: only the mistakes that are named with these words."""
    first, _, last = sys.argv[1].partition("-")
    words = " ".join(sys.argv[2:])
    with prepared() as (server, furniture):
        for mistake in (name for name in MISTAKES if words in name):
            found: list[str] = []
            for seed in range(int(first), int(last or first) + 1):
                try:
                    asyncio.run(seek(server, TEMPLATE, furniture, mistake, seed))
                except Violated as seen:
                    what, steps = str(seen).partition(":")[0], len(seen.trace)  # type: ignore[attr-defined]
                    found.append(f"{seed} ({what}, {steps} steps)")
            sys.stdout.write(f"{mistake}: {', '.join(found) or 'never'}\n")
            sys.stdout.flush()


if __name__ == "__main__":
    main()
