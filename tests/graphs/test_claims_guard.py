"""The guard against prose that claims a purchase: what it cuts, and what it lets pass."""

import pytest

from graphs.claims import Watch, claims_without_order

CLAIMS = [
    "I have booked a table for two at Casa Nova.",
    "I've ordered the tent for you.",
    "I’ve just reserved a room at the hotel.",
    "I went ahead and bought it.",
    "I paid for it with your saved card.",
    "I have cancelled your reservation.",
    "I've successfully placed your order.",
    "We have charged your card.",
    "Your order has been placed.",
    "Your booking is confirmed!",
    "Your refund has been processed.",
    "Your package is on its way.",
    "Your room at the Seehof is now booked.",
    "Your card has been charged €20.",
    "Great news, your table is reserved for 7 pm.",
    "The reservation is confirmed.",
    "It's booked.",
    "Booked!",
    "Done!",
    "Payment successful!",
    "You're all set!",
    "You're all booked for tomorrow.",
    "Thank you for your order.",
    "A confirmation email has been sent to you.",
    "Your payment of €10.00 succeeded.",
    "Your payment went through.",
    "Yes, it went through.",
    "The payment was successful.",
    "Your order 88812345 has been placed.",
    "For example, ord_123456789abcdef012345678.",
    "Order number: A1B2C3",
    "Your order number is 4938201.",
    "Your confirmation code is QX7-2219.",
    "ord_8fj3k2 is on its way.",
    "If you like tents, good news: I have ordered one for you.",
    "已为您预订成功。",
    "我已经帮您下单了。",
    "我帮您订好了明天的桌子。",
    "订单已确认。",
    "房间已预订。",
    "您的座位已经确认。",
    "您的订单号是 20261234。",
    "预订成功！",
    "已经付款。",
    "支付成功",
    "已成功购买帐篷。",
    "感谢您的购买。",
]
HARMLESS = [
    "Nothing has been paid.",
    "How do I book a table?",
    "If you order today, it arrives on Friday.",
    "I have not booked anything.",
    "Once your order is confirmed, you will get a receipt.",
    "Would you like me to book it?",
    "Has your order been placed?",
    "I can help you book a table.",
    "Orders are usually shipped within two days.",
    "Nothing is booked until you confirm.",
    "You need to confirm before it is booked.",
    "The numbers are ordered from smallest to largest.",
    "They were ordered to retreat.",
    "It is confirmed that the Earth is round.",
    "I've ordered the list alphabetically.",
    "The process was completed in 1815.",
    "She bought three apples and paid five euros.",
    "The table shows the results.",
    "An ordered pair is written (a, b).",
    "The book is on the table.",
    "I placed the code below.",
    "I've completed the proof.",
    "When the payment is completed, we ship.",
    "Most hotels are booked months ahead by tourists.",
    "In order to win, practise.",
    "The bill went through a second reading.",
    "The order of monks went through several reforms.",
    "If the payment succeeded, you get a receipt.",
    "The company received orders for 5000 units.",
    "还没有付款。",
    "如果您下单，明天送到。",
    "您想预订吗？",
    "预订成功后您会收到短信。",
    "没有为您下单。",
    "请先确认订单。",
    "怎么预订酒店？",
    "订单确认后才会扣款。",
    "这家餐厅可以预订。",
    "他刚刚完成了作业。",
]

# Money that went back, what was called off, and codes that stand without the word "number".
UNDONE = [
    "Your refund of €12.00 for order ORD-4711 was paid back on Monday.",
    "Your refund of €12,00 was paid back on Monday.",
    "Order ORD-4711 is on its way.",
    "I cancelled it for you.",
    "Order no. 48213 is closed.",
    "Your booking ref. XK92LM is valid.",
    "Good news, order 48213 shipped yesterday.",
    "**Order 48213**: in transit.",
    "I looked up the status of your order ORD-4711.",
    "The money for order 48213 will arrive tomorrow.",
    "Reservation BK-20931 is open.",
    "A refund of €12 has been issued",
    "A refund was issued to the original card.",
    "The refund has been sent.",
    "Your refund is on its way.",
    "I've issued a full refund.",
    "I have initiated your refund.",
    "Refund complete!",
    "Your card was debited €12",
    "Your bank account has been credited.",
    "I've credited your account.",
    "€12 was taken from your card.",
    "$1,200.50 has been returned to your account.",
    "The amount has been refunded to your card.",
    "We've debited €12.",
    "You've been debited €12.",
    "Your €12 refund was issued.",
    "Your refund is being processed.",
    "I've cancelled everything.",
    "I've gone ahead and cancelled it.",
    "Cancelled!",
    "The booking has been cancelled.",
    "It has been cancelled for you.",
    "I've taken care of the booking",
    "I've sorted out your refund.",
    "Your parcel is out for delivery.",
    "Your package was delivered.",
    "Reference: XK92LM",
    "**Reference:** XK92LM",
    "Your reference is QX7-2219.",
    "Refund reference: RF-48213",
    "订单 ORD-4711 正在派送，退款已于周一原路返回。",
    "订单 ORD-4711 正在路上。",
    "退款已于周一原路返回。",
    "退款12元已到账。",
    "您的包裹正在派送。",
    "已取消您的预订",
    "已为您取消。",
    "您的订单已取消。",
    "我帮您把位子退了",
    "我帮您退订了。",
    "已从您的卡里扣除12元。",
    "12元已退回您的账户。",
    "您的退款已处理。",
    "您的卡已被扣款12元。",
    "我已取消订单。",
    "我已经把您的预订取消了。",
    "您的参考号：XK92LM",
]
# Near to those, and none of them: what is general, possible, advised, or no trade at all.
EXPLAINED = [
    "A refund usually takes 5 days.",
    "A refund is issued within 14 days.",
    "Refunds are paid back to the card you paid with.",
    "If you cancel, the shop refunds you.",
    "Once the refund has been issued, it takes three days.",
    "You get an e-mail after a refund has been issued.",
    "You can cancel the order in your account.",
    "Make sure your card was debited only once.",
    "Has a refund been issued?",
    "I can't issue a refund.",
    "No refund has been issued, and I could not issue one.",
    "A tax refund was issued to every household in 2008.",
    "The cash account is debited and the revenue account is credited.",
    "The show was cancelled after two seasons.",
    "The order has been cancelled by the emperor.",
    "The function returned the amount as a float.",
    "I've sorted the orders by date.",
    "She cancelled it and went home.",
    "I've taken care of the edge cases.",
    "The referee took care of the booking of both players.",
    "Executive Order 9066 was signed by Roosevelt.",
    "The Order 1886 is a video game.",
    "A refund was made payable to the heirs.",
    "A group of order 5040 is the symmetric group on seven letters.",
    "You can order 5000 units at once.",
    "Order WH-1000XM5 headphones from a shop that takes them back.",
    "Tips for booking 3-star hotels in Rome.",
    "In 2024 booking 2025 holidays was common.",
    "The digits stand in the order 4321 here.",
    'Use print(f"Order 48213 is ready") to see it.',
    "order_id = 48213",
    "GET /orders/48213 returns it.",
    "Reference: RFC2119",
    "Reference: Smith 2019",
    "ref: a1b2c3d4",
    "For your reference: 2024 was a leap year.",
    "The answer is no. Nothing else follows.",
    "退款一般3到5天到账。",
    "如果取消预订，商家会退款。",
    "您可以在账户里取消订单。",
    "退款到账需要几天。",
    "该节目已取消。",
    "订单2024年增长了一倍。",
    "这批订单5000份左右。",
    "预订G1234次列车很容易。",
    "订单正在派送是指包裹在路上。",
    "订单状态“正在派送”表示包裹在路上。",
    "我没有帮您取消预订。",
    "他把书退了。",
]


