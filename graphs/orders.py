"""Every sentence about orders, in English and Chinese, filled from the orders' own rows."""

from collections.abc import Sequence

from babel.dates import format_datetime, get_timezone

from graphs.sentences import LOCALE, pick, plain
from graphs.state import Cancellation, OrderFact

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
