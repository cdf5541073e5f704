"""`emptor demo`: three conversations, a quota that runs out, and the books, through the public API.

Every step checks that it happened for real and raises `StepFailed` when it did not.
"""

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
from rich.console import Console
from rich.markup import escape
from rich.panel import Panel
from rich.table import Table

from backend.formats import show
from backend.ids import new_id
from integrations.money import Money

TIMEOUT_S = 180.0
REVENUE_TOLD = ("currency", "orders", "gross", "refunded", "fee_accrued", "net_revenue")


class StepFailed(Exception):
    """A step of the demo did not happen. The message says which and what was seen instead."""


@dataclass(frozen=True, slots=True)
class Story:
    """The demo's tools: the product's address, its demo keys, and where to tell it."""

    base_url: str
    keys: Mapping[str, Any]
    console: Console

    def client(self, key: str) -> httpx.Client:
        return httpx.Client(
            base_url=self.base_url,
            headers={"authorization": f"Bearer {key}"},
            timeout=TIMEOUT_S,
            trust_env=False,
        )

    def tell(self) -> None:
        """Plays all of it. Raises `StepFailed`, or httpx's errors when the server is not there."""
        self._casual_and_complex()
        self._commerce("Book a table for two tomorrow at 7pm at an Italian place", "booking")
        self._commerce("Buy me a two-person tent", "purchase")
        self._run_out()
        self._books()

    # --- conversations --------------------------------------------------------------------------

    def _casual_and_complex(self) -> None:
        with self.client(self.keys["plus"]) as http:
            for text, kind in (
                ("Good morning! How are you today?", "casual"),
                ("Prove step by step that the sum of two odd numbers is even.", "complex"),
            ):
                self._heading(kind)
                answer = self._complete(http, text)
                route = answer["route"]
                _check(route["kind"] == kind, f"{text!r} was routed to {route['kind']}")
                said = answer["choices"][0]["message"]["content"] or ""
                _check(bool(said.strip()), "the answer was empty")
                self._said(text, said)
                self._badge(answer)

    def _complete(self, http: httpx.Client, text: str) -> dict[str, Any]:
        body = {"model": "auto", "messages": [{"role": "user", "content": text}]}
        answer: dict[str, Any] = _json(http.post("/v1/chat/completions", json=body))
        return answer

    def _commerce(self, text: str, kind: str) -> None:
        """Ask, be shown offers, be asked for consent, refuse a forged one, give the real one."""
        self._heading(f"commercial · {kind}")
        thread = new_id("demo")
        with self.client(self.keys["plus"]) as http:
            events = list(self._run(http, thread, text=text))
            cards = [e for e in events if e["type"] == "ACTIVITY_SNAPSHOT"]
            _check(bool(cards), "no offers were shown")
            self._said(text, _text(events))
            self._offers(cards[0]["content"]["items"])
            outcome = events[-1].get("outcome", {})
            _check(outcome.get("type") == "interrupt", f"no consent was asked for: {events[-1]}")
            asked = outcome["interrupts"][0]
            self._sheet(asked["metadata"])
            self._forged(http, thread, asked)
            events = list(self._run(http, thread, resume=_accept(asked)))
            self.console.print(f"  [bold]Emptor[/]  {escape(_text(events))}")
            self._paid(http, asked["metadata"], kind)

    def _forged(self, http: httpx.Client, thread: str, asked: Mapping[str, Any]) -> None:
        entry = _accept(asked)
        entry["payload"]["confirmation_hash"] = "0" * 64
        list(self._run(http, thread, resume=entry))
        state = _json(http.get(f"/api/checkouts/{asked['metadata']['checkout_id']}"))["state"]
        _check(state == "awaiting_confirmation", f"a forged consent moved it to {state}")
        self.console.print("  [dim]A consent with a forged hash was refused; nothing was paid.[/]")

    def _paid(self, http: httpx.Client, metadata: Mapping[str, Any], kind: str) -> None:
        checkout = _json(http.get(f"/api/checkouts/{metadata['checkout_id']}"))
        _check(checkout["state"] == "completed", f"the checkout ended as {checkout['state']}")
        order = _json(http.get(f"/api/orders/{checkout['order_id']}"))
        _check(order["state"] == "placed", f"the order is {order['state']}")
        _check(order["total"] == metadata["total"], "the order's total is not what was confirmed")
        total = Money(order["total"], order["currency"]).text()
        self.console.print(
            f"  [green]✓[/] {kind}: order {order['id']} at {escape(order['merchant']['name'])} "
            f"({escape(order['merchant_order_id'])}), {total} paid"
        )

    def _run(
        self, http: httpx.Client, thread: str, *, text: str = "", resume: Any = None
    ) -> Iterator[dict[str, Any]]:
        messages = [{"id": new_id("msg"), "role": "user", "content": text}] if text else []
        body: dict[str, Any] = {
            "threadId": thread,
            "runId": new_id("run"),
            "messages": messages,
            "tools": [],
            "context": [],
            "state": {},
            "forwardedProps": {},
        }
        if resume is not None:
            body["resume"] = [resume]
        with http.stream("POST", "/agui", json=body) as answer:
            if answer.status_code != 200:
                answer.read()
                raise StepFailed(f"/agui answered {answer.status_code}: {answer.text[:300]}")
            for line in answer.iter_lines():
                if line.startswith("data: "):
                    yield json.loads(line.removeprefix("data: "))

    # --- quota ----------------------------------------------------------------------------------

    def _run_out(self) -> None:
        """A fresh free person asks until the mini model takes over and says why."""
        self._heading("the free allowance runs out")
        with self.client(self.keys["operator"]) as http:
            made = _json(http.post("/operator/v1/users", json={"name": "Demo", "plan": "free"}))
        with self.client(made["key"]) as http:
            cap = next(
                b["cap"] for b in _json(http.get("/api/quota"))["buckets"] if b["name"] == "light"
            )
            _check(cap <= 50, f"the free allowance of {cap} turns is too large to use up in a demo")
            for turn in range(1, cap + 2):
                answer = self._complete(http, f"Hello, number {turn}!")
                route = answer["route"]
                used = f"{turn}/{cap}" if turn <= cap else "beyond"
                reason = route["downgrade_reason"] or ""
                self.console.print(f"  {used:>7}  {route['role']:<11} {route['model']}  {reason}")
                expected = "light" if turn <= cap else "light_mini"
                _check(route["role"] == expected, f"turn {turn} was served by {route['role']}")
                _check(bool(reason) == (turn > cap), f"turn {turn} has the reason {reason!r}")
        self.console.print("  [green]✓[/] the mini model took over, and the answer says why")

    # --- books ----------------------------------------------------------------------------------

    def _books(self) -> None:
        self._heading("the books")
        with self.client(self.keys["operator_read_only"]) as http:
            accounts = _json(http.get("/operator/v1/ledger/accounts"))["data"]
            verified = _json(http.get("/operator/v1/ledger/verify"))
            today = datetime.now(UTC).date()
            span = {"from": str(today), "to": str(today + timedelta(days=1)), "tz": "UTC"}
            revenue = _json(http.get("/operator/v1/reports/revenue", params=span))
        show(self.console, "Ledger", accounts)
        _check(verified["ok"] is True, f"the ledger does not verify: {verified}")
        sums: dict[str, int] = {}
        for account in accounts:
            currency = account["currency"]
            sums[currency] = sums.get(currency, 0) + account["balance"]
        _check(bool(sums) and not any(sums.values()), f"the ledger does not sum to zero: {sums}")
        for row in revenue["data"]:
            told = {name: row[name] for name in REVENUE_TOLD}
            show(self.console, "Revenue today", [told])
        fees = [row for row in revenue["data"] if row.get("fee_accrued", 0) > 0]
        _check(bool(fees), "no fee was booked")
        self.console.print("  [green]✓[/] every entry has its counterpart; the fee is booked")

    # --- telling --------------------------------------------------------------------------------

    def _heading(self, title: str) -> None:
        self.console.rule(f"[bold]{title}", align="left")

    def _said(self, asked: str, answered: str) -> None:
        self.console.print(f"  [bold cyan]Robin[/]   {escape(asked)}")
        self.console.print(f"  [bold]Emptor[/]  {escape(answered.strip())}")

    def _badge(self, answer: Mapping[str, Any]) -> None:
        cost = answer["usage"]["emptor"]
        low, high = cost["energy_wh_min"], cost["energy_wh_max"]
        energy = "energy unknown" if low is None else f"{low:.3f}–{high:.3f} Wh"
        self.console.print(
            f"  [dim]{escape(answer['route']['explanation'])} · {answer['model']} · "
            f"{answer['usage']['total_tokens']} tokens · {cost['cost_usd_micros']} µUSD · "
            f"{energy}[/]"
        )

    def _offers(self, items: list[dict[str, Any]]) -> None:
        table = Table("offer", "merchant", "price", "why", box=None, padding=(0, 2))
        for item in items:
            price = Money(item["price"]["amount"], item["price"]["currency"]).text()
            table.add_row(
                *(escape(str(c)) for c in (item["title"], item["merchant"], price, item["why"]))
            )
        self.console.print(table)

    def _sheet(self, metadata: Mapping[str, Any]) -> None:
        lines = [
            f"{line['qty']} × {line['title']}: "
            f"{Money(line['unit'] * line['qty'], metadata['currency']).text()}"
            for line in metadata["lines"]
        ]
        total = Money(metadata["total"], metadata["currency"]).text()
        added = sum(line["qty"] * line["unit"] for line in metadata["lines"])
        _check(added == metadata["total"], "the lines do not add up to the total")
        body = "\n".join([*lines, f"[bold]Total {total}[/]", f"[dim]{metadata['disclosure']}[/]"])
        title = f"Confirm: {escape(metadata['merchantOfRecord'])}"
        self.console.print(Panel(body, title=title, expand=False))


