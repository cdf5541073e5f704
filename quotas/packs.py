"""Credit packs: what can be bought on top of a plan. `packs.toml`, checked at start."""

import tomllib
from collections.abc import Mapping
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, ValidationError

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
    """The packs by name. Raises `PlansError`; a pack for a bucket that no plan has is a mistake."""
    try:
        tables = tomllib.loads(path.read_text(encoding="utf-8")).get("pack", {})
        packs = {name: Pack(name=name, **table) for name, table in tables.items()}
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError, TypeError) as error:
        raise PlansError(f"{path}: cannot be read: {error}") from error
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"])
        raise PlansError(f"{path}: {error.title}: {place}: {first['msg']}") from error
    known = {bucket.name for plan in plans.by_name.values() for bucket in plan.buckets}
    for pack in packs.values():
        if pack.bucket not in known:
            raise PlansError(f"{path}: pack.{pack.name} bucket: no plan has {pack.bucket!r}")
        if pack.price.amount == 0:
            raise PlansError(f"{path}: pack.{pack.name} price: give it away as a grant instead")
    return packs
