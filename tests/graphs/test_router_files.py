"""`emptor route`: a file of turns in, a file of routes out, in order, whatever the lines hold."""

import io
import json
from pathlib import Path

import pytest

from graphs.router.batch import route_file
from graphs.state import Ask
from tests.graphs.fakes_router import loaded_router

FIELDS = [
    "id", "kind", "sub", "domain", "action", "confidence", "cause", "role", "latency_us",
]  # fmt: skip


def run(folder: Path, lines: list[bytes]) -> tuple[int, list[dict[str, object]], str]:
    source, target, errors = folder / "turns.jsonl", folder / "routes.jsonl", io.StringIO()
    source.write_bytes(b"\n".join(lines) + b"\n")
    code = route_file(source, target, loaded_router(), errors=errors)
    written = [json.loads(line) for line in target.read_text("utf-8").splitlines()]
    return code, written, errors.getvalue()


def turn(name: object, text: object, **more: object) -> bytes:
    return json.dumps({"id": name, "text": text, **more}, ensure_ascii=False).encode()


def test_routes_are_written_in_order_with_the_contract_fields(tmp_path: Path) -> None:
    code, routes, errors = run(
        tmp_path, [turn("a", "订一间房"), turn("b", "hi"), turn("c", "prove 1+1=2 from Peano")]
    )
    assert (code, errors) == (0, "")
    assert [r["id"] for r in routes] == ["a", "b", "c"]
    assert [r["kind"] for r in routes] == ["commercial", "casual", "complex"]
    assert all(list(r) == FIELDS for r in routes)


def test_context_is_read(tmp_path: Path) -> None:
    context = [
        {"role": "user", "text": "a table for two"},
        {"role": "assistant", "text": "Seven o'clock at Lantern Garden. Shall I book it?"},
    ]
    _, routes, _ = run(tmp_path, [turn("x", "yes", context=context), turn("y", "yes")])
    assert [r["kind"] for r in routes] == ["commercial", "casual"]


def test_broken_lines_are_named_and_the_others_written(tmp_path: Path) -> None:
    lines = [
        turn("a", "hello"),
        b"{not json",
        turn("b", 7),
        b'"just a string"',
        b"\xff\xfe",
        b'{"id": "c"}',
        turn("d", "bye", context="none"),
        turn("e", "thanks"),
    ]
    code, routes, errors = run(tmp_path, lines)
    assert code == 1
    assert [r["id"] for r in routes] == ["a", "e"]
    named = [int(line.split(".jsonl:")[1].split(":")[0]) for line in errors.splitlines()]
    assert named == [2, 3, 4, 5, 6, 7]


def test_many_lines_keep_their_order_and_are_decided_as_if_alone(tmp_path: Path) -> None:
    texts = ["book a table", "hi", "prove 1+1=2 from Peano", "订一间房", "谢谢", "用推理模型：1+1"]
    lines = [turn(n, texts[n % len(texts)]) for n in range(1_100)]
    lines[700] = b"{broken"
    code, routes, errors = run(tmp_path, lines)
    assert (code, errors.count(":701:")) == (1, 1)
    assert [r["id"] for r in routes] == [n for n in range(1_100) if n != 700]
    alone = {t: loaded_router().route(Ask(t)) for t in texts}
    for route in routes:
        expected = alone[texts[int(str(route["id"])) % len(texts)]]
        assert (route["kind"], route["confidence"]) == (expected.kind, expected.confidence)


def test_a_byte_order_mark_is_no_fault(tmp_path: Path) -> None:
    code, routes, _ = run(tmp_path, [b"\xef\xbb\xbf" + turn("a", "hi")])
    assert (code, len(routes)) == (0, 1)


def test_labels_and_empty_lines_do_no_harm(tmp_path: Path) -> None:
    code, routes, _ = run(tmp_path, [turn("a", "hi", label="complex"), b"", b"  ", turn("b", "hi")])
    assert (code, len(routes)) == (0, 2)


@pytest.mark.parametrize("text", ["", "😀", "x " * 500_000, "def f(): pass", "订 room 帮我 please"])
def test_odd_texts_are_routed(tmp_path: Path, text: str) -> None:
    code, routes, _ = run(tmp_path, [turn("odd", text)])
    assert (code, len(routes)) == (0, 1)


def test_an_empty_file_gives_an_empty_file(tmp_path: Path) -> None:
    code, routes, errors = run(tmp_path, [])
    assert (code, routes, errors) == (0, [], "")


def test_a_missing_source_is_an_os_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        route_file(tmp_path / "none.jsonl", tmp_path / "out.jsonl", loaded_router())
