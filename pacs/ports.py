"""Ports on loopback."""

from __future__ import annotations

import socket

from pacs.failure import DemoError

LOOPBACK = "127.0.0.1"


def free_port(wanted: int) -> int:
    """Return a port that is free on loopback; raise DemoError when the wanted one is not.

    wanted  0 takes any
    """
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, wanted))
        except OSError as error:
            raise DemoError(f"Port {wanted} is in use. End what uses it, or choose another one.") from error
        return int(probe.getsockname()[1])
