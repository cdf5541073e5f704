"""Every sentence about offers, prices and orders, in English and Chinese, filled from rows.

No model writes any of these. Merchant text inside them is shortened, stripped of markup and of
links, and quoted: it is shown, never followed.
"""

import re
from collections.abc import Mapping, Sequence
from datetime import date, time
from typing import Any

from babel.dates import format_date, format_time

from graphs.memory import Draft, Fact
from graphs.state import Blocked, Offer, Proposal, Wish
from integrations.money import due
from integrations.partner import clean_text

_MARKUP = re.compile(r"[\[\]<>*_`|\\{}#]|(?:https?|ftp)://\S+|www\.\S+", re.IGNORECASE)
LOCALE = {"en": "en", "zh": "zh_Hans"}
_PLACES = ("city", "place", "location", "area", "district")


def plain(text: object, limit: int = 100) -> str:
    """Merchant text as a person may read it in our sentence: no markup, no links, shortened."""
    return " ".join(_MARKUP.sub(" ", clean_text(text, limit * 2)).split())[:limit].strip()


def pick(language: str, english: str, chinese: str) -> str:
    return chinese if language == "zh" else english


def day_text(day: date, language: str) -> str:
    return format_date(day, "full", locale=LOCALE[language])


def hour_text(at: time, language: str) -> str:
    return format_time(at, "short", locale=LOCALE[language])


def where(offer: Offer, language: str) -> str:
    """The place that the offer's row names, in the person's language if it has both, or ''."""
    told = offer.attributes
    for key in _PLACES:
        named = (language == "zh" and told.get(f"{key}_zh")) or told.get(key)
        if named:
            return plain(named, 60)
    return ""


def _clock(offer: Offer, language: str) -> str:
    """When a booking is; alternatives differ from what was asked for, so each line says its own."""
    try:
        return hour_text(time.fromisoformat(offer.attributes["time"]), language)
    except (KeyError, ValueError):
        return ""


def facts(wish: Wish, language: str) -> str:
    """'for 2 people on Sunday, November 22, 2026 at 7:00 PM' as far as it was said."""
    parts = []
    if language == "zh":
        if wish.date:
            parts.append(day_text(wish.date, "zh"))
        if wish.time:
            parts.append(hour_text(wish.time, "zh"))
        if wish.nights:
            parts.append(f"住{wish.nights}晚")
        if wish.party:
            parts.append(f"{wish.party}人")
        return "，".join(parts)
    if wish.party:
        parts.append("for 1 person" if wish.party == 1 else f"for {wish.party} people")
    if wish.date:
        parts.append(f"{'from' if wish.nights else 'on'} {day_text(wish.date, 'en')}")
    if wish.time:
        parts.append(f"at {hour_text(wish.time, 'en')}")
    if wish.nights:
        parts.append("for 1 night" if wish.nights == 1 else f"for {wish.nights} nights")
    return " ".join(parts)


def assumption(draft: Draft, language: str) -> str:
    """Says back an hour whose half of the day was our reading."""
    if not draft.assumed or draft.hour is None or draft.vertical != "table":
        return ""
    said = hour_text(draft.hour, language)
    return pick(language, f"I took the time as {said}.", f"时间我按{said}理解。")


def listing(offers: Sequence[Offer], language: str) -> str:
    """The offers numbered as the person may name them, each with its own price."""
    lines = []
    for position, offer in enumerate(offers, 1):
        place, why = where(offer, language), plain(offer.why, 80)
        said = [part for part in (place, _clock(offer, language)) if part]
        spot = "".join(pick(language, f", {part}", f"，{part}") for part in said)
        reason = pick(language, f" ({why})", f"（{why}）") if why else ""
        price = offer.price.text(LOCALE[language])
        sold_out = pick(language, ", sold out", "，无货")
        stock = sold_out if offer.availability == "out_of_stock" else ""
        name, shop = plain(offer.title), plain(offer.merchant, 60)
        lines.append(f"{position}. {name} · {shop}{spot} · {price}{stock}{reason}")
    return "\n".join(lines)


