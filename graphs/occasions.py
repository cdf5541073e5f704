"""Needs that name no thing: 'my daughter turns six on Saturday and I have nothing yet'.

An occasion and somebody to give to stand in for the thing; the search then looks for gifts. For
whom it is also rules out what is plainly for somebody else: a toy box is no gift for a mother.
"""

import re
from typing import Literal

from graphs.numerals import NUMBER_EN, NUMBER_ZH
from graphs.state import Offer

Who = Literal["", "child", "adult"]

_CHILD = (
    r"(?:daughter|son|kid|child|niece|nephew|grand(?:son|daughter|child)|god(?:son|daughter|child)"
    r"|little (?:girl|boy|one)|toddler|baby|boy|girl)s?"
)
_ADULT = (
    r"(?:mum|mom|mother|dad|father|wife|husband|partner|girlfriend|boyfriend|boss|colleague"
    r"|grand(?:ma|pa|mother|father)|aunt|uncle|friend|teacher|parents|in-laws|neighbou?r|host)s?"
)
_CHILD_ZH = r"(?:女儿|儿子|孩子|小孩|小朋友|宝宝|侄[子女]|外甥女?|孙[子女])"
_ADULT_ZH = (
    r"(?:妈妈|母亲|爸爸|父亲|老婆|老公|妻子|丈夫|太太|女朋友|男朋友|老板|同事|奶奶|爷爷|外婆|外公"
    r"|阿姨|叔叔|朋友|老师|父母|岳[父母]|闺蜜)"
)
_FOR_CHILD = re.compile(rf"\b{_CHILD}\b|{_CHILD_ZH}|儿童", re.IGNORECASE)
_FOR_ADULT = re.compile(rf"\b{_ADULT}\b|{_ADULT_ZH}", re.IGNORECASE)
_BIRTHDAY = re.compile(
    r"\b(?:birthday|bday)\b"
    rf"|\bturn(?:s|ing)? (?P<a>{NUMBER_EN})\b|\bis going to be (?P<b>{NUMBER_EN})\b"
    rf"|生日|(?:满|过|要)?(?P<c>{NUMBER_ZH})(?:周)?岁(?:了|生日)?",
    re.IGNORECASE,
)
_OTHER = re.compile(
    r"\b(?:anniversary|christening|baptism|graduation|house-?warming|wedding|mother'?s day"
    r"|father'?s day|valentine'?s)\b|结婚纪念日|周年|毕业|乔迁|婚礼|母亲节|父亲节|情人节",
    re.IGNORECASE,
)
_EMPTY_HANDED = re.compile(
    r"\b(?:have|got|bought|found) (?:absolutely )?nothing\b|\bnothing (?:yet|so far)\b"
    r"|\b(?:no|any) idea what\b|\b(?:don't|do not) (?:know what|have (?:a|any)(?:thing)?)\b"
    r"|\bhaven'?t (?:got|bought|found)\b|\b(?:still )?(?:need|want) (?:something|a surprise)\b"
    r"|\bforgot\b|\bwhat (?:should|could|can|do) i (?:get|give|buy)\b"
    r"|(?:什么|啥)都?(?:还)?没(?:有|买|准备)|还没(?:有)?(?:买|准备|想好)|不知道(?:该)?(?:送|买)"
    r"|送(?:什么|点什么|啥)|忘了(?:买|准备)",
    re.IGNORECASE,
)
_FOR_CHILDREN = re.compile(r"\b(?:child(?:ren)?|kids?|toddlers?)\b|儿童|宝宝|亲子", re.IGNORECASE)


def who(text: str) -> Who:
    """Whom the message speaks of."""
    if _FOR_CHILD.search(text):
        return "child"
    return "adult" if _FOR_ADULT.search(text) else ""


def implied(text: str) -> str:
    """What to look for when only the occasion is said; '' when it is no such message."""
    if not _EMPTY_HANDED.search(text):
        return ""
    birthday = _BIRTHDAY.search(text) is not None
    if not birthday and not _OTHER.search(text):
        return ""
    child, chinese = who(text) == "child", re.search(r"[\u4e00-\u9fff]", text) is not None
    if chinese:
        return f"{'生日' if birthday else ''}{'儿童' if child else ''}礼物"
    return " ".join(w for w in ("birthday" * birthday, "gift", "for children" * child) if w)


def unsuited(offer: Offer, whom: Who) -> bool:
    """A gift that its own row calls one for children, for somebody who is none."""
    told = " ".join([offer.title, offer.description, offer.attributes.get("age", "")])
    return whom == "adult" and (_FOR_CHILDREN.search(told) is not None or "age" in offer.attributes)
