"""What a commercial message asks us to do, read from its words: look, acquire, pick, ask, stop.

Only 'acquire' leads to a proposal, and a proposal only waits for the person's own confirmation.
Where words leave it open we look: showing too much costs nothing, proposing too early annoys.
"""

import re
from typing import Literal

Act = Literal[
    "status",  # where is my order
    "cancel",  # undo something that exists: an order or a booking
    "confirm",  # yes, buy it: a message never pays, so this shows the button again
    "decline",  # no, leave it
    "compare",
    "more",  # other offers than those shown
    "cheaper",
    "details",  # a question about what was shown
    "acquire",  # buy, book
    "look",  # show, find, what is there
    "plain",  # only facts or words: refines what stands
]


def _re(pattern: str) -> re.Pattern[str]:
    return re.compile(pattern, re.IGNORECASE)


_ORDER = r"(?:orders?|packages?|parcels?|purchases?|deliver(?:y|ies)|shipments?)"
_KEPT = rf"(?:{_ORDER}|bookings?|reservations?)"
_ONE_KEPT = r"(?:order|booking|reservation|confirmation)"
_KEPT_ZH = r"(?:订单|预订|预定|订位|订座|确认)"
_STATUS = _re(
    rf"\b(?:where(?:'s|s| is| are)|track|status of|what happened (?:to|with)|any news on"
    rf"|check (?:on )?"
    rf"|what is the status of|what's the status of) (?:my|the|our) (?:\w+ ){{0,2}}{_KEPT}\b"
    rf"|\b{_KEPT} status\b|\b(?:show|list|see|view) (?:me )?(?:my|our) (?:\w+ )?{_KEPT}\b"
    rf"|\b(?:has|have|did|when will|when does|is) (?:my|the|our) (?:\w+ ){{0,2}}{_KEPT} "
    r"(?:been |be |already )?(?:ship|sent|deliver|arriv|go through|confirmed|come)"
    rf"|\bmy (?:recent |last |latest )?{_KEPT}\?|\bwhat (?:have|did) i (?:order|buy|book|bought)"
    r"|\b(?:have|did) i (?:already )?(?:order|book|buy|paid|pay)"
    r"|\bwhere(?:'s|s| is) my (?:stuff|tent|item|things?)\b"
    r"|(?:订单|快递|包裹|货).{0,8}(?:到哪|在哪|哪里|哪儿|状态|怎么样|什么时候|发货|送到|没到"
    r"|到了吗|发了吗)"
    r"|(?:查|看)(?:一下|看|查)?(?:我的)?(?:订单|物流|预订记录)|物流(?:信息|到哪)|发货了(?:吗|没)"
    r"|我的(?:订单|预订|快递|包裹)(?:呢|[??]|$|怎么)|我(?:都)?(?:买|订)(?:过|了)(?:什么|哪些)"
    r"|我.{0,6}(?:订|买)(?:成功|好)了吗|预订成功了吗"
    rf"|\b(?:my|our|the) (?:\w+ )?{_ONE_KEPT} (?:number|id|code|reference)\b(?! ?#?\d)"
    rf"|{_KEPT_ZH}(?:编?号|号码)(?:是|呢|多少|[?？]|$)"
    rf"|(?:我的?|给|把|什么|告诉|查).{{0,4}}{_KEPT_ZH}(?:编?号|号码)"
)
# Money on its way back, heard before 'I want a refund' is: 'did I get my refund yet?'.
_COMING_BACK = _re(
    r"\b(?:has|have|did|is|when (?:will|does|is)) (?:my|the|our) (?:\w+ )?(?:refund|money)"
    r"(?: been| be| already| finally)* (?:c[oa]me|gone|go(?:ing)? through|arriv"
    r"|back\b(?! guarantee)|return|refunded|processed|issued|sent|paid (?:back|out)|on its way|done"
    r"|through)(?!.*\bif\b)"
    r"|\bwhere(?:'s|s| is) (?:my|the|our) (?:refund|money)\b(?! (?:in|from|box)\b)"
    r"|\b(?:did|have|when (?:do|will|can)) (?:i|we) (?:already |ever )?(?:get|got|gotten|receive"
    r"|received?) (?:my|the|our) (?:refund|money)\b(?!.*\bif\b)"
    r"|(?:status of|any news (?:on|of|about)) (?:my|the|our) refund|\brefund status\b"
    r"|(?:钱|退款|款)(?:都|已经?|给我)*(?:退|返|到)(?:回|还|到)?(?:来|账|给我)*了(?:吗|没|么|[?？])"
    r"|(?:钱|退款|款)(?:要|得|大概)*(?:什么时候|多久|几天|啥时候)(?:能|会|才|可以)*(?:退|返|到|收)"
    r"|(?:钱|退款)(?:到哪|怎么还没|还没[退到])"
)
_HELD = rf"(?:{_KEPT}|tables?|rooms?)"
_MEAL = r"(?:dinner|lunch|brunch|breakfast|stay)"
_CANCEL = _re(
    rf"\bcancel (?:(?:my|the|that|this|our|it|them|last) ?(?:\w+ ){{0,3}}{_KEPT}?|{_KEPT})"
    rf"|\b(?:want|get|need|like|have|request|ask for)\b.{{0,20}}\b(?:a )?(?:refund|money back)\b"
    r"|\brefund (?:me|my|the|it)\b|\b(?:return|send back) (?:my|the|this|that|it)\b"
    r"|\bsend it back\b"
    r"|\b(?:change|move|reschedule) (?:my|the|our) (?:existing |confirmed )?order\b"
    r"|取消(?!政策)(?:我的|这个|那个|订单|预订|预定|刚才|昨天|掉|一下|$)|(?:我要|我想|申请|帮我"
    r"|怎么|能)退[款货单掉]"
    r"|^(?:退款|退货|退单|取消)"
    rf"|\b(?:undo|get (?:me |us )?out of) (?:my|the|our|this|that) (?:[\w'-]+ ){{0,4}}?{_KEPT}\b"
    rf"|\bcall(?:ing)? off (?:my|the|our|this|that) (?:[\w'-]+ ){{0,4}}?(?:{_HELD}|{_MEAL})\b"
    rf"|\bcall(?:ing)? (?:my|the|our|this|that) (?:[\w'-]+ ){{0,3}}?(?:{_HELD}|{_MEAL}) off\b"
    rf"|(?:我|帮|想|要|把)[^,。?!]{{0,14}}cancel(?! ?(?:policy|的|政策))"
    r"|把[^,。?!]{1,14}(?:退|取消)(?:了|掉|订)"
    r"|(?<!免费)(?<!随时)退订(?!政策|规则|的|费|.{0,4}(?:邮件|短信|会员|通知|推送|课|服务))"
)
# A no that goes on ('no, get me three', 'no, the other one') is a change, not a refusal.
_GOES_ON = (
    r"(?!.*\b(?:ones?|cheaper|another|instead|but|others?|show|make|i|we|it|is|does|book|get|find|give"
    r"|change|rather|for|\d+)\b)"
)
_LEAD = r"^(?:(?:ok(?:ay)?|actually|hm+|wait|oh|well|sorry|nah|on second thoughts?)[\s,.]+)*"
_TAIL = (
    r"(?:[\s,.!]*(?:please|then|thanks?(?: you)?|now|anymore|any more|after all|sorry))*[\s.!]*$"
)
_NO = _re(
    rf"{_LEAD}(?:no|nope|nah|not now|leave it)\b{_GOES_ON}"
    rf"|{_LEAD}(?:scrap|drop|skip|forget|leave) (?:it|that|this){_TAIL}|{_LEAD}i give up{_TAIL}"
    rf"|{_LEAD}i (?:do not|don't|dont) (?:want|need) (?:it|this|that|them|any(?: of them)?){_TAIL}"
    r"|^(?:那就?|还是|我们?|嗯+|唉|哦|,|\s)*(?:放弃(?!第|这|那)|算了|不想[要买订]了|不[要买订]了|不用了)"
    r"|^(?:nvm|no,? thanks?(?: you)?|never ?mind|forget (?:it|about it)|stop|maybe later"
    r"|not interested|i(?:'ve| have)? changed my mind)\b"
    r"(?!.*\b(?:show|find|book|get|instead|cheaper|another)\b)"
    r"|\b(?:do not|don't|dont) (?:buy|book|order|reserve|purchase|pay|do it|confirm)\b"
    r"|^(?:不用了?|算了|不要了|不买了?|不订了?|先不(?:用|买|订)了?|不必了?|别[买订]了?|取消吧"
    r"|再说吧|不需要)"
    r"|(?:别|不要|不想|先别|先不)(?:下单|付款|买|订|购买|预订)"
)
_YES_WORD = (
    r"(?:yes|yeah|yep|yup|sure|ok(?:ay)?|alright|fine|please|confirm(?:ed)?|i confirm|go ahead"
    r"|do it"
    r"|(?:just )?(?:buy|book|order|reserve|get|take) (?:it|that|this|them)(?: (?:now|for me))?"
    r"|i(?:'ll| will) take (?:it|that|this|them)|pay(?: now| it| for it| for this)?|place the order"
    r"|place (?:my|this) order|proceed|check ?out|let's do (?:it|that)|let's go|sounds (?:good"
    r"|great)"
    r"|perfect|great|good|looks (?:good|great)|that(?:'s| is| would be) (?:fine|good|great"
    r"|perfect|right|ok)"
    r"|(?:that )?works(?: for me)?|correct|right|absolutely|definitely|of course|thanks?(?: you)?"
    r"|complete the (?:purchase|order|booking)|finali[sz]e it|i agree|agreed|now)"
)
_YES = _re(
    rf"^(?:{_YES_WORD}[\s,.!;]*(?:and )?)+$"
    r"|^(?:(?:好的?|可以|行|嗯+|是的?|对|没问题|没错|确认|确定|同意|下单|付款|支付|买吧|订吧|买了"
    r"|订了|就这样|就它"
    r"|帮我下单|帮我付款|直接(?:买|订|付)|买它|订它|谢谢|请|马上|现在|吧|了|啊|呀|，|,|。|!|！"
    r"|\s)+)$"
)
_YES_REAL = _re(
    r"(?!(?:thanks?|thank you|great|good|perfect|please|now)[\s.!]*$)|确认|下单|付款|支付|好|可以"
    r"|行|买|订"
)
_COMPARE = _re(
    r"\bcompare\b|\bcomparison\b|\bdifferences? between\b|\bversus\b|\bvs\.?\b"
    r"|\bwhich (?:one )?(?:is|of (?:them|these)|would) (?:is )?(?:better|best|lighter|bigger"
    r"|warmer)\b"
    r"|对比|比较一下|有什么区别|哪个(?:更|比较)?好"
)
_MORE = _re(
    r"\b(?:anything|something|what|who|anyone|any place|anywhere) else\b"
    r"|\b(?:other|more|different) (?:options?|ones?|choices?|results?|hotels?|restaurants?|tents?"
    r"|places?"
    r"|suggestions?|alternatives?)\b|\bany (?:other|others|alternatives?)\b|\banother (?:one"
    r"|option|place)\b"
    r"|还有(?:别的|其他|吗|没有|什么)|(?:别的|其他的?)(?:选择|餐厅|酒店)?|换一[个批家间]|再(?:来"
    r"|看|推荐)(?:几|一)[个家间些]"
)
_CHEAPER = _re(
    r"\b(?:cheaper|less expensive|more affordable|lower[- ]priced?|lower price|for less)\b"
    r"|\btoo (?:expensive|pricey|much)\b|便宜(?:一?点|一些|些)|更便宜|太贵"
)
_QUESTION = _re(
    r"\?\s*$|？\s*$|^(?:is|are|does|do|has|have|how|what|which|when|where|who|why|can|could|would"
    r"|will"
    r"|tell me (?:more )?about|describe|more (?:info|details|about))\b|吗|呢|多少|怎么样|什么|介绍"
)
# Of an offer that was pointed at, a question may stand anywhere: 'the first, is it good? tell me'
_ASKS_OF_PICKED = _re(
    r"[?？]|\b(?:is|does|has|can|will) it\b|\btell me\b|说说|讲讲|详细|([好行])不\1"
)
_WH_I = _re(
    r"\b(?:where|how|what|when|which|should|can|could|may|do|does|if) (?:\w+ )?(?:can |do |could "
    r"|should "
    r"|to |must )?(?:i|we|one|you guys|people)\b(?: \w+)? (?:buy|book|order|purchase|reserve|get)\b"
    r"|\b(?:where|how) (?:to|do you|does one) (?:buy|book|order|reserve|get)\b"
    r"|\b(?:thinking (?:of|about)|considering|interested in|before i|looking to|hoping to"
    r"|planning to"
    r"|options? to|want to look|(?:not|n't) (?:\w+ )?(?:want|need|ready) to) ?(?:buy|book|order)?"
    r"|(?:哪里|哪儿|怎么|如何|能不能在|是否).{0,6}(?:买|订)"
)
_LOOK = _re(
    r"\b(?:show|find|search|list|recommend|suggest|browse|look(?:ing)? (?:for|at)|see|explore"
    r"|check out"
    r"|what|which|where|do you (?:have|know|sell|carry)|are there|is there|any(?:thing)?"
    r"|how (?:much|many)"
    r"|options|ideas?|i(?:'m| am) (?:looking|searching|after|interested)|i (?:need|want)"
    r"|we (?:need|want)"
    r"|have you got|got any)\b|看看|有什么|有没有|有哪些|推荐|找|哪些|哪家|哪里|搜|查|想买|想要"
    r"|想找|需要|介绍"
)
_ACQUIRE = _re(
    r"\b(?:buy|purchase|order(?! (?:status|number))|book(?! about)|reserve|get (?:me|us)"
    r"|grab (?:me|us)"
    r"|make (?:me |us )?an? (?:\w+ )?(?:reservation|booking)|i(?:'ll| will) (?:take|have|get"
    r"|go (?:with|for))"
    r"|let's (?:take|get|go (?:with|for)|book|order)|place an order|pick (?:me|us) up|go with"
    r"|i take"
    r"|send (?:me|us|him|her|them) (?:a|an|one|two)|make (?:it|that|the) )\b"
    r"|(?:帮我们?|替我|给我们?|请|麻烦|直接|我要|我想|想|要|就|再|来|去)?(?:预订|预定|预约|订购"
    r"|购买|下单|买[一二两三四五六七八九十\d]"
    r"|订[一二两三四五六七八九十\d个张间家]|来[一二两三四五六七八九十\d][个张间份件顶双瓶])"
    r"|(?:帮我们?|替我|给我们?|请|麻烦你?|直接|就)(?:把.{1,12})?(?:买|订)|我要(?:买|订"
    r"|[一二两三四五六七八九十\d])"
    r"|想[买要订](?:[一二两三四五六七八九十\d]|个|张|间)|^订|^买(?![了过到的])|就(?:买|订|要|选)"
    r"|买[个件台瓶份把双张盒箱本杯顶束](?!人)"
)
_NOUN_ACQUIRE = _re(  # for a table or a room, wanting it is asking for it
    r"\b(?:i|we)(?:'d| would) (?:like|love)\b|\b(?:i|we) (?:want|need) (?:a|an|two|one|\d)\b"
    r"|^(?:a )?table for\b"
)
_WANT_BOOK_ZH = _re(r"(?:想|要|需要)(?:要)?(?:预)?(?:订|定|约)")
_WANT_ZH_BARE = _re(
    r"(?:想|打算|准备|考虑)(?:要)?买(?![一二两三四五六七八九十\d个张间顶双件台本部])"
)


