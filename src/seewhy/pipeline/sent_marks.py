"""What of a copy on this machine lies in its store already, remembered beside the copy."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Final, NamedTuple

from seewhy.remote.files import RemoteFile

SENT: Final = ".sent"


class Mark(NamedTuple):
    """What tells a file of this machine from every later one of its name: files of a run are replaced, never edited."""

    size: int
    changed: int
    inode: int


def mark_of(found: os.stat_result) -> Mark:
    """The mark of a file."""
    return Mark(found.st_size, found.st_mtime_ns, found.st_ino)


class SentMarks:
    """The marks of the files that were sent from a copy or fetched into it. Thread-safe.

    A hidden file of the copy has a line for each, so that they are deleted with it; a kill loses the last line at most.

    Example:
        >>> import tempfile
        >>> root = Path(tempfile.mkdtemp())
        >>> SentMarks(root).note("about.json", Mark(7, 12, 3))
        >>> SentMarks(root).has("about.json", Mark(7, 12, 3)), SentMarks(root).has("about.json", Mark(7, 13, 3))
        (True, False)
    """

    def __init__(self, root: Path) -> None:
        self._path = root / SENT
        self._marks = _read(self._path)
        self._noting = threading.Lock()

    @property
    def names(self) -> set[str]:
        """The files that are there by what is known here."""
        return set(self._marks)

    def has(self, name: str, mark: Mark) -> bool:
        """Whether the store has this very file."""
        return self._marks.get(name) == mark

    def note(self, name: str, mark: Mark) -> None:
        """The store has it now."""
        with self._noting:
            self._marks[name] = mark
            self._add([name, *mark])

    def forget(self, name: str) -> None:
        """The store has it no longer."""
        with self._noting:
            if self._marks.pop(name, None) is not None:
                self._add([name])

    def compare(self, there: Mapping[str, RemoteFile]) -> None:
        """Forget the files that are not ``there``, or of another size."""
        for name, mark in list(self._marks.items()):
            file = there.get(name)
            if file is None or file.size not in (None, mark.size):
                self.forget(name)

    def _add(self, line: list[str | int]) -> None:
        with suppress(OSError), self._path.open("a", encoding="ascii") as opened:  # it is sent once more then
            opened.write(f"{json.dumps(line)}\n")


def _read(path: Path) -> dict[str, Mark]:
    try:
        lines = path.read_text("ascii").splitlines()
    except (OSError, ValueError):
        return {}
    marks: dict[str, Mark] = {}
    for line in lines:
        with suppress(ValueError, TypeError):  # a line that a kill cut off
            name, *mark = json.loads(line)
            if mark:
                marks[name] = Mark(*mark)
            else:
                marks.pop(name, None)
    return marks
