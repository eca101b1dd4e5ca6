"""Ports of this machine that nothing listens to."""

from __future__ import annotations

import socket

__all__ = ["free_ports"]


def free_ports(number: int) -> list[int]:
    """Different ports, free at the time of the call."""
    sockets = [socket.socket() for _ in range(number)]
    try:
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [int(one.getsockname()[1]) for one in sockets]
    finally:
        for one in sockets:
            one.close()
