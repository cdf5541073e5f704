"""What a person says outright: effort, refusal, thanks, quotations; in both languages."""

import pytest

from graphs.router.router import UNSURE
from graphs.router.rules import explicit_intent, own_words
from graphs.state import Message
from tests.graphs.fakes_router import routed, said


@pytest.mark.parametrize(
    "text",
    [
        "Think hard: which is larger, 2/3 or 3/5?",
        "What is 17 times 3? Take your time and reason step by step.",
        "please think this through carefully before you answer, who wrote Emma",
        "Use extended thinking. Why is the sky blue?",
        "I want you to think really hard about this one: capital of Chad?",
        "Don't rush the answer. Is 91 prime?",
        "reasoning effort: high. name a colour",
        "No shortcuts please. Who wrote Ulysses?",
        "Show your work: what is 12 times 12",
        "spend extra time on this: the capital of Peru",
        "请认真作答：一年有几天",
        "别敷衍，天空为什么是蓝的",
        "请仔细想想，一加一等于几",
        "深度思考一下：天为什么是蓝的",
        "开启深度推理模式，谁写了红楼梦",
        "不要急着回答，先一步一步推理，法国首都是哪里",
        "多花点时间思考，这个谜语的答案是什么",
        "说说虚拟机和容器的区别 请仔细推理",
    ],
)
def test_an_effort_request_raises_the_effort(text: str) -> None:
    assert explicit_intent(text).effort == "high"


@pytest.mark.parametrize(
    "text",
    [
        "Don't think too hard, just name a fruit",
        "no need to think hard about it, what day is it",
        "My coach told me to think hard about my goals. What's for lunch?",
        "I've been thinking hard about my job lately",
        "do you really think so?",
        "I spend a lot of time on my phone",
        "we went deep sea diving",
        "不用想得太深，随便说",
        "She always thinks twice, and he thinks hard",
        'Translate "think step by step and take your time" into German',
        "What does the phrase 'think hard' mean?",
        "```\n# think step by step\nprint(1)\n```\nwhat does this print",
        "不用仔细想，随便说个水果",
        "老师让我认真思考人生，你觉得呢",
        "我在认真考虑换工作，好烦",
        "“请深度思考”用英语怎么说",
        "不要着急下单，先看看有什么",
        "book me some time to think",
    ],
)
def test_negated_reported_and_quoted_effort_is_not_meant(text: str) -> None:
    assert explicit_intent(text).effort != "high"


@pytest.mark.parametrize(
    "text",
    [
        "Quick answer please: who painted Guernica?",
        "in one sentence, what is inflation",
        "简短点，什么是通货膨胀",
        "不用解释，直接告诉我答案",
        "don't overthink it, heads or tails?",
    ],
)
def test_a_request_for_brevity_lowers_the_effort(text: str) -> None:
    assert explicit_intent(text).effort == "low"


def test_more_effort_wins_over_less_when_both_are_asked_for() -> None:
    assert explicit_intent("Quick answer, but think hard about it first").effort == "high"


@pytest.mark.parametrize(
    "text",
    [
        "Show me tents but don't buy anything yet",
        "please do not order it, I only want to compare",
        "just browsing winter coats",
        "what does a room cost? I'm not going to book today",
        "先别下单，看看有哪些酒店",
        "不要买，只是问问价格",
        "随便看看跑鞋",
        "帮我查机票，但暂时不订",
    ],
)
def test_a_refusal_to_buy_is_heard(text: str) -> None:
    assert explicit_intent(text).no_purchase


@pytest.mark.parametrize(
    "text",
    [
        "why don't we book the earlier flight",
        "I haven't ordered yet, get me the soup",
        'the sign said "do not buy from strangers", now get me two tickets',
        "为什么不买便宜的那双？下单吧",
        "帮我买两张票",
        "`do not order` is the flag's name; order me a pizza",
    ],
)
def test_a_question_a_report_or_a_quotation_refuses_nothing(text: str) -> None:
    assert not explicit_intent(text).no_purchase


@pytest.mark.parametrize(
    "text",
    [
        "thanks!",
        "Thank you so much, that's all I need",
        "ok great, have a lovely evening, bye",
        "谢谢你，没有别的问题了",
        "好的，辛苦啦，拜拜",
        "nope, that's it. cheers",
    ],
)
def test_thanks_and_goodbyes_are_recognised(text: str) -> None:
    assert explicit_intent(text).thanks


@pytest.mark.parametrize(
    "text",
    [
        "thanks, and what is the address?",
        "thank you, now book the second one",
        "谢谢，再帮我订一间房",
        "write a thank you note to my landlord about the broken heater",
        "how do you say goodbye in Italian?",
    ],
)
def test_thanks_with_a_wish_is_more_than_thanks(text: str) -> None:
    assert not explicit_intent(text).thanks


def test_yes_and_thanks_to_an_open_question_is_an_answer() -> None:
    asked = said("a table for two", "Lantern Garden has one at seven. Shall I book it?")
    intent = explicit_intent("yes please, thanks", asked)
    assert intent.answers
    assert not intent.thanks