_ASK: dict[Fact, tuple[str, str]] = {
    "what": (
        "What are you looking for: a product, a table, a hotel room, tickets or a flight?",
        "您想要什么：商品、餐厅座位、酒店房间、演出票还是机票？",
    ),
    "date": ("For which day?", "请问是哪一天？"),
    "time": ("At what time?", "请问几点？"),
    "party": ("For how many people?", "请问几位？"),
    "nights": ("For how many nights?", "请问住几晚？"),
    "quantity": ("How many would you like? A whole number.", "要几件？请告诉我整数。"),
    "which": ("Which one do you mean? Tell me its number.", "您指的是哪一个？请告诉我序号。"),
    "cancel": ("Which one shall I cancel? Tell me its number.", "要取消哪一个？请告诉我序号。"),
    "change": ("Which booking shall I change? Tell me its number.", "要更改哪一个？请告诉我序号。"),
}


def ask(fact: Fact, language: str) -> str:
    return pick(language, *_ASK[fact])


def past_day(day: date, language: str) -> str:
    said = day_text(day, language)
    return pick(
        language, f"{said} is already past. For which day?", f"{said}已经过去了，请问是哪一天？"
    )


def found(count: int, wish: Wish, language: str) -> str:
    about = facts(wish, language)
    if language == "zh":
        return f"找到{count}个选择{f'（{about}）' if about else ''}："
    return f"I found {count} option{'' if count == 1 else 's'}{f' {about}' if about else ''}:"


def elsewhere(place: str, language: str) -> str:
    return pick(language, f"I found none in {place}. Elsewhere:", f"{place}没有找到。别处有：")


def which_one(language: str) -> str:
    return pick(
        language,
        "Which one would you like? I will prepare it; nothing is paid until you confirm.",
        "您想要哪一个？我来准备，在您确认之前不会扣款。",
    )


def beyond_limit(limit: str, language: str) -> str:
    return pick(
        language,
        f"This is not within the {limit} that you named before; I prepared it as you chose it.",
        f"它不在您之前所说的{limit}之内；因为您选了它，我还是为您准备了。",
    )


def which_ones(language: str) -> str:
    return pick(
        language,
        "Which of them would you like? Tell me the numbers; nothing is paid until you confirm.",
        "您想要哪几个？请告诉我序号，在您确认之前不会扣款。",
    )


def lacking(words: str, language: str, *, near: bool) -> str:
    what = plain(words, 60)
    if near:
        return pick(
            language,
            f"I am not sure that I found “{what}”; look at what comes closest.",
            f"不确定是否找到了“{what}”，请看最接近的选择。",
        )
    return pick(language, f"I found nothing for “{what}”.", f"没有找到“{what}”。")


def no_more(language: str) -> str:
    return pick(
        language,
        "There is nothing beyond those that I showed you. Shall it be one of them?",
        "除了刚才给您看的，没有更多了。要选其中一个吗？",
    )


def other_days(language: str) -> str:
    return pick(
        language,
        "I found nothing for that day. These are on other days:",
        "当天没有找到，以下是其他日期的：",
    )


def not_quite(language: str) -> str:
    return pick(
        language,
        "None of these is exactly what you asked for. Is one of them right?",
        "这些都不完全符合您的要求，其中有合适的吗？",
    )


def nothing(wish: Wish, language: str) -> str:
    about = facts(wish, language)
    what = plain(wish.query, 60)
    if wish.vertical == "table":
        english = f"I found no free table {about}. Would another time or day suit you?"
        chinese = f"没有找到符合的空位{f'（{about}）' if about else ''}，换个时间或日期可以吗？"
    elif wish.vertical == "room":
        english = f"I found no free room {about}. Would other dates suit you?"
        chinese = f"没有找到符合的房间{f'（{about}）' if about else ''}，换个日期可以吗？"
    else:
        english = f"I found nothing for “{what}”. Could you describe it differently?"
        chinese = f"没有找到“{what}”，能换个说法描述一下吗？"
    return re.sub(r" +\.", ".", pick(language, english, chinese))


