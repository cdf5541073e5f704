"""Cards of people, with a processor that is down, late or asked by two at once."""

import asyncio
from dataclasses import replace

import pytest
from sqlalchemy import text

from backend import cards, erasure, subscribers, wallet
from backend.auth import UserAccount
from backend.database import Database
from backend.errors import NotFound, Unavailable
from backend.wallet import Wallet
from integrations.payments import CardPage, KeptCard, Method, PaymentUnknown

VISA = KeptCard("pm_1", "cus_1", "visa", "4242", 12, 2031)


class Processor:
    """Pages by id, and the cards that it keeps. `slow` holds the next look back until let go."""

    def __init__(self) -> None:
        self.pages: dict[str, CardPage] = {}
        self.cards: dict[str, KeptCard] = {}
        self.down = False
        self.slow: asyncio.Event | None = None
        self.looking = asyncio.Event()
        self.asked: list[str] = []

    def _answers(self) -> None:
        if self.down:
            raise PaymentUnknown("no answer")

    async def customer(self, *, user_id: str, email: str | None, key: str) -> str:
        assert (user_id, email, key) == ("usr_1", None, "customer:usr_1")
        self._answers()
        return "cus_1"

    async def ask(self, *, customer: str, card_id: str, back: str, key: str) -> CardPage:
        assert (customer, key, back) == ("cus_1", f"card:{card_id}", "http://x/card")
        self.asked.append(card_id)
        self._answers()
        page = CardPage(f"cs_{card_id}", "open", f"http://stripe/{card_id}")
        return self.pages.setdefault(page.id, page)

    def finish(self, page_id: str, card: KeptCard = VISA) -> None:
        self.pages[page_id] = CardPage(page_id, "complete", card=card)
        self.cards[card.token] = card

    async def look(self, page_id: str) -> CardPage:
        self._answers()
        found, slow, self.slow = self.pages[page_id], self.slow, None
        self.looking.set()
        if slow is not None:
            await slow.wait()
        return found

    async def close(self, page_id: str) -> None:
        self._answers()
        if self.pages[page_id].state == "open":
            self.pages[page_id] = CardPage(page_id, "expired")

    async def kept(self, customer: str) -> tuple[KeptCard, ...]:
        self._answers()
        return tuple(card for card in self.cards.values() if card.customer == customer)

    async def forget(self, token: str) -> None:
        self._answers()
        self.cards.pop(token, None)


@pytest.fixture
def processor() -> Processor:
    return Processor()


@pytest.fixture
async def purse(database: Database, processor: Processor) -> Wallet:
    async with database.transaction() as session:
        session.add(UserAccount(id="usr_1", name="Kim"))
    return Wallet(database, processor, processor, "http://x")


async def states(purse: Wallet) -> list[str]:
    async with purse.database.transaction() as session:
        return [row.state for row in await cards.of(session, "usr_1")]


async def erase(purse: Wallet) -> None:
    async with purse.database.transaction() as session:
        await cards.forget(session, "usr_1")


async def test_the_wish_is_written_down_before_the_processor_hears_of_it(
    purse: Wallet, processor: Processor
):
    async with purse.database.transaction() as session:
        await subscribers.ensure(session, "usr_1")
        await subscribers.name(session, "usr_1", "cus_1")
    processor.down = True
    with pytest.raises(Unavailable):
        await wallet.add(purse, "usr_1")
    async with purse.database.transaction() as session:
        [row] = await cards.of(session, "usr_1")
    assert (row.state, [row.id]) == ("asked", processor.asked)


async def test_any_number_of_readings_at_once_save_one_card(purse: Wallet, processor: Processor):
    page = await wallet.add(purse, "usr_1")
    processor.finish(f"cs_{page['id']}")
    await asyncio.gather(*(wallet.refresh(purse, "usr_1") for _ in range(5)))
    async with purse.database.transaction() as session:
        [row] = await cards.saved(session, "usr_1")
    assert cards.method(row) == Method("pm_1", "cus_1")
    assert cards.document(row)["label"] == "Visa •••• 4242"


