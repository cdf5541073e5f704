"""Merchants' pictures, fetched by us through the guarded client and shown from our own address.

A person's browser never calls a merchant: no address leaks, and the page's policy stays strict.
"""

import httpx
from fastapi import APIRouter, Request
from fastapi.responses import Response

from backend.errors import MerchantFailed, NotFound
from integrations.partner import PartnerError

router = APIRouter(tags=["Page"], include_in_schema=False)
KINDS = frozenset({"image/svg+xml", "image/png", "image/jpeg", "image/webp", "image/avif"})


@router.get("/media/{offer_id}")
async def picture(offer_id: str, request: Request) -> Response:
    """An offer's picture. A drawing can hold scripts: opened on its own it may run none."""
    url = await request.app.state.catalogue.picture_url(offer_id)
    if url is None:
        raise NotFound("This offer has no picture")
    try:
        answer = await request.app.state.pictures.get(url)
    except (PartnerError, httpx.HTTPError) as error:
        raise MerchantFailed("The merchant's picture could not be fetched") from error
    kind = answer.headers.get("content-type", "").partition(";")[0].strip().lower()
    if answer.status_code != 200 or kind not in KINDS:
        raise NotFound("The merchant gave no picture")
    return Response(
        answer.content,
        media_type=kind,
        headers={
            "Cache-Control": "public, max-age=3600",
            "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; sandbox",
            "X-Content-Type-Options": "nosniff",
        },
    )
