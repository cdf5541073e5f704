"""What a call to a model cost, in money and energy, with the table that says so.

Money: the overlay in `models.toml`, else the dated public list of `genai-prices`. Energy: the
overlay's range, else `ecologits`' estimate, always from-to and never one number. What nobody knows
is None, not zero; for allowances and reports the caller then counts a ceiling.
"""

import logging
import math
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import ROUND_CEILING, Decimal
from importlib.metadata import version

from ecologits.tracers.utils import llm_impacts
from genai_prices import Usage as PricedUsage
from genai_prices import calc_price
from genai_prices.data_snapshot import get_snapshot

from integrations.model_catalogue import Catalogue, CatalogueError, Model
from integrations.usage import Usage

PUBLIC_PRICES = f"genai-prices@{version('genai-prices')}"
PUBLIC_ENERGY = f"ecologits@{version('ecologits')}"
UNKNOWN = "unknown"
_ZONE = "WOR"  # the world's mix: where a provider's machines stand is not said
# It warns with every call that a model's architecture is not published; the range says that.
logging.getLogger("ecologits").setLevel(logging.CRITICAL)


@dataclass(frozen=True, slots=True)
class Cost:
    """µUSD, rounded up; None when no price is known. Watt-hours from-to, or None."""

    usd_micros: int | None
    energy_wh: tuple[float, float] | None
    price_version: str
    energy_version: str


def check_providers(catalogue: Catalogue, *, source: str) -> None:
    """Raises `CatalogueError` for a `price_provider` that the public list does not have.

    A model that the list's provider does not have is no mistake: it may be newer than the list.
    """
    amiss = []
    for name, model in catalogue.models.items():
        if model.price_provider is None or model.input_usd_micros_per_mtok is not None:
            continue
        try:
            get_snapshot().find_provider(None, model.price_provider, None)
        except LookupError:
            known = ", ".join(sorted(each.id for each in get_snapshot().providers))
            amiss.append(
                f"{source}: models.{name}: price_provider: no public prices of "
                f"{model.price_provider!r}; name one of {known}, or give the model's own prices"
            )
    if amiss:
        raise CatalogueError("\n".join(amiss))


def cost(
    name: str,
    model: Model,
    usage: Usage,
    *,
    overlay: str = "models.toml",
    at: datetime | None = None,
    seconds: float | None = None,
) -> Cost:
    """Of one call: begun `at`, answered after `seconds`. `overlay` names the file's version."""
    money, price_version = _money(name, model, usage, overlay, at)
    energy, energy_version = _energy(name, model, usage, overlay, seconds)
    return Cost(money, energy, price_version, energy_version)


def _money(
    name: str, model: Model, usage: Usage, overlay: str, at: datetime | None
) -> tuple[int | None, str]:
    if model.input_usd_micros_per_mtok is not None:
        full, out = model.input_usd_micros_per_mtok, model.output_usd_micros_per_mtok or 0
        kept = model.cached_usd_micros_per_mtok
        tokens = (usage.input - usage.cached) * full + usage.output * out
        tokens += usage.cached * (full if kept is None else kept)
        return -(-tokens // 1_000_000), overlay
    priced = PricedUsage(
        input_tokens=usage.input, cache_read_tokens=usage.cached, output_tokens=usage.output
    )
    try:
        found = calc_price(
            priced,
            model_ref=model.upstream or name,
            provider_id=model.price_provider,
            genai_request_timestamp=at or datetime.now(UTC),
        )
    except LookupError:
        return None, UNKNOWN
    micros = (Decimal(found.total_price) * 1_000_000).to_integral_value(ROUND_CEILING)
    return int(micros), PUBLIC_PRICES


def _energy(
    name: str, model: Model, usage: Usage, overlay: str, seconds: float | None
) -> tuple[tuple[float, float] | None, str]:
    if model.energy_wh_per_ktok is not None:
        low, high = model.energy_wh_per_ktok
        return (low * usage.output / 1000, high * usage.output / 1000), overlay
    if model.price_provider is None or usage.output == 0:
        return None, UNKNOWN
    found = llm_impacts(
        provider=model.price_provider,
        model_name=model.upstream or name,
        output_token_count=usage.output,
        request_latency=seconds or math.inf,
        electricity_mix_zone=_ZONE,
    )
    if found.energy is None:
        return None, UNKNOWN
    kwh = found.energy.value
    low, high = (kwh, kwh) if isinstance(kwh, int | float) else (kwh.min, kwh.max)
    return (low * 1000, high * 1000), PUBLIC_ENERGY


def ceiling(catalogue: Catalogue, name: str, *, tokens_in: int, tokens_out: int) -> int:
    """The most that a call may cost, in µUSD: what an allowance of cost reserves for it."""
    longest = Usage(input=tokens_in, output=tokens_out)
    known, _ = _money(name, catalogue.models[name], longest, "", None)
    if known is not None:
        return known
    return -(-(tokens_in + tokens_out) * catalogue.unknown_usd_micros_per_mtok // 1_000_000)
