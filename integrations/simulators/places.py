"""The demo booking partners' places: restaurants and hotels, written for this project.

The cities are real, the houses are not. Text is English and Chinese. Also finds places for a wish:
a city, a cuisine or a name that the wish mentions must fit, other words only improve the order.
"""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import time
from functools import cache
from pathlib import Path
from typing import Literal
from zoneinfo import ZoneInfo

CURRENCY = "EUR"
Vertical = Literal["table", "room"]
_FILE = Path(__file__).with_name("places.jsonl")


@dataclass(frozen=True, slots=True)
class City:
    """`words` are what people call it, in lower case; `tax` is cents a person and night."""

    name: str
    zh: str
    zone: str
    tax: int
    words: tuple[str, ...]


CITIES: Mapping[str, City] = {
    "berlin": City("Berlin", "柏林", "Europe/Berlin", 250, ("berlin", "柏林")),
    "london": City("London", "伦敦", "Europe/London", 0, ("london", "伦敦", "倫敦")),
    "paris": City("Paris", "巴黎", "Europe/Paris", 325, ("paris", "巴黎")),
    "shanghai": City("Shanghai", "上海", "Asia/Shanghai", 0, ("shanghai", "上海")),
    "new_york": City(
        "New York", "纽约", "America/New_York", 350,
        ("new york", "nyc", "manhattan", "brooklyn", "纽约", "紐約"),
    ),
    "lisbon": City("Lisbon", "里斯本", "Europe/Lisbon", 400, ("lisbon", "lisboa", "里斯本")),
    "rome": City("Rome", "罗马", "Europe/Rome", 500, ("rome", "roma", "罗马")),
    "tokyo": City("Tokyo", "东京", "Asia/Tokyo", 120, ("tokyo", "东京", "東京")),
    "vienna": City("Vienna", "维也纳", "Europe/Vienna", 220, ("vienna", "wien", "维也纳")),
    "barcelona": City("Barcelona", "巴塞罗那", "Europe/Madrid", 400, ("barcelona", "巴塞罗那")),
}  # fmt: skip

# What a wish may call a kitchen. A place fits if it has one of the kitchens that are named.
_KITCHENS: Mapping[str, tuple[str, ...]] = {
    "italian": ("italian", "pizza", "pizzeria", "pasta", "trattoria", "osteria", "意大利", "意式",
                "披萨", "比萨", "意面"),
    "chinese": ("chinese", "dim sum", "dumpling", "dumplings", "中餐", "中国菜", "中式",
                "饺子", "早茶"),
    "sichuan": ("sichuan", "szechuan", "hotpot", "hot pot", "川菜", "四川", "火锅"),
    "cantonese": ("cantonese", "粤菜", "广东"),
    "japanese": ("japanese", "sushi", "ramen", "izakaya", "日本", "日式", "日料", "寿司", "拉面",
                 "居酒屋"),
    "korean": ("korean", "bbq", "韩国", "韩式", "烤肉"),
    "indian": ("indian", "curry", "tandoori", "印度", "咖喱"),
    "thai": ("thai", "泰国", "泰式"),
    "vietnamese": ("vietnamese", "pho", "越南"),
    "french": ("french", "bistro", "brasserie", "法国", "法餐", "法式"),
    "vegan": ("vegan", "plant-based", "纯素", "全素"),
    "vegetarian": ("vegetarian", "素食", "素菜"),
    "mexican": ("mexican", "tacos", "taco", "墨西哥"),
    "spanish": ("spanish", "tapas", "paella", "西班牙"),
    "portuguese": ("portuguese", "葡萄牙", "葡式"),
    "seafood": ("seafood", "fish", "oyster", "海鲜", "鱼"),
    "steak": ("steak", "steakhouse", "grill", "牛排"),
    "german": ("german", "schnitzel", "德国", "德式"),
    "austrian": ("austrian", "viennese", "奥地利"),
    "turkish": ("turkish", "kebab", "meze", "土耳其"),
    "ethiopian": ("ethiopian", "injera", "埃塞俄比亚"),
    "american": ("american", "burger", "burgers", "diner", "美式", "汉堡"),
    "shanghainese": ("shanghainese", "本帮", "上海菜"),
}  # fmt: skip
# Other things people ask for. They decide the order, never whether a place fits.
_WISHES: Mapping[str, tuple[str, ...]] = {
    "romantic": ("romantic", "date", "anniversary", "浪漫", "约会", "纪念日"),
    "quiet": ("quiet", "calm", "安静", "清静"),
    "family": ("family", "kids", "children", "亲子", "家庭", "孩子"),
    "terrace": ("terrace", "outside", "outdoor", "garden", "露台", "室外", "花园"),
    "view": ("view", "rooftop", "river", "景观", "江景", "河景", "屋顶"),
    "cheap": ("cheap", "budget", "affordable", "便宜", "实惠", "经济"),
    "fine": ("fine dining", "fancy", "luxury", "luxurious", "高级", "豪华", "奢华"),
    "spa": ("spa", "sauna", "wellness", "水疗", "桑拿"),
    "pool": ("pool", "swimming", "泳池", "游泳"),
    "breakfast": ("breakfast", "早餐"),
    "central": ("central", "centre", "center", "downtown", "市中心"),
    "station": ("station", "train", "车站", "火车站"),
    "pets": ("dog", "pets", "pet", "宠物", "狗"),
    "business": ("business", "商务", "出差"),
}


