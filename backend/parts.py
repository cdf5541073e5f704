"""The addresses of everything around the application, and how a second process finds them.

The process that started the parts writes them down beside its lock; one more API process, a
worker or a command of the same home reads them as long as that lock is held.
"""

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from pydantic import SecretStr

from integrations.embedded.homelock import taken

PARTS_FILE = "parts.json"


class StartFailed(Exception):
    """The product cannot start. The text is one clear line with the remedy."""


class Address(NamedTuple):
    """Where a demo merchant listens, and the key that it takes from us."""

    url: str
    key: str


@dataclass(frozen=True, slots=True)
class Parts:
    """Where the product's outside is, embedded or configured."""

    database_url: str
    model_base_url: str
    model_api_key: SecretStr
    stripe_base_url: str | None
    stripe_api_key: SecretStr
    stripe_webhook_secret: SecretStr
    merchants: Mapping[str, Address]


def joined(home: Path) -> Parts:
    """The parts of the product that runs on this home: for one more API process or a worker.

    Raises `StartFailed` when none runs.
    """
    try:
        held = json.loads((home / PARTS_FILE).read_text()) if taken(home) else None
    except (FileNotFoundError, ValueError):
        held = None
    if held is None:
        raise StartFailed(
            f"Nothing runs on {home}. Start it with `emptor up`, or set "
            "EMPTOR_DATABASE_URL, EMPTOR_OPENAI_BASE_URL and EMPTOR_STRIPE_API_KEY."
        )
    hidden = {name: SecretStr(held[name]) for name in _SECRETS}
    merchants = {name: Address(*where) for name, where in held["merchants"].items()}
    return Parts(**(held | hidden | {"merchants": merchants}))


_SECRETS = ("model_api_key", "stripe_api_key", "stripe_webhook_secret")


def write(path: Path, parts: Parts) -> None:
    document: dict[str, Any] = {
        name: getattr(parts, name) for name in Parts.__slots__ if name not in _SECRETS
    }
    document |= {name: getattr(parts, name).get_secret_value() for name in _SECRETS}
    draft = path.with_suffix(".tmp")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w") as file:
        json.dump(document, file)
    draft.replace(path)
