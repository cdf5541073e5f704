"""Whether a message asks for a text to be made or remade: what that text claims is then its own.

A wish for a language or for a summary is none, and what asks about the person's own purchase is
none either, however it wants to be answered: "a short poem about my order" states what is so.
"""

import re
from collections.abc import Callable


def _re(pattern: str) -> re.Pattern[str]:
    return re.compile(pattern, re.IGNORECASE)


_TEXT = (
    r"(?:e-?mails?|letters?|stor(?:y|ies)|tales?|poems?|haikus?|limericks?|songs?|lyrics|dialogues?"
    r"|conversations?|essays?|articles?|templates?|samples?|examples?|scripts?|scenes?|functions?"
    r"|code|programs?|class(?:es)?|regex|sql|html|json|texts?|sms|messages?|reply|replies|notes?"
    r"|speech(?:es)?|posts?|tweets?|captions?|slogans?|jokes?|sentences?|paragraphs?|novels?|ads?"
    r"|apolog(?:y|ies)|notifications?|announcements?|reminders?)"
)
_SALE = (
    r"(?:orders?|bookings?|reservations?|purchases?|payments?|refunds?|checkout|transactions?"
    r"|charges?|confirmations?|receipts?|invoices?|deliver(?:y|ies)|packages?|parcels?|tickets?"
    r"|(?:credit |debit |bank )?cards?|money)"
)
_DONE = (
    r"(?:go(?:ne)? through|went through|work(?:ed)?|succeed(?:ed)?|success\w*|completed?|placed?"
    r"|pay|paid|book(?:ed)?|order(?:ed)?|buy|bought|reserved?|confirm(?:ed|ation)?|charged?"
    r"|refund(?:ed)?|ship(?:ped)?|received?|sent|get|got|arrived?)"
)
_TEXT_ZH = (
    r"(?:邮件|信(?![息用任])|短信|故事|诗|作文|文章|台词|对话|例句|代码|函数|脚本|程序|模板|范文|文案"
    r"|演讲|歌词|小说|段子|笑话|剧本|广告|通知|日记|例子|示例|样本)"
)
_MAKES = _re(
    rf"\b(?:write|draft|compose|create|generate|invent|make up)\b[^.!?\n]{{0,80}}?\b{_TEXT}\b"
    rf"|\b(?:tell|give|show|need|want|like|have)\b(?: me| us)? (?:an?|some|two|three|a few|five)"
    rf" (?:[\w-]+ ){{0,4}}?{_TEXT}\b"
    r"|(?<!for )\b(?:sample|example|template|fictional|fictitious|made-up|dummy|mock) (?:[\w-]+ )"
    rf"{{0,3}}?(?:{_TEXT}|{_SALE})\b"
    r"|\brole-?play\b"
    rf"|\b(?:fix|debug|refactor|explain|review|complete|comment)\b[^.!?\n]{{0,40}}\b(?:code|function"
    r"|script|program|class|query)\b"
    rf"|(?:写(?![出下明清])|起草|草拟|拟|编|创作|生成)[^。！？\n]{{0,30}}?{_TEXT_ZH}"
    rf"|(?:讲|来|给我|要|举)(?:我)?[一几两三]?[封个篇首段些条则]?[^。！？，\n]{{0,8}}?{_TEXT_ZH}(?!.*[在吗里])"
    r"|造句|角色扮演"
)
_REMAKES = _re(
    r"\b(?:translat\w+|rephrase|rewrite|reword|paraphrase|proofread|correct|grammar|polish|improve"
    r"|shorten|summari[sz]e|write|type|how (?:do|would|can|to)(?: \w+){0,2} say|what does|mean"
    r"|make (?:this|it) \w+)\b|翻译|译[成为]|润色|改写|校对|改正|语法|总结|怎么说|什么意思"
    r"|写|[对确]吗"
)
# These answer about what is there rather than say it again: a summary states.
_STATES = _re(r"\bsummari[sz]e\b|总结|\bwrite\b|\btype\b|写")
_TRANSLATES = _re(r"\btranslat\w+|\bre(?:phrase|write|word)\b|翻译|译[成为]|润色|改写")
_OWN = _re(
    rf"\b(?:my|our)\b(?: (?!(?:the|that|to|an?)\b)[\w-]+){{0,3}}? {_SALE}\b|\bmine\b"
    r"|\b(?:tell|telling|inform|informing|assure|assuring) me (?:that|whether|if|about)\b"
    r"|\b(?:did|has|have|had|was|were|is|are|does)(?:n't)? (?:it|that|this|they|everything|all|you"
    rf"|i|we|my|your|the|any|there)\b[^.!?\n]{{0,200}}?\b{_DONE}\b"
    r"|\b(?:whether|if) (?:it|that|this|everything|the \w+) (?:went through|has gone|worked|did)\b"
    r"|\bwhat (?:(?:have |did )?(?:you|i|we)|you've|i've)(?: have)? (?:did|done|do|ordered?|bought"
    r"|buy|booked?|paid|pay|reserved?|arranged?)\b"
    r"|\byou(?:'ve| have| did)?(?: just| already| now)* (?:booked|ordered|paid|bought|reserved"
    r"|placed|refunded|cancell?ed|charged|done)\b"
    r"|\babout (?:me|us)\b|\byou (?:know|remember)\b"
    rf"|\bthe {_SALE}(?: |')(?:number|code|id|status|state)\b|\bthe status of\b"
    r"|我们?(?:的|刚刚?|刚才|之前|昨天|今天|上次|上周)+[^。！？\n]{0,6}?(?:订单|付款|支付|预[订定约]|购买"
    r"|退款|订[座房位]|交易|银行卡|信用卡|快递|包裹|收据|发票|钱|票)"
    r"|我们?(?:已经?|刚刚?)?(?:买|订|付|下单)(?:的|过|了(?:什么|哪些|多少|吗|没)|好了吗|到了吗)"
    r"|(?:付款?|支付|下单|预[订定约]|购买|退款|扣款|订单|到账|发货|成功|完成|[订买]好)"
    r"(?:已经?)?(?:成功|完成|提交|确认|到账|好)?了?(?:吗|没有?(?=[?？。，]|$)|么|嘛|[?？])"
    r"|是否已?经?(?:成功|付款|支付|下单|预订|完成)"
    r"|[你您](?:都|已经?|刚才?)*[帮替给为]我们?(?:做|买|订|付|下|办|安排|完成)"
    r"|关于我|(?:知道|了解|记得|记住)的?我|我的(?:所有|全部)?(?:信息|资料)"
    r"|订单(?:编号|号)码?(?:是|为)?(?:什么|多少)|[这那该][笔个份](?:订单|付款|预订|交易)"
)
_QUOTED = re.compile(
    r"```[^`]+```|\"[^\"]+\"|「[^」]+」|『[^』]+』|(?<!\w)'(?:[^'\n]|(?<=\w)'(?=\w))+'(?!\w)"
)
_TAIL = re.compile(r"[:：\n]")
_READ = 2000  # characters from either end: what is asked stands there, a pasted text between
_QUOTES = str.maketrans("“”„‘’", '"""\'\'')


