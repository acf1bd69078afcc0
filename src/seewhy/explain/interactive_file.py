"""Where a page goes: tried before a model is asked, and written in one step."""

from __future__ import annotations

import contextlib
import os
import stat
from pathlib import Path
from typing import Final

from seewhy.explain.drawing import Destination
from seewhy.explain.interactive_choices import FigureError
from seewhy.store.files import replacing, write_atomic
from seewhy.values import StoreError

PAGE_ENDINGS: Final = (".html", ".htm")


def page_path(path: Destination) -> Path:
    """The file that a page will be; its folder is made, and a page that is there already stays as it is.

    Raises:
        FigureError: ``SW-V02`` a path that does not end in ``.html``, ``SW-V11`` a place where no file can be written.

    Example:
        >>> import tempfile
        >>> page_path(tempfile.mkdtemp() + "/cats/cat.html").name
        'cat.html'
    """
    if not isinstance(path, str | os.PathLike) or Path(path).suffix.lower() not in PAGE_ENDINGS:
        raise FigureError(
            "SW-V02",
            f"an interactive page is written as .html, got {path!r}",
            fix="end the path in .html; explain_prediction(..., save_path='cat.png') writes a picture",
        )
    try:
        return _tried(Path(path).expanduser())
    except (OSError, ValueError, RuntimeError, StoreError) as error:
        reason = error.message if isinstance(error, StoreError) else getattr(error, "strerror", None) or str(error)
        raise FigureError(
            "SW-V11", f"no page can be written to {str(path)!r:.200}: {reason}", fix="name a file in a folder of yours"
        ) from error


def write_page(path: Path, page: str) -> None:
    """Write a page in one step; raises ``StoreError`` SW-S01 to SW-S03 where the disk fails after all."""
    write_atomic(path, page.encode(), durable=False)


def _tried(path: Path) -> Path:
    """The path, once a file could be made beside it; raises what Python and the store raise where none can."""
    with replacing(path, durable=False) as draft:
        draft.unlink()
    with contextlib.suppress(FileNotFoundError):
        if not stat.S_ISREG(path.stat().st_mode):
            raise ValueError("it is no file")
    return path
