"""Commission and the postings of every event that moves money. Pure functions of integers.

A posting is `(account, amount)` with debits positive; the postings of one event add up to zero in
each currency. `ledger.post` stores them. Nothing here reads a clock, a row or a merchant.

Accounts (chart in `ledger.ROOTS`) are kept per merchant where an operator asks per merchant.
Fees are accrued when money is captured (or the merchant confirms) and recognised when the order is
fulfilled or its return window has passed. The processor keeps its own fee on refunds.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from integrations.money import BPS, CurrencyMismatch, Money, divide_half_even

Posting = tuple[str, Money]


class FeeError(ValueError):
    """Terms or amounts that cannot be right: nothing is booked."""


@dataclass(frozen=True, slots=True)
class Commission:
    """A merchant's terms: `bps` of the commissionable amount plus `fixed` minor units an order.

    Terms are stored with the order they were agreed for; a later change never reaches back.
    """

    bps: int
    fixed: int
    currency: str

    def __post_init__(self) -> None:
        if type(self.bps) is not int or not 0 <= self.bps <= BPS:
            raise FeeError(f"bps must be a whole number from 0 to {BPS}, not {self.bps!r}")
        if type(self.fixed) is not int or self.fixed < 0:
            raise FeeError(f"fixed must be whole minor units, at least 0, not {self.fixed!r}")
        Money.zero(self.currency)  # refuses an unknown code


def terms(commission: Commission) -> dict[str, int | str]:
    """The terms as they are stored with an order; `agreed` reads them back."""
    return {
        "bps": commission.bps,
        "fixed": commission.fixed,
        "currency": commission.currency,
    }


def agreed(terms: Mapping[str, Any]) -> Commission:
    """The terms that an order was made under. Raises `FeeError`."""
    try:
        return Commission(terms["bps"], terms["fixed"], terms["currency"])
    except KeyError as error:
        raise FeeError(f"stored terms lack {error}") from error


def fee(commission: Commission, commissionable: Money) -> Money:
    """The commission on an order: half-even, and never more than the amount itself.

    Raises `FeeError` for a negative amount, `CurrencyMismatch` when a fixed part is in another
    currency (a rate alone works in any).
    """
    if commissionable.amount < 0:
        raise FeeError("there is no commission on a negative amount")
    due = commissionable.share(bps=commission.bps)
    if commission.fixed:
        due += Money(commission.fixed, commission.currency)
    return min(due, commissionable)


def fee_refund(*, fee: Money, captured: Money, refunded_total: Money, already: Money) -> Money:
    """What to give back of `fee` now that `refunded_total` of `captured` has been refunded.

    `already` is what earlier refunds gave back. Computed from the running total, so any sequence
    of partial refunds that reaches `captured` returns `fee` exactly. Raises `FeeError` when more
    was refunded than captured, or more of the fee returned than is due.
    """
    _same(fee, captured, refunded_total, already)
    if not 0 <= fee.amount <= captured.amount:
        raise FeeError("a fee is between zero and what was captured")
    if not 0 <= refunded_total.amount <= captured.amount:
        raise FeeError("refunds never exceed the capture")
    due = share(of=fee, part=refunded_total, whole=captured)
    if not 0 <= already.amount <= due.amount:
        raise FeeError("more of the fee has been returned than these refunds call for")
    return due - already


def share(*, of: Money, part: Money, whole: Money) -> Money:
    """`of` in proportion `part / whole`, half-even. Of a zero whole, nothing."""
    if whole.amount == 0:
        return Money.zero(of.currency)
    return Money(divide_half_even(of.amount * part.amount, whole.amount), of.currency)


def tax_step(*, tax: Money, whole: Money, before: Money, part: Money) -> Money:
    """What of `tax` goes back with `part` of `whole`, of which `before` has gone back already.

    From the running total as in `fee_refund`, so any sequence that reaches `whole` ends exact.
    """
    _same(tax, whole, before, part)
    until = share(of=tax, part=before + part, whole=whole)
    return until - share(of=tax, part=before, whole=whole)


# --- what each event books ----------------------------------------------------------------------


def captured(
    *, merchant_id: str, gross: Money, fee: Money, tax: Money, processor_fee: Money
) -> list[Posting]:
    """We charged the buyer (settlement `platform`): the merchant's share, tax and fee are owed.

    `tax` is what we remit ourselves: zero where the merchant remits it. Empty when gross is zero.
    """
    _same(gross, fee, tax, processor_fee)
    if min(fee.amount, tax.amount, processor_fee.amount) < 0:
        raise FeeError("fees and tax are never negative")
    if (fee + tax).amount > gross.amount:
        raise FeeError("fee and tax are more than was captured")
    return _balanced(
        ("cash:stripe_pending", gross - processor_fee),
        (f"processor_fee:merchant:{merchant_id}", processor_fee),
        (f"payable:merchant:{merchant_id}", -(gross - tax - fee)),
        ("tax_payable", -tax),
        (f"fee_accrued:merchant:{merchant_id}", -fee),
    )


def accrued(*, merchant_id: str, fee: Money) -> list[Posting]:
    """The merchant charged the buyer (`merchant`, `handoff`) and owes us the commission."""
    return _balanced(
        (f"receivable:merchant:{merchant_id}", fee),
        (f"fee_accrued:merchant:{merchant_id}", -fee),
    )


def recognised(*, merchant_id: str, fee: Money) -> list[Posting]:
    """Fulfilled, or the return window is over: what is left of the fee is earned."""
    return _balanced(
        (f"fee_accrued:merchant:{merchant_id}", fee),
        (f"fee_recognised:merchant:{merchant_id}", -fee),
    )


def refunded(
    *,
    merchant_id: str,
    refund: Money,
    fee_part: Money,
    tax_part: Money,
    paid_out: bool = False,
) -> list[Posting]:
    """We paid the buyer back (`platform`). Parts come from `fee_refund` and `share`.

    With `paid_out` the merchant has had its money: it owes the part to us instead.
    """
    _same(refund, fee_part, tax_part)
    if min(refund.amount, fee_part.amount, tax_part.amount) < 0:
        raise FeeError("refunds are never negative")
    if (fee_part + tax_part).amount > refund.amount:
        raise FeeError("the parts are more than the refund")
    owed = "receivable" if paid_out else "payable"
    return _balanced(
        (f"{owed}:merchant:{merchant_id}", refund - fee_part - tax_part),
        ("tax_payable", tax_part),
        (f"fee_refunded:merchant:{merchant_id}", fee_part),
        ("cash:stripe_pending", -refund),
    )


def accrual_refunded(*, merchant_id: str, fee_part: Money) -> list[Posting]:
    """The merchant paid the buyer back (`merchant`, `handoff`): it owes us that much less."""
    return _balanced(
        (f"fee_refunded:merchant:{merchant_id}", fee_part),
        (f"receivable:merchant:{merchant_id}", -fee_part),
    )


def dispute_opened(*, merchant_id: str, amount: Money) -> list[Posting]:
    """The bank took the amount back until it has decided."""
    return _balanced(
        (f"dispute_hold:merchant:{merchant_id}", amount), ("cash:stripe_pending", -amount)
    )


def dispute_won(*, merchant_id: str, amount: Money) -> list[Posting]:
    """It gave the amount back to us."""
    return _balanced(
        ("cash:stripe_pending", amount), (f"dispute_hold:merchant:{merchant_id}", -amount)
    )


def dispute_lost(
    *, merchant_id: str, amount: Money, fee_part: Money, paid_out: bool
) -> list[Posting]:
    """The buyer keeps the amount. It is the merchant's sale that came undone, so the merchant bears
    it as it bears a refund, and our fee goes back in proportion. `paid_out`: the merchant has had
    its money (a destination charge) and owes us the part.
    """
    _same(amount, fee_part)
    if not 0 <= fee_part.amount <= amount.amount:
        raise FeeError("the fee in a lost dispute is between zero and what was lost")
    owed = "receivable" if paid_out else "payable"
    return _balanced(
        (f"{owed}:merchant:{merchant_id}", amount - fee_part),
        (f"fee_refunded:merchant:{merchant_id}", fee_part),
        (f"dispute_hold:merchant:{merchant_id}", -amount),
    )


def dispute_cost(*, merchant_id: str, fee: Money) -> list[Posting]:
    """The processor's fee for a dispute: ours, whoever wins."""
    return _balanced((f"dispute_fee:merchant:{merchant_id}", fee), ("cash:stripe_pending", -fee))


