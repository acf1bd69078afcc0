"""A folder of a remote store that looks to the listing of a data set like one on this machine."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

from seewhy.remote.address import Address
from seewhy.remote.files import RemoteFile, files_below


@dataclass(frozen=True, eq=False)
class RemoteFolder:
    """All files below an address, listed once: by their path below it, and what lies in each folder by name."""

    address: Address
    files: Mapping[str, RemoteFile]
    folders: Mapping[str, set[str]]
    """The names in each folder; the folder itself is ``""``."""

    @classmethod
    def listed(cls, address: Address) -> RemoteFolder:
        """Ask the store. Raises what :func:`seewhy.remote.files.files_below` raises."""
        return cls.of(address, files_below(address))

    @classmethod
    def of(cls, address: Address, files: Mapping[str, RemoteFile]) -> RemoteFolder:
        """Of files that are known already."""
        folders: dict[str, set[str]] = {"": set()}
        for path in files:
            parts = path.split("/")
            for depth in range(len(parts)):
                folders.setdefault("/".join(parts[:depth]), set()).add(parts[depth])
        return cls(address, files, folders)


class RemotePath:
    """A file or folder below a :class:`RemoteFolder`, with those methods of ``Path`` that listing a data set takes.

    ``relative`` is the path below the folder, empty for the folder itself.
    """

    __slots__ = ("folder", "relative")

    def __init__(self, folder: RemoteFolder, relative: str = "") -> None:
        self.folder, self.relative = folder, relative

    @property
    def name(self) -> str:
        """The last part."""
        return self.relative.rpartition("/")[2] or self.folder.address.name

    @property
    def suffix(self) -> str:
        """The name from its last dot on."""
        return PurePosixPath(self.name).suffix

    @property
    def file(self) -> RemoteFile:
        """What the store says of it; ``KeyError`` where it is no file."""
        return self.folder.files[self.relative]

    def files(self) -> list[RemoteFile]:
        """The files that lie in a folder itself, in the order of their names; hidden ones are left out."""
        return [path.file for path in self.iterdir() if path.is_file() and not path.name.startswith(".")]

    def __truediv__(self, other: str | os.PathLike[str]) -> RemotePath:
        below = PurePosixPath(self.relative) / other
        return RemotePath(self.folder, "" if str(below) == "." else str(below))

    def is_file(self) -> bool:
        """Whether there is such a file."""
        return self.relative in self.folder.files

    def is_dir(self) -> bool:
        """Whether files lie below it."""
        return self.relative in self.folder.folders

    def exists(self) -> bool:
        """Whether there is such a file or folder."""
        return self.is_file() or self.is_dir()

    def iterdir(self) -> Iterator[RemotePath]:
        """What lies in a folder, in the order of the names."""
        return (self / name for name in sorted(self.folder.folders.get(self.relative, ())))

    def __eq__(self, other: Any) -> bool:
        return isinstance(other, RemotePath) and (self._whole, self.relative) == (other._whole, other.relative)

    def __hash__(self) -> int:
        return hash((self._whole, self.relative))

    def __str__(self) -> str:
        return str(self.folder.address / self.relative) if self.relative else str(self.folder.address)

    @property
    def _whole(self) -> Address:
        return self.folder.address


def walk(root: RemotePath) -> Iterator[tuple[str, list[str], list[str]]]:
    """Every folder from ``root`` on, as ``os.walk`` gives them: its path below ``root``, its folders and its files.

    Who removes names from the list of folders keeps the walk out of them.
    """
    waiting = ["."]
    while waiting:
        here = waiting.pop()
        inside = list((root / here).iterdir())
        names = [path.name for path in inside if path.is_dir()]
        yield here, names, [path.name for path in inside if path.is_file()]
        waiting.extend(f"{here}/{name}" for name in reversed(names))
