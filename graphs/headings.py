"""The line above a list of offers: how many were found, or plainly that they are something else."""

from collections.abc import Sequence

from graphs import sentences
from graphs.memory import Draft
from graphs.outings import flies, is_outing, suits
from graphs.sentences import pick, plain
from graphs.state import Offer, Wish


def heading(draft: Draft, asked: Wish, shown: Sequence[Offer], language: str) -> str:
    """What is said above `shown`, which may be of another way, day or place than was asked for."""
    that_day = any(suits(o, day=draft.day, until=draft.until) for o in shown)
    if not on_the_way(draft, shown):
        return f"{no_flight(draft, language)}{_other_way(draft, language)}"
    if draft.vertical == "product" and draft.day and not that_day:
        return sentences.other_days(language)
    if is_outing(draft.words) and not any(suits(o, place=draft.place) for o in shown):
        return sentences.elsewhere(draft.place, language)
    return sentences.found(len(shown), asked, language)


def on_the_way(draft: Draft, shown: Sequence[Offer]) -> bool:
    """Whether one of them flies from and to where was asked; also where no flight was asked for."""
    if not (draft.origin and draft.place and flies(draft.words)):
        return True
    return any(suits(o, origin=draft.origin, place=draft.place) for o in shown)


def no_flight(draft: Draft, language: str) -> str:
    origin, target = plain(draft.origin, 40), plain(draft.place, 40)
    return pick(
        language,
        f"I found no flight from {origin} to {target}.",
        f"没有找到从{origin}到{target}的航班。",
    )


def _other_way(draft: Draft, language: str) -> str:
    origin, target = plain(draft.place, 40), plain(draft.origin, 40)
    return pick(
        language,
        f" These go the other way, from {origin} to {target}:",
        f"以下是反方向的，从{origin}到{target}：",
    )