@dataclass(frozen=True, slots=True)
class Room:
    """`price` in cents a night, `count` of such rooms, `fixed` when nothing is ever refunded."""

    id: str
    title: str
    zh: str
    price: int
    sleeps: int
    count: int
    fixed: bool = False


@dataclass(frozen=True, slots=True)
class Place:
    """A restaurant (`kind` table: deposit a person, opening windows) or a hotel (rooms)."""

    id: str
    kind: Vertical
    name: str
    zh: str
    city: str
    area: str
    area_zh: str
    about: str
    about_zh: str
    rating: float
    picture: str
    free_hours: int
    kitchens: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    deposit: int = 0
    fee_bps: int = 5000
    tables: int = 8
    closed: tuple[int, ...] = ()
    opens: tuple[tuple[str, str], ...] = ()
    rooms: tuple[Room, ...] = field(default_factory=tuple)

    @property
    def town(self) -> City:
        return CITIES[self.city]

    @property
    def zone(self) -> ZoneInfo:
        return ZoneInfo(self.town.zone)

    def slots(self) -> Sequence[time]:
        """Every half hour at which a table may be taken."""
        found = []
        for opens, last in self.opens:
            minute, end = _minutes(opens), _minutes(last)
            while minute <= end:
                found.append(time(minute // 60, minute % 60))
                minute += 30
        return found


def _minutes(text: str) -> int:
    hours, minutes = text.split(":")
    return int(hours) * 60 + int(minutes)


@cache
def load(path: Path = _FILE) -> Sequence[Place]:
    """Every place. Raises `ValueError` naming the line that is wrong."""
    places: list[Place] = []
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        try:
            entry = json.loads(line)
            for name in ("kitchens", "tags", "closed"):
                entry[name] = tuple(entry.get(name, ()))
            entry["opens"] = tuple((a, b) for a, b in entry.get("opens", ()))
            entry["rooms"] = tuple(Room(**room) for room in entry.get("rooms", ()))
            place = Place(**entry)
        except (TypeError, ValueError) as error:
            raise ValueError(f"{path.name}:{number}: {error}") from error
        if place.city not in CITIES or not set(place.kitchens) <= set(_KITCHENS):
            raise ValueError(f"{path.name}:{number}: unknown city or kitchen")
        places.append(place)
    if len({place.id for place in places}) != len(places):
        raise ValueError(f"{path.name}: an id occurs twice")
    return places


def fitting(vertical: str, query: str, place: str) -> Sequence[Place]:
    """Places for a wish, best first; ties go to the better rated, then by id."""
    asked = query.casefold()
    where = place.casefold().strip()
    towns = _named(asked, {key: city.words for key, city in CITIES.items()}) if not where else set()
    kitchens = _named(asked, _KITCHENS)
    wishes = _named(asked, _WISHES)
    found: list[tuple[int, float, str, Place]] = []
    for candidate in load():
        if candidate.kind != vertical or (where and not _is_at(candidate, where)):
            continue
        named = candidate.name.casefold() in asked or candidate.zh in query
        if not named and towns and candidate.city not in towns:
            continue
        if not named and kitchens and not kitchens & set(candidate.kitchens):
            continue
        # The first kitchen is what a place is; the others are what it also cooks.
        main = bool(kitchens & set(candidate.kitchens[:1]))
        score = 100 * named + 20 * main + 5 * len(wishes & set(candidate.tags))
        found.append((-score, -candidate.rating, candidate.id, candidate))
    if any(entry[0] <= -100 for entry in found):
        found = [entry for entry in found if entry[0] <= -100]
    return [entry[3] for entry in sorted(found, key=lambda entry: entry[:3])]


def _named(text: str, words: Mapping[str, tuple[str, ...]]) -> set[str]:
    """The keys of which a word occurs: whole words in Latin letters, anywhere in Chinese."""
    return {key for key, names in words.items() if any(_occurs(name, text) for name in names)}


def _occurs(word: str, text: str) -> bool:
    if not word.isascii():
        return word in text
    return re.search(rf"(?<![a-z]){re.escape(word)}(?![a-z])", text) is not None


def _is_at(place: Place, where: str) -> bool:
    if any(_occurs(word, where) for word in place.town.words):
        others = (place.area.casefold(), place.area_zh)
        quarters = [w for w in _quarters(place.city) if _occurs(w, where)]
        return not quarters or any(quarter in others for quarter in quarters)
    return _occurs(place.area.casefold(), where) or place.area_zh in where


@cache
def _quarters(city: str) -> Sequence[str]:
    here = [place for place in load() if place.city == city]
    return sorted({name for p in here for name in (p.area.casefold(), p.area_zh)})
