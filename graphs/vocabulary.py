"""The words of shopping in English and Chinese: what points at a product, a table or a room.

Lists, not logic: `wishes` and `acts` read them. A word is here because people say it, not because
a demo catalogue has it; what is not here stays in the query, where the ranking sees it.
"""

import re


def _re(pattern: str) -> re.Pattern[str]:
    return re.compile(pattern, re.IGNORECASE)


# One name for a cuisine in both languages, so that a Chinese wish can be checked against an
# English listing and the other way round.
CUISINES: tuple[tuple[str, re.Pattern[str]], ...] = tuple(
    (name, _re(pattern))
    for name, pattern in (
        ("italian", r"\b(?:italian|trattoria|osteria|pasta)\b|意大利|意式|意餐"),
        ("pizza", r"\b(?:pizza|pizzeria)\b|披萨|比萨"),
        (
            "japanese",
            r"\b(?:japanese|sushi|ramen|izakaya)\b|日本(?!人)|日料|日式|寿司|拉面|居酒屋",
        ),
        ("sichuan", r"\b(?:sichuan|szechuan|szechwan)\b|川菜|四川"),
        ("cantonese", r"\b(?:cantonese|dim sum)\b|粤菜|广东菜|早茶|点心"),
        ("hotpot", r"\bhot ?pot\b|火锅"),
        ("shanghainese", r"\bshanghai(?:nese)?\b|上海菜|本帮|沪菜"),
        ("chinese", r"\bchinese\b|中餐|中国菜|湘菜|鲁菜|淮扬菜|东北菜|江浙菜|烤鸭"),
        ("french", r"\b(?:french|brasserie)\b|法国|法式|法餐"),
        ("thai", r"\bthai\b|泰国|泰式|泰餐"),
        ("indian", r"\b(?:indian|curry house)\b|印度"),
        ("mexican", r"\b(?:mexican|taquer[ií]a|tacos?)\b|墨西哥"),
        ("spanish", r"\b(?:spanish|tapas)\b|西班牙"),
        ("greek", r"\bgreek\b|希腊"),
        ("korean", r"\bkorean\b|韩国|韩式|韩餐"),
        ("vietnamese", r"\b(?:vietnamese|pho)\b|越南"),
        ("turkish", r"\bturkish\b|土耳其"),
        ("lebanese", r"\blebanese\b|黎巴嫩"),
        ("vegetarian", r"\b(?:vegetarian|vegan|veggie|plant-based)\b|素食|素菜|纯素"),
        ("seafood", r"\b(?:seafood|fish restaurant)\b|海鲜"),
        ("steak", r"\bsteak(?:house)?\b|牛排"),
        ("barbecue", r"\b(?:bbq|barbecue)\b|烧烤|烤肉"),
        ("german", r"\b(?:german|bavarian|schnitzel)\b|德国(?!人)|德餐|德式"),
        ("austrian", r"\b(?:austrian|viennese)\b|奥地利"),
        ("portuguese", r"\bportuguese\b|葡萄牙|葡国菜"),
        ("american", r"\b(?:american|burgers?|diner)\b|美式|汉堡"),
        ("ethiopian", r"\bethiopian\b|埃塞俄比亚"),
        ("western", r"\bwestern food\b|西餐"),
    )
)

# What a listing may say instead of the name of its kitchen.
ALSO_KNOWN = {
    "italian": _re(
        r"\b(?:pizza|pizzeria|ristorante|sicilian|roman|tuscan)\b|意面|披萨|西西里|罗马"
    ),
    "chinese": _re(r"\b(?:sichuan|cantonese|shanghainese|hot ?pot|dim sum)\b|川菜|粤菜|火锅|点心"),
    "vegetarian": _re(r"\b(?:vegan|plant-based)\b|纯素"),
    "japanese": _re(r"\b(?:udon|soba|tempura|omakase|yakitori)\b|乌冬|荞麦面|天妇罗|寿司"),
}

