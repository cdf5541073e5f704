"""What people call money, in English and Chinese: signs, codes and everyday names."""

import re
from typing import Literal

_NAMES = (
    ("USD", r"us\$|usd|us dollars?|dollars?|bucks?|美元|美金|美刀|刀|\$"),
    ("EUR", r"€|eur|euros?|欧元|欧"),
    ("GBP", r"£|gbp|pounds?(?: sterling)?|quid|英镑|镑"),
    ("CNY", r"cny|rmb|yuan|人民币|元人民币|块人民币|块钱?|元"),
    ("JPY", r"jpy|yen|日元|日圆|日币|円"),
    ("HKD", r"hk\$|hkd|(?:hk|hong kong) dollars?|港币|港元"),
    ("CHF", r"chf|francs?|瑞郎|瑞士法郎"),
    ("CAD", r"ca\$|cad|canadian dollars?|加元|加币"),
    ("AUD", r"au\$|aud|(?:australian|aussie) dollars?|澳元|澳币"),
    ("SGD", r"sgd|singapore dollars?|新加坡元|新币|坡币"),
    ("TWD", r"nt\$|twd|新?台币"),
    ("INR", r"₹|inr|rupees?"),
    ("KRW", r"₩|krw|won|韩元|韩币"),
    ("YEN_OR_YUAN", r"¥"),
)
# The letters of a code must not begin inside a word ('amateur 5'), nor run into one ('4 europe').
BEFORE = (
    r"(?<![a-z])(?:us\$|hk\$|ca\$|au\$|nt\$|\$|€|£|¥|₹|₩|usd|eur|gbp|cny|rmb|jpy|hkd|chf|cad|aud|sgd"
    r"|twd|inr|krw|人民币|美元|美金|欧元|英镑|日元|港币|港元)"
)
AFTER = "|".join(pattern for _, pattern in _NAMES)
# 欧 and 刀 are short for money, and also begin Europe, ohm, European, knife and blade.
END = r"(?![a-z])(?!(?<=欧)[洲姆式美标冠盟派版文莱珀泊米])(?!(?<=刀)[具片柄鞘架叉套法枪剪客口])"


def code_of(said: str, *, language: Literal["en", "zh"]) -> str:
    """The ISO code of a name that `BEFORE` or `AFTER` matched."""
    code = next(code for code, pattern in _NAMES if re.fullmatch(pattern, said, re.IGNORECASE))
    if code == "YEN_OR_YUAN":
        return "CNY" if language == "zh" else "JPY"
    return code
