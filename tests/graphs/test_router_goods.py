"""A bare thing that is bought is a wish; what only sounds like one is none. Both languages."""

import tomllib
from pathlib import Path

import pytest

from graphs.router import goods
from graphs.router.features import normalise
from graphs.router.golden import golden
from graphs.router.goods import names_goods
from graphs.router.router import UNSURE
from graphs.router.rules import explicit_intent
from graphs.state import Message
from tests.graphs.fakes_router import loaded_router, routed

THINGS = (
    "a two-person tent",
    "two-person tent",
    "a red umbrella",
    "a tent for two",
    "a 2-person tent",
    "an ultralight tent for three people",
    "tent for four people, please",
    "red umbrella",
    "a folding umbrella",
    "a small black umbrella with a wooden handle",
    "waterproof hiking boots",
    "a pair of running shoes",
    "a pair of running shoes in size 42",
    "two pairs of woollen socks",
    "wireless headphones",
    "noise-cancelling headphones under 200 euros",
    "a usb-c cable",
    "a phone case with a strap",
    "a warm sleeping bag",
    "some scented candles",
    "an air fryer",
    "a quiet washing machine",
    "a leather wallet for my brother",
    "a teddy bear for my niece",
    "a coffee grinder",
    "a stainless steel water bottle",
    "a good chef's knife",
    "an ergonomic office chair",
    "a wooden coffee table",
    "a blue rug for the living room",
    "a desk lamp",
    "a mechanical keyboard",
    "a 27 inch monitor",
    "men's winter jacket",
    "women's rain jacket in size M",
    "kids bike helmet",
    "a city bike",
    "an acoustic guitar",
    "a yoga mat in purple",
    "an electric toothbrush",
    "a jigsaw puzzle with 1000 pieces",
    "a bouquet of roses",
    "a bag of coffee beans",
    "a pushchair for twins",
    "a rucksack",
    "some dark chocolate",
    "A Two-Person Tent.",
)
THINGS_ZH = (
    "一把红色的雨伞",
    "红色雨伞",
    "双人帐篷",
    "一顶双人帐篷",
    "一顶轻便的双人帐篷",
    "轻便的双人帐篷",
    "四人帐篷",
    "一双跑鞋",
    "一双防水的登山鞋",
    "防水登山鞋",
    "无线耳机",
    "一副降噪耳机",
    "蓝色的围巾",
    "一条羊毛围巾",
    "一件羽绒服",
    "男士羽绒服",
    "加厚羽绒服",
    "一个保温杯",
    "500毫升保温杯",
    "不锈钢保温杯",
    "一台咖啡机",
    "全自动咖啡机",
    "家用咖啡机",
    "一把吉他",
    "儿童自行车",
    "一辆山地车",
    "一个充电宝",
    "黑色的行李箱",
    "24寸行李箱",
    "一只毛绒玩具",
    "给女儿的洋娃娃",
    "送妈妈的围巾",
    "适合孩子的拼图",
    "一张书桌",
    "实木书桌",
    "一盏台灯",
    "便宜的台灯",
    "电动牙刷",
    "一瓶洗发水",
    "一包咖啡豆",
    "一袋狗粮",
    "两双袜子",
    "一束玫瑰花",
    "机械键盘",
    "一台27寸显示器",
    "42码跑鞋",
    "雨伞，红色",
    "一把雨伞，50元以内",
)
NO_THINGS = (
    "what is a tent",
    "a short poem",
    "a tent for my poem about loss",
    "a doll for a story",
    "a quick question",
    "a recursive function",
    "a tent is what?",
    "the tent",
    "my umbrella",
    "a broken umbrella",
    "a lost suitcase",
    "a wet blanket",
    "a poem about a tent",
    "a story about a red umbrella",
    "open umbrella",
    "clean boots",
    "charge phone",
    "draw a tent",
    "a haunted doll",
    "a famous guitar",
    "a security blanket",
    "the red carpet",
    "a magic carpet",
    "a moral compass",
    "a talking teddy bear",
    "a python notebook",
    "a hash table",
    "a periodic table",
    "a red herring",
    "a piece of cake",
    "a hot potato",
    "a black box",
    "a guest speaker",
    "an air guitar",
    "a loose cannon",
    "a red flag",
    "a bridge loan",
    "a good idea",
    "a name for a boy",
    "a name for my guitar",
    "a rhyme for boots",
    "a synonym for umbrella",
    "the history of the umbrella",
    "how a tent is made",
    "a tent that burned down",
    "a woman with a red umbrella",
    "a dog in a coat walks into a bar",
    "an umbrella is a kind of roof",
    "Taylor Swift",
    "Joan of Arc",
    "Pink Floyd",
    "Red Hat",
    "a binary tree",
    "a stack overflow",
    "a unit test",
    "a keyboard shortcut",
    "a camera obscura",
    "a phone number",
    "a virtual keyboard",
    "a null pointer",
    "a long walk",
    "a lazy Sunday",
    "a joke about socks",
    "a drawing of a guitar",
    "two tents and a lie",
    "a crypto wallet",
    "a dress code",
    "a shirt of Nessus",
)
NO_THINGS_ZH = (
    "什么是帐篷",
    "帐篷是什么",
    "我的雨伞",
    "一首短诗",
    "一个小问题",
    "一个递归函数",
    "一把坏了的雨伞",
    "丢了的手机",
    "修自行车",
    "洗衣服",
    "画一把雨伞",
    "写一首关于雨伞的诗",
    "讲一个洋娃娃的故事",
    "雨伞的历史",
    "雨伞是谁发明的",
    "一双眼睛",
    "一双破鞋",
    "绿帽子",
    "一顶绿帽子",
    "穿小鞋",
    "背黑锅",
    "铁饭碗",
    "电灯泡",
    "一个笑话",
    "一个成语",
    "世界上最大的帐篷",
    "会说话的洋娃娃",
    "魔法扫地机器人",
    "昨天的毛衣",
    "去年的羽绒服",
    "这把吉他",
    "那双鞋子",
    "他的手机",
    "谁的钱包",
    "帐篷怎么搭",
    "怎么洗毛衣",
    "翻译“红色的雨伞”",
    "手机和电脑的区别",
    "手机没电了",
    "打开手机",
    "打开台灯",
    "关掉窗帘",
    "手机号码",
    "吉他谱",
    "吉他手",
    "钱包余额",
    "游戏机的原理",
    "红楼梦",
    "红玫瑰与白玫瑰",
    "猫",
    "鲁迅",
    "周杰伦",
    "一个二叉树",
    "一段代码",
    "背包问题",
    "一个背包问题",
    "红伞伞白杆杆",
    "一台戏",
    "沙发客",
    "手机坏了",
)


