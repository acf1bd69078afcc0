"""Which names a dashboard answers to: the ones it was started under, and no others."""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Iterable

from seewhy.report.errors import DashboardError

LOOPBACK = ("127.0.0.1", "localhost", "[::1]")
WILDCARDS = ("0.0.0.0", "::", "[::]", "")


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches an address.

    >>> is_loopback("127.0.0.1"), is_loopback("::1"), is_loopback("localhost"), is_loopback("0.0.0.0")
    (True, True, True, False)
    """
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def allowed_hosts(host: str, port: int, names: Iterable[str] = ()) -> frozenset[str]:
    """The exact ``Host`` headers that are answered, each with its port (80 may be left out).

    ``names`` are further names of this machine; an address for everyone (``0.0.0.0``) brings those it knows itself by.

    Example:
        >>> sorted(allowed_hosts("127.0.0.1", 8000))
        ['127.0.0.1:8000', '[::1]:8000', 'localhost:8000']
    """
    own = _own_names() if host in WILDCARDS else [host]
    found = {_bracketed(name.lower()) for name in (*LOOPBACK, *own, *names)}
    for name in found:
        if not name or any(letter in name for letter in "/@?#\\ \t\r\n,*") or name in WILDCARDS:
            raise DashboardError(
                "SW-W03", f"expected the name of a machine, came {name!r}", fix="for example --name imaging.local"
            )
    return frozenset(f"{name}:{port}" for name in found) | (frozenset(found) if port == 80 else frozenset())


def _own_names() -> list[str]:
    name = socket.gethostname()
    try:
        addresses = {str(entry[4][0]) for entry in socket.getaddrinfo(name, None)}
    except OSError:
        addresses = set()
    return sorted({name, *(address.partition("%")[0] for address in addresses)} - set(WILDCARDS))


def _bracketed(name: str) -> str:
    return f"[{name}]" if ":" in name and not name.startswith("[") else name
