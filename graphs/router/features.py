"""What the router reads off a text before any model: its plain form, its language, its shape.

Everything here is pure and cheap (well under a millisecond for 2,000 characters), and the same code
serves training and serving, so that the two cannot drift apart.
"""

import re
import tomllib
import unicodedata
from pathlib import Path
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray

Language = Literal["en", "zh", "other"]

HEAD_CHARS: Final = 200
TAIL_CHARS: Final = 100
"""What the encoder reads of a long ask: cost grows with length, meaning sits at the ends."""

_INVISIBLE = re.compile("[\u00ad\u200b-\u200f\u202a-\u202e\u2060-\u2064\ufeff\ufe00-\ufe0f]")
_UNPRINTABLE = re.compile("[\x00\ud800-\udfff]")
_PICTURES = re.compile(
    "[\u2190-\u21ff\u2300-\u23ff\u2500-\u27bf\u2900-\u297f\u2b00-\u2bff\ue000-\uf8ff\ufffc\ufffd"
    "\U0001f000-\U0001faff\U000e0000-\U0010ffff]"
)
_SPACE = re.compile(r"\s+")
_REPEATS = re.compile(r"([!?！？。.~～…])\1+")
_HAN = re.compile(r"[\u3400-\u9fff\uf900-\ufaff]")
_KANA_HANGUL = re.compile(r"[\u3040-\u30ff\uac00-\ud7af\u1100-\u11ff]")
_FORMULA = re.compile(r"\$[^$]*\$|\\[a-z]+|\b[a-z]\b")
_LETTER = re.compile(r"[^\W\d_]")
_LATIN_WORD = re.compile(r"[a-z']+")

# Function words decide between English and the other Latin scripts: content words travel
# ("hotel", "taxi", "pizza"), function words do not.
_WORDS: Final[dict[str, str]] = tomllib.loads(
    Path(__file__).with_name("function_words.toml").read_text("utf-8")
)
_ENGLISH, _FOREIGN = (frozenset(_WORDS[name].split()) for name in ("english", "other"))
_SHARED = _ENGLISH & _FOREIGN
_HAN_SHARE: Final = 0.2


def printable(text: str) -> str:
    """The text without NUL and lone surrogates, which no encoder can take."""
    return _UNPRINTABLE.sub(" ", text)


def normalise(text: str) -> str:
    """NFKC, lower case, no invisible characters or pictures, single spaces and punctuation marks.

    Case carries nothing the router needs, and dropping it makes shouting route like speaking.
    """
    plain = unicodedata.normalize("NFKC", text)
    plain = _INVISIBLE.sub("", plain)
    plain = _PICTURES.sub(" ", plain)
    plain = _SPACE.sub(" ", plain).strip().lower()
    return _REPEATS.sub(r"\1", plain)


def excerpt(text: str) -> str:
    """The head and the tail that the encoder reads."""
    if len(text) <= HEAD_CHARS + TAIL_CHARS:
        return text
    return f"{text[:HEAD_CHARS]} … {text[-TAIL_CHARS:]}"


def language(plain: str) -> Language:
    """Language of a normalised text: English, Chinese, or one that the n-grams never saw.

    By script first, then by function words; a text without evidence counts as English, because the
    encoder reads it either way and the n-gram head has seen every short English form.
    """
    sample = _FORMULA.sub(" ", plain[:600])
    letters = len(_LETTER.findall(sample))
    if not letters:
        return "en"
    if len(_KANA_HANGUL.findall(sample)) / letters > 0.1:
        return "other"
    # Two Latin letters weigh as one Han character: "python" is one word, six letters.
    han = len(_HAN.findall(sample))
    if han and han / (han + (letters - han) / 4) > _HAN_SHARE:
        return "zh"
    plain_latin = sum("a" <= c <= "z" for c in sample)
    if plain_latin / letters < 0.6:
        return "other"
    words = _LATIN_WORD.findall(sample)
    english = sum(w in _ENGLISH and w not in _SHARED for w in words)
    foreign = sum(w in _FOREIGN and w not in _SHARED for w in words)
    accents = letters - plain_latin - han
    return "other" if foreign + accents * 0.7 > english + 0.5 else "en"


