"""Children die with their parent, are restarted when they crash, and stop when told."""

import asyncio
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from integrations.embedded.homelock import HomeTaken, sole, taken
from integrations.embedded.process import ROOT, Command, Process, keep, start
from tests.servers import until

STUBBORN = (
    "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); "
    "print('up', flush=True); signal.pause()"
)
LEASHED = (
    "from integrations.embedded.leash import die_at_end_of_input as d; import signal; "
    "d(); signal.pause()"
)


def python(code: str) -> Command:
    return Command((sys.executable, "-c", code))


def test_kill_9_of_the_parent_ends_every_child(tmp_path: Path):
    parent = subprocess.Popen(
        [sys.executable, str(Path(__file__).with_name("fakes_parent.py")), str(tmp_path / "log")],
        stdout=subprocess.PIPE,
        text=True,
        cwd=ROOT,
    )
    assert parent.stdout is not None
    children = [psutil.Process(int(pid)) for pid in parent.stdout.readline().split()]
    assert all(child.is_running() for child in children)
    parent.kill()
    parent.wait()
    parent.stdout.close()
    gone, alive = psutil.wait_procs(children, timeout=30)
    assert len(gone) == 2, alive


def test_the_end_of_standard_input_ends_a_leashed_program():
    with subprocess.Popen(
        [sys.executable, "-c", LEASHED], stdin=subprocess.PIPE, cwd=ROOT
    ) as child:
        assert child.stdin is not None
        child.stdin.close()
        assert child.wait(10) != 0


def test_a_leash_of_a_parent_that_is_gone_starts_nothing(tmp_path: Path):
    leash = ROOT / "integrations" / "embedded" / "leash.py"
    mark = tmp_path / "started"
    argv = [
        sys.executable,
        str(leash),
        "1",
        "--",
        sys.executable,
        "-c",
        f"open({str(mark)!r}, 'w')",
    ]
    assert subprocess.run(argv, check=False).returncode != 0
    assert not mark.exists()


async def test_a_child_gets_its_settings_and_a_session_of_its_own(tmp_path: Path):
    code = "import os; print(os.environ['OMP_WAIT_POLICY'], os.getsid(0) == os.getpid())"
    child = await start(python(code).with_settings(OMP_WAIT_POLICY="passive"), log=tmp_path / "log")
    assert await child.wait() == 0
    assert child.last_words() == "passive True"


async def test_a_minimal_environment_hides_everything_else(tmp_path: Path):
    code = "import os; print(sorted(k for k in os.environ if k != 'LC_CTYPE'))"
    child = await start(python(code).within({"ONE": "1"}), log=tmp_path / "log")
    await child.wait()
    assert child.last_words() == "['ONE']"


async def test_a_stubborn_child_is_killed_after_its_grace(tmp_path: Path):
    child = await start(python(STUBBORN), log=tmp_path / "log")
    await until(lambda: "up" in (tmp_path / "log").read_text(), within_s=60)
    began = time.monotonic()
    await child.stop(grace_s=0.3)
    assert not child.running
    assert time.monotonic() - began < 20


async def test_a_crashed_child_comes_back_and_stops_with_its_keeper(tmp_path: Path):
    log, starts, codes = tmp_path / "log", [], []

    async def again() -> Process:
        starts.append(await start(python(STUBBORN), log=log))
        return starts[-1]

    def crashed(_: Process, code: int) -> None:
        codes.append(code)

    first = await again()
    keeper = asyncio.create_task(keep(first, again, crashed=crashed, grace_s=0.2))
    os.kill(first.pid, signal.SIGKILL)
    await until(lambda: len(starts) == 2, within_s=60)
    assert codes == [-signal.SIGKILL]
    keeper.cancel()
    with pytest.raises(asyncio.CancelledError):
        await keeper
    assert not starts[1].running


def test_a_home_has_one_owner_and_is_free_again_afterwards(tmp_path: Path):
    with sole(tmp_path):
        assert taken(tmp_path)
        with pytest.raises(HomeTaken, match=str(os.getpid())), sole(tmp_path):
            pytest.fail("two owners")
    assert not taken(tmp_path)
