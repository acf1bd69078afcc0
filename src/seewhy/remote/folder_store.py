"""A folder of a store that is written to: files appear whole under their names, or not at all."""

from __future__ import annotations

import secrets
from pathlib import Path
from typing import Any, Final

from seewhy.remote.address import Address
from seewhy.remote.failures import RemoteError
from seewhy.remote.files import RemoteFile, files_below
from seewhy.remote.stores import ask

WHOLE: Final = frozenset({"s3", "s3a", "gs", "gcs", "abfs", "az", "hf", "oss", "oci", "memory"})
"""Stores whose files appear with their last byte; in others they are written under another name first."""


class FolderStore:
    """Files below an address, by relative names. Every call raises what :func:`seewhy.remote.stores.ask` raises.

    Example:
        >>> folder = FolderStore(Address("memory", "bucket/run"))
        >>> folder.create("lease", b"mine"), folder.create("lease", b"yours"), folder.read("lease")
        (True, False, b'mine')
    """

    def __init__(self, address: Address) -> None:
        self.address = address

    def listing(self) -> dict[str, RemoteFile]:
        """Every file by its name; none where the folder is not there yet."""
        try:
            return files_below(self.address)
        except RemoteError as failure:
            if failure.kind != "absent":
                raise
            return {}

    def names(self) -> set[str]:
        """The names of the files and folders directly in it; none where it is not there yet."""
        try:
            found = ask(self.address, lambda system, path: list(system.ls(path, detail=False)))
        except RemoteError as failure:
            if failure.kind != "absent":
                raise
            return set()
        return {str(one).rstrip("/").rpartition("/")[2] for one in found}

    def read(self, name: str) -> bytes | None:
        """A small file, None where it is not there."""
        try:
            return ask(self.address / name, lambda system, path: bytes(system.cat_file(path)))
        except RemoteError as failure:
            if failure.kind != "absent":
                raise
            return None

    def write(self, name: str, data: bytes) -> None:
        """A small file, in the place of the one that is there."""
        ask(self.address / name, lambda system, path: _put(system, path, data, self.address.protocol))

    def create(self, name: str, data: bytes) -> bool:
        """A small file of which nobody else writes the like, unless there is one; false where there is.

        Only some stores decide that in one step. A file that is there with these bytes is this one: the store took it,
        and its answer was lost.
        """
        if self.read(name) is not None:
            return False

        def put(system: Any, path: str) -> bool:
            try:
                system.pipe_file(path, data, mode="create")
            except FileExistsError:
                return self.read(name) == data
            except (TypeError, NotImplementedError, ValueError):
                _put(system, path, data, self.address.protocol)
            return True

        try:
            return ask(self.address / name, put)
        except RemoteError as failure:
            if failure.kind == "broken" and self.read(name) is not None:
                return self.read(name) == data
            raise

    def send(self, name: str, source: Path) -> None:
        """A file of this machine, in the place of the one that is there."""

        def put(system: Any, path: str) -> None:
            if self.address.protocol in WHOLE:
                system.put_file(str(source), path)
                return
            draft = _beside(system, path)
            system.put_file(str(source), draft)
            system.mv(draft, path)

        ask(self.address / name, put)

    def fetch(self, name: str, target: Path) -> None:
        """A copy on this machine."""
        ask(self.address / name, lambda system, path: system.get_file(path, str(target)))

    def remove(self, name: str) -> None:
        """Delete a file, if it is there."""
        try:
            ask(self.address / name, lambda system, path: system.rm_file(path))
        except RemoteError as failure:
            if failure.kind != "absent":
                raise


def _put(system: Any, path: str, data: bytes, protocol: str) -> None:
    if protocol in WHOLE:
        system.pipe_file(path, data)
        return
    draft = _beside(system, path)
    system.pipe_file(draft, data)
    system.mv(draft, path)


def _beside(system: Any, path: str) -> str:
    folder, _, name = path.rpartition("/")
    system.makedirs(folder, exist_ok=True)
    return f"{folder}/.seewhy-{secrets.token_hex(6)}-{name}"