TABLE = _re(
    r"\b(?:restaurants?|dinner(?! (?:plates?|ware|set|jacket))|lunch(?! ?(?:box|bag))|brunch|supper"
    r"|dine|eat out|bistro|trattoria|pizzeria|steakhouse|brasserie|eatery|tavern|sushi bar"
    r"|(?:place|places|somewhere|spot) (?:to|for) (?:eat|dinner|lunch)"
    r"|(?<!coffee )(?<!dining )(?<!side )(?<!folding )(?<!camping )(?<!picnic )(?<!bedside )"
    r"(?<!tennis )(?<!pool )(?<!wooden )tables?"
    r"(?! ?(?:lamp|cloth|runner|tennis|mat|top|fan|saw|leg|with (?:legs|drawers)))"
    r")\b"
    r"|餐厅|餐馆|饭店|饭馆|酒楼|馆子|菜馆|吃饭|用餐|晚餐|晚饭|午餐|午饭|聚餐|订位|订座|订餐|餐位"
    r"|座位|位子|包间|包厢"
    r"|[人张]桌|桌(?![子布游面椅灯垫上球])|好吃的"
)
TABLE_WEAK = _re(r"\b(?:reservations?|food|cuisine|meal|eat|place)\b|料理|吃|菜")
ROOM = _re(
    r"\b(?:hotels?|hostels?|motels?|inns?|suites?|guest ?houses?|accommodations?|lodgings?|resorts?"
    r"|b&b|bed and breakfast|airbnb|(?:place|somewhere) to (?:stay|sleep)"
    r"|(?<!living )(?<!dining )rooms?(?! ?(?:heater|divider|humidifier|spray|decor|light|lamp|fan))"
    r"|check(?:ing)?[- ]in)\b"
    r"|酒店|宾馆|旅馆|旅店|民宿|客栈|青旅|度假村|房间|客房|大床房|双床房|标间|套房|[单双]人[间房]"
    r"|订房"
    r"|开房|住宿|住处|地方住|入住|住(?=[一两二三四五六七\d]|在|哪)|间房"
)
ROOM_WEAK = _re(r"\b(?:stay|staying|check(?:ing)?[- ]?out|lodge)\b|退房")
BUY = _re(
    r"\b(?:buy|buying|purchase|shop(?:ping)? for|order(?:ing)?(?! (?:status|number|history))"
    r"|add to (?:cart|basket)|get me a new)\b|买|购|下单"
)
BOOK = _re(
    r"\b(?:book(?:ing)?(?!s\b|shelf| about| club| on | by )|reserve|reservations?|"
    r"make a booking)\b|订(?!单|购|阅|做|制)|预订|预定|预约"
)
UNSUPPORTED: tuple[tuple[str, str, re.Pattern[str]], ...] = tuple(
    (en, zh, _re(pattern))
    for en, zh, pattern in (
        (
            "train and bus tickets",
            "火车票和汽车票",
            r"\b(?:train tickets?|bus tickets?|(?:a|the) (?:bus|train) (?:to|from|for|leaving))\b"
            r"|火车票|高铁票|车票|动车",
        ),
        (
            "rides and rental cars",
            "打车和租车",
            r"\b(?:taxi|cab|uber|lyft|rental car|car rental|rent a car|hire a car|a ride to)\b"
            r"|打车|出租车|叫车|租车|网约车",
        ),
        (
            "appointments",
            "其他预约",
            r"\b(?:haircut|hair ?dresser|barber|dentist|doctor|salon|therapist|appointment)\b"
            r"|理发|牙医|挂号|医生|美容院",
        ),
    )
)
# Words that only describe: alone in a message they narrow what was wanted before.
_DESCRIBES = (
    r"(?:red|blue|black|white|green|yellow|gr[ae]y|pink|purple|brown|orange|beige|silver|gold"
    r"|light(?:er)?|heav(?:y|ier)|small(?:er)?|big(?:ger)?|large(?:r)?|long(?:er)?|short(?:er)?"
    r"|warm(?:er)?|wider?|narrow(?:er)?|waterproof|wooden|leather|cotton|wool(?:len)?|vegan|colou?r"
    r"|size|xs|s|m|l|xl|xxl|\d{1,2})"
)
QUALITY = _re(
    rf"{_DESCRIBES}(?: {_DESCRIBES})*"
    r"|(?:[红蓝黑白绿黄灰粉紫棕橙银金深浅大小轻重长短厚薄新旧软硬暖]{1,2}色?(?:一?点|一?些|号|款)?)"
)
CHEAPEST = _re(
    r"\b(?:cheapest|least expensive|lowest[- ]priced?|most affordable)\b|最便宜|最低价|价格最低"
)
BEST_RATED = _re(
    r"\b(?:best[- ]rated|highest[- ]rated|top[- ]rated|best reviewed)\b|评分最高|评价最好"
)
DEAREST = _re(r"\b(?:most expensive|priciest|dearest)\b|最贵")
VAGUE = _re(
    r"\b(?:gifts?|presents?|something|anything|stuff|things?|ideas?|surprise|goods|items?"
    r"|products?)\b"
    r"|礼物|礼品|东西|惊喜"
)
GIFT = _re(r"\b(?:gifts?|presents?)\b|礼物|礼品")
GOODS_FOR_GIFT = _re(r"\b(?:gift|present) (?:card|wrap|box|bag)\b|礼品卡|礼盒")


