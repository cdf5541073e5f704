"""Commissions are exact, refunds end exact, and every event books what adds up to zero."""

from collections import Counter
from collections.abc import Sequence
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backend import fees
from backend.database import Database
from backend.fees import Commission, FeeError, Posting
from backend.ledger import ROOTS, post
from integrations.money import CurrencyMismatch, Money, MoneyError

CURRENCIES = st.sampled_from(["EUR", "USD", "JPY", "KWD", "ISK"])
AMOUNTS = st.integers(0, 10**12)
TERMS = st.tuples(st.integers(0, 10_000), st.integers(0, 10**6))


def usd(amount: int) -> Money:
    return Money(amount, "USD")


def sums(postings: Sequence[Posting]) -> dict[str, int]:
    total: Counter[str] = Counter()
    for _, money in postings:
        total[money.currency] += money.amount
    return dict(total)


@pytest.mark.parametrize(
    ("bps", "fixed", "amount", "due"),
    [
        (400, 0, 6_000, 240),  # 4 % of $60
        (333, 0, 100, 3),
        (250, 0, 20, 0),  # 0.5 rounds to even: 0
        (250, 0, 60, 2),  # 1.5 rounds to even: 2
        (250, 0, 100, 2),  # 2.5 rounds to even: 2
        (0, 30, 500, 30),
        (400, 30, 6_000, 270),
        (400, 30, 20, 20),  # never more than the amount
        (10_000, 0, 77, 77),
        (400, 30, 0, 0),
    ],
)
def test_a_commission_is_a_rate_and_a_fixed_part(bps: int, fixed: int, amount: int, due: int):
    assert fees.fee(Commission(bps, fixed, "USD"), usd(amount)) == usd(due)


@given(TERMS, AMOUNTS, CURRENCIES)
def test_a_fee_is_never_negative_nor_above_the_amount(
    terms: tuple[int, int], amount: int, currency: str
):
    due = fees.fee(Commission(*terms, currency), Money(amount, currency))
    assert 0 <= due.amount <= amount


@given(st.integers(0, 10_000), AMOUNTS, CURRENCIES)
def test_a_rate_is_within_half_a_minor_unit_of_the_exact_fee(bps: int, amount: int, currency: str):
    due = fees.fee(Commission(bps, 0, "USD"), Money(amount, currency))
    assert abs(due.amount - Fraction(amount * bps, 10_000)) <= Fraction(1, 2)


def test_a_fixed_part_in_another_currency_is_refused():
    with pytest.raises(CurrencyMismatch):
        fees.fee(Commission(400, 30, "EUR"), usd(100))


def test_a_rate_alone_works_in_any_currency():
    assert fees.fee(Commission(400, 0, "EUR"), usd(100)) == usd(4)


def test_there_is_no_commission_on_a_negative_amount():
    with pytest.raises(FeeError, match="negative"):
        fees.fee(Commission(400, 0, "USD"), usd(-1))


@pytest.mark.parametrize(
    ("bps", "fixed"), [(-1, 0), (10_001, 0), (4.5, 0), (True, 0), (400, -1), (400, 0.5)]
)
def test_terms_that_cannot_be_meant_are_refused(bps: int, fixed: int):
    with pytest.raises(FeeError):
        Commission(bps, fixed, "USD")


def test_an_unknown_currency_is_refused():
    with pytest.raises(MoneyError):
        Commission(400, 0, "usd")


def test_terms_are_stored_and_read_back_as_they_were():
    commission = Commission(333, 5, "EUR")
    assert fees.agreed(fees.terms(commission)) == commission
    with pytest.raises(FeeError, match="lack"):
        fees.agreed({"bps": 1})


# --- refunds ------------------------------------------------------------------------------------


@given(
    st.integers(1, 10_000),
    st.lists(st.integers(0, 10**7), min_size=1, max_size=12),
    CURRENCIES,
)
def test_any_sequence_of_partial_refunds_returns_the_fee_exactly(
    bps: int, parts: list[int], currency: str
):
    captured = Money(sum(parts), currency)
    due = fees.fee(Commission(bps, 0, currency), captured)
    refunded = already = Money.zero(currency)
    for part in parts:
        refunded += Money(part, currency)
        step = fees.fee_refund(fee=due, captured=captured, refunded_total=refunded, already=already)
        assert step.amount >= 0
        already += step
        exact = Fraction(due.amount * refunded.amount, captured.amount) if captured.amount else 0
        assert abs(already.amount - exact) <= Fraction(1, 2)
    assert already == due


