"""`/merchant/v1`: a merchant's own profile, its feed, and a trial walk through its endpoints."""

from collections.abc import AsyncIterable
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Header, Request, Response
from pydantic import Field

from backend import feeds, merchants, onboarding
from backend.api.strict import Strict
from backend.auth import MerchantKey
from backend.catalogue import Catalogue
from backend.database import Session
from backend.errors import Unprocessable
from backend.feed_readers import Format, lines
from backend.feeds import FEED_BYTES_MAX, PATCH_BYTES_MAX
from backend.till import Till

router = APIRouter(prefix="/merchant/v1", tags=["Merchant"])
_FORMATS: dict[str, Format] = {
    "application/jsonl": "jsonl",
    "application/x-ndjson": "jsonl",
    "application/x-jsonlines": "jsonl",
    "text/csv": "csv",
}
_FEED_BODY: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "description": "One product a row: item_id, title, title_zh, description, description_zh,"
        " category, price_amount (minor units), currency, availability (in_stock, low_stock,"
        " out_of_stock, on_request), image_url, rating (0-5), delivery_days, item_group_id and"
        " options (of a thing in sizes or colours: a row for each), attributes. In a CSV, these are"
        " columns named option:NAME and attribute:NAME.",
        "content": {name: {"schema": {"type": "string"}} for name in _FORMATS},
    }
}
Url = Annotated[str, Field(max_length=2000)]
Secret = Annotated[str, Field(min_length=1, max_length=500)]


class Profile(Strict):
    """A secret that is left out stays as it is. What is set can be seen, not read back."""

    name: str = Field(min_length=1, max_length=200)
    protocol: Literal["acp", "ucp", "booking", "duffel"]
    base_url: Url | None = None
    discovery_url: Url | None = None
    outbound_key: Secret | None = None
    webhook_secret: Secret | None = None
    settlement: Literal["platform", "merchant", "handoff"] = "platform"
    handoff_template: Url | None = None


@router.get("/profile")
async def read_profile(session: Session, who: MerchantKey) -> dict[str, Any]:
    return merchants.profile(await merchants.fetch(session, who.merchant_id))


@router.put("/profile")
async def write_profile(
    body: Profile, request: Request, session: Session, who: MerchantKey
) -> dict[str, Any]:
    """Status and commission are the operator's to set. Addresses must be public and https."""
    given = body.model_dump()
    row = await merchants.change(session, who.merchant_id, vault=request.app.state.vault, **given)
    merchants.check_reachable(given, allow=request.app.state.reachable)
    return merchants.profile(row)


@router.put("/feed", openapi_extra=_FEED_BODY, max_body_size=FEED_BYTES_MAX)
async def replace_feed(
    request: Request,
    response: Response,
    who: MerchantKey,
    x_feed_version: Annotated[str, Header(min_length=1, max_length=100)],
) -> dict[str, Any]:
    """The whole feed. Searches see the old one until every row is in, then the new one.

    A JSON line is a row (`item_id`, `title`, `price_amount`, ...), or an ACP product with its
    `variants`, each of which is a row.

    Rows that are wrong are left out and listed; if all are, the old feed stays. The same version
    with the same bytes gets the same answer (`Idempotent-Replayed: true`) and does nothing more;
    with other bytes it is 422 `idempotency_conflict`.
    """
    taken = await feeds.replace(
        _catalogue(request),
        who.merchant_id,
        request.stream(),
        version=x_feed_version,
        format=_format(request),
    )
    if taken.replayed:
        response.headers["Idempotent-Replayed"] = "true"
    return taken.document()


@router.patch("/feed/products", openapi_extra=_FEED_BODY, max_body_size=PATCH_BYTES_MAX)
async def change_products(request: Request, who: MerchantKey) -> dict[str, Any]:
    """New products whole, known ones by `item_id` and the fields that change.

    `application/json` takes `{"products": [...]}`, of rows or of ACP products with `variants`.
    """
    content: bytes | AsyncIterable[bytes] = request.stream()
    if _media_type(request) == "application/json":
        content, form = lines(await request.body()), "jsonl"
    else:
        form = _format(request)
    taken = await feeds.upsert(
        _catalogue(request),
        who.merchant_id,
        content,
        format=form,  # type: ignore[arg-type]
    )
    return taken.document()


@router.post("/check")
async def check(request: Request, who: MerchantKey) -> dict[str, Any]:
    """Calls your endpoints as a purchase would, up to a quote that is cancelled again."""
    till: Till = request.app.state.till
    async with till.database.transaction() as session:
        row = await merchants.fetch(session, who.merchant_id)
    walk = await onboarding.check(till.database, row, lambda: till.partner_for(row.id))
    return walk.document()


def _catalogue(request: Request) -> Catalogue:
    found: Catalogue = request.app.state.catalogue
    return found


def _media_type(request: Request) -> str:
    return request.headers.get("content-type", "").split(";", 1)[0].strip().lower()


def _format(request: Request) -> Format:
    if request.headers.get("content-encoding", "identity").lower() != "identity":
        raise Unprocessable(
            "Content-Encoding: send the feed as it is, not compressed", code="unsupported_feed_type"
        )
    try:
        return _FORMATS[_media_type(request)]
    except KeyError as error:
        raise Unprocessable(
            f"Content-Type: send {' or '.join(_FORMATS)}", code="unsupported_feed_type"
        ) from error
