"""One product per home: a lock that the kernel drops when its holder goes, however it goes."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


class HomeTaken(Exception):
    """Another process has this home."""

    def __init__(self, home: Path, pid: str) -> None:
        super().__init__(
            f"Emptor already runs on {home} (process {pid or 'unknown'}). "
            "Stop it first, or set EMPTOR_HOME to another folder."
        )


@contextmanager
def sole(home: Path) -> Iterator[None]:
    """Holds `home/lock`, with our process id in it. Raises `HomeTaken`."""
    home.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(home / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "r+") as file:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise HomeTaken(home, file.read().strip()) from error
        file.truncate(0)
        file.write(f"{os.getpid()}\n")
        file.flush()
        yield
        file.seek(0)
        file.truncate(0)


def taken(home: Path) -> bool:
    """Whether a living process holds the home."""
    try:
        with sole(home):
            return False
    except HomeTaken:
        return True
