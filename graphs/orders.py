"""Every sentence about orders, in English and Chinese, filled from the orders' own rows."""

from collections.abc import Mapping, Sequence
from datetime import date, time
from typing import Any

from babel.dates import format_datetime, get_timezone

from graphs.sentences import LOCALE, day_text, hour_text, pick, plain
from graphs.state import Blocked, Cancellation, OrderFact, Proposal

_STATES: dict[str, tuple[str, str]] = {
    "placed": ("placed", "已下单"),
    "fulfilled": ("fulfilled", "已完成"),
    "partially_refunded": ("partially refunded", "已部分退款"),
    "refunded": ("refunded", "已退款"),
    "canceled": ("canceled", "已取消"),
    "disputed": ("disputed", "有争议"),
}


def orders(
    rows: Sequence[OrderFact], *, timezone: str, language: str, numbered: bool = False
) -> str:
    """The newest orders as their rows have them; nothing is added to what a row says."""
    if not rows:
        return pick(
            language, "You have no orders or bookings here yet.", "您在这里还没有订单或预订。"
        )
    lines = []
    for place, row in enumerate(rows, 1):
        state = pick(language, *_STATES.get(row.state, (row.state, row.state)))
        placed = format_datetime(
            row.placed_at, "medium", tzinfo=get_timezone(timezone), locale=LOCALE[language]
        )
        total = row.total.text(LOCALE[language])
        title, shop = plain(row.title), plain(row.merchant, 60)
        number = f"{place}. " if numbered else ""
        lines.append(f"{number}{row.order_id}: {title} · {shop} · {total} · {state} · {placed}")
    return pick(language, "Your orders:", "您的订单：") + "\n" + "\n".join(lines)


def cancelling(order: OrderFact, quote: Cancellation, *, timezone: str, language: str) -> str:
    """The merchant's own terms for canceling; the person decides on the order's page."""
    back, kept = (m.text(LOCALE[language]) for m in (quote.refund, quote.fee))
    until = format_datetime(
        quote.expires_at, "short", tzinfo=get_timezone(timezone), locale=LOCALE[language]
    )
    title, shop = plain(order.title), plain(order.merchant, 60)
    return pick(
        language,
        f"Canceling {title} at {shop} ({order.order_id}) gives you back {back}; {kept} is kept. "
        f"This holds until {until}. Nothing changes until you confirm it here: {quote.url}",
        f"取消{shop}的{title}（{order.order_id}）可退{back}，扣除{kept}，此报价有效至{until}。"
        f"在您确认之前不会有任何变动：{quote.url}",
    )


def not_cancelable(order: OrderFact, language: str) -> str:
    title, shop = plain(order.title), plain(order.merchant, 60)
    return pick(
        language,
        f"{shop} gives no terms for canceling {title} ({order.order_id}) right now; nothing was "
        "changed.",
        f"{shop}目前没有给出取消{title}（{order.order_id}）的条件，未做任何变动。",
    )


def nothing_to_cancel(language: str) -> str:
    return pick(
        language,
        "You have no order or booking that could still be canceled.",
        "您没有可以取消的订单或预订。",
    )


def moving(order: OrderFact, made: Proposal, language: str) -> str:
    """From what to what, and what it costs or gives back, from the frozen quote."""
    before = when(made.confirmation["changes"]["booking"], language)
    after = when(made.confirmation["booking"], language)
    title, shop = plain(order.title), plain(order.merchant, 60)
    totals = made.confirmation["totals"]
    back = sum(total["amount"] for total in totals if total["type"] == "refund_due")
    due = made.total.text(LOCALE[language])
    given = type(made.total)(back, made.total.currency).text(LOCALE[language])
    if made.total.amount:
        costs = pick(language, f"It costs {due} more", f"需补付{due}")
    elif back:
        costs = pick(language, f"You get back {given}", f"将退还{given}")
    else:
        costs = pick(language, "It costs nothing more", "无需补付")
    return pick(
        language,
        f"{title} at {shop} ({order.order_id}) would move from {before} to {after}. {costs}. "
        f"Nothing changes until you confirm it here: {made.url}",
        f"{shop}的{title}（{order.order_id}）将从{before}改为{after}。{costs}。"
        f"在您确认之前不会有任何变动：{made.url}",
    )


def when(booking: Mapping[str, Any], language: str) -> str:
    """A booking's facts in words: 'Friday, November 27, 2026, 7:00 PM, 2 people'."""
    parts = [day_text(date.fromisoformat(str(booking["date"])), language)]
    if booking.get("time"):
        parts.append(hour_text(time.fromisoformat(str(booking["time"])), language))
    if nights := booking.get("nights"):
        english = "1 night" if nights == 1 else f"{nights} nights"
        parts.append(pick(language, english, f"{nights}晚"))
    party = booking["party"]
    people = "1 person" if party == 1 else f"{party} people"
    parts.append(pick(language, people, f"{party}人"))
    return pick(language, ", ", "，").join(parts)


def not_moved(order: OrderFact, held: Blocked, language: str) -> str:
    """Why the merchant does not move it, and what is possible instead."""
    title, shop = plain(order.title), plain(order.merchant, 60)
    if "sold_out" in held.missing:
        return pick(
            language,
            f"{shop} has nothing free then; {title} ({order.order_id}) stays as it is booked. "
            "Would another time or day suit you?",
            f"{shop}在那时没有空位，{title}（{order.order_id}）保持不变。换个时间或日期可以吗？",
        )
    if "nothing_to_change" in held.missing:
        return pick(
            language,
            f"{title} ({order.order_id}) is booked like that already.",
            f"{title}（{order.order_id}）已经是这样预订的。",
        )
    if "not_changeable" in held.missing:
        return pick(
            language,
            f"{shop} does not take this change to {title} ({order.order_id}); it stays as it is. "
            f"I can ask what canceling gives back (say “cancel {order.order_id}”) and book anew.",
            f"{shop}不接受对{title}（{order.order_id}）的这项更改，预订保持不变。"
            f"我可以先问取消能退多少（请说“取消 {order.order_id}”），再重新预订。",
        )
    return pick(
        language,
        f"{shop} could not quote this change right now; {title} ({order.order_id}) stays as it is.",
        f"{shop}暂时无法给出更改的报价，{title}（{order.order_id}）保持不变。",
    )


def nothing_to_move(language: str) -> str:
    return pick(
        language,
        "You have no booking here that could still be changed.",
        "您在这里没有可以更改的预订。",
    )


def move_where(language: str) -> str:
    return pick(
        language,
        "What shall I change: the day, the time or the number of people?",
        "要改什么：日期、时间还是人数？",
    )
