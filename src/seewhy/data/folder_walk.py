"""What lies below a folder, as every data set of files sees it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path, PurePosixPath


def visible_folders(root: Path) -> Iterator[tuple[PurePosixPath, list[str], list[str]]]:
    """Every folder from ``root`` on: its path below ``root``, the names of its folders and of its files, sorted.

    Linked folders are followed, once each; hidden files and folders are left out. Who clears the list of folders keeps
    the walk out of them.
    """
    seen = set()
    for folder, names, files in os.walk(root, followlinks=True):
        real = os.path.realpath(folder)
        if real in seen:
            names.clear()
            continue
        seen.add(real)
        names[:] = sorted(name for name in names if not name.startswith("."))
        here = PurePosixPath(Path(folder).relative_to(root).as_posix())
        yield here, names, sorted(file for file in files if not file.startswith("."))
