"""`docs/commerce.md` names a test for every row, and each of them exists."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[1]
ROWS = [
    line
    for line in (ROOT / "docs" / "commerce.md").read_text(encoding="utf-8").splitlines()
    if line.startswith("| ") and not line.startswith(("| feature", "|--"))
]
_TEST = re.compile(r"`(tests/[\w/]+\.py)::(\w+)`")


def test_every_row_is_shown_by_a_test():
    assert len(ROWS) >= 20
    bare = [row.split("|")[1].strip() for row in ROWS if not _TEST.search(row)]
    assert not bare, f"name the test that shows: {bare}"


def test_every_test_that_is_named_exists():
    lost = [
        f"{path}::{name}"
        for row in ROWS
        for path, name in _TEST.findall(row)
        if f"def {name}(" not in (ROOT / path).read_text(encoding="utf-8")
    ]
    assert not lost, "these moved or changed their names:\n" + "\n".join(lost)
