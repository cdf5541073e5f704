"""The socket that a server of ours listens on."""

import socket


def listen(host: str, port: int, *, backlog: int | None = None) -> socket.socket:
    """Bound and listening; port 0 takes a free one. Raises `OSError` where it cannot be taken.

    What it accepts sends at once. An event loop sees to that itself, but only for sockets whose
    protocol is named, which those made by `create_server` are not: then the second half of each
    answer on a connection that is kept open waits 40 ms for the acknowledgement of the first.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    opened = socket.create_server((host, port), family=family, backlog=backlog)
    opened.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return opened
