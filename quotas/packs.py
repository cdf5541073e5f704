"""Credit packs: what can be bought on top of a plan. `packs.toml`, checked at start."""

import tomllib
from collections.abc import Mapping
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from quotas.mistakes import why
from quotas.plans import Plans, PlansError, Price

SHIPPED = Path(__file__).with_name("packs.toml")


class Pack(BaseModel):
    """`units` of the allowance `bucket`, good for `days`. The price is paid once."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    name: str
    title: str = Field(min_length=1, max_length=100)
    bucket: str
    units: int = Field(ge=1, le=10**12)
    price: Price
    days: int = Field(ge=1, le=3_660)


def load(plans: Plans, path: Path = SHIPPED) -> Mapping[str, Pack]:
    """The packs by name, and the plans are told what is for sale.

    Raises `PlansError` with every mistake; a pack for a bucket that no plan has is one. The shipped
    packs belong to the shipped plans: with other plans, those for a bucket of theirs are sold.
    """
    packs = _read(path)
    known = {bucket.name for plan in plans.by_name.values() for bucket in plan.buckets}
    if path == SHIPPED:
        packs = {name: pack for name, pack in packs.items() if pack.bucket in known}
    problems = [line for pack in packs.values() for line in _amiss(pack, known)]
    if problems:
        raise PlansError("\n".join(f"{path}: {line}" for line in problems))
    plans.top_up({pack.bucket for pack in packs.values()})
    return packs


def _amiss(pack: Pack, known: set[str]) -> list[str]:
    found = []
    if pack.bucket not in known:
        found.append(f"pack.{pack.name} bucket: no plan has {pack.bucket!r}")
    if pack.price.amount == 0:
        found.append(f"pack.{pack.name} price: give it away as a grant instead")
    return found


def _read(path: Path) -> dict[str, Pack]:
    try:
        document = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise PlansError(f"{path}: cannot be read as TOML: {error}") from error
    problems = [f"{path}: unknown key {key!r}" for key in document if key != "pack"]
    packs: dict[str, Pack] = {}
    tables = document.get("pack", {})
    for name, table in tables.items() if isinstance(tables, dict) else [("", tables)]:
        if not isinstance(table, dict):
            problems.append(f"{path}: pack.{name} is not a table; write [pack.{name or 'NAME'}]")
            continue
        try:
            packs[name] = Pack.model_validate(table | {"name": name})
        except ValidationError as error:
            for mistake in error.errors():
                key = ".".join(str(part) for part in mistake["loc"])
                said = why(mistake, (*Pack.model_fields, *Price.model_fields))
                problems.append(f"{path}: pack.{name} {key}: {said}")
    if problems:
        raise PlansError("\n".join(problems))
    return packs
