"""A hundred thousand varied products for measuring the search: written by a rule, not by a person.

A title joins a kind of thing, a quality, a material, a colour, a maker and a size, in English and
Chinese. Encoding each would take a quarter of an hour here, so what is encoded are the parts, and a
product's vector is their weighted middle: it lies where its own encoding would, near its like.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import product as every
from random import Random

import numpy as np
from numpy.typing import NDArray

# kind, Chinese, category, euros of a usual one
KINDS = (
    ("tent", "帐篷", "camping", 180), ("sleeping bag", "睡袋", "camping", 120),
    ("camping stove", "露营炉", "camping", 50), ("head torch", "头灯", "camping", 35),
    ("rucksack", "背包", "outdoor", 110), ("hiking boots", "登山靴", "shoes", 150),
    ("running shoes", "跑鞋", "shoes", 110), ("sandals", "凉鞋", "shoes", 60),
    ("rain jacket", "雨衣", "clothing", 130), ("wool jumper", "羊毛衫", "clothing", 90),
    ("linen shirt", "亚麻衬衫", "clothing", 55), ("winter coat", "冬季大衣", "clothing", 240),
    ("scarf", "围巾", "clothing", 30), ("gloves", "手套", "clothing", 28),
    ("teapot", "茶壶", "kitchen", 40), ("coffee grinder", "咖啡磨豆机", "kitchen", 60),
    ("espresso machine", "意式咖啡机", "kitchen", 380), ("frying pan", "平底锅", "kitchen", 65),
    ("chef's knife", "厨师刀", "kitchen", 95), ("rice cooker", "电饭煲", "kitchen", 85),
    ("kettle", "烧水壶", "kitchen", 45), ("cutting board", "砧板", "kitchen", 25),
    ("wine glasses", "红酒杯", "kitchen", 35), ("lunch box", "便当盒", "kitchen", 20),
    ("headphones", "耳机", "electronics", 160), ("loudspeaker", "音箱", "electronics", 140),
    ("keyboard", "键盘", "electronics", 100), ("monitor", "显示器", "electronics", 280),
    ("phone charger", "手机充电器", "electronics", 30), ("power bank", "充电宝", "electronics", 40),
    ("camera", "相机", "electronics", 620), ("desk lamp", "台灯", "home", 55),
    ("armchair", "扶手椅", "home", 340), ("bookshelf", "书架", "home", 170),
    ("mattress", "床垫", "home", 420), ("pillow", "枕头", "home", 35),
    ("curtains", "窗帘", "home", 60), ("rug", "地毯", "home", 150),
    ("vase", "花瓶", "home", 30), ("candle", "蜡烛", "home", 15),
    ("notebook", "笔记本", "office", 12), ("fountain pen", "钢笔", "office", 70),
    ("office chair", "办公椅", "office", 260), ("backpack for school", "书包", "school", 55),
    ("wooden blocks", "积木", "toys", 32), ("jigsaw puzzle", "拼图", "toys", 24),
    ("doll", "娃娃", "toys", 28), ("board game", "桌游", "toys", 38),
    ("toy train", "玩具火车", "toys", 45), ("kite", "风筝", "toys", 22),
    ("bicycle", "自行车", "sport", 690), ("bicycle helmet", "自行车头盔", "sport", 60),
    ("yoga mat", "瑜伽垫", "sport", 35), ("dumbbells", "哑铃", "sport", 50),
    ("tennis racket", "网球拍", "sport", 120), ("football", "足球", "sport", 25),
    ("swimming goggles", "泳镜", "sport", 20), ("fishing rod", "鱼竿", "sport", 85),
    ("perfume", "香水", "beauty", 75), ("hand cream", "护手霜", "beauty", 12),
    ("hair dryer", "吹风机", "beauty", 65), ("electric razor", "剃须刀", "beauty", 90),
    ("green tea", "绿茶", "food", 14), ("coffee beans", "咖啡豆", "food", 16),
    ("dark chocolate", "黑巧克力", "food", 5), ("olive oil", "橄榄油", "food", 18),
    ("honey", "蜂蜜", "food", 11), ("dog bed", "狗窝", "pets", 50),
    ("cat tree", "猫爬架", "pets", 95), ("aquarium", "鱼缸", "pets", 140),
    ("watering can", "洒水壶", "garden", 25), ("garden hose", "花园水管", "garden", 40),
    ("lawn mower", "割草机", "garden", 310), ("tomato seeds", "番茄种子", "garden", 4),
    ("wall clock", "挂钟", "home", 45), ("wristwatch", "手表", "jewellery", 190),
    ("earrings", "耳环", "jewellery", 55), ("suitcase", "行李箱", "travel", 140),
    ("umbrella", "雨伞", "travel", 28), ("travel pillow", "旅行枕", "travel", 22),
)  # fmt: skip
QUALITIES = (
    ("lightweight", "轻便"), ("foldable", "可折叠"), ("waterproof", "防水"), ("handmade", "手工"),
    ("quiet", "静音"), ("rechargeable", "可充电"), ("for children", "儿童"), ("large", "大号"),
    ("compact", "小巧"), ("vintage", "复古"), ("organic", "有机"), ("professional", "专业"),
)  # fmt: skip
MATERIALS = (("oak", "橡木"), ("steel", "钢"), ("cotton", "棉"), ("bamboo", "竹"),
             ("glass", "玻璃"),
             ("leather", "皮"), ("recycled", "再生"), ("ceramic", "陶瓷"))  # fmt: skip
COLOURS = (("red", "红色"), ("navy", "藏青"), ("forest green", "森林绿"), ("black", "黑色"),
           ("white", "白色"), ("sand", "沙色"))  # fmt: skip
MAKERS = ("Fjordwerk", "Lumen & Loft", "Kazehana", "Torvald", "Alba", "Mirador", "Quill", "Osier")
_STOCK = ("in_stock", "in_stock", "in_stock", "in_stock", "low_stock", "on_request", "out_of_stock")

Encode = Callable[[list[str]], NDArray[np.float32]]


@dataclass(frozen=True, slots=True)
class Ware:
    """A feed row's fields, and where its meaning lies."""

    fields: dict[str, object]
    vector: NDArray[np.float32]


