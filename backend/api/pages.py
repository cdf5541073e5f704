"""The page's addresses: one document, which its own code shows as what the address names.

The front end's fallback serves it only to those who ask for HTML; these are pages for everybody.
"""

from pathlib import Path

from fastapi import FastAPI, Request, Response
from fastapi.staticfiles import StaticFiles

ADDRESSES = ("/checkout/{checkout_id}", "/card", "/operator", "/merchant")


def install(app: FastAPI, directory: Path) -> None:
    files = StaticFiles(directory=directory)

    async def page(request: Request) -> Response:
        return await files.get_response("index.html", request.scope)

    for address in ADDRESSES:
        for ending in ("", "/"):
            app.add_route(address + ending, page, methods=["GET"], include_in_schema=False)
