"""Whole numbers as people write them, in digits and in words, English and Chinese.

By hand, because the Chinese number packages accept neither 俩 nor a digit next to a word, and
an English one is the same twenty words. `Page` is the text that numbers, dates and names are
read from: a span that one reader took is blanked, so that it can never fill a second slot.
"""

import re
import unicodedata

TAKEN = "\x1f"

_SMALL_WORDS = (
    "zero|one|two|three|four|five|six|seven|eight|nine|ten|eleven|twelve|thirteen|fourteen|fifteen"
    "|sixteen|seventeen|eighteen|nineteen"
)
_TEN_WORDS = "twenty|thirty|forty|fifty|sixty|seventy|eighty|ninety"
_UNITS = {word: value for value, word in enumerate(_SMALL_WORDS.split("|"))}
_TENS = {word: 10 * value for value, word in enumerate(_TEN_WORDS.split("|"), start=2)}
_SMALL = "|".join(sorted(_UNITS, key=len, reverse=True))
_BELOW_100 = (
    rf"(?:(?:{_TEN_WORDS})(?:[ -](?:one|two|three|four|five|six|seven|eight|nine))?|{_SMALL})"
)
DOZENS_EN = rf"(?:(?:half a|a|{_BELOW_100}|(?<![\d.])\d{{1,3}}) dozen)"
WORDS_EN = (
    rf"(?:{DOZENS_EN}|(?:a )?couple(?: of)?"
    rf"|(?:{_BELOW_100}|a) thousand(?: (?:{_BELOW_100}|a) hundred)?"
    rf"|(?:{_BELOW_100}|a) hundred(?:(?: and)? {_BELOW_100})?|{_BELOW_100})"
)
NUMBER_EN = rf"(?:{DOZENS_EN}|(?<![\d.])\d{{1,6}}(?!\d)|{WORDS_EN})"
NUMBER_ZH = r"(?:(?<![\d.])\d{1,6}(?!\d)|[零〇一二两俩三仨四五六七八九十百千万]{1,9})"

_DIGITS_ZH = {c: i for i, c in enumerate("零一二三四五六七八九")} | {
    "〇": 0,
    "两": 2,
    "俩": 2,
    "仨": 3,
}
_SCALES_ZH = {"十": 10, "百": 100, "千": 1000}

# One character for one, so that positions stay; only the characters that our readers look for.
_SIMPLIFIED = str.maketrans(
    "訂張點兩後週號間個買塊錢萬幾這館廳飯單預賓雙帳內過貴評從開給請幫換應該無還樣寧靜選擇個來對時會說與麼條雙買東兒幣歐鎊圓",
    "订张点两后周号间个买块钱万几这馆厅饭单预宾双帐内过贵评从开给请帮换应该无还样宁静选择个来对时会说与么条双买东儿币欧镑圆",
)


def normalise(text: str) -> str:
    """Full-width forms and traditional characters as the readers expect them; spaces single."""
    plain = unicodedata.normalize("NFKC", text).translate(_SIMPLIFIED)
    plain = plain.replace("’", "'").replace("‘", "'").replace("–", "-").replace("—", " - ")
    return " ".join(plain.replace(TAKEN, " ").split())


_HEAD, _TAIL = 400, 800


def shortened(text: str) -> str:
    """A long paste cut to its beginning and its end, where people put what they want.

    It bounds the readers' time (about 20 ms for 1,200 characters), whatever is sent.
    """
    if len(text) <= _HEAD + _TAIL:
        return text
    return f"{text[:_HEAD]} \n {text[-_TAIL:]}"


class Page:
    """A message while it is read. `left` is the text with every taken span blanked."""

    def __init__(self, text: str) -> None:
        self.text = normalise(shortened(text))
        self.left = self.text

    def blank(self, start: int, end: int) -> None:
        self.left = self.left[:start] + TAKEN * (end - start) + self.left[end:]

    def take(self, pattern: re.Pattern[str]) -> re.Match[str] | None:
        """The first match in what is left; its span is blanked from now on."""
        found = pattern.search(self.left)
        if found:
            self.blank(*found.span())
        return found

    def has(self, pattern: re.Pattern[str]) -> bool:
        return pattern.search(self.left) is not None


def number(text: str) -> int | None:
    """The whole number that `text` spells out, or None. 'twenty-five', '12', '二十五', '两百五'."""
    word = " ".join(text.strip().lower().split())
    if word.isascii() and word.isdigit():
        return int(word)
    if word.endswith(" dozen") and (dozens := number(word.removesuffix(" dozen"))):
        return 12 * dozens
    return _english(word) if word.isascii() else _chinese(word)


def _english(word: str) -> int | None:
    fixed = {"a dozen": 12, "half a dozen": 6}
    if word in fixed:
        return fixed[word]
    if re.fullmatch(r"(?:a )?couple(?: of)?", word):
        return 2
    total, part = 0, 0
    for piece in word.replace("-", " ").split():
        if piece in _UNITS:
            part += _UNITS[piece]
        elif piece in _TENS:
            part += _TENS[piece]
        elif piece == "a":
            part = 1
        elif piece == "hundred":
            part = (part or 1) * 100
        elif piece == "thousand":
            total, part = (part or 1) * 1000, 0
        elif piece != "and":
            return None
    return total + part if re.fullmatch(WORDS_EN, word) else None


def _chinese(word: str) -> int | None:
    if not re.fullmatch(r"[零〇一二两俩三仨四五六七八九十百千万]+", word):
        return None
    if not any(c in "十百千万" for c in word):  # digits one by one, as in 二零二六
        return int("".join(str(_DIGITS_ZH[c]) for c in word)) if len(word) <= 6 else None
    total, section, digit, scale = 0, 0, None, 1
    for c in word:
        if c == "万":
            total, section, digit, scale = (
                (total + section + (digit or 0)) * 10_000,
                0,
                None,
                10_000,
            )
        elif c in _SCALES_ZH:
            section += (1 if digit is None else digit) * _SCALES_ZH[c]
            digit, scale = None, _SCALES_ZH[c]
        elif c in "零〇":
            digit, scale = None, 1
        else:
            if digit is not None:
                return None
            digit = _DIGITS_ZH[c]
    if digit is not None:  # 两百五 is 250: the last digit stands one place below the last scale
        section += digit * (scale // 10 if scale >= 100 else 1)
    return total + section
