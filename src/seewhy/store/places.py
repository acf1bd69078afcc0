"""Where an output directory lies, and what the file system says against it."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

from seewhy.store.files import disk_error
from seewhy.values import StoreError


def settled(path: Path) -> Path:
    """Where a directory lies: absolute and without links. It need not be there.

    Raises:
        StoreError: ``SW-S08``, no directory can have that name; ``SW-S02`` or ``SW-S03``, it cannot be looked at.
    """
    try:
        root = path.resolve()
    except (ValueError, RuntimeError) as error:  # a zero byte, half a character, or links in a circle
        raise StoreError(
            "SW-S08", f"the output directory {str(path)!r} can be none: {error}", fix="choose another output directory"
        ) from error
    except OSError as error:
        raise disk_error(path, error) from error
    with disk_told(root), contextlib.suppress(FileNotFoundError, NotADirectoryError):
        root.stat()
    return root


@contextlib.contextmanager
def disk_told(path: Path) -> Iterator[None]:
    """A failure of the file system inside the block, told of ``path``. Raises ``StoreError`` SW-S01 to SW-S03."""
    try:
        yield
    except OSError as error:
        raise disk_error(path, error) from error
