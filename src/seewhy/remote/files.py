"""Remote files by what their store says of them: listed once, fetched when they are read."""

from __future__ import annotations

import os
import posixpath
import uuid
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from seewhy.remote.address import WEB, Address
from seewhy.remote.cache import file_cache
from seewhy.remote.copy_names import safe_name
from seewhy.remote.failures import RemoteError
from seewhy.remote.stores import EXTRAS, ask, is_there
from seewhy.remote.versions import changed, differ, is_strong, proves, size_of, version_of

LISTED_FROM: Final = 20
"""From so many files on, a folder is listed whole rather than asked about file by file."""
QUESTIONS_AT_ONCE: Final = 8
AT_ONCE: Final = 16_000_000
"""Files of S3 up to this size in bytes are fetched by one request."""
_THIS_PROCESS: Final = uuid.uuid4().hex


@dataclass(frozen=True, slots=True)
class RemoteFile:
    """A file as its store described it: its size in bytes (None: not told) and version."""

    address: Address
    size: int | None
    version: str

    @property
    def key(self) -> str:
        """What its copy is kept under; of a file without any version only for as long as this process runs."""
        return f"{self.address.url}\n{self.version or _THIS_PROCESS}\n{self.size}"


def described(address: Address) -> RemoteFile:
    """One file as its store describes it now. ``RemoteError`` of kind ``absent`` where it is none, and others."""
    info = is_there(address)
    if info.get("type") == "directory":
        raise RemoteError("absent", f"{address} is a folder, not a file", fix="name a file inside it")
    return RemoteFile(address, size_of(info), version_of(info))


def files_below(folder: Address) -> dict[str, RemoteFile]:
    """Every file below a folder by its path below it, in the order of the paths; markers of folders are left out.

    Raises ``RemoteError``: ``absent`` no such bucket or folder, ``address`` names that no folder on a disk can hold
    (``..``, an empty part, NUL), and what :func:`seewhy.remote.stores.ask` raises.
    """
    info = is_there(folder)
    if info.get("type") == "file":
        raise _no_folder(folder)
    found = ask(folder, lambda system, path: _found(system, path))
    strange = [name for name in found if _is_strange(name)]
    if strange:
        raise RemoteError(
            "address",
            f"{len(strange)} names below {folder} cannot be those of files on a disk: {min(strange)!r}",
            fix="rename these objects, or list the files you mean in a manifest",
        )
    return {name: _file(folder, name, found[name]) for name in sorted(found)}


def _no_folder(address: Address) -> RemoteError:
    if address.protocol in ("http", "https"):
        return RemoteError(
            "absent",
            f"{address} is a page: a web server lists no folders",
            fix="list the files in a table: data=manifest data.path=https://…/table.csv",
        )
    return RemoteError("absent", f"{address} is a file, not a folder", fix="name the folder it lies in")


def described_all(addresses: Iterable[Address]) -> dict[Address, RemoteFile]:
    """Those of the addresses that are files; a folder with many of them is listed once.

    Raises what :func:`seewhy.remote.stores.ask` raises, but nothing for what is absent.
    """
    by_folder: dict[Address, list[Address]] = defaultdict(list)
    for address in dict.fromkeys(addresses):
        by_folder[address.parent].append(address)
    for first in {folder.protocol: wanted[0] for folder, wanted in by_folder.items()}.values():
        _first_answer(first)
    questions = [
        (folder, together)
        for folder, wanted in by_folder.items()
        for together in ([wanted] if _is_listed(folder, wanted) else [[address] for address in wanted])
    ]
    with ThreadPoolExecutor(QUESTIONS_AT_ONCE, thread_name_prefix="seewhy-question") as pool:
        answers = list(pool.map(lambda question: _answer(*question), questions))
    return {address: file for answer in answers for address, file in answer.items()}


@contextmanager
def copy_of(file: RemoteFile) -> Iterator[Path]:
    """The file on this machine, fetched where the cache does not hold this version of it; kept while in the block.

    Raises ``RemoteError``: ``absent`` it has vanished, ``changed`` it is another version now, and others.
    """
    name = safe_name(file.address.name)
    with file_cache().holding(file.key, {name: file.size}, lambda folder: _fetch(file, folder / name)) as folder:
        yield folder / name


