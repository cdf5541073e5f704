"""The leash: how every child of ours dies with its parent, even when that is killed by -9.

Run as `python leash.py [--user NAME] [--signal N] [--set K=V] PARENT -- PROGRAM ARGS…` it changes
the user, asks the kernel for a signal at the parent's death, and becomes PROGRAM (exec, so no
process stays in between). `die_at_end_of_input` is the second line for our own Python children:
a pipe that nobody holds open any more ends, on every system and however the parent went.
"""

import argparse
import ctypes
import os
import pwd
import signal
import sys
import threading
from typing import NoReturn

PR_SET_PDEATHSIG = 1  # linux/prctl.h
GRACE_S = 5.0


def die_with_parent(parent: int, *, by: int = signal.SIGKILL) -> None:
    """Asks Linux to send `by` when the parent goes. Must come after any change of user.

    The kernel forgets the wish at a change of credentials but keeps it over exec. It watches the
    *thread* that started us: parents start their children from their main thread.
    """
    if sys.platform != "linux":
        return
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(PR_SET_PDEATHSIG, by, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl(PR_SET_PDEATHSIG) failed")
    if os.getppid() != parent:  # it went before the wish was heard
        sys.exit(1)


def die_at_end_of_input() -> None:
    """Ends this process when standard input ends: SIGTERM first, the hard way after a grace."""

    def watch() -> None:
        while os.read(0, 4096):
            pass
        threading.Timer(GRACE_S, os._exit, (1,)).start()
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=watch, name="leash", daemon=True).start()


def become_user(name: str) -> None:
    """Gives up root for good. Raises `KeyError` when there is no such user."""
    entry = pwd.getpwnam(name)
    os.setgroups([])
    os.setgid(entry.pw_gid)
    os.setuid(entry.pw_uid)


def main() -> NoReturn:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--user")
    parser.add_argument("--signal", type=int, default=int(signal.SIGKILL))
    parser.add_argument("--set", action="append", default=[], metavar="NAME=VALUE")
    parser.add_argument("parent", type=int)
    parser.add_argument("program", nargs="+")
    args = parser.parse_args()
    if args.user:
        become_user(args.user)
    die_with_parent(args.parent, by=args.signal)
    for pair in args.set:
        name, _, value = pair.partition("=")
        os.putenv(name, value)
    os.execv(args.program[0], args.program)  # noqa: S606  a list, no shell


if __name__ == "__main__":
    main()
