"""Words of buying that want nothing: wishes denied and purchases told, in both languages."""

import pytest

from graphs.router.features import normalise
from graphs.router.wanting import idle
from graphs.state import Ask
from tests.graphs.fakes_router import loaded_router, routed, said


@pytest.mark.parametrize(
    "text",
    [
        "I don't want to buy anything, I just want to chat",
        "不想买，随便聊聊",
        "I don't want to buy anything",
        "I'm not buying anything today",
        "I do not want to order anything. How was your day",
        "not shopping today, just bored",
        "We're not looking to book anything right now, let's just talk",
        "I'm not here to buy anything",
        "no shopping, please talk to me",
        "我不想买东西",
        "今天不买东西，就想聊聊天",
        "我不打算买什么，陪我说说话",
        "不买，就是无聊",
    ],
)
def test_whoever_wants_to_buy_nothing_is_shown_no_offers(text: str) -> None:
    assert idle(normalise(text)) in {"denied", "chat"}
    assert routed(text).kind == "casual"


@pytest.mark.parametrize(
    "text",
    [
        "don't buy anything yet, just show me tents",
        "I don't want to buy anything, just show me what tents cost",
        "not buying today, what do hotels cost in Rome",
        "show me hotels in Oslo, but don't book anything",
        "先别下单，看看有哪些酒店",
        "不要买，只是问问价格",
        "不想买太贵的，找个便宜的帐篷",
        "随便看看跑鞋",
        "I don't want to order the soup",
        "don't order it",
        "no need to buy the expensive one, the cheap one will do",
        "I don't want to book a hotel, find me a hostel",
        "不想买帐篷了，要睡袋",
        "不买这个，要那个",
    ],
)
def test_a_refusal_with_a_thing_of_its_own_is_no_refusal_of_all(text: str) -> None:
    assert idle(normalise(text)) == ""


@pytest.mark.parametrize(
    "text",
    [
        "don't buy anything yet, just show me tents",
        "I don't want to buy anything, just show me what tents cost",
        "先别下单，看看有哪些酒店",
    ],
)
def test_what_is_only_looked_at_is_still_shown(text: str) -> None:
    route = routed(text)
    assert (route.kind, route.no_purchase) == ("commercial", True)


@pytest.mark.parametrize(
    "text",
    [
        "昨天我在网上买了双鞋，特别舒服",
        "My girlfriend ordered sushi without me and now I am jealous",
        "my brother booked a hotel in Rome last year and hated it",
        "My mum bought a tent in 1987 and still tells everybody about it",
        "I bought a guitar last year and I love it",
        "we booked a tiny cabin two years ago, it was wonderful",
        "she ordered the fish and he laughed at her all evening",
        "My colleague bought a sports car and now he cannot pay his rent",
        "I finally bought my first house last month, so happy",
        "上周我老公订了一家民宿，住得特别差",
        "我朋友买了新手机，天天炫耀",
        "小时候爸爸给我买了一辆自行车，我骑了十年",
        "我姐姐昨天点了寿司没叫我，气死了",
        "刚刚买了杯奶茶，好喝",
        "去年我们订了海边的酒店，风景很美",
        "my neighbours rented a van and drove to Spain",
        "I ordered pizza last night and it was delicious",
        "室友买了三只猫，家里好热闹",
    ],
)
def test_a_purchase_that_is_told_is_talk(text: str) -> None:
    assert idle(normalise(text)) == "told"
    assert routed(text).kind == "casual"


@pytest.mark.parametrize(
    "text",
    [
        "I bought shoes last week and they don't fit",
        "I bought the wrong size last week",
        "My wife ordered a lamp and it never arrived",
        "my husband bought a tent last year and I want the same one",
        "my brother booked a hotel in Rome last year, book me the same",
        "I ordered a coat three days ago",
        "I bought a phone yesterday and it is broken",
        "上周买的靴子想退货",
        "我昨天买了双鞋，想退货",
        "我前天订了酒店，能取消吗",
        "昨天买了鞋，还没发货",
        "昨天买了一双鞋，尺码不合适",
        "我妈上次买了一个按摩仪，帮我再买一个",
        "我朋友买了一个帐篷，我也想要",
        "my friend bought a nice tent, can you find me one like it",
        "I never buy shoes without trying them",
        "My sister booked a table for tonight and we are now six",
        "we ran out of dog food",
        "my daughter needs shoes, hers were bought last year",
        "老婆订了明天的餐厅，改到后天",
        "我买了两张票，想改签",
        "get me a tent",
        "buy me a tent",
        "想买一双鞋",
        "I ordered a tent from you, where is it?",
    ],
)
def test_an_order_with_something_to_do_about_it_is_no_tale(text: str) -> None:
    assert idle(normalise(text)) == ""


@pytest.mark.parametrize(
    "text",
    [
        "I ordered a tent from you, where is it?",
        "I bought shoes last week and they don't fit",
        "上周买的靴子想退货",
        "my friend bought a nice tent, can you find me one like it",
    ],
)
def test_an_order_of_ones_own_stays_with_the_agent(text: str) -> None:
    assert routed(text).kind == "commercial"


SHOWN = ("show me lamps", "1. Ember headlamp, 24 euros. 2. Lantern, 30 euros. Which one?")


def test_inside_a_purchase_a_tale_may_mean_anything() -> None:
    text = "my wife bought the second one last year and she loves it"
    assert routed(text).cause == "told"
    assert routed(text, *SHOWN).cause != "told"
    asked = Ask(text, said(*SHOWN), previous="commercial")
    assert loaded_router().route(asked).cause != "told"


def test_whoever_would_rather_chat_may_say_so_inside_a_purchase() -> None:
    route = routed("I don't want to buy anything, I just want to chat", *SHOWN)
    assert (route.kind, route.cause) == ("casual", "chat")
