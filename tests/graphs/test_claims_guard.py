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


@pytest.mark.parametrize("said", CLAIMS)
def test_a_claim_is_caught(said: str):
    assert claims_without_order(said)
    assert claims_without_order(f"Here is what I found.\n{said}\nAnything else?")


@pytest.mark.parametrize("said", HARMLESS)
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
    "said", [" ".join(HARMLESS[:26]), "".join(HARMLESS[26:]), "x = f(a)\n  y\n"]
)
def test_a_harmless_stream_passes_unchanged(said: str, size: int):
    watch = Watch("en")
    assert streamed(watch, said, size) == said
    assert not watch.cut


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


@pytest.mark.parametrize(
    "ask",
    ["Write an email that says the room is booked", "把这句话翻译成中文：I have booked a table"],
)
def test_words_that_the_person_asked_to_be_written_are_theirs(ask: str):
    said = "I have booked the meeting room for Monday. "
    assert streamed(Watch("en", ask=ask), said, 5) == said
    assert streamed(Watch("en", ask="book me a room"), said, 5) != said
