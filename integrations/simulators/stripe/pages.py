"""The pages that a person sees at the processor: Checkout, the portal, the bank's question."""

import asyncio
import html
from urllib.parse import parse_qsl

from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from integrations.simulators.stripe import intents, portal, sessions
from integrations.simulators.stripe.rules import ApiError
from integrations.simulators.stripe.store import Thing
from integrations.simulators.stripe.world import World

_CARDS = [
    ("pm_card_visa", "Pay with the test card 4242"),
    ("pm_card_chargeDeclined", "Try a card that is declined"),
]
_KEEP = [
    ("pm_card_visa", "Keep the test card 4242"),
    ("pm_card_mastercard", "Keep the test card 4444"),
    ("pm_card_authenticationRequired", "Keep a card whose bank asks at every payment"),
    ("pm_card_chargeDeclined", "Try a card that is declined"),
]
_BANK = [("success", "Yes"), ("fail", "No")]


def page(title: str, name: str, buttons: list[tuple[str, str]], said: str = "") -> str:
    """A form of buttons. Everything is escaped; nothing is loaded from anywhere."""
    shown = "".join(
        f'<p><button name="{html.escape(name)}" value="{html.escape(value)}">'
        f"{html.escape(words)}</button></p>"
        for value, words in buttons
    )
    return (
        '<!doctype html><meta charset="utf-8"><meta name="viewport" content="width=device-width">'
        f"<title>{html.escape(title)}</title><main style='max-width:32rem;margin:3rem auto;"
        f"font-family:sans-serif'><h1>{html.escape(title)}</h1><p>Simulated: no real money moves."
        f"</p><p role='alert'>{html.escape(said)}</p><form method='post'>{shown}</form></main>"
    )


class Pages:
    """Each page is GET to look and POST to decide; then the person goes back to the shop."""

    def __init__(self, world: World) -> None:
        self.world = world

    async def bank(self, request: Request) -> Response:
        """The card holder agrees or not."""
        id_ = request.path_params["id"]
        if request.method == "GET":
            return HTMLResponse(page("Your bank asks: is this payment yours?", "outcome", _BANK))
        passed = await _chosen(request, "outcome") == "success"

        def act() -> Thing:
            with self.world.store.transaction():
                return intents.authenticate(self.world, id_, passed=passed)

        try:
            intent = await asyncio.to_thread(act)
        except ApiError as error:
            return HTMLResponse(page("Your bank", "outcome", [], str(error)), error.status)
        back = intent["_return_url"]
        return RedirectResponse(back, 303) if back else HTMLResponse("<p>Done.</p>")

    async def checkout(self, request: Request) -> Response:
        """The hosted payment page of a Checkout Session. A decline leaves it open."""
        id_ = request.path_params["id"]
        try:
            session = await asyncio.to_thread(self._session, id_)
        except ApiError as error:
            return HTMLResponse(page("Checkout", "payment_method", [], str(error)), error.status)
        title, cards = _asked(session)
        if request.method == "GET":
            return HTMLResponse(page(title, "payment_method", cards))
        token = await _chosen(request, "payment_method") or "pm_card_visa"
        try:
            paid = await asyncio.to_thread(self._pay, id_, token)
        except ApiError as error:
            return HTMLResponse(page(title, "payment_method", cards, str(error)), error.status)
        back = str(paid["success_url"]).replace("{CHECKOUT_SESSION_ID}", id_)
        return RedirectResponse(back, 303)

    def _session(self, id_: str) -> Thing:
        with self.world.store.transaction():
            session = self.world.need("checkout.session", id_)
            if session["status"] != "open":
                raise ApiError(f"This page is {session['status']}.", status=410)
            return session

    def _pay(self, id_: str, token: str) -> Thing:
        with self.world.store.transaction():
            return sessions.complete(self.world, id_, token)

    async def portal(self, request: Request) -> Response:
        id_ = request.path_params["id"]
        try:
            title, buttons = await asyncio.to_thread(self._offered, id_)
        except ApiError as error:
            return HTMLResponse(page("Customer portal", "choice", [], str(error)), error.status)
        if request.method == "GET":
            return HTMLResponse(page(title, "choice", buttons))
        choice = await _chosen(request, "choice")
        try:
            session = await asyncio.to_thread(self._decide, id_, choice)
        except ApiError as error:
            return HTMLResponse(page(title, "choice", buttons, str(error)), error.status)
        back = portal.way_back(session, choice)
        return RedirectResponse(back, 303) if back else HTMLResponse("<p>Done.</p>")

    def _offered(self, id_: str) -> tuple[str, list[tuple[str, str]]]:
        with self.world.store.transaction():
            return portal.offered(self.world, id_)

    def _decide(self, id_: str, choice: str) -> Thing:
        with self.world.store.transaction():
            return portal.act(self.world, id_, choice)


def _asked(session: Thing) -> tuple[str, list[tuple[str, str]]]:
    if session["mode"] == "setup":
        return "Add a card", _KEEP
    return f"Pay {session['amount_total']} {session['currency']} (minor units)", _CARDS


async def _chosen(request: Request, name: str) -> str:
    return dict(parse_qsl((await request.body()).decode())).get(name, "")
