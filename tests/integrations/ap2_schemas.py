"""Holds mandates and receipts to the published AP2 schemas, whose files name each other by path."""

import json
from functools import cache
from typing import Any

from jsonschema import Draft202012Validator, FormatChecker
from referencing import Registry, Resource

from tests.integrations.partner_schemas import ROOT, valid

DATA = ROOT.parent / "shared" / "data" / "ap2"
_BASE = "https://schemas.invalid/"


@cache
def _registry(folder: str) -> Registry[Any]:
    assert (DATA / folder).is_dir(), f"the official AP2 schemas are needed at {DATA}"
    found: list[tuple[str, Resource[Any]]] = []
    for path in sorted((DATA / folder).rglob("*.json")):
        schema = json.loads(path.read_text()) | {"$id": _BASE + path.name}
        # Types are named with and without their folder; both are this file.
        names = (path.name, f"types/{path.name}")
        found += [(_BASE + name, Resource.from_contents(schema)) for name in names]
    return Registry().with_resources(found)


def hold_to_ap2(name: str, value: Any, *, folder: str = "ap2") -> None:
    schema = {"$ref": f"{_BASE}{name}.json"}
    checked = Draft202012Validator(
        schema, registry=_registry(folder), format_checker=FormatChecker()
    )
    valid(checked, value)
