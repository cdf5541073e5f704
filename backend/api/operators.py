"""`/operator/v1`: set things up, read the books. Read-only keys read."""

from typing import Annotated, Any, Literal, TypeVar

from fastapi import APIRouter, Depends, Query, Request, Response
from pydantic import Field
from sqlalchemy import select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from backend import auth, formats, incidents, ledger, legacy, merchants, reconciling, reports
from backend.api.strict import INT_MAX, Currency, Moment, Strict, TimeZone
from backend.auth import UserAccount, operator_key
from backend.database import Session
from backend.errors import BadRequest, Conflict, Unprocessable
from backend.idempotency import IdempotentRoute
from backend.incidents import Incident
from backend.merchants import Merchant
from backend.turn import Chat

router = APIRouter(
    prefix="/operator/v1",
    tags=["Operator"],
    route_class=IdempotentRoute,
    dependencies=[Depends(operator_key)],
)
Limit = Annotated[int, Query(ge=1, le=200)]
Cursor = Annotated[str | None, Query(max_length=100)]
T = TypeVar("T", Incident, Merchant, UserAccount)


async def _last(session: AsyncSession, table: type[T], cursor: str | None) -> T | None:
    """The row that an earlier page ended with. Raises `BadRequest` for a cursor that none gave."""
    if cursor is None:
        return None
    row = await session.get(table, cursor) if cursor.isprintable() else None
    if row is None:
        raise BadRequest("cursor: use the next_cursor of an earlier page")
    return row


class Commission(Strict):
    """Basis points of the commissionable amount plus a fixed part in minor units."""

    bps: int = Field(0, ge=0, le=10_000)
    fixed: int = Field(0, ge=0, le=INT_MAX)
    currency: Currency = "EUR"


class NewMerchant(Strict):
    name: str = Field(min_length=1, max_length=200)
    protocol: Literal["acp", "ucp", "booking", "duffel"]
    base_url: str | None = Field(None, max_length=2000)
    discovery_url: str | None = Field(None, max_length=2000)
    settlement: Literal["platform", "merchant", "handoff"] = "platform"
    handoff_template: str | None = Field(None, max_length=2000)
    status: Literal["draft", "testing", "live", "paused"] = "draft"
    commission: Commission = Commission()
    outbound_key: str | None = Field(None, min_length=1, max_length=500)
    webhook_secret: str | None = Field(None, min_length=1, max_length=500)
    stripe_account: str | None = Field(None, max_length=200)


class MerchantChange(Strict):
    name: str | None = Field(None, min_length=1, max_length=200)
    status: Literal["draft", "testing", "live", "paused"] | None = None
    commission: Commission | None = None
    stripe_account: str | None = Field(None, max_length=200)


class NewUser(Strict):
    name: str = Field("", max_length=200)
    email: str | None = Field(None, max_length=200, pattern=r"^[^@\s]+@[^@\s]+$")
    password: str | None = Field(None, min_length=8, max_length=200)
    plan: str = "free"
    timezone: TimeZone = "UTC"


class UserChange(Strict):
    plan: str | None = None
    name: str | None = Field(None, max_length=200)
    timezone: TimeZone | None = None


class NewKey(Strict):
    role: Literal["user", "merchant", "operator"]
    user_id: str | None = None
    merchant_id: str | None = None
    read_only: bool = False
    expires_at: Moment | None = None


@router.post("/merchants", status_code=201)
async def create_merchant(body: NewMerchant, request: Request, session: Session) -> dict[str, Any]:
    given = body.model_dump(exclude={"commission"})
    row = await merchants.create(
        session,
        vault=request.app.state.vault,
        commission_bps=body.commission.bps,
        commission_fixed=body.commission.fixed,
        commission_currency=body.commission.currency,
        **given,
    )
    merchants.check_reachable(given, allow=request.app.state.reachable)
    return merchants.document(row)


@router.get("/merchants")
async def list_merchants(
    session: Session,
    cursor: Cursor = None,
    limit: Annotated[int, Query(ge=1, le=1000)] = 1000,
) -> dict[str, Any]:
    """Newest first."""
    last = await _last(session, Merchant, cursor)
    rows = await merchants.newest(session, limit=limit + 1, after=last)
    more = rows[limit - 1].id if len(rows) > limit else None
    return {"data": [merchants.document(row) for row in rows[:limit]], "next_cursor": more}


