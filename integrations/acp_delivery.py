"""How the goods of an ACP session travel: options, the groups that share one, and what is chosen.

A session may send its goods in groups (`fulfillment_groups`, or several
`selected_fulfillment_options`). The schemas tie no option to a group. Where the merchant does, by
the option's `item_ids`, by the group's `fulfillment_option_ids` or by options called after their
group, a group has its own options; else those of its `destination_type`.

`item_ids` name lines in the schemas and items in the official examples; both are read, and a group
is named back in the merchant's own words. 2026-01-30 and 2026-04-17 write this alike.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from integrations.answers import day_at
from integrations.money import Money
from integrations.partner import Basket, Delivery, PartnerRefused
from integrations.wire import Unreadable, integer_at, object_at, objects_at, text_at

_KINDS = frozenset({"shipping", "pickup", "local_delivery", "digital"})
_TRAVELS = frozenset({"shipping", "local_delivery"})


class UnknownGrouping(Unreadable):
    """Which goods go together, where to or by what cannot be told from the session."""


@dataclass(frozen=True, slots=True)
class Group:
    """Goods that travel together. `named` is how the merchant writes `items` (ids of items)."""

    id: str
    kind: str
    items: tuple[str, ...]
    named: tuple[str, ...]
    chosen: str | None
    options: tuple[str, ...] = ()


def groups_of(session: Mapping[str, Any]) -> Sequence[Group]:
    """The groups where there are several, else none. Raises `UnknownGrouping`."""
    stated = objects_at(session, "fulfillment_groups")
    groups = _stated(session, stated) if stated else _selected(session)
    held = [item for group in groups for item in group.items]
    if len(held) != len(set(held)):
        raise UnknownGrouping("an item travels in two groups")
    if stated and set(held) != set(_items(session).values()):
        raise UnknownGrouping("an item travels in no group")
    for group in groups:
        if group.kind not in _KINDS:
            raise UnknownGrouping(f"a group travels by {group.kind or 'nothing'}")
    groups = [_with_options(session, group, groups) for group in groups]
    if any(group.chosen not in {None, *group.options} for group in groups):
        raise UnknownGrouping("a group goes by an option that is not on offer to it")
    return groups if len(groups) > 1 else ()


def _stated(session: Mapping[str, Any], stated: Sequence[Mapping[str, Any]]) -> Sequence[Group]:
    home = object_at(object_at(session, "fulfillment_details"), "address")
    groups = []
    for entry in stated:
        kind, name = text_at(entry, "destination_type", 40), text_at(entry, "id", 200)
        place = object_at(object_at(entry, "fulfillment_details"), "address")
        if kind in _TRAVELS and place and home and place != home:
            raise UnknownGrouping("a group goes to another address")
        items, named = _named(session, entry)
        listed = entry.get("fulfillment_option_ids")
        own = tuple(str(one) for one in listed) if isinstance(listed, list) else ()
        groups.append(Group(name, kind, items, named, _chosen(session, items), own))
    if len({group.id for group in groups} - {""}) != len(groups):
        raise UnknownGrouping("a group has no name of its own")
    return groups


def _selected(session: Mapping[str, Any]) -> Sequence[Group]:
    """Several selections make groups of themselves. Each is called by its first item."""
    entries = objects_at(session, "selected_fulfillment_options")
    groups = []
    for entry in entries if len(entries) > 1 else ():
        items, named = _named(session, entry)
        kind = text_at(entry, "type", 40)
        groups.append(Group(items[0], kind, items, named, text_at(entry, "option_id", 200)))
    return groups


def _named(
    session: Mapping[str, Any], entry: Mapping[str, Any]
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The items that `item_ids` mean, and how they were written."""
    written, known = entry.get("item_ids"), _items(session)
    if not isinstance(written, list) or not written:
        raise UnknownGrouping("a group names no goods")
    if not all(isinstance(name, str) and name in known for name in written):
        raise UnknownGrouping("a group names goods that the session does not have")
    return tuple(dict.fromkeys(known[name] for name in written)), tuple(written)


def _items(session: Mapping[str, Any]) -> Mapping[str, str]:
    """Each name of a line → its item; so does the item's own, unless a line has that name."""
    lines = [
        (text_at(line, "id", 200), text_at(object_at(line, "item"), "id", 200))
        for line in objects_at(session, "line_items")
    ]
    return {item: item for _, item in lines} | {name: item for name, item in lines if name}


def _chosen(session: Mapping[str, Any], items: Iterable[str]) -> str | None:
    """The option that these go by now. Raises `UnknownGrouping` where they are torn apart."""
    for entry in objects_at(session, "selected_fulfillment_options"):
        taken, _ = _named(session, entry)
        shared = set(taken) & set(items)
        if shared == set(items):
            return text_at(entry, "option_id", 200)
        if shared:
            raise UnknownGrouping("a group is sent by several options")
    return None