def _accept(asked: Mapping[str, Any]) -> dict[str, Any]:
    shown = asked["metadata"]["confirmation_hash"]
    payload = {"accept": True, "confirmation_hash": shown}
    return {"interruptId": asked["id"], "status": "resolved", "payload": payload}


def _text(events: list[dict[str, Any]]) -> str:
    broken = next((e for e in events if e["type"] == "RUN_ERROR"), None)
    if broken is not None:
        raise StepFailed(f"the run broke off: {broken['message']}")
    return "".join(e["delta"] for e in events if e["type"] == "TEXT_MESSAGE_CONTENT")


def _json(answer: httpx.Response) -> Any:
    if answer.status_code >= 400:
        path = answer.request.url.path
        raise StepFailed(f"{path} answered {answer.status_code}: {answer.text[:300]}")
    return answer.json()


def _check(held: bool, otherwise: str) -> None:  # noqa: FBT001
    if not held:
        raise StepFailed(otherwise)


def play(base_url: str, keys: Mapping[str, Any], say: Callable[[str], None]) -> bool:
    """True when every step happened. The reason for a failure is said in one line."""
    console = Console()
    try:
        Story(base_url, keys, console).tell()
    except StepFailed as failed:
        say(f"Demo failed: {failed}")
        return False
    except httpx.HTTPError as error:
        say(f"Demo failed: {base_url} did not answer ({type(error).__name__}). Is `make run` up?")
        return False
    return True
