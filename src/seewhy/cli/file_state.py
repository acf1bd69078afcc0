"""How files lie on the disk, as one digest: names, sizes, times and numbers, without opening any of them."""

from __future__ import annotations

import errno
import hashlib
import os
import stat
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Final

_NOTHING_THERE: Final = frozenset({errno.ENOENT, errno.ENOTDIR, errno.ENAMETOOLONG})


class FileState:
    """Collects files; ``digest`` is theirs and ``count`` how many there are.

    A file is told by its name below the folder it was found in, size, times of its content and of its entry, and
    number. Paths above that folder are no part of it.

    Example:
        >>> import tempfile
        >>> folder = Path(tempfile.mkdtemp())
        >>> _ = (folder / "a.txt").write_text("one")
        >>> before, after = FileState(), FileState()
        >>> before.tree(folder)
        >>> _ = (folder / "a.txt").write_text("other")
        >>> after.tree(folder)
        >>> before.count, before.digest == after.digest
        (1, False)
    """

    def __init__(self) -> None:
        self._found = hashlib.sha256()
        self.count = 0

    @property
    def digest(self) -> str:
        """64 hexadecimal digits."""
        return self._found.hexdigest()

    def file(self, path: Path, name: str) -> None:
        """Take note of one file under ``name``. Raises ``OSError`` where it is none."""
        found = path.stat()
        if not stat.S_ISREG(found.st_mode):
            raise OSError(f"{path} is no file")
        self._note(name, found)

    def place(self, path: Path, name: str) -> None:
        """Take note of a file, of all that is below a folder, or that nothing is there."""
        try:
            found = path.stat()
        except OSError as error:
            if error.errno not in _NOTHING_THERE:
                raise
            self._say(name, "absent")
            return
        self._note(name, found)
        if stat.S_ISDIR(found.st_mode):
            self.tree(path)

    def tree(self, root: Path, without: Collection[str] = ()) -> None:
        """Take note of all that is below a folder, hidden or not; folders called as one of ``without`` are left out.

        Linked folders are followed, once each. Raises ``OSError`` where a folder cannot be listed.
        """
        for name, found in _walk(root, without):
            if found is None:
                self._say(name, "absent")
            else:
                self._note(name, found)

    def _note(self, name: str, found: os.stat_result) -> None:
        if stat.S_ISDIR(found.st_mode):
            self._say(name, f"folder {found.st_ino}")
            return
        self.count += 1
        self._say(name, f"{found.st_size} {found.st_mtime_ns} {found.st_ctime_ns} {found.st_ino}")

    def _say(self, name: str, what: str) -> None:
        self._found.update(os.fsencode(name) + f"\0{what}\n".encode())


def _walk(root: Path, without: Collection[str]) -> Iterator[tuple[str, os.stat_result | None]]:
    """Each entry's path below ``root`` with what it leads to, None for a link that leads nowhere; in a stable order."""
    top = root.stat()
    seen = {(top.st_dev, top.st_ino)}
    folders = [""]
    while folders:
        above = folders.pop()
        with os.scandir(root / above) as entries:
            listed = sorted(entries, key=lambda entry: entry.name)
        for entry in listed:
            name = f"{above}{entry.name}"
            try:
                found = entry.stat()
            except FileNotFoundError:
                yield name, None
                continue
            if stat.S_ISDIR(found.st_mode) and entry.name in without:
                continue
            yield name, found
            if stat.S_ISDIR(found.st_mode) and (found.st_dev, found.st_ino) not in seen:
                seen.add((found.st_dev, found.st_ino))
                folders.append(f"{name}/")