def _with_options(session: Mapping[str, Any], group: Group, groups: Sequence[Group]) -> Group:
    """The group with the ids of all options that are on offer to it."""
    of_kind = _options(session, group.kind)
    own = [o for o in of_kind if not group.options or o.get("id") in group.options]
    own = [o for o in own if "item_ids" not in o or set(_named(session, o)[0]) >= set(group.items)]
    ids = tuple(text_at(option, "id", 200) for option in own)
    alike = [other.id for other in groups if other.kind == group.kind]
    owners = {option: _called_after(alike, option) for option in ids}
    if len(alike) > 1 and None not in owners.values():
        ids = tuple(option for option in ids if owners[option] == group.id)
    return replace(group, options=ids)


def _called_after(groups: Sequence[str], option: str) -> str | None:
    """`parcel-express` is an option of `parcel`, `parcel_2:express` of `parcel_2`."""
    fitting = [g for g in groups if g and re.match(rf"{re.escape(g)}[-_:./ ]", option)]
    return max(fitting, key=len, default=None)


def _options(session: Mapping[str, Any], kind: str | None = None) -> Sequence[Mapping[str, Any]]:
    """The options of this kind, or of any, that have a name and a price."""
    return [
        option
        for option in objects_at(session, "fulfillment_options")
        if text_at(option, "id", 200)
        and _priced(option) is not None
        and kind in (None, option.get("type"))
    ]


def _priced(option: Mapping[str, Any]) -> Mapping[str, Any] | None:
    amounts = {t.get("type"): t for t in objects_at(option, "totals")}
    return amounts.get("total") or amounts.get("fulfillment")


def deliveries_of(session: Mapping[str, Any], currency: str) -> Sequence[Delivery]:
    """Every choice: of the whole basket, or of each group. Raises `UnknownGrouping`."""
    groups = groups_of(session)
    if not groups:
        taken = _taken(session)
        return [_delivery(o, currency, selected=o.get("id") in taken) for o in _options(session)]
    return [
        replace(
            _delivery(option, currency, selected=option.get("id") == group.chosen),
            group=group.id,
            items=group.items,
        )
        for group in groups
        for option in _options(session, group.kind)
        if option.get("id") in group.options
    ]


def _taken(session: Mapping[str, Any]) -> frozenset[str]:
    selected = objects_at(session, "selected_fulfillment_options")
    return frozenset(text_at(entry, "option_id", 200) for entry in selected)


def _delivery(option: Mapping[str, Any], currency: str, *, selected: bool) -> Delivery:
    window, title = object_at(option, "delivery_window"), text_at(option, "title", 100)
    place = text_at(object_at(option, "location"), "name", 60)
    return Delivery(
        id=text_at(option, "id", 200),
        title=f"{title}, {place}" if place else title,
        amount=Money(integer_at(_priced(option) or {}, "amount"), currency),
        earliest=day_at(option, "earliest_delivery_time")
        or day_at(window, "start")
        or day_at(option, "ready_by"),
        latest=day_at(option, "latest_delivery_time") or day_at(window, "end"),
        selected=selected,
    )


def selections(session: Mapping[str, Any], basket: Basket) -> list[dict[str, Any]]:
    """The wanted deliveries as the session names them; empty where nothing can be chosen.

    A choice for a group that is gone is dropped: the goods changed. Raises `PartnerRefused`
    (`unknown_delivery`) for one that is not on offer.
    """
    try:
        groups = groups_of(session)
    except UnknownGrouping:
        return []
    kinds = {text_at(o, "id", 200): text_at(o, "type", 40) for o in _options(session)}
    whole = basket.delivery_id
    if whole is not None and whole not in kinds:
        raise _not_offered()
    if not groups:
        items = list(dict.fromkeys(item for item, _ in basket.lines))
        return [_selection(kinds[whole], whole, items)] if whole is not None else []
    if set(_items(session).values()) != {item for item, _ in basket.lines}:
        return []  # with other goods the groups may be others too: the answer will tell
    chosen = []
    for group in groups:
        fits = whole if whole in group.options else None
        wanted = basket.deliveries.get(group.id) or fits or group.chosen
        if wanted is not None:
            if wanted not in group.options:
                raise _not_offered()
            chosen.append(_selection(group.kind, wanted, list(group.named)))
    return chosen


def missing(session: Mapping[str, Any], basket: Basket) -> list[dict[str, Any]]:
    """`selections`, where the session does not have them yet."""
    wanted = selections(session, basket)
    groups = groups_of(session) if wanted else ()
    if groups:
        now = {group.named: group.chosen for group in groups}
        done = all(now.get(tuple(entry["item_ids"])) == entry["option_id"] for entry in wanted)
    else:
        done = {entry["option_id"] for entry in wanted} <= _taken(session)
    return [] if done else wanted


def _selection(kind: str, wanted: str, items: list[str]) -> dict[str, Any]:
    return {"type": kind, "option_id": wanted, "item_ids": items}


def _not_offered() -> PartnerRefused:
    return PartnerRefused("that delivery is not on offer", code="unknown_delivery")
