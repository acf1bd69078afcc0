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
ASKED: Final = "ray.address"
TOLD: Final = "RAY_ADDRESS"
"""The environment variable that an address comes from where none is asked for."""
_FIX: Final = {
    ASKED: "write ray.address=HOST:6379 of a cluster's head node, ray.address=auto on one of its machines, or leave it "
    "out to start Ray on this machine",
    TOLD: "write ray.address=HOST:6379 of a cluster's head node, which goes before the environment variable "
    "RAY_ADDRESS; ray.address=local starts Ray on this machine",
}


def asked_address(address: str | None) -> str | None:
    """The address asked for, else that of the environment variable ``RAY_ADDRESS``; None for no cluster.

    Raises:
        ClusterError: ``SW-Y01``, it has no form that this side can join.
    """
    found = address or os.environ.get(TOLD) or None
    if found in (None, "local"):
        return None
    if not isinstance(found, str) or (found != AUTO and not _has_a_form(found)):
        by = asked_by(address)
        raise ClusterError("SW-Y01", f"{by}={found!r} is no address of a cluster's head node", fix=_FIX[by])
    return found


def asked_by(address: str | None) -> str:
    """Who names the address: ``ray.address``, or ``RAY_ADDRESS`` where no ``address`` is given."""
    return ASKED if address else TOLD


def require_answer(address: str, by: str = ASKED) -> None:
    """Refuse an address where no server of Ray's kind answers; ``by`` is who names it (:func:`asked_by`).

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
    except (OSError, ValueError) as error:  # ValueError: a name that cannot be looked up, such as a..b
        raise ClusterError("SW-Y01", f"nothing answers at {by}={address}: {error}", fix=_FIX[by]) from error
    if len(met) < _HEADER or met[3] != _SETTINGS:
        raise ClusterError("SW-Y01", f"what answers at {by}={address} is no cluster of Ray", fix=_FIX[by])


def _has_a_form(address: str) -> bool:
    host, _, port = address.rpartition(":")
    return "://" not in address and bool(host) and port.isdecimal() and len(port) <= 5 and int(port) <= 65535


def _first_frame(connection: socket.socket) -> bytes:
    """The header of what the other side sends first, shorter where it hangs up."""
    met = b""
    while len(met) < _HEADER and (more := connection.recv(_HEADER - len(met))):
        met += more
    return met