@pytest.mark.parametrize(("amount", "currency"), [(100, "JPY"), (10, "USD"), (10, "KWD")])
def test_seven_refunds_of_a_seventh_each_end_exact(amount: int, currency: str):
    captured = Money(amount, currency)
    due = fees.fee(Commission(333, 0, currency), captured)
    refunded = already = Money.zero(currency)
    for part in captured.split([1] * 7):
        refunded += part
        already += fees.fee_refund(
            fee=due, captured=captured, refunded_total=refunded, already=already
        )
    assert (refunded, already) == (captured, due)


@st.composite
def taxed(draw: st.DrawFn) -> tuple[int, list[int]]:
    """A tax, and the parts that a payment went back in."""
    parts = draw(st.lists(st.integers(1, 10**6), min_size=1, max_size=12))
    return draw(st.integers(0, sum(parts))), parts


@given(taxed(), CURRENCIES)
def test_tax_that_goes_back_in_any_parts_ends_exact_and_is_always_within_its_part(
    case: tuple[int, list[int]], currency: str
):
    tax, whole = Money(case[0], currency), Money(sum(case[1]), currency)
    before = given = Money.zero(currency)
    for part in (Money(one, currency) for one in case[1]):
        step = fees.tax_step(tax=tax, whole=whole, before=before, part=part)
        assert 0 <= step.amount <= part.amount
        before, given = before + part, given + step
    assert (before, given) == (whole, tax)


def test_a_refund_of_nothing_returns_no_fee_even_of_a_free_order():
    none = usd(0)
    assert fees.fee_refund(fee=none, captured=none, refunded_total=none, already=none) == none


@pytest.mark.parametrize(
    ("refunded", "already", "why"),
    [(101, 0, "exceed"), (-1, 0, "exceed"), (50, 6, "more of the fee"), (50, -1, "more of")],
)
def test_refunds_beyond_the_capture_or_the_fee_are_refused(refunded: int, already: int, why: str):
    with pytest.raises(FeeError, match=why):
        fees.fee_refund(
            fee=usd(10), captured=usd(100), refunded_total=usd(refunded), already=usd(already)
        )


def test_a_fee_above_the_capture_is_refused():
    with pytest.raises(FeeError, match="between"):
        fees.fee_refund(fee=usd(11), captured=usd(10), refunded_total=usd(1), already=usd(0))


def test_refunds_never_mix_currencies():
    with pytest.raises(CurrencyMismatch):
        fees.fee_refund(
            fee=usd(1), captured=Money(100, "EUR"), refunded_total=usd(1), already=usd(0)
        )


# --- what is booked -----------------------------------------------------------------------------


def test_a_capture_books_cash_processor_merchant_tax_and_fee():
    booked = fees.captured(
        merchant_id="m", gross=usd(10_000), fee=usd(400), tax=usd(700), processor_fee=usd(320)
    )
    assert dict(booked) == {
        "cash:stripe_pending": usd(9_680),
        "processor_fee:merchant:m": usd(320),
        "payable:merchant:m": usd(-8_900),
        "tax_payable": usd(-700),
        "fee_accrued:merchant:m": usd(-400),
    }


@st.composite
def sales(draw: st.DrawFn) -> tuple[Money, Money, Money, Money]:
    currency = draw(CURRENCIES)
    gross = draw(AMOUNTS)
    fee = draw(st.integers(0, gross))
    tax = draw(st.integers(0, gross - fee))
    return tuple(Money(n, currency) for n in (gross, fee, tax, draw(st.integers(0, 10**6))))  # type: ignore[return-value]


@given(sales())
def test_a_capture_adds_up_to_zero_and_to_gross(sale: tuple[Money, Money, Money, Money]):
    gross, fee, tax, processor = sale
    booked = fees.captured(merchant_id="m", gross=gross, fee=fee, tax=tax, processor_fee=processor)
    by_account = {account: money.amount for account, money in booked}
    assert set(sums(booked).values()) <= {0}
    assert all(money.amount for _, money in booked)
    owed = -by_account.get("payable:merchant:m", 0) + tax.amount + fee.amount
    assert owed == gross.amount


