"""Sentences that claim a purchase: found and held back when a model writes them without a row.

What is said about orders is written from rows by `sentences`. A model has no rows, so any claim
of its own that something was ordered, booked or paid, and any order number, is untrue by
construction. `Watch` cuts such sentences out of a stream before a person sees them.
"""

import re

from graphs.composing import composes


def _re(pattern: str) -> re.Pattern[str]:
    return re.compile(pattern, re.IGNORECASE)


# Words that only trade uses, and words that sorting, maths and history use too.
_TRADED = r"(?:booked|reserved|purchased|bought|paid(?: for)?|refunded|prepaid)"
_HANDLED = (
    r"(?:ordered|placed|confirmed|completed|processed|finali[sz]ed|secured|scheduled|shipped"
    r"|dispatched|cancell?ed|submitted|charged|made|arranged)"
)
_SALE = r"(?:orders?|bookings?|reservations?|purchases?|payments?)"
_GOODS = (
    rf"(?:{_SALE}|tables?|rooms?|seats?|tickets?|flights?|hotel|refund|card|transaction|checkout"
    r"|packages?|parcels?|delivery|items?|stay|tent|dinner)"
)
_SOFT = r"(?: now| already| just| all| successfully| officially| been)*"
_CLAIMS_EN = tuple(
    _re(pattern)
    for pattern in (
        rf"\b(?:i|we)(?:'ve| have|'ve gone ahead and| have gone ahead and)?{_SOFT} {_TRADED}\b",
        rf"\b(?:i|we)(?:'ve| have|'ve gone ahead and| have gone ahead and| went ahead and)?{_SOFT} "
        rf"{_HANDLED} (?:\w+ ){{0,4}}?{_GOODS}\b",
        rf"\b(?:i|we)(?:'ve| have)?{_SOFT} (?:ordered|charged) "
        r"(?:it|them|you|your|one|two|the|a)\b",
        r"\b(?:went|gone) ahead and (?:booked|ordered|bought|reserved|paid|placed|confirmed)\b",
        rf"\byour(?: [\w-]+){{0,4}}? {_GOODS}(?: (?:for|at|of|to|in|on|from) [\w :-]+?)? "
        rf"(?:is|are|was|were|has|have)(?: been)?{_SOFT} "
        rf"(?:{_TRADED}|{_HANDLED}|through|set|on (?:its|the) way|successful)\b",
        rf"\b(?:the|this)(?: [\w-]+){{0,2}}? (?:{_SALE}|table|room|tent)"
        rf"(?: (?:for|at) [\w :-]+?)? (?:is|are|has been|have been|'s been){_SOFT} "
        r"(?:booked|reserved|confirmed|placed|purchased|paid|ordered)\b"
        r"(?! (?:by|in|with|when|after|on the|from|as)\b)",
        r"\b(?:it|that|they|everything)(?:'s| is| are| has been|'s been| have been)"
        rf"{_SOFT} {_TRADED}\b"
        r"(?! (?:by|as|in|from|with|out)\b)",
        rf"\b{_SALE} (?:successfully )?(?:confirmed|placed|complete|completed|successful)\b"
        r"(?=\s*(?:[!.]|$))",
        r"^(?:\W*)(?:booked|ordered|done|confirmed|reserved|paid|purchased)\s*(?:[!.]|$)",
        rf"\bsuccessfully (?:{_TRADED}|ordered|placed)\b",
        r"\byou(?:'re| are)(?: now| all)* (?:set|booked|confirmed)(?: in)?\b(?= for\b|\s*[!.]|$)",
        rf"\byou(?:'ve| have){_SOFT} (?:been charged|{_TRADED})\b",
        rf"\b(?:your|my|the|this) (?:[\w-]+ ){{0,3}}?(?:{_SALE}|transaction|charge|card)"
        r"(?: (?:of|for|to) [^,;!?]{1,40}?)? (?:succeeded|cleared|has gone through"
        r"|went through(?! (?:a|an|several|many|two|three)\b))",
        r"\b(?:the|this) payment (?:was|is|has been) (?:successful|accepted|approved)\b",
        r"\bit(?: has|'s)?(?: all| just| successfully)? (?:went|gone) through(?=\s*(?:[!.]|$))",
        rf"\byour (?:[\w-]+ ){{0,3}}?{_SALE} (?:of|for|over) [^,;!?]{{1,40}}? (?:is|was|has|have)"
        rf"(?: been)?{_SOFT} (?:{_TRADED}|{_HANDLED}|accepted|approved|successful)\b",
        r"\b(?:your|the) (?:credit )?card (?:was|has been|is being) (?:\w+ )?charged\b",
        rf"\b(?:thank you|thanks) for (?:your|the) {_SALE}\b",
        r"\b(?:a|your) (?:confirmation|receipt)(?: e-?mail)? (?:has been|was|is being) sent\b",
    )
)
_CODE = r"(?=[A-Z_-]*\d[A-Z0-9_-]{3})[A-Z0-9][A-Z0-9_-]{3,}\b"
_NUMBER = _re(
    rf"\b(?:{_SALE}|confirmation|tracking)"
    rf"(?: (?:number|no\.?|code|id|reference)(?: is|'s)?\s*[#:：]?|\s*[#:：])\s*{_CODE}"
    r"|(?:订单号|预订号|确认号|订单编号|确认码|预约号|运单号|快递单号)码?(?:是|为)?[:：]?\s*#?[A-Za-z0-9_-]{4,}"
    rf"|\byour (?:new )?{_SALE} #?{_CODE}"
    r"|\bord_[A-Za-z0-9]{4,}"
)
# The shape of our own: no example, no text and no code of anybody's may show one.
_OURS = _re(r"\bord_(?=[A-Za-z]*\d)[A-Za-z0-9]{4,}")
_CLAIMS_ZH = _re(
    r"(?:已经?|刚刚?|成功)(?:为您|帮您|给您|替您|为你|帮你|给你|替你|成功|全部|都)*"
    r"(?:下单|下了单|预订|预定|预约|订好|订了|订购|订到|购买|买好|买了|买到|付款|付了|支付|扣款|扣费"
    r"|发货|退款|确认(?:订单|预订|付款))"
    r"|(?:您|你)的.{0,12}(?:已经?|都)(?:成功)?(?:确认|预留|订好|安排好|生效)"
    r"|(?:订单|预订|预定|预约|订座|订位|订房|付款|支付|交易|退款)(?:已经?|都)?"
    r"(?:成功|完成|确认|提交|生效|生成|下达)(?!后|之后|以后|前|之前|需|要|才|吗|时|率|的)"
    r"|(?:为您|帮您|给您|替您|为你|帮你|给你|替你)(?:成功)?"
    r"(?:订好|订了|订到|买好|买了|下了单|付了|预订了|预定了|预约了|下单了)"
    r"|(?:订好|买好|下单成功|预订成功|付款成功|支付成功|购买成功)了?(?:$|[!！。,，])"
    r"|感谢(?:您|你)的(?:订单|购买|预订|惠顾|支付)"
)
# What takes the claim out of a clause: denial, condition, the future, advice, other people.
_HARMLESS_EN = _re(
    r"\b(?:not|never|nothing|no one|nobody|neither|without|cannot|unable|yet to)\b|n't\b"
    r"|\b(?:if|once|when|whenever|until|unless|after|before|as soon as|in case|whether|should you"
    r"|suppose|assuming|would|could|might|may|can|will be|to be|need to|must be|has to be"
    r"|have to be|want to|going to|ready to|how (?:do|to|can|does)|usually|typically|generally"
    r"|often|always|for example|e\.g\.|imagine|let me)\b"
    r"|\bordered (?:\w+ ){0,3}(?:by|alphabetically|from|list|numbers|elements|words|steps|results"
    r"|rows|pairs?|set|chronologically)\b"
)
_HARMLESS_ZH = _re(
    r"没有|没(?=下单|付|买|订|扣|预)|未|尚未|还没|不会|不能|无法|并不|并未|如果|若|假如|一旦|之后|以后|之前"
    r"|[后才]|需要|可以|是否|怎么|如何|请(?:您|你)?(?:先|点|在)?确认|通常|一般|例如|比如"
)
_EXAMPLE = _re(r"\b(?:for example|e\.g\.|such as|looks like|format)\b|例如|比如|格式")
_QUESTION = re.compile(r"[?？][\"'”’)）]*\s*$")
_SENTENCE = re.compile(
    r"[^.!?。！？\n]*(?:(?:[.!?](?!\s|$)[^.!?。！？\n]*)*[.!?]+|[。！？]+|\n+|$)"
)
_END = re.compile(r"[.!?]+[\"'”’)]*\s|[。！？]+[”’）]*|\n")