def test_no_thanks_bye_ends_even_an_open_question() -> None:
    asked = said("a table for two", "Shall I book it?")
    assert explicit_intent("no thanks, that's all, bye", asked).thanks


@pytest.mark.parametrize("text", ["yes", "好的", "ok, do it", "that's right", "可以，就这个", "no"])
def test_a_bare_answer_counts_only_after_a_question(text: str) -> None:
    assert explicit_intent(text, said("two seats", "Row B for 40. Is that correct?")).answers
    assert not explicit_intent(text, said("two seats", "Here is the plan of the hall.")).answers
    assert not explicit_intent(text).answers


@pytest.mark.parametrize(
    "text",
    [
        'Translate into Spanish: "order ten pizzas with my card"',
        "Correct the spelling: pleese bok me a rom",
        "把“马上给我下单”翻译成英文",
        "“帮我买三张票”用法语怎么说",
        'How many words are in "buy it now and pay later"?',
    ],
)
def test_a_language_job_on_quoted_text_is_only_that(text: str) -> None:
    assert explicit_intent(text).quoted


def test_a_language_job_with_an_order_of_ones_own_is_not_only_that() -> None:
    assert not explicit_intent('Translate "two beers please" and then order me two').quoted


def test_code_and_quotations_are_not_ones_own_words() -> None:
    own = own_words('run `buy()` and "order now" and 「下单」 ```pay()``` please')
    assert own.split() == ["run", "and", "and", "please"]


@pytest.mark.parametrize("text", ["", "   ", "🎉🎉", "?!…", "\u200b\u200d"])
def test_a_text_without_a_letter_or_digit_is_blank(text: str) -> None:
    assert explicit_intent(text).blank


@pytest.mark.parametrize(
    ("text", "before"),
    [
        ("No, nothing at all.", "No worries, is there anything else?"),
        ("No, that would be all.", "Anything else I can help you with?"),
        ("I'm all set", "What else can I do for you?"),
        ("that'll be everything for today", "Do you need any other help?"),
        ("不用了", "还需要别的吗？"),
        ("暂时没有了", "您还有其他需要吗？"),
    ],
)
def test_whoever_wants_nothing_more_says_goodbye(text: str, before: str) -> None:
    assert explicit_intent(text, said("book it", before)).thanks


@pytest.mark.parametrize(
    ("text", "before"),
    [
        ("no, one more thing", "Anything else?"),
        ("No cheese", "Anything else?"),
        ("no, a red one", "Anything else?"),
        ("that one", "Anything else?"),
        ("I don't want the soup", "Anything else?"),
        ("No, I'm driving.", "Would you like to rent a car or anything else?"),
        ("No, that is all.", "Shall I book the table?"),
        ("不要香菜", "还需要别的吗？"),
    ],
)
def test_a_wish_behind_a_no_is_no_goodbye(text: str, before: str) -> None:
    assert not explicit_intent(text, said("book it", before)).thanks


@pytest.mark.parametrize(
    ("text", "taken"),
    [
        ("Compare five insurance plans, then take the best one", True),
        ("look at three hotels in Rome and book the cheapest", True),
        ("对比三款咖啡机，然后帮我买最好的", True),
        ("compare quicksort and mergesort, then explain the best one", False),
        ("don't compare them and buy the best", False),
        ('he said: compare them "and book the cheapest"', False),
    ],
)
def test_comparing_that_ends_in_having_one_is_heard(text: str, taken: bool) -> None:
    assert explicit_intent(text).takes is taken


@pytest.mark.parametrize(
    "text",
    [
        "柏林的音乐会",
        "找一个适合孩子的马戏",
        "下周六的歌剧门票",
        "看看有没有话剧？",
        "适合老人的音乐会",
        "find a circus for children",
        "a comedy show in Leipzig tomorrow",
    ],
)
def test_a_message_that_is_nothing_but_the_show_it_seeks_is_a_wish(text: str) -> None:
    assert explicit_intent(text).seeks
    assert routed(text).kind == "commercial"
    assert routed(text).confidence >= UNSURE, "no judge is asked, whose silence forbids to buy"


@pytest.mark.parametrize(
    "text",
    [
        "昨晚的音乐会",
        "童年的马戏",
        "世界上最大的展览",
        "我女儿的音乐会",
        "找一篇关于马戏的文章",
        "找一首适合音乐会的曲子",
        "音乐会和演唱会的区别",
        "柏林的历史",
        "翻译“柏林的音乐会”",
        "the history of the circus",
        "a concert in Berlin was my first one",
        "find an article about the circus",
    ],
)
def test_a_show_that_was_or_is_talked_about_is_no_wish(text: str) -> None:
    assert not explicit_intent(text).seeks


def test_a_shows_bare_name_in_a_conversation_answers_what_was_asked() -> None:
    before = (Message("assistant", "你上次去哪里了？"),)
    assert not explicit_intent("柏林的音乐会", before).seeks
    assert explicit_intent("找一场柏林的音乐会", before).seeks
