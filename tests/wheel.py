"""`make wheel`'s check: the built wheel holds the product, all of it and nothing else, and imports.

Run as `python tests/wheel.py FOLDER`; exits 1 with what is wrong.
"""

import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

NEEDED = (
    "backend/migrations/versions/0001_first.py",
    "frontend-static/dist/index.html",
    "graphs/prompts/light.md",
    "graphs/router/policies.toml",
    "integrations/booking.openapi.json",
    "integrations/embedded/weights.lock",
    "integrations/models.toml",
    "integrations/simulators/places.jsonl",
    "quotas/plans.toml",
)
IMPORT = "import backend.app, backend.cli; print(backend.app.__file__)"


def main(folder: Path) -> int:
    wheels = list(folder.glob("emptor-*.whl"))
    if len(wheels) != 1:
        sys.stderr.write(f"expected one wheel in {folder}, found {len(wheels)}\n")
        return 1
    with zipfile.ZipFile(wheels[0]) as archive, tempfile.TemporaryDirectory() as place:
        names = set(archive.namelist())
        missing = [name for name in NEEDED if name not in names]
        roots = {name.split("/")[0] for name in names if ".dist-info/" not in name}
        stray = roots - {"backend", "graphs", "integrations", "quotas", "frontend-static"}
        if missing or stray:
            sys.stderr.write(f"missing: {missing}; does not belong: {sorted(stray)}\n")
            return 1
        archive.extractall(place)
        found = subprocess.run(
            [sys.executable, "-I", "-c", f"import sys; sys.path.insert(0, {place!r}); {IMPORT}"],
            cwd=place,
            capture_output=True,
            text=True,
            check=False,
        )
        if found.returncode or not found.stdout.startswith(place):
            sys.stderr.write(found.stderr or f"imported from elsewhere: {found.stdout}")
            return 1
    print(f"{wheels[0].name}: {len(names)} files, imports")  # noqa: T201
    return 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