@router.patch("/merchants/{merchant_id}")
async def change_merchant(
    merchant_id: str, body: MerchantChange, session: Session
) -> dict[str, Any]:
    """A paused merchant disappears from search at once; its open orders go on."""
    changes = body.model_dump(exclude_unset=True, exclude={"commission"})
    if body.commission is not None:
        changes |= {
            "commission_bps": body.commission.bps,
            "commission_fixed": body.commission.fixed,
            "commission_currency": body.commission.currency,
        }
    return merchants.document(await merchants.change(session, merchant_id, **changes))


@router.post("/users", status_code=201)
async def create_user(body: NewUser, request: Request, session: Session) -> dict[str, Any]:
    """The person and a first key, shown once."""
    _known_plan(request, body.plan)
    row = UserAccount(
        name=body.name,
        email=body.email.lower() if body.email else None,
        password_hash=auth.hash_password(body.password) if body.password else None,
        plan=body.plan,
        timezone=body.timezone,
    )
    session.add(row)
    try:
        await session.flush()
    except IntegrityError as error:
        raise Conflict("This e-mail address has an account already") from error
    await session.refresh(row)
    return {**_user(row), "key": await auth.create_key(session, role="user", user_id=row.id)}


@router.get("/users")
async def list_users(session: Session, cursor: Cursor = None, limit: Limit = 50) -> dict[str, Any]:
    query = select(UserAccount).where(col(UserAccount.deleted_at).is_(None))
    if (last := await _last(session, UserAccount, cursor)) is not None:
        query = query.where(col(UserAccount.id) > last.id)
    rows = (await session.execute(query.order_by(col(UserAccount.id)).limit(limit + 1))).scalars()
    found = list(rows)
    more = found[limit - 1].id if len(found) > limit else None
    return {"data": [_user(row) for row in found[:limit]], "next_cursor": more}


@router.patch("/users/{user_id}")
async def change_user(
    user_id: str, body: UserChange, request: Request, session: Session
) -> dict[str, Any]:
    """A new plan or time zone holds from the next turn; open windows keep their end."""
    row = await auth.user(session, user_id)
    if body.plan is not None:
        _known_plan(request, body.plan)
        row.plan = body.plan
    row.name = body.name if body.name is not None else row.name
    if body.timezone is not None:
        auth.move(row, body.timezone)
    session.add(row)
    return _user(row)


def _known_plan(request: Request, plan: str) -> None:
    chat: Chat = request.app.state.chat
    if plan not in chat.plans.by_name:
        raise Unprocessable(f"plan: choose one of {', '.join(chat.plans.by_name)}")


def _user(row: UserAccount) -> dict[str, Any]:
    return {
        "id": row.id,
        "name": row.name,
        "email": row.email,
        "plan": row.plan,
        "guest": row.guest,
        "timezone": row.timezone,
        "created_at": row.created_at,
    }


@router.post("/keys", status_code=201)
async def create_key(body: NewKey, session: Session) -> dict[str, Any]:
    """Shown once. A user or merchant key names whom it is for."""
    if body.role == "user":
        await auth.user(session, body.user_id or "")
    if body.role == "merchant":
        await merchants.fetch(session, body.merchant_id or "")
    key = await auth.create_key(
        session,
        role=body.role,
        user_id=body.user_id if body.role == "user" else None,
        merchant_id=body.merchant_id if body.role == "merchant" else None,
        read_only=body.read_only and body.role == "operator",
        expires_at=body.expires_at,
    )
    return {"key": key, "role": body.role, "read_only": body.read_only}