_MATH = re.compile(r"\\[a-z]+|\$[^$]{1,80}\$|[=≤≥∑∫√∀∃≠]|\b\d+\s*[*/^+]\s*\d+|\b[a-z]\^\{?\d")
_CODE = re.compile(
    r"```|\bdef |\bclass \w+[(:]|\bimport \w|=>|\{\s*$|;\s*$|</\w+>|\bselect\b.+\bfrom\b|::|\(\)",
    re.M,
)
_MONEY = re.compile(r"[$€£¥]\s?\d|\d\s?(?:usd|eur|dollars?|bucks|euros?|元|块|rmb|刀)")
_TIME = re.compile(
    r"\b\d{1,2}\s?(?::\d\d)?\s?(?:am|pm)\b|\btomorrow|\btonight"
    r"|\bnext (?:week|month|mon|tue|wed|thu|fri|sat|sun)|\d+月\d+|\d点|明天|后天|今晚"
    r"|周[一二三四五六日末]|星期"
)
_OPTION = re.compile(r"\([a-e]\)\s?")
_ACK = re.compile(
    r"^(?:yes|yeah|yep|yup|no|nope|ok|okay|sure|great|perfect|fine|good|alright|right|correct|thanks"
    r"|thank you|sounds|that)\b|^(?:好|行|可以|嗯|对|是的|不|没|谢|那|哦|就)"
)
_ANAPHORA = re.compile(
    r"\b(?:it|its|that|this|them|their|they|those|these|there|one|ones|same|other|another|else|instead"
    r"|first|second|third|last)\b|[它他她这那]|第[一二三四五\d]|另外|别的|其他|还有|换"
)
_FIRST_PERSON = re.compile(r"\bi(?:'m|'d|'ll|'ve)?\b|\bmy\b|\bwe\b|我|咱|俺")
_ASK = re.compile(
    r"\b(?:can|could|would|will) you\b|\bplease\b|\bhelp\b|帮|请|麻烦|能不能|可以.*吗"
)
_WHAT_IS = re.compile(
    r"^(?:what(?:'s| is| are| was| does)|who|when|where|define)\b|是什么|什么是|是谁"
)

SHAPE_NAMES: Final = (
    "log_words", "questions", "math", "code", "money", "time", "options", "digits", "ack_start",
    "anaphora", "short", "first_person", "asks_you", "what_is", "quotes", "pasted",
)  # fmt: skip


def shape(plain: str, lang: Language, *, pasted: float) -> NDArray[np.float32]:
    """Structure of an ask as a vector of `SHAPE_NAMES`, each roughly within 0..1.

    `plain` is normalised; `pasted` is the share of the message that is not the ask. Characters,
    lines and language are left out on purpose: they say more about a data set than about a turn
    (with them, a linear head lost three points of macro-F1 on families left out).
    """
    size = len(plain)
    words = size / 2 if lang == "zh" else plain.count(" ") + 1
    return np.array(
        (
            min(np.log1p(words) / 6, 1),
            min((plain.count("?") + plain.count("吗")) / 2, 1),
            min(len(_MATH.findall(plain)) / 4, 1),
            min(len(_CODE.findall(plain)) / 3, 1),
            float(bool(_MONEY.search(plain))),
            float(bool(_TIME.search(plain))),
            min(len(_OPTION.findall(plain)) / 4, 1),
            min(sum(c.isdigit() for c in plain) / (size + 1) * 5, 1),
            float(bool(_ACK.match(plain))),
            min(len(_ANAPHORA.findall(plain)) / 2, 1) if words < 20 else 0.0,
            float(words <= 4),
            float(bool(_FIRST_PERSON.search(plain))),
            float(bool(_ASK.search(plain))),
            float(bool(_WHAT_IS.search(plain))),
            min(sum(plain.count(q) for q in '"“”「」') / 2, 1),
            pasted,
        ),
        dtype=np.float32,
    )


def ngram_rows(plain: str, bits: int) -> NDArray[np.int64]:
    """Indices of the hashed character 2- to 4-grams of a text, each once, in a table of 2^bits.

    Digits are one symbol. The hash is FNV-1a over code points, in numpy, so that it is the same on
    every machine and version (Python's own `hash` is salted).
    """
    codes = np.array([0x30 if c.isdigit() else ord(c) for c in f" {plain[:600]} "], dtype=np.uint64)
    found: list[NDArray[np.uint64]] = []
    for n in (2, 3, 4):
        if codes.size < n:
            break
        h = np.full(codes.size - n + 1, 0xCBF29CE484222325 ^ n, dtype=np.uint64)
        for k in range(n):
            h = (h ^ codes[k : codes.size - n + 1 + k]) * np.uint64(0x100000001B3)
        found.append(h ^ (h >> np.uint64(29)))
    if not found:
        return np.zeros(0, dtype=np.int64)
    return np.unique(np.concatenate(found) & np.uint64((1 << bits) - 1)).astype(np.int64)
