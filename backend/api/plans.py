"""Plans and credit packs for money. Every answer that needs paying carries a link to pay at."""

from typing import Any

from fastapi import APIRouter, Depends, Request, Response
from pydantic import Field

from backend import subscriptions
from backend.api.strict import Strict
from backend.auth import UserKey, user_key
from backend.idempotency import IdempotentRoute
from backend.subscriptions import Counter

router = APIRouter(prefix="/api", tags=["Plans"], route_class=IdempotentRoute)


class Choice(Strict):
    plan: str = Field(min_length=1, max_length=60)


class Pack(Strict):
    pack: str = Field(min_length=1, max_length=60)


@router.get("/plans", dependencies=[Depends(user_key)])
async def list_plans(request: Request) -> dict[str, Any]:
    """What can be had for money: plans by the month, packs once. Minor units."""
    counter: Counter = request.app.state.counter
    return {
        "plans": [
            {"name": p.name, "title": p.title, "price": p.price.model_dump(), "every": "month"}
            for p in counter.plans.by_name.values()
        ],
        "packs": [
            {
                "name": p.name,
                "title": p.title,
                "price": p.price.model_dump(),
                "bucket": p.bucket,
                "units": p.units,
                "days": p.days,
            }
            for p in counter.packs.values()
        ],
    }


@router.post("/plan", status_code=201)
async def choose_plan(
    body: Choice, request: Request, response: Response, who: UserKey
) -> dict[str, Any]:
    """`{"url", "state", "plan"}`. Nothing is charged here: paying happens on the linked page.

    201 with `checkout` or `confirm` (a page of the payment service); 200 with
    `ends_at_period_end`, `resumed` or `changed`, which need none. The plan changes when the
    payment has arrived; open windows keep their end and take the new cap.
    """
    answer = await subscriptions.choose(request.app.state.counter, who.user_id, body.plan)
    if answer["state"] not in ("checkout", "confirm"):
        response.status_code = 200
    return answer


@router.post("/credits", status_code=201)
async def buy_credits(body: Pack, request: Request, who: UserKey) -> dict[str, Any]:
    """A page where a credit pack is paid for. Its units stand in `GET /api/quota` afterwards."""
    return await subscriptions.buy(request.app.state.counter, who.user_id, body.pack)


@router.post("/portal", status_code=201)
async def open_portal(request: Request, who: UserKey) -> dict[str, Any]:
    """The payment service's own page for cards, invoices and cancelling."""
    return await subscriptions.portal(request.app.state.counter, who.user_id)