@pytest.mark.parametrize("said", CLAIMS + UNDONE)
def test_a_claim_is_caught(said: str):
    assert claims_without_order(said)
    assert claims_without_order(f"Here is what I found.\n{said}\nAnything else?")


@pytest.mark.parametrize("said", HARMLESS + EXPLAINED)
def test_other_sentences_pass(said: str):
    assert not claims_without_order(said)


def streamed(watch: Watch, text: str, size: int) -> str:
    pieces = [text[i : i + size] for i in range(0, len(text), size)]
    return "".join([*(watch.pass_on(piece) for piece in pieces), watch.finish()])


@pytest.mark.parametrize("size", [1, 3, 7, 1000])
def test_a_claim_is_cut_from_a_stream_however_it_is_chopped(size: int):
    watch = Watch("en")
    said = streamed(watch, "Paris is lovely. I have booked a table for two. Have fun!", size)
    assert watch.cut
    assert "booked a table" not in said
    assert said.replace("I have … ", "").startswith("Paris is lovely. Have fun!")
    assert said.endswith("(I have not ordered, booked or paid anything.)")


@pytest.mark.parametrize("size", [1, 4, 1000])
@pytest.mark.parametrize(
    "said",
    [
        " ".join(HARMLESS[:29]),
        "".join(HARMLESS[29:]),
        "\n".join(EXPLAINED),
        "x = f(a)\n  y\n",
    ],
)
def test_a_harmless_stream_passes_unchanged(said: str, size: int):
    watch = Watch("en")
    assert streamed(watch, said, size) == said
    assert not watch.cut


@pytest.mark.parametrize("said", UNDONE)
def test_no_code_and_no_sum_goes_out_before_its_sentence_is_cut(said: str):
    watch = Watch("en", ask="Where is my order?")
    shown = streamed(watch, f"Hello. {said}\nBye.", 2)
    assert watch.cut
    assert shown.startswith("Hello. ")
    assert not any(code in shown for code in ("4711", "48213", "XK92LM", "QX7", "20931"))


@pytest.mark.parametrize("size", [1, 4, 1000])
def test_the_stop_of_a_short_word_hides_no_code(size: int):
    watch = Watch("en", ask="Is it closed?")
    said = streamed(watch, "Yes. Order no. 48213 is closed. Bye.", size)
    assert watch.cut
    assert "48213" not in said
    assert "Bye." in said


def test_a_code_that_the_person_gave_may_be_repeated_but_nothing_claimed_of_it():
    ask = "Where is order 48213?"
    for said in ("I cannot look up order no. 48213. ", "Is order 48213 from a partner? "):
        assert streamed(Watch("en", ask=ask), said, 4) == said
    for said in (
        "Your order 48213 has been shipped. ",
        "Order no. 48213 is on its way. ",
        "The refund for order #48213 was paid back. ",
        "Your order 48214 is here. ",
    ):
        assert streamed(Watch("en", ask=ask), said, 4) != said


def test_words_go_out_before_their_sentence_ends():
    watch = Watch("en")
    assert watch.pass_on("Mount Everest rises ") == "Mount Everest rises "
    assert watch.pass_on("8849 metr") == "8849 "  # a half-written word waits
    assert watch.pass_on("es above the sea") == "metres above the "


def test_a_long_line_of_code_does_not_wait_for_an_end():
    watch = Watch("en")
    line = "your_value = " + "+".join(["12345"] * 100)
    assert watch.pass_on(line) == line


def test_a_chinese_claim_leaves_a_chinese_note():
    said = streamed(Watch("zh"), "好的。我已经帮您下单了。祝您愉快！", 2)
    assert said == "好的。我… 祝您愉快！ （我没有下单、预订或付款。）"
