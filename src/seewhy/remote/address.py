"""Where a file lies in a remote store, and how that is told without its secrets."""

from __future__ import annotations

import os
import posixpath
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from seewhy.remote.failures import RemoteError

LOCAL: Final = ("file", "local")
WEB: Final = ("http", "https")
"""Addresses whose ``?`` begins a query, which may hold a signature; elsewhere it is a letter of the name."""

_URL: Final = re.compile(r"(?P<protocol>[A-Za-z][A-Za-z0-9+.-]+)://(?P<rest>.*)", re.DOTALL)
_OF_A_PATH: Final = re.compile(r"(?P<protocol>[A-Za-z][A-Za-z0-9+.-]+):/(?P<rest>[^/].*)", re.DOTALL)
_ANYWHERE: Final = re.compile(r"(?P<protocol>\b[A-Za-z][A-Za-z0-9+.-]+)://(?P<rest>[^\s'\"<>|]*)")
_AZURE: Final = ("abfs", "abfss", "az")
_BEFORE_AT: Final = {**dict.fromkeys(_AZURE, "a container"), "github": "an organisation and a repository"}
_WITHOUT_AT: Final = {
    **dict.fromkeys(_AZURE, "write abfs://CONTAINER/PATH, and the account as AZURE_STORAGE_ACCOUNT_NAME"),
    "github": "write github://PATH, and the rest as FSSPEC_GITHUB_ORG, FSSPEC_GITHUB_REPO and FSSPEC_GITHUB_SHA",
}
"""Stores whose own addresses have an ``@`` that is no user's: one file system serves all addresses of a protocol, so
that what chooses it stands in the environment."""


@dataclass(frozen=True, order=True, slots=True)
class Address:
    """A file or folder of a store: ``s3://bucket/folder`` has the protocol ``s3`` and the path ``bucket/folder``.

    As a text it has neither user and password nor a query, which may be a signature; :attr:`url` is the whole.
    """

    protocol: str
    path: str

    @property
    def url(self) -> str:
        """What the store is asked with."""
        return f"{self.protocol}://{self.path}"

    @property
    def name(self) -> str:
        """The last part of the path."""
        return posixpath.basename(_without_query(self.protocol, self.path).rstrip("/"))

    @property
    def parent(self) -> Address:
        """The folder it lies in."""
        above, _, _ = _without_query(self.protocol, self.path).rstrip("/").rpartition("/")
        return Address(self.protocol, above)

    def __truediv__(self, relative: str | os.PathLike[str]) -> Address:
        """What lies below, with the ``..`` of ``relative`` resolved; the address itself stays as it was written, since
        stores tell ``a//b`` from ``a/b``. ``RemoteError`` for a path that leaves the store or bucket."""
        start, *above = self.path.split("/")
        text = os.fspath(relative)
        names = [name for name in posixpath.normpath(text).split("/") if name != "."]
        climbs = names.count("..")  # all of them come first
        if climbs > len(above) or text.startswith("/") or "\0" in text:
            raise RemoteError(
                "address",
                f"{text!r} does not lie below {self}",
                fix="write a path below it, or an address",
            )
        return Address(self.protocol, "/".join([start, *above[: len(above) - climbs], *names[climbs:]]))

    def __str__(self) -> str:
        return f"{self.protocol}://{shown_path(self.protocol, self.path)}"


def is_url(place: str | os.PathLike[str]) -> bool:
    """Whether a place is an address such as ``s3://bucket/key``; a path made of one, which lost a ``/``, is too.

    Example:
        >>> is_url("s3://bucket/key"), is_url(Path("s3://bucket/key")), is_url("C:/data"), is_url("data/a.png")
        (True, True, False, False)
    """
    return _match(place) is not None


def address_of(place: str | os.PathLike[str]) -> Address | None:
    """The address that a place is; None for a path on this machine, also one told as ``file://``.

    Raises ``RemoteError`` for user and password in an address, a chain of addresses, and no path.
    """
    found = _match(place)
    if found is None or found["protocol"].casefold() in LOCAL:
        return None
    address = Address(found["protocol"].casefold(), found["rest"].rstrip("/"))
    if "@" in address.path.partition("/")[0]:
        raise RemoteError(
            "address",
            f"{address} holds {_BEFORE_AT.get(address.protocol, 'a user or a password')} before an @",
            fix=_WITHOUT_AT.get(address.protocol, "leave them out")
            + "; stores find credentials in the environment or their own files",
        )
    if "::" in address.path or "\0" in address.path:
        raise RemoteError("address", f"{address} is no single place", fix="give protocol://path, without ::")
    if not address.path.strip("/"):
        raise RemoteError("address", f"{address.protocol}:// names no place", fix="give protocol://path")
    return address


def as_place(text: str) -> str | Path:
    """A place as it was typed: an address letter by letter, which a path would not keep, else a path.

    Example:
        >>> as_place("https://host/a.ckpt?sig=x//y"), as_place("runs//a.ckpt").as_posix()
        ('https://host/a.ckpt?sig=x//y', 'runs/a.ckpt')
    """
    return text if is_url(text) else Path(text)


def name_of(place: str | os.PathLike[str]) -> str:
    """What a file at a place is called.

    Example:
        >>> name_of("https://host/a.ckpt?sig=x//y"), name_of(Path("runs/b.ckpt"))
        ('a.ckpt', 'b.ckpt')
    """
    address = address_of(place)
    return local_path(place).name if address is None else address.name


def local_path(place: str | os.PathLike[str]) -> Path:
    """A place on this machine as a path, with ``file://`` taken off and ``~`` filled in.

    Example:
        >>> local_path("file:///data/photos").as_posix()
        '/data/photos'
    """
    found = _match(place)
    if found is None:
        return Path(place).expanduser()
    rest = found["rest"]
    return Path(rest if isinstance(place, str) or rest.startswith("/") else f"/{rest}").expanduser()


def without_secrets(text: str) -> str:
    """A text whose addresses have no user and password, and no query.

    Example:
        >>> without_secrets("cannot read https://me:pw@host/a.png?X-Amz-Signature=1f2e (403)")
        'cannot read https://host/a.png (403)'
    """
    return _ANYWHERE.sub(lambda found: f"{found['protocol']}://{shown_path(found['protocol'], found['rest'])}", text)


def shown_path(protocol: str, path: str) -> str:
    """The path of an address without user, password and query."""
    host, slash, rest = _without_query(protocol, path).partition("/")
    return f"{host.rpartition('@')[2]}{slash}{rest}"


def _without_query(protocol: str, path: str) -> str:
    return re.split(r"[?#]", path, maxsplit=1)[0] if protocol.casefold() in WEB else path


def _match(place: str | os.PathLike[str]) -> re.Match[str] | None:
    text = os.fspath(place)
    return _URL.fullmatch(text) or (None if isinstance(place, str) else _OF_A_PATH.fullmatch(text))
