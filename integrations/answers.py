"""What a partner's answer lets us do, whatever the protocol it came in.

Success is the object's state, never the HTTP status. What we do not know makes an answer less
ready, never more, and goes on at the partner's own page where it names one.
"""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import date
from typing import Any, Literal

from integrations.money import Money
from integrations.partner import (
    Basket,
    Note,
    PartnerOrder,
    PartnerRefused,
    PartnerUnknown,
    Quote,
    Status,
    Total,
)
from integrations.wire import Unreadable, integer_at, link_at, objects_at, text_at, time_at

Severity = Literal["info", "warning", "error"]
_SEVERITIES: Mapping[str, Severity] = {"info": "info", "warning": "warning", "error": "error"}
# Answers to "place it" after which something exists, may come to exist, or goes on elsewhere.
_PLACED: tuple[Status, ...] = ("completed", "placing", "needs_handoff")
# What the partner said is in words of another time; it may have done anything.
_UNKNOWN_WORDS = frozenset({"unknown_status", "version_unsupported"})


class Inconsistent(PartnerRefused):
    """The answer contradicts itself: amounts, totals or currencies."""

    def __init__(self, detail: str) -> None:
        super().__init__(detail, code="inconsistent_totals")


def notes_of(answer: Mapping[str, Any], *, severity: str, text: str, path: str) -> list[Note]:
    """Its messages, by its protocol's names. An unknown kind is shown and decides nothing."""
    notes = []
    for entry in objects_at(answer, "messages"):
        known = _SEVERITIES.get(text_at(entry, severity, 20), "info")
        code = text_at(entry, "code", 60) or known
        notes.append(Note(known, code, text_at(entry, text), text_at(entry, path, 200) or None))
    return notes


def status_of(
    word: str,
    known: Mapping[str, Status],
    *,
    order: PartnerOrder | None,
    continue_url: str | None,
    notes: list[Note],
    personal: bool = False,
    harmless: frozenset[str] = frozenset(),
) -> Status:
    """The state, no better than all that is said beside it; adds its own doubts to `notes`.

    `personal`: a step is left that only the person can take. `harmless`: codes of errors that
    concern an extra or an earlier attempt.
    """
    status = known.get(word)
    if status == "completed" and order is not None:
        return "completed"  # whatever else it says, this exists
    foreign = any(note.code == "version_unsupported" for note in notes)
    if status is None:
        notes.append(Note("warning", "unknown_status", f"the partner says {word or 'nothing'}"))
        return "needs_handoff" if continue_url else "incomplete"
    if foreign or (personal and status in ("ready", "incomplete")):
        status = "needs_handoff"
    if status == "needs_handoff" and continue_url is None:
        text = "the partner wants a step that it gives no address for"
        notes.append(Note("error", "requires_escalation", text))
        return "incomplete"
    if status == "completed":
        notes.append(Note("warning", "no_order", "completed, but no order is named yet"))
        return "placing"
    errors = [note for note in notes if note.severity == "error"]
    if status == "ready" and any(note.code not in harmless for note in errors):
        return "incomplete"
    return status


def totals_of(answer: Mapping[str, Any], currency: str, *, label: str) -> tuple[Total, ...]:
    """Its totals. Raises `MoneyError` for a currency that is none."""
    found = []
    for entry in objects_at(answer, "totals"):
        kind = text_at(entry, "type", 40)
        said = text_at(entry, label, 100) or kind
        found.append(Total(kind, said, Money(integer_at(entry, "amount"), currency)))
    return tuple(found)


def hold_against(wrong: str, status: Status, notes: list[Note]) -> None:
    """Sums that do not add up: nobody is asked to agree to them (`Inconsistent`).

    An order that exists is returned with an error note instead: calling it a refusal would void a
    payment that the merchant relies on.
    """
    if wrong and status != "completed":
        raise Inconsistent(wrong)
    if wrong:
        notes.append(Note("error", "inconsistent_totals", wrong))


def stated_total(totals: Sequence[Total]) -> Money:
    """The one total that is stated. Raises `Inconsistent` for none, two, or a negative one."""
    stated = [entry.amount for entry in totals if entry.type == "total"]
    if len(stated) != 1 or stated[0].amount < 0:
        raise Inconsistent("there must be one total, and it must not be negative")
    return stated[0]


def day_at(value: Mapping[str, Any], name: str) -> date | None:
    moment = time_at(value, name)
    return moment.date() if moment else None


def order_at(value: Mapping[str, Any], base_url: str, *, status: str) -> PartnerOrder | None:
    """The order in an object; None where it names none. `status`: for one that has no state yet."""
    identifier = text_at(value, "id", 200)
    if not identifier:
        return None
    said = text_at(value, "status", 60) or status
    return PartnerOrder(identifier, said, link_at(value, "permalink_url", base_url=base_url))


def offered(read: Callable[[], Quote], answer: Mapping[str, Any], *, base_url: str) -> Quote:
    """An answer before anything was placed. What cannot be read may go on at the partner's page.

    Raises what `read` raises; with an address to go on at, always a `PartnerRefused`.
    """
    try:
        return read()
    except (Unreadable, Inconsistent) as error:
        on = link_at(answer, "continue_url", base_url=base_url)
        if on is None:
            raise
        raise PartnerRefused(error.detail, code=error.code, continue_url=on) from error


def placed(read: Callable[[], Quote], word: str) -> Quote:
    """The answer to "place it". Only a plain state says that nothing happened.

    Raises `PartnerUnknown` for an answer that contradicts itself or that we have no words for.
    """
    try:
        quote = read()
    except Inconsistent as error:
        raise PartnerUnknown(error.detail, code=error.code) from error
    codes = {note.code for note in quote.notes}
    if codes & _UNKNOWN_WORDS and quote.status != "completed":
        raise PartnerUnknown(f"the partner says {word or 'nothing'}", code="unknown_status")
    if quote.status in _PLACED:
        return quote
    raise refusal(quote)


def may_place(now: Quote, amount: Money) -> bool:
    """Whether to place what was just read. False: it is placed, in work or elsewhere already.

    Raises `PartnerRefused` when it is not ready, or does not cost what the payment covers.
    """
    if now.status in _PLACED:
        return False
    if now.status != "ready":
        raise refusal(now)
    if now.total != amount:
        raise PartnerRefused(f"the total is {now.total}, not {amount}", code="price_changed")
    return True


def refusal(quote: Quote) -> PartnerRefused:
    """Why a quote is no order, in the partner's own words where it has any."""
    for note in quote.notes:
        if note.severity == "error":
            return PartnerRefused(note.text or note.code, code=note.code, path=note.path)
    code = quote.status if quote.status in ("canceled", "expired") else "not_ready"
    return PartnerRefused(f"this is {quote.status}", code=code)


def as_asked(quote: Quote, basket: Basket, *, exactly: bool | None = None) -> Quote:
    """The quote, not ready if it is for other goods, quantities or money than were asked for.

    `exactly` is the protocol's own comparison where items and quantities are not all.
    """
    if quote.total.currency != basket.currency:
        raise PartnerRefused(f"the partner sells in {quote.total.currency}", code="currency")
    asked: Counter[str] = Counter()
    for item, quantity in basket.lines:
        asked[item] += quantity
    given: Counter[str] = Counter()
    for line in quote.lines:
        given[line.item_id] += line.quantity
    if asked == given and exactly is not False:
        return quote
    note = Note("error", "lines_differ", "the partner's quote is not for what was asked")
    status = "incomplete" if quote.status in ("ready", "placing") else quote.status
    return replace(quote, status=status, notes=(*quote.notes, note))