def wares(encode: Encode, count: int, *, seed: int = 5) -> Iterator[Ware]:
    """The same ones for the same seed."""
    random, parts = Random(seed), _Parts(encode)
    mixes = list(every(range(len(KINDS)), range(len(QUALITIES)), range(len(MATERIALS)),
                       range(len(COLOURS)), range(len(MAKERS))))  # fmt: skip
    for number, mix in enumerate(random.sample(mixes, count)):
        yield _ware(number, mix, random, parts)


class _Parts:
    """Every part in both languages, encoded once."""

    def __init__(self, encode: Encode) -> None:
        phrases = [f"{q} {k[0]}" for k in KINDS for q, _ in QUALITIES]
        chinese = [f"{q}{k[1]}" for k in KINDS for _, q in QUALITIES]
        self.things = _middle(encode(phrases), encode(chinese))
        self.materials = _middle(
            encode([e for e, _ in MATERIALS]), encode([z for _, z in MATERIALS])
        )
        self.colours = _middle(encode([e for e, _ in COLOURS]), encode([z for _, z in COLOURS]))
        self.makers = encode(list(MAKERS))


def _middle(one: NDArray[np.float32], other: NDArray[np.float32]) -> NDArray[np.float32]:
    made = one + other
    return made / np.linalg.norm(made, axis=1, keepdims=True)


def _ware(number: int, mix: Sequence[int], random: Random, parts: _Parts) -> Ware:
    kind, quality, material, colour, maker = mix
    name, zh, category, euros = KINDS[kind]
    (how, how_zh), (of, of_zh) = QUALITIES[quality], MATERIALS[material]
    tint, tint_zh = COLOURS[colour]
    vector = (
        parts.things[kind * len(QUALITIES) + quality]
        + 0.25 * parts.materials[material]
        + 0.2 * parts.colours[colour]
        + 0.15 * parts.makers[maker]
        + np.float32(0.004) * np.array([random.gauss(0, 1) for _ in range(8)] * 64, np.float32)
    )
    fields: dict[str, object] = {
        "item_id": f"ware-{number}",
        "title": f"{MAKERS[maker]} {how} {of} {name}, {tint}",
        "title_zh": f"{how_zh}{of_zh}{zh}，{tint_zh}",
        "description": f"A {how} {name} made with {of} in {tint}; model {number}.",
        "description_zh": f"{tint_zh}{of_zh}{how_zh}{zh}，型号{number}。",
        "category": category,
        "price_amount": max(100, round(euros * 100 * random.uniform(0.5, 1.9))),
        "currency": "EUR",
        "availability": random.choice(_STOCK),
        "image_url": None,
        "rating": round(random.uniform(2.5, 5.0), 1),
        "delivery_days": random.randint(1, 12),
        "item_group_id": f"ware-{kind}-{quality}-{material}-{maker}",
        "options": {"colour": tint},
        "attributes": {"material": of},
    }
    return Ware(fields, (vector / np.linalg.norm(vector)).astype(np.float32))


def queries() -> list[str]:
    """What people ask for, in both languages: kinds alone, with a quality, with filler words."""
    asked = []
    for number, (name, zh, _, _) in enumerate(KINDS):
        how, how_zh = QUALITIES[number % len(QUALITIES)]
        tint, _ = COLOURS[number % len(COLOURS)]
        asked += [f"{how} {name}", f"I would like to buy a {tint} {name} please", f"{how_zh}{zh}",
                  f"我想买一个{zh}"]  # fmt: skip
    return asked
