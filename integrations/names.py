"""Host names as addresses, looked up in threads of their own.

The operating system's lookup blocks its thread, and no deadline frees it: in the loop's own pool, a
few calls to one partner whose DNS hangs would keep everybody waiting. Here a name has one lookup
under way, which all its callers share; each leaves at its own deadline.
"""

import asyncio
import socket
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

Ask = Callable[[str], Sequence[str]]
AT_ONCE = 64  # names; a thread is started only when none is free


def system(host: str) -> Sequence[str]:
    """All addresses of `host` as the operating system knows them. Raises `OSError`."""
    try:
        found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except UnicodeError as error:  # a label of more than 63 letters
        raise OSError(f"{host} is no name") from error
    return [str(entry[4][0]) for entry in found]


class Names:
    """Resolves for one client, in one event loop. `ask` blocks as long as it likes."""

    def __init__(self, ask: Ask = system) -> None:
        self._ask = ask
        self._pool = ThreadPoolExecutor(AT_ONCE, thread_name_prefix="names")
        self._under_way: dict[str, asyncio.Future[Sequence[str]]] = {}

    async def __call__(self, host: str, _port: int) -> Sequence[str]:
        """All addresses of `host`. Raises `OSError`."""
        answer = self._under_way.get(host) or self._start(host)
        await asyncio.wait((answer,))  # giving up does not cancel it for the others
        if answer.cancelled():
            raise OSError("the client was closed")
        return answer.result()

    def _start(self, host: str) -> asyncio.Future[Sequence[str]]:
        loop = asyncio.get_running_loop()
        answer = loop.run_in_executor(self._pool, self._ask, host)
        self._under_way[host] = answer
        answer.add_done_callback(lambda done: self._ended(host, done))
        return answer

    def _ended(self, host: str, answer: asyncio.Future[Sequence[str]]) -> None:
        del self._under_way[host]
        if not answer.cancelled():
            answer.exception()  # seen, also where nobody waits for it any more

    def close(self) -> None:
        """Waits for nothing: a thread that hangs ends with its lookup."""
        for answer in self._under_way.values():
            answer.cancel()
        self._pool.shutdown(wait=False, cancel_futures=True)