def subscription_paid(*, amount: Money, processor_fee: Money, tax: Money) -> list[Posting]:
    """A person paid for a plan."""
    _same(amount, processor_fee, tax)
    if min(amount.amount, processor_fee.amount, tax.amount) < 0 or amount < tax:
        raise FeeError("a payment, its fee and its tax are never negative")
    return _balanced(
        ("cash:stripe_pending", amount - processor_fee),
        ("processor_fee:subscription", processor_fee),
        ("tax_payable", -tax),
        ("subscription", -(amount - tax)),
    )


def subscription_refunded(*, refund: Money, tax_part: Money) -> list[Posting]:
    """A person got money for a plan back. The processor keeps its own fee."""
    _same(refund, tax_part)
    if not 0 <= tax_part.amount <= refund.amount:
        raise FeeError("the tax in a refund is between zero and the refund")
    return _balanced(
        ("subscription", refund - tax_part),
        ("tax_payable", tax_part),
        ("cash:stripe_pending", -refund),
    )


def charge_disputed(*, of: str, amount: Money) -> list[Posting]:
    """A bank took back what was paid for a plan or a pack, until it has decided."""
    return _balanced((f"dispute_hold:{of}", amount), ("cash:stripe_pending", -amount))


def charge_won(*, of: str, amount: Money) -> list[Posting]:
    """It gave the amount back to us."""
    return _balanced(("cash:stripe_pending", amount), (f"dispute_hold:{of}", -amount))