@pytest.mark.parametrize("text", THINGS + THINGS_ZH)
def test_a_bare_thing_that_opens_a_conversation_is_shopped(text: str) -> None:
    assert names_goods(normalise(text))
    route = routed(text)
    assert (route.kind, route.sub, route.domain) == ("commercial", "purchase", "product")
    assert route.confidence >= UNSURE, "no judge is asked, whose silence forbids to buy"


@pytest.mark.parametrize("text", NO_THINGS + NO_THINGS_ZH)
def test_a_definition_an_idiom_a_name_or_a_topic_is_no_wish(text: str) -> None:
    assert not names_goods(normalise(text))
    assert not explicit_intent(text).seeks


@pytest.mark.parametrize(
    "text",
    [
        "what is a tent",
        "a short poem",
        "a quick question",
        "a poem about a tent",
        "a story about a red umbrella",
        "Joan of Arc",
        "什么是帐篷",
        "一首短诗",
        "一个小问题",
        "雨伞是谁发明的",
        "讲一个洋娃娃的故事",
    ],
)
def test_such_a_phrase_is_answered_and_not_shopped(text: str) -> None:
    assert routed(text).kind != "commercial"


@pytest.mark.parametrize("text", ["a red umbrella", "一把红色的雨伞"])
def test_in_a_conversation_a_bare_thing_answers_what_was_asked(text: str) -> None:
    before = (Message("assistant", "What did you dream of?"),)
    assert not explicit_intent(text, before).seeks


def test_the_prompt_that_the_readme_begins_with_is_shopped() -> None:
    readme = Path(__file__).parents[2] / "README.md"
    assert "“a two-person tent”" in readme.read_text("utf-8")
    assert "a two-person tent" in [ask.text for ask, _ in golden()]


def test_every_version_holds_the_golden_turns() -> None:
    router = loaded_router()
    wrong = [(ask.text, kind) for ask, kind in golden() if router.route(ask).kind != kind]
    assert wrong == []


@pytest.mark.parametrize("lang", ["en", "zh"])
def test_no_noun_of_the_list_is_ruled_out_by_the_list_itself(lang: str) -> None:
    listed = tomllib.loads(Path(goods.__file__).with_name("goods.toml").read_text("utf-8"))[lang]
    split = listed["heads"].split(",") if lang == "en" else listed["heads"].split()
    heads = [" ".join(noun.split()).lower() for noun in split]
    form = "a good {}" if lang == "en" else "一个{}"
    assert [noun for noun in heads if not names_goods(form.format(noun))] == []