def claims_without_order(text: str) -> bool:
    """Whether a sentence claims that something was ordered, booked, paid, shipped or refunded, or
    shows an order number. Denials, conditions, questions and advice do not count."""
    sentences = (match[0].strip() for match in _SENTENCE.finditer(text))
    return any(_claims(sentence) for sentence in sentences if sentence)


def _claims(sentence: str) -> bool:
    sentence = sentence.replace("’", "'")
    if _OURS.search(sentence):
        return True
    if _NUMBER.search(sentence) and not _EXAMPLE.search(sentence):
        return True
    if _QUESTION.search(sentence):
        return False
    return any(map(_clause_claims, _clauses(sentence)))


def _clauses(sentence: str) -> list[str]:
    """'If you like, I have booked it' is judged by its own clause, 'once it is paid, you have
    bought it' by both: a condition covers the clause after it only when it opens the sentence.
    """
    return [c.strip() for c in re.split(r"[,;:，；：]|\bbut\b|但", sentence) if c.strip()]


def _clause_claims(clause: str) -> bool:
    english = any(p.search(clause) for p in _CLAIMS_EN) and not _HARMLESS_EN.search(clause)
    return english or (_CLAIMS_ZH.search(clause) is not None and not _HARMLESS_ZH.search(clause))


_NOTE = {
    "en": "(I have not ordered, booked or paid anything.)",
    "zh": "（我没有下单、预订或付款。）",
}
# The word a claim turns on: from here the sentence waits for its end. What stands before it has
# gone out already; a cut sentence then breaks off and is followed by the note.
_OPENING = _re(
    rf"\b(?:{_TRADED}|{_HANDLED}|{_SALE}|gone|went|succe\w*|cleared|confirmation|tracking"
    r"|receipt|set|done|ord_\w*)\b|[已刚成订预购买付支交退单]"
)
_TOKEN = re.compile(r"[a-z0-9_-]+")
_WORD_SO_FAR = re.compile(r"[A-Za-z0-9_'’-]+$")
_ADDRESSED = _re(r"\b(?:your?|yours|my|i|we|our)\b|[您你我]")
_COUNTED = "12345678901234567890"


