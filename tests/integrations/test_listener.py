"""A server's socket answers at once, also on a connection that is kept open."""

import socket

import pytest

from integrations.listener import listen


def test_what_it_accepts_does_not_hold_back_the_second_half_of_an_answer():
    with listen("127.0.0.1", 0) as opened, socket.create_connection(opened.getsockname()):
        accepted, _ = opened.accept()
        with accepted:
            assert accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)


def test_a_taken_port_is_an_error_of_the_system():
    with listen("127.0.0.1", 0) as first, pytest.raises(OSError, match="in use"):
        listen("127.0.0.1", first.getsockname()[1])