@given(sales(), st.lists(st.integers(0, 10**6), max_size=6), st.booleans())
def test_a_sale_refunded_in_full_by_any_steps_leaves_only_the_processors_fee(
    sale: tuple[Money, Money, Money, Money], weights: list[int], paid_out: bool
):
    gross, fee, tax, processor = sale
    parts = gross.split([*weights, 1])
    books: Counter[str] = Counter()
    zero = Money.zero(gross.currency)

    def add(postings: Sequence[Posting]) -> None:
        for account, money in postings:
            books[account.replace("receivable", "payable")] += money.amount

    add(fees.captured(merchant_id="m", gross=gross, fee=fee, tax=tax, processor_fee=processor))
    refunded = fee_back = tax_back = zero
    for part in parts:
        before = refunded
        refunded += part
        fee_part = fees.fee_refund(
            fee=fee, captured=gross, refunded_total=refunded, already=fee_back
        )
        tax_part = fees.share(of=tax, part=refunded, whole=gross) - tax_back
        if (fee_part + tax_part).amount > part.amount:  # rounding of two parts may top a tiny one
            tax_part = part - fee_part
        assert before <= refunded
        add(
            fees.refunded(
                merchant_id="m",
                refund=part,
                fee_part=fee_part,
                tax_part=tax_part,
                paid_out=paid_out,
            )
        )
        fee_back += fee_part
        tax_back += tax_part
    assert sum(books.values()) == 0
    assert fee_back == fee
    assert books["fee_accrued:merchant:m"] + books["fee_refunded:merchant:m"] == 0
    assert books["cash:stripe_pending"] == -processor.amount
    assert books["payable:merchant:m"] + books["tax_payable"] == 0


def test_a_refund_after_the_payout_is_owed_by_the_merchant():
    booked = fees.refunded(
        merchant_id="m", refund=usd(100), fee_part=usd(4), tax_part=usd(0), paid_out=True
    )
    assert ("receivable:merchant:m", usd(96)) in booked


def test_accrual_recognition_and_its_refund_net_to_nothing():
    books: Counter[str] = Counter()
    for step in (
        fees.accrued(merchant_id="m", fee=usd(40)),
        fees.recognised(merchant_id="m", fee=usd(40)),
        fees.invoice_paid(merchant_id="m", amount=usd(40)),
        fees.accrual_refunded(merchant_id="m", fee_part=usd(40)),
    ):
        assert sums(step) == {"USD": 0}
        for account, money in step:
            books[account] += money.amount
    assert books == {
        "receivable:merchant:m": -40,  # we owe it back
        "fee_accrued:merchant:m": 0,
        "fee_recognised:merchant:m": -40,
        "fee_refunded:merchant:m": 40,
        "cash:bank": 40,
    }


def test_a_subscription_is_income_without_its_tax():
    booked = fees.subscription_paid(amount=usd(2_000), processor_fee=usd(88), tax=usd(319))
    assert dict(booked)["subscription"] == usd(-1_681)
    assert sums(booked) == {"USD": 0}


@pytest.mark.parametrize(
    "sale",
    [
        {"fee": usd(60), "tax": usd(50), "processor_fee": usd(0)},
        {"fee": usd(-1), "tax": usd(0), "processor_fee": usd(0)},
        {"fee": usd(0), "tax": usd(-1), "processor_fee": usd(0)},
        {"fee": usd(0), "tax": usd(0), "processor_fee": usd(-1)},
    ],
)
def test_a_capture_that_cannot_be_right_books_nothing(sale: dict[str, Money]):
    with pytest.raises(FeeError):
        fees.captured(merchant_id="m", gross=usd(100), **sale)


def test_refund_parts_above_the_refund_are_refused():
    with pytest.raises(FeeError, match="parts"):
        fees.refunded(merchant_id="m", refund=usd(5), fee_part=usd(4), tax_part=usd(2))


def test_a_free_order_books_nothing():
    zero = usd(0)
    assert fees.captured(merchant_id="m", gross=zero, fee=zero, tax=zero, processor_fee=zero) == []


async def test_the_ledger_takes_every_events_postings(database: Database):
    events = {
        "captured": fees.captured(
            merchant_id="mer-1", gross=usd(900), fee=usd(36), tax=usd(60), processor_fee=usd(56)
        ),
        "accrued": fees.accrued(merchant_id="mer_1", fee=usd(3)),
        "recognised": fees.recognised(merchant_id="mer_1", fee=usd(3)),
        "refunded": fees.refunded(
            merchant_id="mer_1", refund=usd(90), fee_part=usd(4), tax_part=usd(6)
        ),
        "accrual_refunded": fees.accrual_refunded(merchant_id="mer_1", fee_part=usd(1)),
        "subscription_paid": fees.subscription_paid(
            amount=usd(2_000), processor_fee=usd(88), tax=usd(0)
        ),
        "paid_out": fees.paid_out(merchant_id="mer_1", amount=usd(10)),
        "invoice_paid": fees.invoice_paid(merchant_id="mer_1", amount=usd(3)),
    }
    async with database.transaction() as session:
        ids = [
            await post(session, kind=kind, ref="1", entries=entries)
            for kind, entries in events.items()
        ]
    assert ids == list(range(1, len(events) + 1))
    roots = {account.split(":")[0] for entries in events.values() for account, _ in entries}
    assert roots <= set(ROOTS)
