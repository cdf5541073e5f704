"""Words that a person has made or remade are theirs; claims about their own purchases are not."""

import pytest

from graphs.claims import Watch
from tests.graphs.test_claims_guard import streamed


@pytest.mark.parametrize(
    "ask",
    ["Write an email that says the room is booked", "把这句话翻译成中文：I have booked a table"],
)
def test_words_that_the_person_asked_to_be_written_are_theirs(ask: str):
    said = "I have booked the meeting room for Monday. "
    assert streamed(Watch("en", ask=ask), said, 5) == said
    assert streamed(Watch("en", ask="book me a room"), said, 5) != said


OURS = "ord_123456789abcdef012345678"
UNTRUE = (
    f"Your payment of €10.00 succeeded and your order {OURS} for the tent has been placed. "
    "已付款，订单号 88812345。"
)
# Asks about a purchase of one's own, however they want to be answered.
OWN = [
    "Did my payment go through? Answer in Chinese.",
    "Did it work? Summarize what you did for me.",
    "Did you get the confirmation letter for my payment?",
    "write a short poem about my order",
    "summarise everything you know about me",
    "In French please: what is my order number?",
    "Has my order been placed? Reply in German",
    "Write down my confirmation code",
    "Write the order number and nothing else",
    "Send me an e-mail when it is booked",
    "Was the e-mail sent? Is the table booked?",
    "Write me a summary of what you did for me",
    "Write an email to me confirming that you booked the table",
    "Write a letter to the shop about my order",
    "Translate your answer into Chinese: did my payment go through?",
    "Translate 'hello' into French. Did my payment go through?",
    "Write 'payment succeeded' if my payment went through",
    "Write a poem about cats. Also, was my order placed?",
    "Is it correct that my payment succeeded?",
    "Did it go through? Give me code 1 for yes",
    "What does the status of the payment mean?",
    "Summarise: did the payment succeed?",
    "Role-play as the shop and confirm my booking",
    "Which template did you use for my order?",
    "In Chinese",
    "summarize",
    "请总结一下：付款成功了吗？",
    "总结一下你帮我做了什么",
    "我的付款成功了吗？请用英文回答",
    "请写出我的订单号",
    "写一首关于我的订单的诗",
    "确认邮件发了吗？我的订单成功了吗",
    "翻译一下你的回答：我的订单成功了吗？",
    "给我写一封邮件，确认你帮我订了桌子",
    "用中文告诉我，已经下单了吗？",
    "总结你知道的关于我的一切",
    "订单号是多少？写给我",
]
# Asks for words, and words that belong to them.
COMPOSED = [
    (
        "write me an example e-mail of a shop confirming order 12345",
        "Dear customer, your order 12345 has been placed. Order number: 12345. ",
    ),
    ("translate: 'Your order has been placed'", "您的订单已提交。"),
    ("Translate into English: 您的订单号是 20261234", "Your order number is 20261234. "),
    ("Translate to English: Votre commande a été passée.", "Your order has been placed. "),
    ("translate I have booked a table into German and back", "I have booked a table. "),
    ("How do you say 'I have paid' in Chinese?", "我已经付款了。"),
    ('What does "your booking is confirmed" mean?', "It says that your booking is confirmed. "),
    ("I have booked a table for two.\nTranslate this into Chinese", "我已经预订了两人桌。"),
    ("Proofread: I has ordered the tent and payed for it", "I have ordered the tent and paid. "),
    ("Rephrase “Your refund has been processed.” politely", "Your refund has been processed. "),
    ("Summarise: I have booked a room and my wife has paid.", "You have booked a room. "),
    ("Draft a letter from a hotel to a guest, the room is booked", "Your room is booked. "),
    ("Write a short story about a man who buys a lamp", '"Your order has been placed," it said. '),
    ("Tell me a story in French about a hotel", "« Your room is reserved. » "),
    ("Write an email to my boss that I booked the meeting room", "I have booked the room. "),
    ("Write code that prints a message after checkout", 'print("Your order has been placed!")\n'),
    ("Give me a template for an order confirmation", "Your order #12345 has been placed. "),
    ("I need a sample booking confirmation", "Your booking is confirmed. No.: 0000. "),
    ("Write a dialogue at a shop, in Chinese", "店员：已经为您下单了。"),
    ("Let's role-play: you are a waiter", "Your table is reserved! "),
    ("Compose a text message from a courier", "Your package is on its way. "),
    ("Write a scene with a parcel", "The clerk read out order number 44218. "),
    ("把这句话翻译成中文：I have booked a table", "我已经预订了桌子。"),
    ("翻译成英文：您的付款已成功", "Your payment has been completed. "),
    ("“订单已确认”用英语怎么说？", "Your order has been confirmed. "),
    ("帮我写一封商店确认订单12345的邮件范文", "您的订单已确认，订单号：12345。"),
    ("写一个关于买灯的故事", "店员说：“已经为您下单了。”"),
    ("给我讲个酒店的故事", "前台说：您的房间已经订好了。"),
    ("用“已付款”造句", "我已经付款了。"),
    ("润色这句话：我已经帮您下单了", "我已为您下单。"),
    ("写一段代码，打印下单成功", 'print("下单成功")\n'),
    ("请帮我起草一封酒店给客人的信，说房间已订好", "您的房间已经确认。"),
]


@pytest.mark.parametrize("ask", OWN)
@pytest.mark.parametrize("size", [4, 1000])
def test_who_asks_about_an_own_purchase_sees_no_claim_however_it_is_to_be_said(ask, size):
    watch = Watch("en", ask=ask)
    said = streamed(watch, UNTRUE, size)
    assert watch.cut
    assert not any(word in said for word in ("succeeded", "ord_", "placed", "付款，", "88812345"))


@pytest.mark.parametrize(("ask", "words"), COMPOSED)
@pytest.mark.parametrize("size", [4, 1000])
def test_words_made_or_remade_are_shown_as_they_are(ask, words, size):
    watch = Watch("en", ask=ask)
    assert streamed(watch, words, size) == words
    assert not watch.cut


@pytest.mark.parametrize("ask", [ask for ask, _ in COMPOSED])
def test_no_text_however_composed_shows_an_order_number_that_nobody_gave(ask):
    said = streamed(Watch("en", ask=ask), UNTRUE, 5)
    assert OURS not in said
    assert "88812345" not in said