def charge_dispute_cost(*, of: str, fee: Money) -> list[Posting]:
    """The processor's fee for such a dispute: ours, whoever wins."""
    return _balanced((f"dispute_fee:{of}", fee), ("cash:stripe_pending", -fee))


def subscription_lost(*, amount: Money, part: Money, tax_part: Money) -> list[Posting]:
    """A bank kept `amount`; `part` of it is revenue of the plan taken back, the rest a loss."""
    _same(amount, part, tax_part)
    if not 0 <= tax_part.amount <= part.amount <= amount.amount:
        raise FeeError("the tax in what was lost is within it, and that within the dispute")
    return _balanced(
        ("subscription", part - tax_part),
        ("tax_payable", tax_part),
        ("dispute_loss:subscription", amount - part),
        ("dispute_hold:subscription", -amount),
    )


def credits_lost(*, amount: Money, part: Money, earned: Money) -> list[Posting]:
    """The same of a pack; `earned` of `part` had been recognised already."""
    _same(amount, part, earned)
    if not 0 <= earned.amount <= part.amount <= amount.amount:
        raise FeeError("what was earned is within what was lost, and that within the dispute")
    return _balanced(
        ("user_credits", part - earned),
        ("subscription:credits", earned),
        ("dispute_loss:credits", amount - part),
        ("dispute_hold:credits", -amount),
    )


def credits_sold(*, amount: Money, processor_fee: Money) -> list[Posting]:
    """A pack was paid for: we owe the answers until they are used or have lapsed."""
    _same(amount, processor_fee)
    if not 0 <= processor_fee.amount <= amount.amount:
        raise FeeError("the processor's fee is between zero and the payment")
    return _balanced(
        ("cash:stripe_pending", amount - processor_fee),
        ("processor_fee:credits", processor_fee),
        ("user_credits", -amount),
    )


def credits_recognised(*, amount: Money) -> list[Posting]:
    """Answers out of a pack were given, or its time is over: that much is earned."""
    return _balanced(("user_credits", amount), ("subscription:credits", -amount))


def credits_refunded(*, refund: Money, earned: Money) -> list[Posting]:
    """A pack was paid back; `earned` of it had been recognised already."""
    _same(refund, earned)
    if not 0 <= earned.amount <= refund.amount:
        raise FeeError("what was earned is part of the refund")
    return _balanced(
        ("user_credits", refund - earned),
        ("subscription:credits", earned),
        ("cash:stripe_pending", -refund),
    )


def refunded_beyond(*, of: str, amount: Money) -> list[Posting]:
    """More of a plan or a pack was paid back than a lost dispute had left of it: a loss."""
    return _balanced((f"dispute_loss:{of}", amount), ("cash:stripe_pending", -amount))


def undone(postings: Sequence[Posting]) -> list[Posting]:
    """The same event the other way round: what was booked did not last."""
    return [(account, -money) for account, money in postings]


def processor_cost(*, of: str, fee: Money) -> list[Posting]:
    """The processor's fee where it is taken in another currency than the payment."""
    return _balanced((f"processor_fee:{of}", fee), ("cash:stripe_pending", -fee))


def paid_out(*, merchant_id: str, amount: Money) -> list[Posting]:
    """The merchant received its share from our balance at the processor."""
    return _balanced(
        (f"payable:merchant:{merchant_id}", amount), ("cash:stripe_available", -amount)
    )


def invoice_paid(*, merchant_id: str, amount: Money) -> list[Posting]:
    """The merchant paid the commission that it owed."""
    return _balanced(("cash:bank", amount), (f"receivable:merchant:{merchant_id}", -amount))


def _balanced(*postings: Posting) -> list[Posting]:
    """Without the zeros: an entry that moves nothing is not an entry."""
    kept = [(account, money) for account, money in postings if money.amount]
    assert sum(money.amount for _, money in kept) == 0
    return kept


def _same(first: Money, *others: Money) -> None:
    for other in others:
        if other.currency != first.currency:
            raise CurrencyMismatch(f"{first.currency} and {other.currency} do not add up")
