"""A question about what was shown: "do they have vegetarian dishes?", "有停车位吗".

It is answered by the rows alone: with the merchants' own words where one of them speaks of it, and
with "I do not know" where none does. Nothing is concluded, and nothing is searched anew.
"""

import re

from graphs import sentences, vocabulary
from graphs.asides import kept
from graphs.fits import terms
from graphs.router.goods import names_goods
from graphs.state import Offer
from graphs.variants import traits
from graphs.visit import Outcome, Visit
from graphs.wishes import vertical_of

_THEY = (
    r"(?:they|these|those|(?:any|all|both|some|one|none) of (?:them|these|those)|either of them"
    r"|the (?:places|restaurants|hotels|rooms))"
)
_ASKED = re.compile(
    rf"^(?:and |but |so |ok(?:ay)?,? )*(?:(?:do|does|can|will) {_THEY}(?: (?:all|both|also|even))?"
    r" (?:have|serve|offer|allow|accept|take|provide|include|do|deliver|sell|welcome|cater(?: for)?"
    rf"|need|require|charge(?: for)?)|are {_THEY}(?: (?:all|both|also|even))?)"
    r"(?: (?:any|an?|some|the|for))? (?P<en>[\w'-]+(?: [\w'-]+){0,4})\s*\??$"
    r"|^(?:那|请问)?(?:他们|它们|这些|[这那]几[家个间款])?(?:都|里面?|那里)?(?:有没有|有|能|可以|支持|提供|接受)"
    r"(?P<zh>(?!什么|哪|多|便宜|更|其他|别的)[\u4e00-\u9fff]{2,10}?)(?:服务)?(?:吗|么)?\s*[?？]?$",
    re.IGNORECASE,
)
_BARE_ZH = re.compile(r"^(?:那|请问)?有")
_GENERIC = frozenset(
    "dish dishe menu food option thing place open today available free there all good".split()  # noqa: SIM905
)


async def about(visit: Visit) -> Outcome | None:
    """What the rows of the offers shown say of it; None where no such question is asked."""
    topic = _topic(visit)
    offers = await visit.shown() if topic else ()
    if not offers:
        return None
    language = visit.language
    saying = [offer for offer in offers if _speaks_of(topic, offer)]
    told = [sentences.details(offer, language) for offer in saying]
    end = sentences.which_one(language)
    return Outcome("\n\n".join([*(told or [_unknown(topic, language)]), end]), kept(visit))


def _topic(visit: Visit) -> str:
    """What is asked about. A day, a size or another kind of thing is a wish, and no question."""
    reading, text = visit.reading, visit.turn.ask.text.strip()
    if reading.choice or reading.act not in {"look", "plain"} or not visit.memory.offers:
        return ""
    new, found = reading.new, _ASKED.match(text)
    facts = (new.day, new.hour, new.party, new.nights, new.budget, new.floor, new.quantity)
    if not found or any(facts) or vertical_of(text):
        return ""
    topic = str(found["en"] or found["zh"])
    thing = visit.memory.draft.vertical == "product"
    if thing and (traits(topic) or vocabulary.QUALITY.fullmatch(topic.rstrip("的"))):
        return ""
    # "有帐篷吗" asks a shop for a tent; of a house or a hotel one asks what it has.
    return "" if (thing or names_goods(f"一个{topic}")) and _BARE_ZH.match(text) else topic


def _speaks_of(topic: str, offer: Offer) -> bool:
    row = " ".join([offer.title, offer.description, *offer.attributes, *offer.attributes.values()])
    asked = {term for term in terms(topic) if term not in _GENERIC and len(term) > 1}
    kitchen = any(name.search(topic) and name.search(row) for _, name in vocabulary.CUISINES)
    return kitchen or bool(asked & terms(row))


def _unknown(topic: str, language: str) -> str:
    what = sentences.plain(topic, 60)
    return sentences.pick(
        language,
        f"I do not know: none of the merchants says anything about “{what}”.",
        f"这个我不知道：商家都没有提到“{what}”。",
    )