def above_budget(language: str) -> str:
    return pick(
        language,
        "Nothing is within your budget. These come closest; shall I look at one of them?",
        "没有在您预算之内的，以下最接近，要看看其中哪一个吗？",
    )


def refused(language: str) -> str:
    """Asked for, or our own care where it is not sure that anything is to be bought."""
    return pick(
        language,
        "I have prepared nothing to buy.",
        "我没有准备任何购买。",
    )


def declined(language: str) -> str:
    return pick(
        language,
        "All right. Nothing was bought or booked, and nothing was charged.",
        "好的，没有购买或预订任何东西，也没有扣款。",
    )


def unsupported(name: tuple[str, str], language: str) -> str:
    return pick(
        language,
        f"I cannot arrange {name[0]} yet. I can find products, restaurant tables, hotel rooms, "
        "event tickets and flights.",
        f"我暂时不能办理{name[1]}。我可以帮您找商品、餐厅座位、酒店房间、演出票和机票。",
    )


def proposal(made: Proposal, *, about: str, place: str, language: str, linked: bool = True) -> str:
    """What waits for consent, from the checkout's row: what, where, total, terms, and the link."""
    told = _proposed(made, about=about, place=place, language=language)
    return "\n".join([told, _link(made.url, language)]) if linked else told


def _link(url: str, language: str) -> str:
    return pick(language, f"Review and confirm: {url}", f"确认页面：{url}")


def _proposed(made: Proposal, *, about: str, place: str, language: str) -> str:
    items = [_item(line, counted=not about) for line in made.lines if line.get("title")]
    total = made.total.text(LOCALE[language])
    terms = plain(made.confirmation.get("cancellation_policy", ""), 240)
    seller = plain(made.merchant_of_record, 60)
    if language == "zh":
        parts = ["；".join(items) + (f"（{about}）" if about else "") + "。"]
        parts.append(f"地点：{place}。" if place else "")
        parts.append(f"合计{total}，收款方：{seller}。")
        parts.append(f"取消条款：“{terms}”。" if terms else "")
        parts.append("在您确认之前不会下单，也不会扣款。")
        return "".join(parts)
    parts = ["; ".join(items) + (f", {about}" if about else "") + "."]
    parts.append(f"Place: {place}." if place else "")
    parts.append(f"Total: {total}, charged by {seller}.")
    parts.append(f"Cancellation terms: “{terms}”" if terms else "")
    parts.append("Nothing is ordered or paid until you confirm.")
    return " ".join(p for p in parts if p)


def altogether(made: Sequence[Proposal], language: str, *, blocked: Sequence[Blocked] = ()) -> str:
    """The sum of what several merchants would charge, each currency by itself, and the one page
    on which all of it is confirmed, with the parts that still lack something."""
    link = _link(sheet_url([*made, *blocked]), language)
    if len(made) == 1:
        return link
    total = _sums(made, language)
    told = pick(
        language,
        f"Altogether {total}, at {len(made)} merchants: one confirmation, and each charges its "
        "own part.",
        f"合计{total}，共{len(made)}个商家：一次确认，各自收取自己的部分。",
    )
    return f"{told}\n{link}"


def sheet_url(parts: Sequence[Proposal | Blocked]) -> str:
    """The page of the first checkout, with the others on the same sheet."""
    first, *others = parts
    return f"{first.url}?with={','.join(p.checkout_id for p in others)}" if others else first.url


def _sums(made: Sequence[Proposal], language: str) -> str:
    sums = due([p.total for p in made])
    return pick(language, " + ", "＋").join(money.text(LOCALE[language]) for money in sums)


