"""What is said after a purchase: written from the order's row and nothing else."""

from typing import Any

from backend import orders
from backend.till import Till

_SAID = {
    "en": {
        "purchase": "Paid {total} to {merchant}. Your order {order} is placed "
        "(the merchant's number: {number}).",
        "booking": "Paid {total} to {merchant}. Your booking {order} is confirmed "
        "(the merchant's number: {number}).",
    },
    "zh": {
        "purchase": "已向{merchant}支付{total}。订单 {order} 已下单（商家单号：{number}）。",
        "booking": "已向{merchant}支付{total}。预订 {order} 已确认（商家单号：{number}）。",
    },
}


async def receipt(
    till: Till, user_id: str, order_id: str, *, language: str
) -> tuple[str, dict[str, Any]]:
    """One sentence and the order's card."""
    async with till.database.transaction() as session:
        row = await orders.fetch(session, order_id, user_id=user_id)
    words = _SAID[language][row.kind]
    locale = "zh_Hans_CN" if language == "zh" else "en"
    text = words.format(
        total=row.amount.text(locale),
        merchant=row.merchant_name,
        order=row.id,
        number=row.merchant_order_id,
    )
    return text, orders.card(row)
