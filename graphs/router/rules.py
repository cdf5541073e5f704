"""The first layer: what a person says outright, in English and Chinese, before any model is asked.

A cue counts only when the person says it to us now: not inside quotation marks, code or a pasted
text, not negated, not reported ("my teacher told me to think hard"). Words can raise the effort or
refuse a purchase. They can grant nothing. The cues themselves are in `cues.toml`.
"""

import re
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from graphs.names import CITIES_ZH
from graphs.router.features import normalise
from graphs.router.goods import names_goods
from graphs.router.pins import named_model
from graphs.router.wanting import Idle, idle
from graphs.state import Effort, Message

_CUES: Final[Mapping[str, Mapping[str, list[str]]]] = tomllib.loads(
    Path(__file__).with_name("cues.toml").read_text("utf-8")
)


def _pattern(name: str, lang: str, *, word: bool = False) -> re.Pattern[str]:
    joined = "|".join(f"(?:{cue})" for cue in _CUES[name][lang])
    return re.compile(rf"(?<![a-z'])(?:{joined})" if word else joined)


_CODE = re.compile(r"```.*?(?:```|\Z)|`[^`\n]*`", re.S)
_QUOTED = re.compile(
    r"\"[^\"\n]{1,2000}\"|“[^”]{1,2000}”|「[^」]{1,2000}」|『[^』]{1,2000}』|«[^»]{1,2000}»"
    r"|(?<!\w)'[^'\n]{3,2000}'(?!\w)|‘[^’]{1,2000}’|《[^》]{1,100}》"
)
_SENTENCE = re.compile(r"(?<=[.!?。！？;；])\s*")
_UP_EN, _UP_ZH = _pattern("effort_up", "en", word=True), _pattern("effort_up", "zh")
_DOWN_EN, _DOWN_ZH = _pattern("effort_down", "en", word=True), _pattern("effort_down", "zh")
_LIGHT_EN, _LIGHT_ZH = _pattern("light_model", "en", word=True), _pattern("light_model", "zh")
_REFUSE_EN, _REFUSE_ZH = _pattern("refuse", "en", word=True), _pattern("refuse", "zh")
_TAKES_EN, _TAKES_ZH = _pattern("takes", "en", word=True), _pattern("takes", "zh")
_NEGATED_EN, _NEGATED_ZH = _pattern("negated", "en"), _pattern("negated", "zh")
_REPORTED_EN, _REPORTED_ZH = _pattern("reported", "en"), _pattern("reported", "zh")
_REPORTING, _ADDRESSED = _pattern("reporting", "en"), _pattern("addressed", "en")
_THANKS, _ACK = _pattern("thanks", "any"), _pattern("acknowledgement", "any")
_COURTESY_EN, _COURTESY_ZH = _pattern("courtesy", "en"), _pattern("courtesy", "zh")
_AGREES, _QUESTION = _pattern("agreement", "any"), _pattern("question", "any")
_AGREEING_EN, _AGREEING_ZH = _pattern("agreeing", "en"), _pattern("agreeing", "zh")
_LANGUAGE_JOB, _ACTING = _pattern("language_job", "any"), _pattern("acting", "any")
_BUILDS = _pattern("builds", "any")
_NAMES_CODE, _LOOKS_LIKE_CODE = _pattern("names_code", "any"), _pattern("looks_like_code", "any")


def _whole(name: str, lang: str) -> re.Pattern[str]:
    joined = "|".join(f"(?:{cue})" for cue in _CUES[name][lang])
    return re.compile(joined.replace("{city}", CITIES_ZH.pattern))


_SOUGHT_EN, _SOUGHT_ZH = _whole("sought", "en"), _whole("sought", "zh")
_NAMED_EN, _NAMED_ZH = _whole("named", "en"), _whole("named", "zh")
_ASKS_BACK = _pattern("asks_back", "any")
_OFFERS_MORE, _WANTS_NO_MORE = _pattern("offers_more", "any"), _pattern("wants_no_more", "any")
_DECLINING, _READS_BACK = _pattern("declining", "any"), _pattern("reads_back", "any")
_GOES_ON, _ENDS = _pattern("goes_on", "any"), _pattern("ends", "any")


@dataclass(frozen=True, slots=True)
class Intent:
    """What the person said outright. Unset when they did not."""

    effort: Effort | None = None
    light: bool = False
    model: str | None = None
    no_purchase: bool = False
    quoted: bool = False
    thanks: bool = False
    ack: bool = False
    answers: bool = False
    builds: bool = False
    takes: bool = False
    seeks: bool = False
    blank: bool = False
    goods: bool = False
    idle: Idle = ""


def explicit_intent(
    text: str, context: Sequence[Message] = (), models: Sequence[str] = ()
) -> Intent:
    """Read the outright words of an ask. `text` is the ask as written, before normalising;
    `models` are those that the person may name."""
    plain = normalise(text)
    if not any(c.isalnum() for c in plain):
        return Intent(blank=True)
    own = normalise(own_words(text))
    goods = not context and names_goods(plain)
    return Intent(
        effort=_effort(own),
        light=_meant(own, _LIGHT_EN, _LIGHT_ZH),
        model=named_model(own, models),
        no_purchase=_refuses(own),
        quoted=_on_quoted_text(plain, own) and not _on_code(text, plain, own),
        thanks=_only_thanks(plain, context) or _wants_no_more(plain, context),
        ack=bool(_ACK.match(plain)),
        answers=_only_answers(plain, context),
        builds=bool(_BUILDS.search(own)),
        takes=_meant(own, _TAKES_EN, _TAKES_ZH),
        seeks=goods or _seeks(plain, context),
        goods=goods,
        idle=idle(own),
    )