@contextmanager
def copies_of(files: Sequence[RemoteFile], called: str) -> Iterator[Path]:
    """A folder of that name with copies of files of one remote folder. Raises as :func:`copy_of`."""
    inside = safe_name(called)
    names = {f"{inside}/{safe_name(file.address.name)}": file for file in files}

    def fill(folder: Path) -> None:
        (folder / inside).mkdir(mode=0o700)
        for name, file in names.items():
            _fetch(file, folder / name)

    key = "\n".join((called, *(file.key for file in files)))
    with file_cache().holding(key, {name: file.size for name, file in names.items()}, fill) as folder:
        yield folder / inside


def start_of(file: RemoteFile, size: int) -> bytes:
    """The first bytes of a file, without fetching the rest. Raises as :func:`copy_of`."""
    if file.size == 0:
        return b""
    return ask(file.address, lambda system, path: bytes(system.cat_file(path, start=0, end=size)))


def _found(system: Any, path: str) -> dict[str, Mapping[str, Any]]:
    root = path.rstrip("/") + "/"
    return {
        name.removeprefix(root): info
        for name, info in system.find(path, detail=True).items()
        if name.startswith(root) and info.get("type") == "file" and not name.endswith("/")
    }


def _is_strange(name: str) -> bool:
    return "\0" in name or any(part in ("", ".", "..") for part in name.split("/"))


def _file(folder: Address, name: str, info: Mapping[str, Any]) -> RemoteFile:
    return RemoteFile(Address(folder.protocol, f"{folder.path}/{name}"), size_of(info), version_of(info))


def _first_answer(address: Address) -> None:
    try:
        is_there(address)
    except RemoteError as failure:
        if failure.kind != "absent":
            raise


def _answer(folder: Address, wanted: Sequence[Address]) -> dict[Address, RemoteFile]:
    return _listed(folder, wanted) if _is_listed(folder, wanted) else _described(wanted[0])


def _is_listed(folder: Address, wanted: Sequence[Address]) -> bool:
    """A folder with an empty name is not: some stores list the one above it instead."""
    return len(wanted) >= LISTED_FROM and folder.protocol not in WEB and not folder.path.endswith("/")


def _listed(folder: Address, wanted: Sequence[Address]) -> dict[Address, RemoteFile]:
    try:
        entries = ask(folder, lambda system, path: list(system.ls(path, detail=True)))
    except RemoteError as failure:
        if failure.kind != "absent":
            raise
        return {}
    files = {posixpath.basename(info["name"]): info for info in entries if info.get("type") == "file"}
    return {one: _file(folder, one.name, files[one.name]) for one in wanted if one.name in files}


def _described(address: Address) -> dict[Address, RemoteFile]:
    try:
        info = ask(address, lambda system, path: dict(system.info(path)))
    except RemoteError as failure:
        if failure.kind != "absent":
            raise
        return {}
    return {} if info.get("type") == "directory" else {address: RemoteFile(address, size_of(info), version_of(info))}


def _fetch(file: RemoteFile, target: Path) -> None:
    """Onto the disk before its copy gets its name, and of the version that was listed."""
    name = file.address.name
    ask(file.address, lambda system, path: _download(system, path, file, target), shown=name)
    if file.size is not None and target.stat().st_size != file.size:
        raise changed(name)
    proven = proves(file.version, target) if file.version else True
    if proven is None:
        now = ask(file.address, lambda system, path: version_of(system.info(path)), shown=name)
        proven = not differ(file.version, now)
    if not proven:
        raise changed(name)
    target.chmod(0o600)
    with target.open("rb") as opened:
        os.fsync(opened.fileno())


def _download(system: Any, path: str, file: RemoteFile, target: Path) -> None:
    if file.address.protocol in EXTRAS and file.size is not None and file.size <= AT_ONCE:
        target.write_bytes(system.cat_file(path))  # s3fs's get_file asks for the description first, which is known
    else:
        system.get_file(path, str(target))


def revision_text(file: RemoteFile) -> str | None:
    """What identifies the content without reading it; None where the store tells nothing that does.

    Example:
        >>> revision_text(RemoteFile(Address("s3", "bucket/a.png"), 7, "etag:9a03"))
        'etag:9a03/7'
    """
    return f"{file.version}/{file.size}" if is_strong(file.version) else None
