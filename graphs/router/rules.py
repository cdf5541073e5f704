"""The first layer: what a person says outright, in English and Chinese, before any model is asked.

A cue counts only when the person says it to us now: not inside quotation marks, code or a pasted
text, not negated, not reported ("my teacher told me to think hard"). Words can raise the effort or
refuse a purchase. They can grant nothing.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from graphs.router.features import normalise
from graphs.state import Effort, Message

_CODE = re.compile(r"```.*?(?:```|\Z)|`[^`\n]*`", re.S)
_QUOTED = re.compile(
    r"\"[^\"\n]{1,2000}\"|“[^”]{1,2000}”|「[^」]{1,2000}」|『[^』]{1,2000}』|«[^»]{1,2000}»"
    r"|(?<![\w])'[^'\n]{3,2000}'(?!\w)|‘[^’]{1,2000}’|《[^》]{1,100}》"
)
_SENTENCE = re.compile(r"(?<=[.!?。！？;；\n])\s*")

# --- effort ---------------------------------------------------------------------------------------
_THINK_EN = (
    r"(?:think|reason|ponder|reflect|deliberate|consider|work|puzzle)\s+(?:(?:about|on|over|through)\s+"
    r"(?:it|this|that|these|the \w+|my \w+)\s+|it\s+|this\s+|everything\s+)?"
    r"(?:(?:really|very|extra|super|quite|as)\s+)?"
    r"(?:hard(?:er)?|deep(?:ly|er)?|careful(?:ly)?|thoroughly|rigorously|through|long and hard|at length"
    r"|step[- ]by[- ]step|stepwise|methodically|slowly|twice|longer|critically|systematically"
    r"|as long as|exhaustively|out (?:every|each|all))"
)
_EFFORT_UP_EN: Final = (
    _THINK_EN,
    r"(?:use|enable|turn on|switch (?:on|to)|engage|activate|with|in|go into)\s+(?:your\s+|the\s+)?(?:full\s+|most\s+)?"
    r"(?:deep(?:er|est)?|extended|maxim(?:um|al)|max|high(?:er|est)?|heavy|advanced|extensive|careful|full|extra"
    r"|serious|hard)\s+(?:reasoning|thinking|thought|effort|analysis|think|research)(?:\s+mode|\s+effort)?",
    r"(?:reasoning|thinking|effort)(?:[ _-]effort)?\s*[:=]\s*[\"']?(?:high|max|hard|deep)",
    r"take (?:all the|as much|plenty of|some|enough|your)\s+(?:\w+\s+)?(?:time|care)(?! (?:off|out))",
    r"(?:don't|do not|no need to|never)\s+(?:rush|hurry)(?: (?:this|it|the answer|into|your \w+|to (?:an )?answer))?",
    r"(?:give|put|spend)\s+(?:this|it|that|the \w+|my \w+)?\s*(?:one\s+)?(?:some|a lot of|a good deal of|your full|your best|real"
    r"|serious|proper|careful|deep|extra|good|long|maximum)\s+(?:\w+\s+)?(?:thought|thinking|effort|attention|consideration"
    r"|reasoning|think|time thinking)",
    r"(?:think|pause|reflect) (?:\w+ )?before (?:you )?(?:answer|repl|respond|speak)",
    r"(?:double|triple)[- ]check (?:your|the|each|every|all)\s*(?:\w+\s)?(?:reasoning|work|answer|logic|steps?|calculations?|result)",
    r"(?:be|stay) (?:as |very |extremely |really )?(?:rigorous|thorough|meticulous|exhaustive)\b",
    r"put (?:on )?your thinking cap|rack your brains?|ultra-?think|chain[- ]of[- ]thought|brain power"
    r"|your (?:deepest|best|fullest|smartest|most careful|strongest) (?:reasoning|thinking|thought|analysis|model)",
    r"(?:let's|let us|now) (?:think|reason|work) (?:this |it )?(?:through|step by step|carefully)",
    r"reason (?:it |this )?(?:out|carefully|step by step|from first principles)",
    r"(?:a|an) (?:deep|deeply|carefully|well|thoroughly)[- ](?:reasoned|considered|thought[- ](?:out|through)) (?:answer|reply|response)",
    r"(?:analy[sz]e|examine|explore|consider) (?:it |this |that |everything |all (?:\w+ )?)?(?:deeply|in (?:great |real |full )?depth"
    r"|thoroughly|rigorously|very carefully|from every angle|from all angles)",
    r"(?:deep|serious|careful|hard|real) (?:thinking|thought|reasoning) (?:is )?(?:please|required|needed|wanted|here|on)",
)
_EFFORT_UP_ZH: Final = (
    r"(?:仔细|认真|好好|深入|深度|慢慢|反复|多|用心|全面|周密|严谨|努力|谨慎|细细|详细|充分|使劲|花时间)地?的?"
    r"(?:想|思考|推理|推敲|琢磨|斟酌|考虑|动脑|思索)(?:一下|一想|想|清楚|一番|过程|模式)?",
    r"(?:一步一步|一步步|逐步|分步骤?|循序渐进)(?:来|地|去)?(?:深入|仔细|认真)?(?:想|思考|推理|推导|分析|推)",
    r"(?:开启|打开|启用|使用|用|进入|切换到|调用)(?:你的|一下)?(?:深度|深入|推理|最强|高强度|长|慢)(?:思考|推理)?(?:模式|模型|能力)",
    r"深思熟虑|绞尽脑汁|动动脑(?:筋|子)?|开动脑筋|三思(?:而后)?(?:再)?(?:答|回答)?|想清楚(?:了)?(?:再|后|之后)|想好(?:了)?再"
    r"|(?:不要|别|不用|不必)(?:急着|着急|急于|马上|仓促)(?:回答|下结论|回复|给答案|作答)?|慢慢来",
    r"(?:多|再)?花(?:点|些|一些|更多)?(?:时间|功夫|心思)(?:去|来)?(?:想|思考|推理|琢磨|研究)",
    r"(?:推理|思考)(?:强度|深度|力度)?\s*[:：=]?\s*(?:开到最大|拉满|调高|最高|高)",
    r"(?:严格|严谨|缜密|细致)地?(?:推理|论证|推导|分析)(?:一下)?|反复(?:检查|验证|核对)(?:你的)?(?:推理|答案|步骤|结果)",
)
_NEGATED_EN = re.compile(
    r"(?:don'?t|do not|no need to|not|never|without|needn'?t|stop|need not|isn'?t|won'?t|rather than"
    r"|instead of|hardly)\s+(?:\w+\s+){0,4}$"
)
_NEGATED_ZH = re.compile(
    r"(?:不用|不必|不要|别|无需|没必要|用不着|不需要|没有|没|不想|懒得|甭|免得|不)[^，。,.!?！？；]{0,4}$"
)
# Told to somebody else, or told about: the subject stands before the verb.
_REPORTED_EN = re.compile(
    r"(?:\b(?:i|we|he|she|they|who|people|everyone|students?|it|that|which|to|must|should|makes?|made|me|him|her|them|us"
    r"|'ve|'ve been|been|always|often|usually|really|just)\b|'(?:m|re|ve|d|ll))\s*$"
)
_ADDRESSED_EN = re.compile(
    r"\b(?:(?:you|u) to|you should|you must|you (?:can|could|would)|need you to|want you to|like you to|you really"
    r"|please(?: \w+)?|(?:can|could|would|will) you(?: \w+)?|to really|just)\s*$"
)
_REPORTING_EN = re.compile(
    r"\b(?:said|says|told|tells|asked|asks|wrote|writes|advised|keeps? (?:saying|telling)|reads?|quote|heard"
    r"|the (?:phrase|words|expression|instruction|command)|called|titled|named)\b[^.!?]{0,60}$"
)
_REPORTED_ZH = re.compile(
    r"(?:我|他|她|它|们|老师|妈妈|爸爸|老板|人|大家|谁|朋友|同事)(?:也|都|就|在|要|得|会|正|正在|已经|再|先|曾|应该|需要|想|还|可以"
    r"|必须|一直|总|总是|常常|刚才|昨天|今天|自己|一个人)*$"
    r"|(?:说|叫我|让我|告诉我|要我|劝我|要求我|教我|提醒我|写着)[^，。,.!?！？；]{0,6}$"
)

_EFFORT_DOWN_EN: Final = (
    r"(?:quick|short|brief|fast|one[- ](?:word|line|sentence))\s+(?:answer|reply|response|version|summary)\b",
    r"(?:answer|reply|respond|tell me|explain)?\s*(?:briefly|in (?:a|one|1) (?:word|sentence|line)|in short|in brief)\b",
    r"(?:keep|make) it (?:short|brief|quick|simple)|just the answer|(?:no|skip the|without) (?:explanations?|details)"
    r"|off the top of your head|(?:don't|do not|no need to) (?:over-?think|think (?:too |very |so )?(?:hard|much|long|deeply))"
    r"|short and sweet|tl;?dr",
)
_EFFORT_DOWN_ZH: Final = (
    r"简短(?:点|些|一点|一些|地)?|简单(?:说|回答|讲|点|讲讲|说说)|一句话|直接(?:给|说|告诉我?)(?:我)?(?:答案|结果|结论)"
    r"|快速回答|长话短说|(?:不用|不必|别)(?:解释|展开|想太多|多想|想那么多|啰嗦|思考太久)|言简意赅",
)

# --- refusing a purchase --------------------------------------------------------------------------
_REFUSE_EN: Final = (
    r"(?:do not|don'?t|please don'?t|never|not going to|not gonna|no need to|not|without|won't|wouldn't)\s+(?:\w+\s+){0,3}?"
    r"(?:buy|buying|purchas(?:e|ing)|order(?:ing)?|book(?:ing)?|pay(?:ing)?|check(?:ing)? ?out|reserv(?:e|ing)|charge)\b",
    r"(?:just|only|merely) (?:browsing|looking|window[- ]shopping|checking prices|curious|comparing)",
    r"no (?:purchases?|orders?|bookings?|buying)\b",
)
_REFUSE_ZH: Final = (
    r"(?:不要|别|先不|先别|不用|不必|不想|暂时不|还不|没打算|不打算|不准备|不需要|无需|不是要|不是想|不)(?:帮我|给我|替我|真的|急着|马上|现在|着急)?"
    r"(?:下单|下订单|买|购买|付款|付钱|支付|预订|订(?!阅)|结账|扣款)(?!不起|卖)",
    r"(?:只是|只|就是|就|随便|先)(?:想)?(?:看看|逛逛|问问|了解一下|比比价)",
)

# --- thanks, goodbye, bare acknowledgements -------------------------------------------------------
_THANKS = re.compile(
    r"\b(?:thank(?:s| you| u)?|thx|ty|cheers|much appreciated|appreciate it|bye(?: bye)?|goodbye|good ?night"
    r"|see (?:you|ya)|have a (?:\w+ )?(?:\w+ )?(?:one|day|night|evening|weekend|time|trip)|take care|farewell|so long)\b"
    r"|谢|多谢|辛苦|感谢|感激|再见|拜拜|晚安|回见|回头聊|886|88\b|下次见"
)
_COURTESY = re.compile(
    r"\b(?:thanks|thank|you|u|so|very|much|a|lot|lots|ton|million|bunch|again|thx|ty|cheers|appreciated?|i|really|it|that|thats|that's|that'll"
    r"|all|for|now|is|be|was|the|your|help|helping|assistance|info|information|time|bye|goodbye|good|night|see|ya|later|soon|tomorrow|have"
    r"|great|nice|lovely|wonderful|day|evening|weekend|one|take|care|ok|okay|alright|well|oh|and|no|nope|nothing|else|need|i'm|im|done"
    r"|good|perfect|awesome|excellent|amazing|fantastic|cool|sweet|got|know|to|talk|been|you've|you're|super|helpful|best|are|kind|kindly|of|too"
    r"|everything|sir|madam|mate|man|dude|friend|everyone|everybody|up|till|until|then|next|this|have|will|would|do|more|sounds|appreciate|my|me|trip|time|set|many|farewell|long|just|sure|fine|right|yes|yeah|what|wanted|needed|hi|hello|there)\b"
)
_COURTESY_ZH = re.compile(
    r"太|非常|十分|真是|真的|真|好的|好嘞|好咧|好|行|嗯嗯|嗯呢|嗯|哦|噢|啊|呀|啦|了|哈|吧|呢|哟|亲爱的|亲|你们|您们|你|您|的|地|帮助|帮忙|帮|我们|我"
    r"|谢谢|谢了|谢|多|感谢|感激|不尽|辛苦|麻烦|再见|拜拜|拜|晚安|回见|回头|下次|明天|聊|见|先这样|就这样|就这些|这些|就|这样|没有|没|别的|其他|其它|什么|问题|事"
    r"|问完|完|都|已经|知道|明白|清楚|懂|可以|很|专业|热情|耐心|886|88|推荐|回答|解答|服务|告诉|提供|信息|祝|生活|愉快|工作|顺利|开心|天|一|有|需要|会|再|来|咨询|满意|不错|棒|厉害|嘿嘿|哈哈|呵呵|师傅|朋友|老师|是|不用|客气|那|也|到|暂时|目前|今天|疑问"
)
_ACK = re.compile(
    r"^(?:(?:(?:yes|yeah|yep|yup|no|nope|nah|ok|okay|sure|maybe|perhaps|right|correct|true|false|fine|alright|exactly|indeed|absolutely"
    r"|definitely|of course|not really|i (?:guess|think|suppose)(?: so| not)?|i don'?t know|dunno|no idea|uh-?huh|hmm+|go ahead|please do|never ?mind)"
    r"|好的?|行|可以|嗯+|对的?|是的?|不是|不行|不对|不用|没有|没错|当然|也许|可能|大概|不知道|算了|随便|哦+)(?:[\s,，、.。!！~]+|$))+$"
)

# --- language jobs on a quoted text ---------------------------------------------------------------
_LANGUAGE_JOB = re.compile(
    r"\b(?:translat\w+|proofread\w*|spell[- ]?check\w*|correct\w*|fix\w*|grammar|spelling|typos?|rephras\w+|rewrit\w+|rewrite|reword\w*"
    r"|paraphras\w+|polish\w*|punctuat\w+|how many (?:words|letters|characters|syllables|vowels)|count the|what does .* mean|meaning of"
    r"|how do (?:you|i) say|how would (?:you|i) say|pronounce|read (?:this |it )?(?:out|aloud|back)|repeat|say it in|put .* into|summari[sz]e"
    r"|sentiment|tone of|what language|capitali[sz]e|uppercase|lowercase|make .* (?:polite|formal|shorter))"
    r"|翻译|译成|译为|改写|润色|纠错|校对|改错|错别字|病句|什么意思|啥意思|几个字|多少个?字|怎么说|怎么读|怎么念|复述|朗读|念一遍|语法|语气|改得|改成|概括|拼音"
)
_ACTING = re.compile(
    r"\b(?:then|and|after(?:wards)?|also)\s+(?:please\s+)?(?:buy|order|book|reserve|send|pay|purchase)\b|(?:然后|再|并|接着|顺便)(?:帮我)?(?:下单|买|订|付)"
)


@dataclass(frozen=True, slots=True)
class Intent:
    """What the person said outright. Unset when they did not."""

    effort: Effort | None = None
    no_purchase: bool = False
    quoted: bool = False
    thanks: bool = False
    ack: bool = False
    blank: bool = False


def explicit_intent(text: str, context: Sequence[Message] = ()) -> Intent:
    """Read the outright words of an ask. `text` is the ask as written, before normalising."""
    plain = normalise(text)
    if not any(c.isalnum() for c in plain):
        return Intent(blank=True)
    own = normalise(own_words(text))
    up = any(_said(own, _UP_EN, chinese=False)) or any(_said(own, _UP_ZH, chinese=True))
    down = bool(_DOWN_EN.search(own) or _DOWN_ZH.search(own))
    # "不要急着下单" is patience with an order, not an effort cue.
    refused = bool(_NO_EN.search(own) or _NO_ZH.search(own))
    effort: Effort | None = "high" if up else "low" if down else None
    return Intent(
        effort=effort,
        no_purchase=refused and not _asks_back(own),
        quoted=_on_quoted_text(text, own),
        thanks=_only_thanks(plain, context),
        ack=bool(_ACK.match(plain)),
    )


def own_words(text: str) -> str:
    """The text without quotations and code: what the person says themselves."""
    return _QUOTED.sub(" ", _CODE.sub(" ", text))


_UP_EN = re.compile("|".join(f"(?:{p})" for p in _EFFORT_UP_EN))
_UP_ZH = re.compile("|".join(f"(?:{p})" for p in _EFFORT_UP_ZH))
_DOWN_EN = re.compile("|".join(f"(?:{p})" for p in _EFFORT_DOWN_EN))
_DOWN_ZH = re.compile("|".join(f"(?:{p})" for p in _EFFORT_DOWN_ZH))
_NO_EN = re.compile("|".join(rf"\b(?:{p})" for p in _REFUSE_EN))
_NO_ZH = re.compile("|".join(f"(?:{p})" for p in _REFUSE_ZH))


def _said(own: str, cue: re.Pattern[str], *, chinese: bool) -> Iterator[bool]:
    """True for each cue that the person says to us, and means."""
    for found in cue.finditer(own):
        sentence = _SENTENCE.split(own[: found.start()])[-1]
        if chinese:
            yield not (_NEGATED_ZH.search(sentence) or _REPORTED_ZH.search(sentence))
            continue
        if found.start() and own[found.start() - 1].isalnum():
            continue
        if _NEGATED_EN.search(sentence) or _REPORTING_EN.search(sentence):
            continue
        yield bool(_ADDRESSED_EN.search(sentence)) or not _REPORTED_EN.search(sentence)


def _asks_back(own: str) -> bool:
    """ "Why not book…?", "怎么不买…": the negation asks or proposes."""
    return bool(
        re.search(
            r"\bwhy (?:not|don'?t)\b|\b(?:can|could|did|do|does|why) (?:i|you|we|they) (?:not|n't)\b",
            own,
        )
        or re.search(r"(?:为什么|怎么|干嘛|是不是|要不要|买不买|订不订|能不能)", own)
        or re.search(r"\b(?:haven'?t|hasn'?t|didn'?t|couldn'?t|can'?t|cannot) ", own)
    )


def _on_quoted_text(text: str, own: str) -> bool:
    """A language job whose object is quoted or follows a colon, with nothing to do besides."""
    quoted = own != normalise(text)
    if not _LANGUAGE_JOB.search(own) or _ACTING.search(own):
        return False
    if quoted:
        return len(own) <= 160
    job, colon, rest = normalise(text).partition(":")
    return (
        bool(colon and len(job) <= 80 and rest.strip() and _LANGUAGE_JOB.search(job))
        and len(rest) < 600
    )


def _only_thanks(plain: str, context: Sequence[Message]) -> bool:
    """Nothing but thanks or goodbye. "Yes, thanks" to an open question is an answer, not thanks."""
    if len(plain) > 120 or "?" in plain or not _THANKS.search(plain):
        return False
    asked = any(m.role == "assistant" for m in context[-1:]) and context[-1].text.rstrip().endswith(
        ("?", "？")
    )
    if asked and re.match(
        r"(?:yes|yeah|yep|sure|ok|okay|please|that works|sounds|perfect|great|好的?[，,]?(?:就|订|可以)|可以|行|要|嗯)",
        plain,
    ):
        return bool(re.search(r"\b(?:no|nope|all|bye|nothing)\b|没|再见|拜", plain))
    left = _COURTESY.sub("", plain)
    left = _COURTESY_ZH.sub("", left)
    return not any(c.isalnum() for c in left)
