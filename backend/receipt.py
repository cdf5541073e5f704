"""What is said after a purchase: written from the order's row and nothing else."""

from typing import Any

from backend import changes, checkout, orders
from backend.checkout import Checkout
from backend.orders import PurchaseOrder
from backend.till import Till
from graphs import orders as moved

_SAID = {
    "en": {
        "purchase": "Paid {total} to {merchant}. Your order {order} is placed "
        "(the merchant's number: {number}).",
        "booking": "Paid {total} to {merchant}. Your booking {order} is confirmed "
        "(the merchant's number: {number}).",
        "changed": "Your booking {order} at {merchant} is changed: {when}. {settled}",
        "more": "You paid {total} more.",
        "back": "{total} is on its way back to you.",
        "unpaid": "Nothing more was charged.",
    },
    "zh": {
        "purchase": "已向{merchant}支付{total}。订单 {order} 已下单（商家单号：{number}）。",
        "booking": "已向{merchant}支付{total}。预订 {order} 已确认（商家单号：{number}）。",
        "changed": "{merchant}的预订 {order} 已更改：{when}。{settled}",
        "more": "已补付{total}。",
        "back": "{total}正在退还给您。",
        "unpaid": "没有另外扣款。",
    },
}


async def receipt(
    till: Till, user_id: str, checkout_id: str, *, language: str
) -> tuple[str, dict[str, Any]]:
    """One sentence about a completed checkout and its order's card."""
    async with till.database.transaction() as session:
        bought = await checkout.fetch(session, checkout_id, user_id=user_id)
        row = await orders.fetch(session, bought.order_id or "", user_id=user_id)
    locale = "zh_Hans_CN" if language == "zh" else "en"
    if bought.changes is not None:
        return _changed(bought, row, language=language, locale=locale), orders.card(row)
    words = _SAID[language][row.kind]
    text = words.format(
        total=row.amount.text(locale),
        merchant=row.merchant_name,
        order=row.id,
        number=row.merchant_order_id,
    )
    return text, orders.card(row)


def _changed(bought: Checkout, row: PurchaseOrder, *, language: str, locale: str) -> str:
    """What was paid or is on its way back, and how the booking stands now."""
    back = changes.due_back(bought)
    said = _SAID[language]
    settled = said["unpaid"]
    if bought.amount.amount:
        settled = said["more"].format(total=bought.amount.text(locale))
    elif back.amount:
        settled = said["back"].format(total=back.text(locale))
    when = moved.when(row.booking or {}, language)
    return said["changed"].format(
        order=row.id, merchant=row.merchant_name, when=when, settled=settled
    )