async def test_a_person_who_goes_while_their_card_is_read_keeps_none(
    purse: Wallet, processor: Processor
):
    page = await wallet.add(purse, "usr_1")
    processor.finish(f"cs_{page['id']}")
    processor.slow = held = asyncio.Event()
    late = asyncio.create_task(wallet.refresh(purse, "usr_1"))
    await processor.looking.wait()
    await erase(purse)
    held.set()
    await late
    assert await states(purse) == ["removing"]
    await wallet.sweep(purse)
    assert (await states(purse), processor.cards) == ([], {})


async def test_erasing_a_person_asks_at_once_for_their_cards_to_go(
    purse: Wallet, processor: Processor
):
    page = await wallet.add(purse, "usr_1")
    processor.finish(f"cs_{page['id']}")
    async with purse.database.transaction() as session:
        await erasure.erase(session, "usr_1")
        jobs = text("SELECT args->>'user_id' FROM procrastinate_jobs WHERE task_name = :task")
        assert (await session.execute(jobs, {"task": cards.REFRESH})).scalars().all() == ["usr_1"]
    await wallet.refresh(purse, "usr_1")
    assert (await states(purse), processor.cards) == ([], {})


async def test_a_page_left_open_by_somebody_who_went_is_closed(purse: Wallet, processor: Processor):
    page = await wallet.add(purse, "usr_1")
    await erase(purse)
    await wallet.sweep(purse)
    assert processor.pages[f"cs_{page['id']}"].state == "expired"
    assert await states(purse) == []


async def test_a_removed_card_pays_nothing_although_the_processor_is_down(
    purse: Wallet, processor: Processor
):
    page = await wallet.add(purse, "usr_1")
    processor.finish(f"cs_{page['id']}")
    await wallet.refresh(purse, "usr_1")
    processor.down = True
    await wallet.remove(purse, "usr_1", page["id"])
    async with purse.database.transaction() as session:
        assert await cards.saved(session, "usr_1") == []
    with pytest.raises(NotFound):
        await wallet.remove(purse, "usr_1", page["id"])
    await wallet.sweep(purse)
    assert list(processor.cards) == ["pm_1"]
    processor.down = False
    await wallet.sweep(purse)
    assert (await states(purse), processor.cards) == ([], {})


async def test_a_card_let_go_elsewhere_goes_here_and_a_renewed_one_is_shown_so(
    purse: Wallet, processor: Processor
):
    page = await wallet.add(purse, "usr_1")
    processor.finish(f"cs_{page['id']}")
    await wallet.refresh(purse, "usr_1")
    processor.cards["pm_1"] = replace(VISA, exp_year=2035)
    await wallet.refresh(purse, "usr_1")
    async with purse.database.transaction() as session:
        [row] = await cards.saved(session, "usr_1")
    assert cards.document(row)["exp_year"] == 2035
    processor.cards.clear()
    await wallet.refresh(purse, "usr_1")
    assert await states(purse) == []


async def test_pages_that_nobody_finished_are_forgotten_after_a_day(
    purse: Wallet, processor: Processor
):
    lost, kept = await wallet.add(purse, "usr_1"), await wallet.add(purse, "usr_1")
    processor.pages[f"cs_{lost['id']}"] = CardPage(f"cs_{lost['id']}", "expired")
    # Nobody came back and the event was lost: the card is found all the same.
    processor.finish(f"cs_{kept['id']}")
    await wallet.sweep(purse)
    assert await states(purse) == ["asked", "asked"]
    async with purse.database.transaction() as session:
        await session.execute(
            text("UPDATE saved_card SET created_at = now() - interval '26 hours'")
        )
    await wallet.sweep(purse)
    assert await states(purse) == ["saved"]
