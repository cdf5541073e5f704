"""Alive, ready, measured: what an operator's machines ask."""

import asyncio
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, Response
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError

from backend import metrics as counted
from backend.database import Database
from backend.settings import Settings

router = APIRouter(tags=["Health"])


@router.get("/healthz")
async def healthz() -> dict[str, str]:
    return {"status": "alive"}


@router.get(
    "/readyz",
    response_model=None,
    responses={503: {"description": "What is missing", "content": {"application/json": {}}}},
)
async def readyz(request: Request) -> Response:
    """Database, model and payments. The embedded model may still be warming up behind it.

    503 while something that a turn needs is missing; a warming embedded model is said, not fatal.
    `model.resting` names the models that failed three times in a row; their fallbacks answer.
    """
    state = request.app.state
    database, model, payments = await asyncio.gather(
        _database(state.database), state.models.ready(), _payments(state.payments)
    )
    settings: Settings = state.settings
    warming = settings.embedded_model and _warming(model)
    ready = database["ok"] and payments["ok"] and (model["ok"] or warming)
    body: dict[str, Any] = {
        "status": "ready" if ready else "not_ready",
        "database": database,
        "model": model | {"resting": state.models.health.resting()},
        "payments": payments,
        "defaults": {
            "database": "embedded" if settings.embedded_database else "configured",
            "model": "embedded" if settings.embedded_model else "configured",
            "payments": "simulated" if settings.simulated_stripe else "configured",
            "demo": settings.demo,
        },
    }
    return JSONResponse(body, 200 if ready else 503)


def _warming(model: dict[str, Any]) -> bool:
    detail = model.get("detail")
    return isinstance(detail, dict) and detail.get("status") in {"loading", "no_weights"}


async def _database(database: Database) -> dict[str, Any]:
    try:
        async with database.transaction() as session:
            await session.execute(text("SELECT 1"))
    except (SQLAlchemyError, OSError) as error:
        return {"ok": False, "detail": type(error).__name__}
    return {"ok": True}


async def _payments(payments: Any) -> dict[str, Any]:
    return {"ok": await payments.ready()}


@router.get("/metrics", response_class=Response)
async def metrics(request: Request) -> Response:
    """Prometheus text, of this process."""
    models = request.app.state.models
    counted.models(models.health, list(models.catalogue.models))
    return Response(generate_latest(), media_type=CONTENT_TYPE_LATEST)
