"""Who looks must see what was written, or no invariant means anything."""

from pathlib import Path

from integrations.simulators.stripe.store import Store
from tests.simulation.audience import Book


def test_a_book_shows_at_once_what_was_written_behind_the_server_s_door(tmp_path: Path):
    store = Store(tmp_path)
    book = Book(tmp_path / "stripe.sqlite3", "thing")
    with store.transaction():
        store.add({"id": "pi_1", "object": "payment_intent", "status": "requires_action"})
    assert [each["status"] for each in book.every("payment_intent")] == ["requires_action"]
    with store.transaction():
        store.save({"id": "pi_1", "object": "payment_intent", "status": "requires_capture"})
    assert [each["status"] for each in book.every("payment_intent")] == ["requires_capture"]
    book.close()
    store.close()


def test_a_book_in_which_nothing_was_written_is_not_read_again(tmp_path: Path):
    store = Store(tmp_path)
    book = Book(tmp_path / "stripe.sqlite3", "thing")
    with store.transaction():
        store.add({"id": "pi_1", "object": "payment_intent", "status": "requires_action"})
    assert book.every("payment_intent") is book.every("payment_intent")
    book.close()
    store.close()