def _item(line: Mapping[str, Any], *, counted: bool) -> str:
    """'2 × Tent'; a booking of one is just its name."""
    title = plain(line["title"])
    return f"{line['qty']} × {title}" if counted or line["qty"] != 1 else title


def button(made: Sequence[Proposal], language: str) -> str:
    """A message never pays: the answer to 'yes, buy it' in the chat."""
    totals = _sums(made, language)
    return pick(
        language,
        f"A message cannot pay. Please confirm {totals} with the button; I do the rest.",
        f"聊天消息不能付款。请用确认按钮确认{totals}，之后由我来办理。",
    )


def ready(language: str) -> str:
    return pick(language, "I have prepared this for you:", "已为您准备好：")


def over_limit(made: Proposal, limit: str, language: str) -> str:
    total = made.total.text(LOCALE[language])
    return pick(
        language,
        f"With everything included the total is {total}, above your limit of {limit}. "
        "Should I look for something else?",
        f"含所有费用的总价是{total}，超过了您的上限{limit}。要我再找找别的吗？",
    )


def changed(language: str) -> str:
    return pick(
        language,
        "The merchant answered with something other than what you asked for, so I prepared "
        "nothing. Shall I try another offer?",
        "商家返回的内容与您的要求不一致，我没有准备订单。要换一个吗？",
    )


_NEEDS: tuple[tuple[re.Pattern[str], tuple[str, str]], ...] = (
    (re.compile("address|ship|fulfil"), ("a delivery address", "收货地址")),
    (re.compile("buyer|email|phone|name|contact"), ("your contact details", "联系方式")),
    (re.compile("payment"), ("a way to pay", "付款方式")),
    (re.compile("missing|incomplete|required"), ("some details", "一些信息")),
)
_GONE = re.compile(r"stock|sold|unavailable|not_available|expired|not_found|offer_changed|quantity")


def blocked(held: Blocked, language: str) -> str:
    """Why nothing can be confirmed yet, and where the person can go on."""
    if held.handoff_url:
        return pick(
            language,
            f"This merchant finishes the order on its own page: {held.handoff_url}",
            f"这个商家需要在它自己的页面完成：{held.handoff_url}",
        )
    codes = " ".join(held.missing).lower()
    needs = [names for pattern, names in _NEEDS[:-1] if pattern.search(codes)]
    if not needs and _NEEDS[-1][0].search(codes):
        needs = [_NEEDS[-1][1]]
    if needs:
        english = " and ".join(n[0] for n in needs)
        chinese = "和".join(n[1] for n in needs)
        return pick(
            language,
            f"I still need {english}. Please add it here: {held.url}",
            f"还需要{chinese}，请在这里补充：{held.url}",
        )
    if _GONE.search(codes):
        return pick(
            language,
            "The merchant no longer has it as asked. Would another offer do?",
            "商家已无法按您的要求提供，换一个可以吗？",
        )
    return pick(
        language,
        "The merchant could not quote this right now, so nothing was prepared. Try another offer?",
        "商家暂时无法报价，我没有准备订单。要换一个吗？",
    )


def details(offer: Offer, language: str) -> str:
    """What the offer's row says, as the merchant's words; nothing is concluded from it."""
    price = offer.price.text(LOCALE[language])
    head = f"{plain(offer.title)} · {plain(offer.merchant, 60)} · {price}"
    told_keys = [k for k in offer.attributes if not (k.endswith("_zh") and language == "en")]
    extra = "; ".join(f"{plain(k, 30)}: {plain(offer.attributes[k], 60)}" for k in told_keys)
    told = plain(offer.description, 400)
    says = pick(language, f"The merchant writes: “{told}”", f"商家的描述：“{told}”") if told else ""
    none = pick(language, "The merchant says nothing more about it.", "商家没有更多说明。")
    return "\n".join(p for p in (head, extra, says or ("" if extra else none)) if p)