_TAKING = _re(r"\b(?:can|could|may) (?:i|we) (?:have|take|get)\b|(?:可以|能)(?:要|买|订)")
_BARE_CANCEL = _re(r"^(?:please )?cancel(?: it| that| this)?(?: please)?[.!]?$|^取消(?:吧|掉)?$")
_ADDS = _re(
    r"^(?:please |and |ok(?:ay)?,? |yes,? )*(?:also|add)\b|\b(?:too|as well|on top)\s*[.!]?\s*$"
    r"|^(?:and|plus) (?:an?|some|two|three|another|\d)\b"
    r"|再(?:加|来|买|要|订)|还要|还需要|加(?:上)?[一两二三四五\d]"
)
_BROWSE = _re(
    r"\b(?:show|find|search|recommend|suggest|browse|look(?:ing)? for|get me|bring me"
    r"|do you (?:have|sell)"
    r"|options for|ideas for|i(?:'m| am) (?:looking|searching|after)|i (?:need|want))\b"
    r"|看看|有什么|有没有|有哪些|推荐|找|想买|想要|需要|来[一二两三四五六七八九十\d个点]"
)
_REFUSE_CLAUSE = _re(
    r"(?:please |but |and )*\b(?:do not|don't|dont)(?: actually)? (?:buy|book|order|reserve"
    r"|purchase|pay)"
    r"(?: (?:it|this|that|anything|any|one|yet|now|for me|for it|them|either|right))*[\s,.;!]*"
    r"|(?:请|但是?)?(?:先)?(?:别|不要|不用|不)(?:下单|付款|购买|预订|买|订)[\s,，。;；!！]*"
)
_REFUSE = _re(
    r"\b(?:do not|don't|dont|without|(?<!why )not) (?:actually )?(?:buy|buying|book|booking|order"
    r"|ordering"
    r"|reserve"
    r"|reserving|purchase|purchasing|pay|paying)\b|(?:别|不要|不用|先别|先不|不)(?:下单|付款|购买"
    r"|预订|买|订)"
)