def composes(ask: str, claims: Callable[[str], bool]) -> bool:
    """Whether `ask` wants words made, or its own words remade. `claims`: finds those of a purchase.

    Words to be remade count when they claim something themselves; a question does not.
    """
    if len(ask) > 2 * _READ:
        ask = f"{ask[:_READ]}\n{ask[-_READ:]}"
    ask = ask.translate(_QUOTES)
    quoted = [match[0].strip("`\"'「」『』") for match in _QUOTED.finditer(ask)]
    plain = _QUOTED.sub(" … ", ask)
    if _MAKES.search(plain) and not _OWN.search(plain):
        return True
    head, tail = plain, ""
    if cut := _TAIL.search(plain):
        head, tail = plain[: cut.start()], plain[cut.end() :]
    if not _REMAKES.search(head) or _OWN.search(head):
        return _after(plain, quoted, claims)
    return _theirs([*quoted, tail], head, claims)


def _after(plain: str, quoted: list[str], claims: Callable[[str], bool]) -> bool:
    """'I have booked a table', and in the next line: translate this."""
    words, _, last = plain.strip().rpartition("\n")
    if not words or _OWN.search(last) or not _REMAKES.search(last) or _STATES.search(last):
        return False
    return any(map(claims, [*quoted, words]))


def _theirs(material: list[str], head: str, claims: Callable[[str], bool]) -> bool:
    given = [words for words in material if words.strip(" …\n")]
    if any(map(claims, given)):
        return True
    if _STATES.search(head):
        return False
    # Other languages cannot be read for claims; what asks about a purchase of one's own can.
    if given:
        return not any(map(_OWN.search, given))
    return claims(head) and _TRANSLATES.search(head) is not None
