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

from graphs.router.features import normalise
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
_REFUSE_EN, _REFUSE_ZH = _pattern("refuse", "en", word=True), _pattern("refuse", "zh")
_NEGATED_EN, _NEGATED_ZH = _pattern("negated", "en"), _pattern("negated", "zh")
_REPORTED_EN, _REPORTED_ZH = _pattern("reported", "en"), _pattern("reported", "zh")
_REPORTING, _ADDRESSED = _pattern("reporting", "en"), _pattern("addressed", "en")
_THANKS, _ACK = _pattern("thanks", "any"), _pattern("acknowledgement", "any")
_COURTESY_EN, _COURTESY_ZH = _pattern("courtesy", "en"), _pattern("courtesy", "zh")
_AGREES, _QUESTION = _pattern("agreement", "any"), _pattern("question", "any")
_AGREEING_EN, _AGREEING_ZH = _pattern("agreeing", "en"), _pattern("agreeing", "zh")
_LANGUAGE_JOB, _ACTING = _pattern("language_job", "any"), _pattern("acting", "any")
_BUILDS = _pattern("builds", "any")
_ASKS_BACK = _pattern("asks_back", "any")
_GOES_ON, _ENDS = _pattern("goes_on", "any"), _pattern("ends", "any")


@dataclass(frozen=True, slots=True)
class Intent:
    """What the person said outright. Unset when they did not."""

    effort: Effort | None = None
    no_purchase: bool = False
    quoted: bool = False
    thanks: bool = False
    ack: bool = False
    answers: bool = False
    builds: bool = False
    blank: bool = False


def explicit_intent(text: str, context: Sequence[Message] = ()) -> Intent:
    """Read the outright words of an ask. `text` is the ask as written, before normalising."""
    plain = normalise(text)
    if not any(c.isalnum() for c in plain):
        return Intent(blank=True)
    own = normalise(own_words(text))
    return Intent(
        effort=_effort(own),
        no_purchase=_refuses(own),
        quoted=_on_quoted_text(plain, own),
        thanks=_only_thanks(plain, context),
        ack=bool(_ACK.match(plain)),
        answers=_only_answers(plain, context),
        builds=bool(_BUILDS.search(own)),
    )


def own_words(text: str) -> str:
    """The text without quotations and code: what the person says themselves."""
    return _QUOTED.sub(" ", _CODE.sub(" ", text))


def _effort(own: str) -> Effort | None:
    """More effort wins over less: "quick question, but think hard" asks for thought."""
    if any(_meant_en(own)) or any(_meant_zh(own)):
        return "high"
    return "low" if _DOWN_EN.search(own) or _DOWN_ZH.search(own) else None


def _meant_en(own: str) -> Iterator[bool]:
    for found in _UP_EN.finditer(own):
        before = _SENTENCE.split(own[: found.start()])[-1]
        if _NEGATED_EN.search(before) or _REPORTING.search(before):
            continue
        yield bool(_ADDRESSED.search(before)) or not _REPORTED_EN.search(before)


def _meant_zh(own: str) -> Iterator[bool]:
    for found in _UP_ZH.finditer(own):
        before = _SENTENCE.split(own[: found.start()])[-1]
        yield not (_NEGATED_ZH.search(before) or _REPORTED_ZH.search(before))


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


def _only_thanks(plain: str, context: Sequence[Message]) -> bool:
    """Nothing but thanks or goodbye. "Yes, thanks" to an open question is an answer, not thanks."""
    if len(plain) > 120 or "?" in plain or not _THANKS.search(plain):
        return False
    if _asked(context) and _GOES_ON.match(plain) and not _ENDS.search(plain):
        return False
    return _nothing_left(plain, _COURTESY_EN, _COURTESY_ZH)


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


def _nothing_left(plain: str, *known: re.Pattern[str]) -> bool:
    for words in known:
        plain = words.sub("", plain)
    return not any(c.isalnum() for c in plain)