def adds(text: str) -> bool:
    """'Add a lamp too', '再加一个': something on top of what is proposed already."""
    return _ADDS.search(text) is not None


def refuses_purchase(text: str) -> bool:
    """'Don't buy', '先别下单': nothing may be proposed in this turn."""
    return _REFUSE.search(text) is not None


def browses(text: str) -> bool:
    """Whether it plainly asks to be shown or brought something, and not just any question."""
    return _BROWSE.search(text) is not None


def act(text: str, *, booking: bool, shown: bool, picked: bool, open_proposal: bool) -> Act:
    """The act of a normalised message. `booking`: it is about a table or a room; `shown`: offers
    stand in the conversation; `picked`: it names one of them."""
    if _BARE_CANCEL.match(text):
        return "decline" if open_proposal or shown else "cancel"
    if _COMING_BACK.search(text):
        return "status"
    if _CANCEL.search(text):
        return "cancel"
    if _STATUS.search(text):
        return "status"
    rest = _REFUSE_CLAUSE.sub(" ", text).strip()
    if refuses_purchase(text) and shown and _COMPARE.search(rest):
        return "compare"
    if refuses_purchase(text) and rest and _LOOK.search(rest):
        return "look"
    answer = _short_answer(text)
    if answer:
        return answer
    about = _about_shown(text, picked=picked) if shown else None
    return about or _wanted(text, booking=booking)


def _short_answer(text: str) -> Act | None:
    if _NO.search(text):
        return "decline"
    bare = text.strip().strip("?？")
    if _YES.match(bare) and _YES_REAL.match(bare):
        return "confirm"
    return None


def _about_shown(text: str, *, picked: bool) -> Act | None:
    if _COMPARE.search(text):
        return "compare"
    if picked:
        wanting = _ACQUIRE.search(text) and not _WH_I.search(text)
        buying = _TAKING.search(text) or wanting
        asking = _QUESTION.search(text) or _ASKS_OF_PICKED.search(text)
        return "details" if asking and not buying else "acquire"
    if _MORE.search(text):
        return "more"
    if _CHEAPER.search(text):
        return "cheaper"
    return None


def _wanted(text: str, *, booking: bool) -> Act:
    asking = _WH_I.search(text) is not None
    if _ACQUIRE.search(text) and not asking and not _WANT_ZH_BARE.search(text):
        return "acquire"
    if asking:
        return "look"
    if booking and (_NOUN_ACQUIRE.search(text) or _WANT_BOOK_ZH.search(text)):
        return "acquire"
    return "look" if _LOOK.search(text) else "plain"