def _set(text: str) -> frozenset[str]:
    return frozenset(text.split())


# What is left of a message when these are gone is the thing itself.
STOP_EN = _set(
    """a about actually add after all also am an and another any anything are around as at
    available be been before best book booking but buy buying by can cart change cheap check
    cheapest could do does don't each else expensive find for from get give go going good
    great grab had has have hello help here hey hi how i i'd i'll i'm if in instead is it
    it's its just kindly know least less let let's like list look looking made make man may
    maybe me mine more most move much my need nice no not now of ok okay on one ones only
    option options or order ordering our out pick piece pieces place please price purchase
    put quantity qty quite recommend recommendation recommendations reservation reservations
    reserve right search see send shop shopping should show so some something somewhere
    suggest suggestions sure take tell thank thanks that that'd that's the them then there
    there's these they thing things this those to too total try under up us very want wanna
    was we we'd we're what what's when where which will wish with would yeah yes yet you
    your night nights people person guests today tonight tomorrow evening morning afternoon
    noon trying prefer currently bring using uses"""
)
STOP_TABLE = _set(
    """table tables restaurant restaurants place places dinner lunch brunch supper eat eating dine
    dining food meal cuisine spot seat seats reservation party venue"""
)
STOP_ROOM = _set(
    """hotel hotels room rooms stay staying accommodation check-in checkin checking checkout
    check-out lodging place places sleep night nights in"""
)
_STOP_ZH = _set(
    """请问 请 麻烦 你好 您好 帮我们 帮我 帮忙 给我们 给我 替我 我想要 我们想 我们要 我想
    我要 我需要 想要 想听 一场 举行 举办 上演 听
    想买 想订 想找 想 需要 能不能 可不可以 可以 能否 有没有 有什么 有哪些
    有吗 哪些 哪家 哪个 什么 推荐 一下 查一下 查查 查找 搜索 搜一下 搜 找找 找个 找 看看
    看一下 看 订购 预订 预定 预约 订个 订 购买 买个 买 下单 来一份 一些 几个 几家 吗 呢 吧
    啊 呀 哦 嗯 了 的 我们 我 你 谢谢 最便宜 便宜点 便宜一点 最好 一家 一个 一张 一间 一顶
    这个 那个 这家 那家 改成 改到 换成 换个 换 改为 还是 要 在 去 到 时间 左右 大概 店 家 个
    给 哪里 多少钱 现在 就 也 都 有 和 跟 用 那 吃 住 选 来 附近 好吃 饿了 饿 便宜 能坐 再加
    不是 是"""
)
STOP_ZH = re.compile(
    "|".join(sorted((w for w in _STOP_ZH if len(w) > 1), key=len, reverse=True))
    + r"|[的吗呢吧啊呀哦]|[^\w\s-]"
)
# Single characters go only from the edges of what is left: 家 belongs to 家用, 有 to 有线.
EDGES_ZH = "".join(sorted(w for w in _STOP_ZH if len(w) == 1))
STOP_TABLE_ZH = re.compile(
    r"餐厅|餐馆|饭店|饭馆|酒楼|馆子|吃饭|用餐|晚餐|晚饭|午餐|午饭|订位|订座|订餐|座位|位子|桌"
    r"|晚上|中午"
    r"|人|晚|早上|下午"
)
STOP_ROOM_ZH = re.compile(r"酒店|宾馆|旅馆|房间|客房|住宿|入住|退房|房|晚上|晚|人|每")
