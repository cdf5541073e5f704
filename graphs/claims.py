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
        r"\b(?:went|gone) ahead and (?:booked|ordered|bought|reserved|paid|placed|confirmed"
        r"|cancell?ed|refunded|issued)\b",
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
        r"^(?:\W*)(?:booked|ordered|done|confirmed|reserved|paid|purchased|refunded|cancell?ed)\s*(?:[!.]|$)",
        rf"\bsuccessfully (?:{_TRADED}|ordered|placed)\b",
        r"\byou(?:'re| are)(?: now| all)* (?:set|booked|confirmed)(?: in)?\b(?= for\b|\s*[!.]|$)",
        rf"\byou(?:'ve| have){_SOFT} (?:been (?:charged|debited|credited|reimbursed)|{_TRADED})\b",
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
# Money that went back or was taken, and what was called off. "A refund is issued within five days"
# and "your account is debited monthly" explain: only what is past or done counts here.
_MONEY = r"(?:(?:[€$£¥]|eur |usd |chf )\s?\d[\d.,]*|\d[\d.,]* ?(?:€|euros?|dollars?|pounds?|yuan))"
_I = rf"\b(?:i|we)(?:'ve| have)?{_SOFT}"
_WAS = rf"(?:was|were|has been|have been){_SOFT}"
_BACK = (
    r"(?:issued|returned|paid(?: back| out)?|credited|processed|sent|initiated|approved"
    r"|made(?! (?:im)?possible| payable| clear| subject))"
)
_CALLED = r"(?:orders?|bookings?|reservations?|purchases?|payments?|subscription)"
_CLAIMS_BACK = tuple(
    _re(pattern)
    for pattern in (
        rf"\b(?:your|the|this|an?) (?:full |partial |{_MONEY} )?(?:refund|reimbursement)"
        rf"(?: (?:of|for|to) [^;!?]{{1,60}}?)? {_WAS} (?:{_BACK}|completed)\b"
        r"(?! in \d| to (?!you|the (?:original|same|card)))",
        r"\byour (?:[\w-]+ ){0,2}?refund(?: (?:of|for|to) [^;!?]{1,60}?)?"
        r" (?:is (?:now )?(?:on (?:its|the) way|complete)"
        r"|is being (?:processed|issued|sent)|(?:has )?arrived|has gone out)\b",
        rf"{_I} (?:issued|initiated|requested|started|sent|made|submitted"
        r"|processed|triggered) (?:you )?(?:an?|the|your) (?:[^\s,;!?]+ ){0,3}?"
        r"(?:refund|reimbursement)\b",
        rf"{_I} (?:debited|credited|reimbursed|returned|reversed"
        r"|paid back|sent back) (?:you\b"
        r"|your (?:\w+ )?(?:card|account|money|payment|deposit|fee)\b"
        rf"|{_MONEY} (?:to|from) your?\b)",
        rf"{_I} (?:debited|credited|reimbursed) {_MONEY}",
        rf"\b(?:your (?:[\w-]+ ){{0,2}}?(?:card|account|wallet)|the card) {_WAS} "
        r"(?:debited|credited|refunded|reimbursed)\b",
        rf"(?:{_MONEY}|\bthe (?:\w+ )?(?:amount|money|sum|payment|charge|deposit|fee)) {_WAS} "
        r"(?:debited|credited|refunded|returned|reversed|paid(?: back)?|reimbursed|charged|deducted"
        r"|taken|sent back) (?:back )?(?:to|from) your?\b",
        rf"{_I} cancell?ed (?:it|that|this|them|everything|your)\b",
        rf"\b(?:the|this)(?: [\w-]+){{0,2}}? {_CALLED} "
        rf"(?:is now|has been|have been|'s been){_SOFT} "
        r"(?:cancell?ed|refunded|shipped|dispatched)\b(?! by\b)",
        r"\b(?:is|was|been) cancell?ed for you\b",
        rf"{_I} (?:taken care of|took care of|sorted out|seen to"
        r"|dealt with|handled) (?:your|the) (?:\w+ )?"
        rf"(?:{_SALE}|refund|cancell?ation|tickets?|hotel|flights?)"
        r"(?=\s*(?:[.!]|$)| (?:for|at|with|and)\b)",
        r"\byour (?:[\w-]+ ){0,3}?(?:order|package|parcel|delivery|items?) "
        rf"(?:is (?:now |already )?out for delivery|{_WAS} delivered)\b",
        r"\brefund (?:issued|complete|completed|processed|successful)(?=\s*(?:[!.]|$))",
    )
)
_CODE = r"(?=[A-Z_-]*\d[A-Z0-9_-]{3})[A-Z0-9][A-Z0-9_-]{3,}\b"
# A code without "number" before it: "order 5000 units", "booking 3-star hotels", "order WH-1000XM5"
# and "a group of order 5040" have none. So it stands after a word that makes the order a thing, or
# before what becomes of one.
_BARE_CODE = (
    r"(?!(?:1[5-9]|20)\d\d\b)"
    r"(?:(?=[A-Z_-]*\d[A-Z0-9_-]{3})[A-Z][A-Z0-9_-]{3,}|\d[\d-]{3,})(?![\w-])"
)
_BARE_CODE_ZH = (
    r"(?=[A-Z_-]*\d[A-Z0-9_-]{3})(?!(?:19|20)\d\d年)[A-Z0-9][A-Z0-9_-]{3,}(?![A-Z0-9_-])"
)
_BARE = (
    rf"\b(?<!\bin )(?<!\bon )(?:your|my|our|the|this|for|about|regarding|under|with)"
    rf" (?:order|booking|reservation) {_BARE_CODE}"
    r"(?=\s*(?:$|[^\w\s])| (?:is|was|has|had|will|from|at|for|to|on|and|by|shipped|arrive[sd]?)\b)"
    rf"|(?<!executive )(?<!general )(?<!army )(?<!court )(?<!\bof )"
    rf"(?<!\([\"'])(?<!f[\"'])(?<![\w-])"
    rf"(?:order|booking|reservation) {_BARE_CODE}"
    r"(?=\**(?: ?[:–—]| (?:is|was|has|had|will|shipped|left|arrive[sd]?)\b)"
    r"(?! (?:been )?(?:signed|issued by|repealed|rescinded|revoked)\b))"
    r"|\b(?:order|booking|reservation) (?:ORD|ORDER|BK|BKG|RES|RSV)[_-]?\d[A-Z0-9_-]{2,}\b"
)
# A code that the person gave says nothing by itself: what is said of it is read as of "your order".
_CODED = _re(
    r"\b(?:(?:your|the|this) )?(order|booking|reservation|payment|refund)"
    rf"(?: (?:number|no\.?|nr))?\s*#?{_CODE}"
)
# "Reference: XK92LM". Standards, issues and commits have references too: "ISO8601", "a1b2c3d".
_REFERENCE = (
    r"(?:^\W*(?-i:Reference|REFERENCE|Ref|PNR)(?: (?:number|no|code))?\W{0,3}\s*"
    r"(?!(?:RFC|ISO|IEEE|KB|CVE|PEP|DIN|EN|BS|PMID|PMC)[-\d])"
    r"(?-i:(?=[A-Z]*\d)(?=\d*[A-Z])[A-Z0-9]{5,10})(?![\w-])"
    r"|(?<!\bfor )\byour (?:\w+ )?(?:reference|ref)(?: (?:number|no|code))?(?: is|'s)?"
    rf"\s*[:：#]?\s*(?!(?:19|20)\d\d\b){_CODE})"
)
_NUMBER = _re(
    rf"\b(?:{_SALE}|refund|confirmation|tracking)"
    rf"(?: (?:number|no\.?|nr|code|id|reference|ref)(?: is|'s)?\s*[#:：]?|\s*[#:：])\s*{_CODE}"
    rf"|{_BARE}|{_REFERENCE}"
    # Trains, flights and sums are booked too: 预订G1234次, 订单5000份.
    rf"|订单\s*#?{_BARE_CODE_ZH}(?!\s*[年月日万亿千百多余个份件元单块箱台吨次以左%％])"
    rf"|(?:预订|预定|预约)\s*#?{_BARE_CODE_ZH}(?=\s*(?:已|正在|成功))"
    rf"|(?:^\W*|您的|你的)(?:预订)?参考编?号码?(?:是|为)?[:：]?\s*{_BARE_CODE_ZH}"
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
    r"|(?:已经?|刚刚?|成功)(?:为|帮|给|替)?(?:您|你)?(?:成功|全部)?(?:取消|退订|退掉)了?(?:您|你)的"
    r"|(?:为|帮|给|替)(?:您|你)(?:成功)?(?:取消|退订|退款?|退掉|退票)(?:好)?了"
    r"|(?:已经?|刚刚?)(?:成功)?(?:为|帮|给|替)(?:您|你)(?:成功)?(?:取消|退)"
    r"|(?:为|帮|给|替)(?:您|你)把[^，。！？]{1,12}?(?:退|取消|订|买|付)(?:好|掉|订|款)?了"
    r"|(?:订单|预订|预定|预约|订座|订位|订房)[^，。！？]{0,20}?已经?(?:被|全部|成功)?(?:取消|退订|派送|送达"
    r"|签收|关闭)(?!后|时|的|吗|是)"
    r"|(?:订单|包裹|快递)[^，。！？]{0,20}?(?<![“「\"])(?:正在|已经?)(?:为您|给您)?(?:派送|配送|派件|送达|签收|在路上)"
    r"(?!后|时|的|吗|是|中?[是的时表意])"
    r"|(?:退款|款项)[^，。！？]{0,8}?已经?[^，。！？]{0,10}?(?:退回|返回|退还|到账|原路|退至)(?!后|时|的|吗)"
    r"|退款已经?(?:处理|批准|发出|受理)(?!后|时|的|吗)"
    r"|我们?已经?取消了?[^，。！？]{0,6}?(?:订单|预订|预定|预约)"
    r"|(?:(?:^|我们?)已经?把|已经?把(?:您|你)的)[^，。！？]{1,12}?(?:退|取消)(?:好|掉|订|款)?了"
    r"|(?:您|你)的[^，。！？]{1,10}?已经?被?(?:扣款|扣除|扣了|划扣)"
    r"|已经?[^，。！？]{0,10}?(?:退回|退还|返还)(?:至|到|给)?了?(?:您|你)"
    r"|(?:已经?|刚刚?)从(?:您|你)的[^，。！？]{1,10}?(?:扣|划)"
)
# What takes the claim out of a clause: denial, condition, the future, advice, other people.
_HARMLESS_EN = _re(
    r"\b(?:not|never|nothing|no one|nobody|neither|without|cannot|unable|yet to)\b|n't\b"
    r"|\b(?:if|once|when|whenever|until|unless|after|before|as soon as|in case|whether|should you"
    r"|suppose|assuming|would|could|might|may|can|will be|to be|need to|must be|has to be"
    r"|have to be|want to|going to|ready to|how (?:do|to|can|does)|usually|typically|generally"
    r"|often|always|for example|e\.g\.|imagine|let me|make sure|(?:check|verify) that)\b"
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
_SHORT = _re(
    rf"\b(?:(?:{_SALE}|refund|confirmation|tracking|reference) (?:no|nr)|(?<!the )ref)\.(?=\s|$)"
)


def _unbroken(text: str) -> str:
    """The same length of text, in which the stop of "order no. 48213" ends no sentence."""
    return _SHORT.sub(lambda short: f"{short[0][:-1]} ", text)


def claims_without_order(text: str, given: frozenset[str] = frozenset()) -> bool:
    """Whether a sentence claims that something was ordered, booked, paid, shipped, cancelled or
    refunded, or shows an order number that is not `given`. Denials, conditions, questions and
    advice do not count."""
    sentences = (match[0].strip() for match in _SENTENCE.finditer(_unbroken(text)))
    return any(_claims(sentence, given) for sentence in sentences if sentence)


def _claims(sentence: str, given: frozenset[str]) -> bool:
    sentence = sentence.replace("’", "'")
    if _OURS.search(sentence):
        return True
    numbers = (_code_in(match) for match in _NUMBER.finditer(sentence))
    if any(code not in given for code in numbers) and not _EXAMPLE.search(sentence):
        return True
    if _QUESTION.search(sentence):
        return False
    return any(map(_clause_claims, _clauses(_CODED.sub(r"your \1", sentence))))


def _code_in(number: re.Match[str]) -> str:
    code = _WORD_SO_FAR.search(number[0])
    return code[0].lower() if code else ""


def _clauses(sentence: str) -> list[str]:
    """'If you like, I have booked it' is judged by its own clause, 'once it is paid, you have
    bought it' by both: a condition covers the clause after it only when it opens the sentence.
    """
    clauses = re.split(r"(?<!\d)[,:]|[,:](?!\d)|[;，；：]|\bbut\b|但", sentence)
    return [clause.strip() for clause in clauses if clause.strip()]


def _clause_claims(clause: str) -> bool:
    claimed = any(pattern.search(clause) for pattern in (*_CLAIMS_EN, *_CLAIMS_BACK))
    english = claimed and not _HARMLESS_EN.search(clause)
    return english or (_CLAIMS_ZH.search(clause) is not None and not _HARMLESS_ZH.search(clause))


_NOTE = {
    "en": "(I have not ordered, booked or paid anything.)",
    "zh": "（我没有下单、预订或付款。）",
}
# The word a claim turns on: from here the sentence waits for its end. What stands before it has
# gone out already; a cut sentence then breaks off and is followed by the note.
_OPENING = _re(
    rf"\b(?:{_TRADED}|{_HANDLED}|{_BACK}|{_SALE}|gone|went|succe\w*|cleared|confirmation|tracking"
    r"|receipt|set|done|ord_\w*|refund|reimburse\w*|debited|reversed|requested|taken|took|sorted"
    r"|seen|dealt|parcel|package|reference|ref|pnr)\b|[已刚成订预购买付支交退单取派配把参扣]"
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
    sentence = _unbroken(sentence)
    for match in _NUMBER.finditer(sentence):
        code = _code_in(match)
        digits = "".join(c for c in code if c.isdigit())
        made_up = digits in _COUNTED or digits in "0" + _COUNTED or len(set(digits)) == 1
        if made_up or code in given:
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
        ahead = _unbroken(self._held)
        while match := _END.search(ahead):
            ahead = ahead[match.end() :]
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
        return claims_without_order(sentence, self._given)

    def _early(self) -> str:
        """Words before any opening of a claim go out at once; a half-written word waits."""
        opening = _OPENING.search(self._held)
        word = _WORD_SO_FAR.search(self._held)
        until = opening.start() if opening else (word.start() if word else len(self._held))
        fresh = self._held[self._shown : until]
        self._shown = max(self._shown, until)
        return fresh
