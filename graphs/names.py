"""The place and the thing itself: what a message names when its facts and courtesies are gone."""

import re

from graphs import vocabulary
from graphs.memory import Vertical
from graphs.numerals import TAKEN, Page

_PLACE_EN = re.compile(
    r"\b(?:in|near|around|close to|within|visiting|going to|travel(?:l?ing)? to|trip to)\s+"
    r"(?P<p>(?:the\s+)?[A-Za-zÀ-ÿ][\w'.-]*(?:\s+[A-Za-zÀ-ÿ][\w'.-]*){0,3})",
    re.IGNORECASE,
)
_PLACE_STOP = re.compile(
    r"\b(?:for|on|at|with|that|which|please|under|below|and|or|next|this|from|between|tomorrow"
    r"|tonight"
    r"|today|by|to|in|near|around|is|are|has|have|where|who|serving|if|about|but|so|because|i|we"
    r"|you"
    r"|area|can|would|could|my|our|checking|check|starting|until|till|hotels?|restaurants?)\b.*$",
    re.IGNORECASE,
)
_NO_PLACE = re.compile(
    r"^(?:the )?(?:a|an|it|that|there|here|me|us|total|advance|case|general|particular|english"
    r"|chinese"
    r"|cash|stock|time|mind|evening|morning|afternoon|night|price|cost|future|meantime|same|days?"
    r"|weeks?"
    r"|months?|something|anything|moderate|budget|book|booking|reserve|eat|dinner|lunch|one|two"
    r"|three"
    r"|finding|looking|getting|making|need|advance)\b",
    re.IGNORECASE,
)
_HAN = r"[\u4e00-\u9fff]"
_PLACE_ZH = re.compile(
    rf"(?:在|去|到)(?P<a>{_HAN}{{2,6}}?)(?=的|找|订|预订|预定|住|吃|有没有|有什么|有|玩|附近|周边"
    rf"|听|看|举行|举办|演出|上演|旁边|市中心|$|[,，。！!?？\x1f\s])"
    rf"|(?:找|推荐|订|想要|有没有)?(?:一[家间个])?(?P<b>{_HAN}{{2,8}}?)(?:附近|周边|旁边)"
)
# Names that stand bare before the thing ('柏林的音乐会', '柏林周六的餐厅'): only what is plainly a
# city, since '好听的音乐会' is written the same way; a kitchen ('上海菜') is none.
CITIES_ZH = re.compile(
    "(?:北京|上海|广州|深圳|杭州|南京|苏州|成都|重庆|武汉|西安|天津|青岛|大连|厦门|长沙|昆明|哈尔滨"
    "|沈阳|郑州|济南|福州|宁波|三亚|香港|澳门|台北|高雄|东京|大阪|京都|首尔|釜山|新加坡|曼谷|吉隆坡"
    "|雅加达|马尼拉|河内|胡志明市|新德里|孟买|迪拜|伊斯坦布尔|莫斯科|圣彼得堡|柏林|慕尼黑|汉堡市?|科隆"
    "|法兰克福|斯图加特|杜塞尔多夫|莱比锡|德累斯顿|汉诺威|纽伦堡|不来梅|维也纳|萨尔茨堡|苏黎世|日内瓦"
    "|巴塞尔|伯尔尼|巴黎|里昂|马赛|尼斯|波尔多|斯特拉斯堡|伦敦|曼彻斯特|利物浦|爱丁堡|格拉斯哥|都柏林"
    "|阿姆斯特丹|鹿特丹|布鲁塞尔|安特卫普|卢森堡|哥本哈根|斯德哥尔摩|奥斯陆|赫尔辛基|华沙|克拉科夫|布拉格"
    "|布达佩斯|布加勒斯特|索非亚|雅典|罗马|米兰|威尼斯|佛罗伦萨|那不勒斯|都灵|马德里|巴塞罗那|塞维利亚"
    "|瓦伦西亚|里斯本|波尔图|纽约|洛杉矶|旧金山|芝加哥|波士顿|西雅图|华盛顿|拉斯维加斯|迈阿密|多伦多"
    "|温哥华|蒙特利尔|墨西哥城|里约热内卢|圣保罗|布宜诺斯艾利斯|悉尼|墨尔本|布里斯班|奥克兰|开罗|开普敦)"
    "(?!菜|烤鸭|风味|料理|口味|火锅|小吃|小笼|炸鸡|拉面|式|香肠|披萨|比萨|机场)"
)
_NO_PLACE_ZH = re.compile(r"^(?:这|那|我|你|哪|什么|时候|一|家里|网上|今|明|后天|景点|酒店|餐|晚)")


def place(page: Page) -> str:
    """The place in the person's own words; its span is taken."""
    match = _PLACE_EN.search(page.left)
    while match:
        name = _PLACE_STOP.sub("", match["p"]).strip(" .,")
        if name and name.lower() != "the" and not _NO_PLACE.match(name):
            page.blank(match.start(), match.start("p") + len(name))
            return re.sub(r"^the\s+", "", name, flags=re.IGNORECASE)
        match = _PLACE_EN.search(page.left, match.start() + 2)
    chinese = _PLACE_ZH.search(page.left)
    if chinese:
        name = chinese["a"] or chinese["b"]
        if not _NO_PLACE_ZH.match(name):
            start = chinese.start("a") if chinese["a"] else chinese.start("b")
            page.blank(start, start + len(name))
            return name
    if city := page.take(CITIES_ZH):
        return city[0]
    return ""


def words(page: Page, vertical: Vertical | None) -> str:
    """What is left when facts, verbs and courtesies are gone: the product or kind of place."""
    left = page.left.replace(TAKEN, " ")
    if re.search(_HAN, left):
        left = _chinese_words(left, vertical)
    stop = set(vocabulary.STOP_EN)
    if vertical == "table":
        stop |= vocabulary.STOP_TABLE
    elif vertical == "room":
        stop |= vocabulary.STOP_ROOM
    kept = []
    for raw in re.findall(rf"[A-Za-zÀ-ÿ0-9][\w'&./-]*|{_HAN}+", left):
        word = raw.strip(".-'/")
        bare = word.lower().removesuffix("'s")
        if word and bare not in stop and not (vertical != "product" and word.isdigit()):
            kept.append(word)
    return " ".join(kept)[:200]


def _chinese_words(left: str, vertical: Vertical | None) -> str:
    if vertical == "table":
        left = vocabulary.STOP_TABLE_ZH.sub(" ", left)
    elif vertical == "room":
        left = vocabulary.STOP_ROOM_ZH.sub(" ", left)
    runs = vocabulary.STOP_ZH.sub(" ", left).split()
    return " ".join(run.strip(vocabulary.EDGES_ZH) for run in runs)
