"""A small shop's feed, a booking partner with moods, and the encoder: what a catalogue needs."""

import asyncio
import json
from datetime import time

from backend import merchants
from backend.catalogue import Catalogue
from backend.database import Database
from backend.merchants import Merchant
from backend.vault import Vault
from integrations.money import Money
from integrations.partner import BookingWish, Found, PartnerUnknown

VAULT = Vault(b"MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE=")

# item, English, Chinese, category, cents, rating, days, description
GOODS = [
    ("tent-2", "Two-person tent Lark", "云雀双人帐篷", "tents", 189_00, 4.6, 3,
     "A light tent for two people, stands in four minutes"),
    ("tent-4", "Four-person family tent Heron", "苍鹭四人家庭帐篷", "tents", 329_00, 4.4, 4,
     "Room for four and a dog"),
    ("pegs", "Tent pegs, set of ten", "帐篷地钉十支装", "tent parts", 9_50, 4.8, 1,
     "Aluminium pegs for every tent"),
    ("bag", "Down sleeping bag Fjell", "羽绒睡袋", "sleeping", 149_00, 4.7, 2,
     "Warm down to minus five degrees"),
    ("mat", "Insulated sleeping mat", "保温睡垫", "sleeping", 79_00, 4.1, 2, "Five centimetres"),
    ("stove", "Gas stove Ember", "燃气炉", "cooking", 45_00, 4.5, 2, "Boils a litre in 3 minutes"),
    ("pot", "Titanium cooking pot", "钛锅", "cooking", 39_00, 4.0, 5, "Nine hundred millilitres"),
    ("lamp", "Rechargeable camping lantern", "充电露营灯", "light", 34_90, 4.3, 2, "80 hours"),
    ("head", "Head torch Lynx", "头灯", "light", 49_00, 4.9, 1, "400 lumens"),
    ("boots", "Hiking boots Ridge", "登山靴", "shoes", 159_00, 4.2, 3, "Waterproof leather"),
    ("socks", "Merino hiking socks", "美利奴徒步袜", "shoes", 19_00, 4.6, 2, "Two pairs"),
    ("jacket", "Rain jacket Petrel", "防雨夹克", "clothes", 129_00, 4.4, 2, "Three layers"),
    ("grinder", "Hand coffee grinder", "手摇咖啡磨豆机", "kitchen", 59_00, 4.8, 2, "Steel burrs"),
    ("beans", "Coffee beans Dawn, 500 g", "晨曦咖啡豆", "food", 14_50, 4.7, 1, "Medium roast"),
    ("teapot", "Porcelain teapot", "瓷茶壶", "kitchen", 42_00, 4.5, 3, "Six hundred millilitres"),
    ("robot", "Wooden building robot for children", "儿童木制积木机器人", "toys", 29_00, 4.6, 2,
     "A gift from five years on"),
    ("puzzle", "Puzzle of the starry sky", "星空拼图", "toys", 24_00, 4.3, 2, "A thousand pieces"),
    ("phones", "Noise cancelling headphones", "降噪耳机", "audio", 199_00, 4.5, 2, "30 hours"),
    ("keys", "Mechanical keyboard", "机械键盘", "office", 119_00, 4.4, 4, "Quiet switches"),
    ("chair", "Folding camping chair", "折叠露营椅", "furniture", 54_00, 4.2, 3, "Carries 120 kg"),
]  # fmt: skip


def row(item: tuple, **more) -> dict:
    names = ("item_id", "title", "title_zh", "category", "price_amount", "rating",
             "delivery_days", "description")  # fmt: skip
    return dict(zip(names, item, strict=True)) | {"currency": "EUR"} | more


def jsonl(*rows: dict) -> bytes:
    return "".join(json.dumps(one, ensure_ascii=False) + "\n" for one in rows).encode()


FEED = jsonl(*(row(item) for item in GOODS))


class Moody:
    """A booking partner: answers, fails, or sleeps."""

    def __init__(self, mood: str = "well", *, price: Money | None = None) -> None:
        self.mood = mood
        self.price = price or Money(20_00, "EUR")
        self.asked: list[BookingWish] = []

    async def search(self, wish: BookingWish) -> list[Found]:
        self.asked.append(wish)
        if self.mood == "down":
            raise PartnerUnknown("no answer")
        if self.mood == "slow":
            await asyncio.sleep(60)
        names = {
            "trattoria": ("Trattoria Lume", "italian"),
            "izakaya": ("Izakaya Kumo", "japanese"),
        }
        return [
            Found(
                item_id=item,
                title=title,
                title_zh="",
                price=self.price,
                description=f"{kind} kitchen",
                category=f"{kind} restaurant",
                booking=wish.details,
                availability="in_stock",
            )
            for item, (title, kind) in names.items()
        ]


SEVEN = time(19, 0)


async def merchant(database: Database, id_: str, **more) -> Merchant:
    given = {"name": id_.removeprefix("mer_").title(), "protocol": "acp", "status": "live"}
    given |= {"base_url": "https://shop.example"} | more
    async with database.transaction() as session:
        return await merchants.create(session, vault=VAULT, id=id_, **given)


def catalogue(database: Database, encode, partners: dict | None = None) -> Catalogue:
    return Catalogue(database, encode, lambda m: (partners or {})[m.id])