def _unknown_number(sentence: str, given: frozenset[str]) -> bool:
    """Whether composed words show an order number as the reader's, one that nobody gave.

    A story may have numbers in it, and a sample those that count up or repeat a digit.
    """
    if _OURS.search(sentence):
        return True
    for match in _NUMBER.finditer(sentence):
        code = _WORD_SO_FAR.search(match[0])
        digits = "".join(c for c in code[0] if c.isdigit()) if code else ""
        made_up = digits in _COUNTED or digits in "0" + _COUNTED or len(set(digits)) == 1
        if made_up or (code and code[0].lower() in given):
            continue
        bare = not sentence[: match.start()].strip(" -*#|>")
        if bare or _ADDRESSED.search(sentence) or any(map(_clause_claims, _clauses(sentence))):
            return True
    return False


class Watch:
    """A stream's guard: passes text on and holds back sentences that claim a purchase.

    `pass_on` returns what may be shown now, `finish` the rest; after a cut one plain note says
    that nothing was bought. `ask`: the person's message; when it asks for writing, translating
    or code, the words are theirs, and only order numbers that they did not give are cut.
    """

    _HELD_MAX = 400  # a 'sentence' longer than this is code or a table: judged as it stands

    def __init__(self, language: str, *, ask: str = "") -> None:
        self._language = language
        self._free = bool(ask) and composes(ask, claims_without_order)
        self._given = frozenset(_TOKEN.findall(ask.lower()))
        self._held = ""  # the sentence so far
        self._shown = 0  # how much of it has been passed on
        self.cut = False

    def pass_on(self, text: str) -> str:
        self._held += text
        out = ""
        while match := _END.search(self._held):
            out += self._release(match.end())
        if len(self._held) > self._HELD_MAX:
            out += self._release(len(self._held))
        return out + self._early()

    def finish(self) -> str:
        rest = self._release(len(self._held))
        if self.cut:
            rest = f"{rest.rstrip()} {_NOTE.get(self._language, _NOTE['en'])}"
        return rest

    def _release(self, end: int) -> str:
        """The rest of the finished sentence; of one that claims, a sign that it broke off."""
        sentence, self._held = self._held[:end], self._held[end:]
        shown, self._shown = self._shown, 0
        if self._untrue(sentence):
            self.cut = True
            return "… " if shown else ""
        return sentence[shown:]

    def _untrue(self, sentence: str) -> bool:
        if self._free:
            return _unknown_number(sentence, self._given)
        return claims_without_order(sentence)

    def _early(self) -> str:
        """Words before any opening of a claim go out at once; a half-written word waits."""
        opening = _OPENING.search(self._held)
        word = _WORD_SO_FAR.search(self._held)
        until = opening.start() if opening else (word.start() if word else len(self._held))
        fresh = self._held[self._shown : until]
        self._shown = max(self._shown, until)
        return fresh