@router.get("/models")
async def list_models(request: Request) -> dict[str, Any]:
    """The catalogue as this process sees it: roles, abilities, health, and who retires when."""
    chat: Chat = request.app.state.chat
    catalogue, seats = chat.seats.catalogue, chat.seats.catalogue.roles[chat.seats.endpoint]
    data = [
        {
            "id": name,
            "roles": [role for role, seat in seats.items() if name in seat.chain],
            "context_window": model.context_window,
            "tools": model.tools,
            "vision": model.vision,
            "json": model.json_output,
            "retires": model.retires,
            "successor": model.successor,
            "restored": name in chat.seats.restored,
            "health": request.app.state.models.health.of(name),
        }
        for name, model in catalogue.models.items()
        if model.endpoint == chat.seats.endpoint
    ]
    return {"data": data, "next_cursor": None}


@router.post("/models/{model_id}/restore")
async def restore_model(model_id: str, request: Request, session: Session) -> dict[str, Any]:
    """Keep a model beyond its date. Other API processes follow within seconds."""
    chat: Chat = request.app.state.chat
    await legacy.restore(session, chat.seats.catalogue, model_id)
    chat.seats.restored |= {model_id}
    return {"id": model_id, "restored": True}


Format = Literal["json", "csv", "parquet"]


@router.get("/reports/{name}", response_model=None)
async def read_report(
    name: str,
    session: Session,
    from_: Annotated[str, Query(alias="from", max_length=40)],
    to: Annotated[str, Query(max_length=40)],
    tz: Annotated[str, Query(max_length=60)] = "UTC",
    group_by: Annotated[str | None, Query(max_length=60)] = None,
    as_of: Annotated[str | None, Query(max_length=40)] = None,
    format: Format = "json",
) -> Response:
    """Days are days of `tz`, the last one included; an instant in `to` is not. Currencies are
    never added up.

    With `as_of` all stands as it was recorded at that instant: bookings made, orders placed and
    what had become of them, turns that had closed, holds as they stood. A period that is over then
    prints the same for ever. Meters keep no history: `quota` by `bucket` answers 400 for an `as_of`
    at which a window of the period was still open. In `margin` by `plan` a commission counts for
    the plan that its buyer has now, whatever was the plan then."""
    report = await reports.run(
        session, name, from_=from_, to=to, tz=tz, group_by=group_by, as_of=as_of
    )
    return _formatted(report, format)


def _formatted(report: reports.Report, format_: Format) -> Response:
    if format_ == "parquet":
        return Response(
            formats.as_parquet(report),
            media_type="application/vnd.apache.parquet",
            headers={"content-disposition": f'attachment; filename="{report.name}.parquet"'},
        )
    if format_ == "csv":
        return Response(formats.as_csv(report), media_type="text/csv; charset=utf-8")
    return Response(formats.as_json(report), media_type="application/json")


@router.get("/ledger/accounts")
async def ledger_accounts(session: Session) -> dict[str, Any]:
    return {"data": await ledger.accounts(session), "next_cursor": None}


@router.get("/ledger/entries")
async def ledger_entries(
    session: Session,
    cursor: Annotated[int, Query(ge=0, le=INT_MAX)] = 0,
    limit: Limit = 100,
) -> dict[str, Any]:
    return await ledger.entries(session, cursor=cursor, limit=limit)


@router.get("/ledger/verify")
async def ledger_verify(session: Session) -> dict[str, Any]:
    return (await ledger.verify(session)).as_dict()


@router.get("/reconciliation")
async def read_reconciliation(
    request: Request, days: Annotated[int, Query(ge=1, le=400)] = reconciling.DAYS
) -> dict[str, Any]:
    """Charges, orders, ledger and who pays for plans, of the last `days` days, held together.

    `differences` is what does not fit; `under_way` are purchases that have not ended yet.
    """
    state = request.app.state
    billing = state.counter.billing
    made = await reconciling.reconcile(state.database, state.payments, billing, days=days)
    return made.document()


@router.get("/incidents")
async def list_incidents(
    session: Session, cursor: Cursor = None, limit: Limit = 100
) -> dict[str, Any]:
    """Newest first."""
    last = await _last(session, Incident, cursor)
    rows = await incidents.newest(session, limit=limit + 1, after=last)
    more = rows[limit - 1].id if len(rows) > limit else None
    return {"data": [row.model_dump(mode="json") for row in rows[:limit]], "next_cursor": more}
