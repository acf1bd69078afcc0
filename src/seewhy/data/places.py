"""Where the files of a data set lie, on this machine or in a remote store, and how they come to be read."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final, TypeAlias, TypeVar

from seewhy.data.decoding import new_digest, revision
from seewhy.data.remote_folder import RemoteFolder, RemotePath
from seewhy.data.settings import check_directory, check_file
from seewhy.remote.address import Address, address_of, is_url, local_path
from seewhy.remote.failures import Kind, RemoteError
from seewhy.remote.files import RemoteFile, copies_of, copy_of, described, described_all, revision_text, start_of
from seewhy.values import DataError

Place: TypeAlias = Path | RemotePath
Root: TypeAlias = Path | Address
"""What the paths in a table are relative to; of a store nothing is listed for it."""

CODES: Final[Mapping[Kind, str]] = {
    "address": "SW-D140",
    "package": "SW-D141",
    "absent": "SW-D142",
    "denied": "SW-D143",
    "unreachable": "SW-D144",
    "broken": "SW-D145",
    "changed": "SW-D146",
    "cache": "SW-D147",
}
T = TypeVar("T")


@contextmanager
def told() -> Iterator[None]:
    """What fails with a store inside the block is told as a ``DataError``, SW-D140 to SW-D147."""
    try:
        yield
    except RemoteError as error:
        raise DataError(CODES[error.kind], error.message, fix=error.fix) from error


def folder_at(name: str, place: str | os.PathLike[str]) -> Place:
    """The folder that the setting ``name`` names: a path as it is, an address listed once.

    Raises ``DataError``: SW-D02 no such path, SW-D140 to SW-D147 for an address, and ``MissingExtraError``.
    """
    with told():
        address = address_of(place)
        if address is None:
            return check_directory(name, local_path(place))
        return RemotePath(RemoteFolder.listed(address))


def root_at(name: str, place: str | os.PathLike[str]) -> Root:
    """As :func:`folder_at`, where only files that a table names are wanted: of a store nothing is listed."""
    with told():
        return address_of(place) or check_directory(name, local_path(place))


def with_table(name: str, place: str | os.PathLike[str], read: Callable[[Path], T]) -> tuple[T, Root]:
    """What ``read`` makes of the table that the setting ``name`` names, and the folder the table lies in.

    Raises what :func:`folder_at` raises, and what ``read`` raises.
    """
    with told():
        address = address_of(place)
        if address is None:
            table = check_file(name, local_path(place))
            return read(table), table.parent
        with copy_of(described(address)) as copy:
            return read(copy), address.parent


def places_below(root: Root, texts: Iterable[str], *, folders: bool = False) -> dict[str, Place]:
    """The files that the cells of a table name, by cell: below ``root``, absolute, or an address; absent ones left out.

    With ``folders`` a cell may also name a folder, which is listed by itself.
    A table in a store names no files of this machine, and none outside its bucket. Raises ``DataError`` as
    :func:`folder_at`.
    """
    addresses: dict[str, Address] = {}
    places: dict[str, Place] = {}
    with told():
        for text in dict.fromkeys(texts):
            if (address := _address_below(root, text)) is not None:
                addresses[text] = address
            elif isinstance(root, Path):
                path = root / (local_path(text) if is_url(text) else text)
                if path.is_file() or (folders and path.exists()):
                    places[text] = path
        found = described_all(addresses.values())
        together = _by_folder(found.values())
        for text, address in addresses.items():
            if address in found:
                places[text] = RemotePath(together[address.parent], address.name)
            elif folders and (listed := _folder_of_record(address)) is not None:
                places[text] = listed
    return places


@contextmanager
def on_disk(place: Place) -> Iterator[Path]:
    """A file as a path, or a folder with the files that lie in it; what is remote is fetched into the cache first.

    Raises ``DataError`` SW-D142 to SW-D147 for what cannot be fetched.
    """
    if isinstance(place, Path):
        yield place
        return
    holding = copy_of(place.file) if place.is_file() else copies_of(place.files(), place.name)
    with told(), holding as copy:
        yield copy


def first_file(folder: str | os.PathLike[str], names: Sequence[str]) -> str | None:
    """The first of some names that is a file in a folder, as a path or address. Raises ``DataError`` as above."""
    with told():
        address = address_of(folder)
        if address is not None:
            there = described_all(address / name for name in names)
            return next((one.url for name in names if (one := address / name) in there), None)
    return next((str(path) for name in names if (path := local_path(folder) / name).is_file()), None)


def parent_of(place: str | os.PathLike[str]) -> str | os.PathLike[str]:
    """The folder that a file lies in, of an address one too. DataError SW-D140 for an address that is none."""
    with told():
        address = address_of(place)
    return local_path(place).parent if address is None else address.parent.url


def told_revision(place: Place) -> str | None:
    """What identifies the content of a remote file or folder without fetching it; None where that takes its bytes."""
    if isinstance(place, Path):
        return None
    texts = [revision_text(file) for file in ([place.file] if place.is_file() else place.files())]
    if any(text is None for text in texts):
        return None
    digest = new_digest()
    digest.update(repr(texts).encode())
    return digest.hexdigest()


def revision_at(place: Place, of_content: Callable[[Path], str] = revision) -> str:
    """What identifies the content: for remote files the store's own version where it is one, else ``of_content``.

    Raises ``DataError`` SW-D05 for what cannot be read, SW-D142 to SW-D147 for what cannot be fetched.
    """
    known = told_revision(place)
    if known is not None:
        return known
    with on_disk(place) as file:
        return of_content(file)


def first_bytes(place: Place, size: int) -> bytes:
    """How a file begins. ``OSError`` for one of this machine, ``DataError`` for a remote one that cannot be read."""
    if isinstance(place, Path):
        with place.open("rb") as file:
            return file.read(size)
    with told():
        return start_of(place.file, size)


def _address_below(root: Root, text: str) -> Address | None:
    """None for what is no address: a path of this machine, or one that a table in a store may not name."""
    if is_url(text):
        return address_of(text)
    if isinstance(root, Path):
        return None
    try:
        return root / text
    except RemoteError:
        return None


def _folder_of_record(address: Address) -> RemotePath | None:
    try:
        return RemotePath(RemoteFolder.listed(address))
    except RemoteError as error:
        if error.kind != "absent":
            raise
        return None


def _by_folder(files: Iterable[RemoteFile]) -> dict[Address, RemoteFolder]:
    together: dict[Address, dict[str, RemoteFile]] = {}
    for file in files:
        together.setdefault(file.address.parent, {})[file.address.name] = file
    return {folder: RemoteFolder.of(folder, inside) for folder, inside in together.items()}
