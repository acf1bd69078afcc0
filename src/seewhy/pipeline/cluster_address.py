"""Whether a cluster answers at an address, told in seconds: Ray itself waits for minutes where none does."""

from __future__ import annotations

import os
import socket
from typing import Final

from seewhy.pipeline.cluster_errors import ClusterError

SECONDS: Final = 5.0
AUTO: Final = "auto"
_GREETING: Final = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes(3) + b"\x04" + bytes(5)
"""How a client of HTTP/2 begins (RFC 9113, 3.4): the preface, then settings that change nothing."""
_SETTINGS: Final = 4
_HEADER: Final = 9
_FIX: Final = (
    "write ray.address=HOST:6379 of a cluster's head node, ray.address=auto on one of its machines, or leave it out to "
    "start Ray on this machine"
)


def asked_address(address: str | None) -> str | None:
    """The address asked for, else that of the environment variable ``RAY_ADDRESS``; None for no cluster.

    Raises:
        ClusterError: ``SW-Y01``, it has no form that this side can join.
    """
    found = address or os.environ.get("RAY_ADDRESS") or None
    if found in (None, "local"):
        return None
    host, _, port = found.rpartition(":")
    if found != AUTO and ("://" in found or not host or not port.isdecimal() or int(port) > 65535):
        raise ClusterError("SW-Y01", f"ray.address={found!r} is no address of a cluster's head node", fix=_FIX)
    return found


def require_answer(address: str) -> None:
    """Refuse an address where no server of Ray's kind answers.

    Raises:
        ClusterError: ``SW-Y01``, with what was met there.
    """
    if address == AUTO or os.environ.get("RAY_USE_TLS", "0") not in ("", "0"):
        return
    host, _, port = address.rpartition(":")
    try:
        with socket.create_connection((host.strip("[]"), int(port)), timeout=SECONDS) as connection:
            connection.settimeout(SECONDS)
            connection.sendall(_GREETING)
            met = _first_frame(connection)
    except OSError as error:
        raise ClusterError("SW-Y01", f"nothing answers at ray.address={address}: {error}", fix=_FIX) from error
    if len(met) < _HEADER or met[3] != _SETTINGS:
        raise ClusterError("SW-Y01", f"what answers at ray.address={address} is no cluster of Ray", fix=_FIX)


def _first_frame(connection: socket.socket) -> bytes:
    """The header of what the other side sends first, shorter where it hangs up."""
    met = b""
    while len(met) < _HEADER and (more := connection.recv(_HEADER - len(met))):
        met += more
    return met
