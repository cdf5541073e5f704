"""Which language a person is answered in."""

import time

import pytest

from graphs.language import spoken

CHINESE = [
    "我想买一个 zorbix gadget tax",
    "我想买乐高 lego",
    "想买 The Lord of the Rings: The Fellowship of the Ring, extended edition",
    "The Lord of the Rings 有货吗？",
    "LEGO Technic 42143 Ferrari Daytona SP3 多少钱",
    "订 Osteria Lume",
    "Osteria Lume 明天晚上七点两位",
    "帮我 book 一个 table for two at the Osteria on Friday",
    "把这句话翻译成中文：I have booked a table for two at seven, by the window",
    "“I have booked a table” 是什么意思",
    "双人帐篷 tent",
    "tent 帐篷",
    "好的",
    "iPhone 17 Pro Max 256 GB 有吗",
    "hello 我想买帐篷",
]
ENGLISH = [
    "",
    "a tent for two",
    "What does 你好 mean?",
    "How do you say 我想买一个帐篷 in English?",
    "Translate to English: 我想买一个帐篷",
    "translate 我想买一个帐篷 to English",
    "Book a table at 海底捞 for two",
    "buy 帐篷",
    "你好! I want to buy a tent",
    "帐篷 is what in English?",
    "how do you say hello in 中文",
    "What is the difference between “的” and “得”?",
]


@pytest.mark.parametrize("said", CHINESE)
def test_a_chinese_sentence_stays_chinese_whatever_names_are_in_it(said: str):
    assert spoken(said) == "zh"


@pytest.mark.parametrize("said", ENGLISH)
def test_an_english_sentence_stays_english_whatever_it_is_about(said: str):
    assert spoken(said) == "en"


def test_a_long_message_is_read_at_once():
    began = time.perf_counter()
    for piece in ("我", "the ", "a我 ", "我 ", "\n", '"'):
        spoken(piece * 100_000)
    assert time.perf_counter() - began < 10