def own_words(text: str) -> str:
    """The text without quotations and code: what the person says themselves."""
    return _QUOTED.sub(" ", _CODE.sub(" ", text))


def _effort(own: str) -> Effort | None:
    """More effort wins over less: "quick question, but think hard" asks for thought."""
    if _meant(own, _UP_EN, _UP_ZH):
        return "high"
    return "low" if _DOWN_EN.search(own) or _DOWN_ZH.search(own) else None


def _meant(own: str, en: re.Pattern[str], zh: re.Pattern[str]) -> bool:
    """Whether one of the cues is said to us: neither negated nor told about somebody."""
    return any(map(_meant_en, _leading_to(own, en))) or any(map(_meant_zh, _leading_to(own, zh)))


def _leading_to(own: str, cue: re.Pattern[str]) -> Iterator[str]:
    """What stands before each cue in its sentence."""
    return (_SENTENCE.split(own[: found.start()])[-1] for found in cue.finditer(own))


def _meant_en(before: str) -> bool:
    if _NEGATED_EN.search(before) or _REPORTING.search(before):
        return False
    return bool(_ADDRESSED.search(before)) or not _REPORTED_EN.search(before)


def _meant_zh(before: str) -> bool:
    return not (_NEGATED_ZH.search(before) or _REPORTED_ZH.search(before))


def _seeks(plain: str, context: Sequence[Message]) -> bool:
    """Nothing but what is looked for. A name alone says so only where it opens a conversation."""
    if any(form.fullmatch(plain) for form in (_SOUGHT_EN, _SOUGHT_ZH)):
        return True
    return not context and any(form.fullmatch(plain) for form in (_NAMED_EN, _NAMED_ZH))


def _refuses(own: str) -> bool:
    """ "Don't buy", "先别下单"; not "why not book…", "怎么不买…", "I haven't ordered yet"."""
    return bool((_REFUSE_EN.search(own) or _REFUSE_ZH.search(own)) and not _ASKS_BACK.search(own))


def _on_quoted_text(plain: str, own: str) -> bool:
    """A language job whose object is quoted or follows a colon, with nothing to do besides."""
    if not _LANGUAGE_JOB.search(own) or _ACTING.search(own):
        return False
    if own != plain:
        return len(own) <= 160
    job, colon, rest = plain.partition(":")
    short = len(job) <= 80 and 0 < len(rest.strip()) < 600
    return bool(colon and short and _LANGUAGE_JOB.search(job))


def _on_code(text: str, plain: str, own: str) -> bool:
    """The job names code, or what it is done to looks like it: "Translate this Rust code to Go".

    A text that only speaks of code behind the colon, or in quotation marks, is a text.
    """
    job = plain.partition(":")[0] if own == plain else own
    return bool(_NAMES_CODE.search(job) or _LOOKS_LIKE_CODE.search(text.lower()))


def _only_thanks(plain: str, context: Sequence[Message]) -> bool:
    """Nothing but thanks or goodbye. "Yes, thanks" to an open question is an answer, not thanks."""
    if len(plain) > 120 or "?" in plain or not _THANKS.search(plain):
        return False
    if _asked(context) and _GOES_ON.match(plain) and not _ENDS.search(plain):
        return False
    return _nothing_left(plain, _COURTESY_EN, _COURTESY_ZH)


def _wants_no_more(plain: str, context: Sequence[Message]) -> bool:
    """ "No, that will be all" when asked whether there is anything else."""
    if len(plain) > 80 or "?" in plain or not _WANTS_NO_MORE.search(plain):
        return False
    if not context or context[-1].role != "assistant":
        return False
    offered = _OFFERS_MORE.search(context[-1].text[-200:].lower())
    return bool(offered) and _nothing_left(plain, _COURTESY_EN, _COURTESY_ZH, _DECLINING)


def _only_answers(plain: str, context: Sequence[Message]) -> bool:
    """Nothing but yes or no, right after the assistant asked for it."""
    if len(plain) > 60 or not _asked(context) or not _AGREES.search(plain):
        return False
    return _nothing_left(plain, _AGREEING_EN, _AGREEING_ZH)


def _asked(context: Sequence[Message]) -> bool:
    """Whether the assistant's newest message waits for an answer."""
    if not context or context[-1].role != "assistant":
        return False
    return bool(_QUESTION.search(context[-1].text[-300:].lower()))


def reads_back(context: Sequence[Message]) -> bool:
    """Whether the assistant's newest message reads something back to be confirmed."""
    if not context or context[-1].role != "assistant":
        return False
    return bool(_READS_BACK.search(context[-1].text[-300:].lower()))


def _nothing_left(plain: str, *known: re.Pattern[str]) -> bool:
    for words in known:
        plain = words.sub("", plain)
    return not any(c.isalnum() for c in plain)
