"""What lies below a folder, as every data set of files sees it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from seewhy.data.places import Place
from seewhy.data.remote_folder import RemotePath, walk


def visible_folders(root: Place) -> Iterator[tuple[PurePosixPath, list[str], list[str]]]:
    """Every folder from ``root`` on: its path below ``root``, the names of its folders and of its files, sorted.

    Linked folders are followed, once each; hidden files and folders are left out. Who clears the list of folders keeps
    the walk out of them.
    """
    for here, names, files in walk(root) if isinstance(root, RemotePath) else _on_disk(root):
        names[:] = sorted(name for name in names if not name.startswith("."))
        yield PurePosixPath(here), names, sorted(file for file in files if not file.startswith("."))


def _on_disk(root: Path) -> Iterator[tuple[str, list[str], list[str]]]:
    seen = set()
    for folder, names, files in os.walk(root, followlinks=True):
        real = os.path.realpath(folder)
        if real in seen:
            names.clear()
            continue
        seen.add(real)
        yield Path(folder).relative_to(root).as_posix(), names, files
