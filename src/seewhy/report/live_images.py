"""Pictures that people drop in: kept in memory under random names, few and small, until others push them out."""

from __future__ import annotations

import secrets
import threading
from collections import OrderedDict
from typing import Final

from seewhy.report.live import LiveError

MOST_BYTES: Final = 16 * 1024**2
"""The largest picture file that is taken."""
KEPT: Final = 8


class Images:
    """The ``kept`` last pictures by a handle that nobody can guess.

    Example:
        >>> images = Images(kept=1)
        >>> first, second = images.add(b"one"), images.add(b"two")
        >>> images[second]
        b'two'
    """

    def __init__(self, kept: int = KEPT) -> None:
        self._kept = kept
        self._content: OrderedDict[str, bytes] = OrderedDict()
        self._lock = threading.Lock()

    def add(self, content: bytes) -> str:
        """Keep a picture; raises ``LiveError`` SW-W44 for one that is too large."""
        if len(content) > MOST_BYTES:
            raise too_large()
        handle = secrets.token_urlsafe(16)
        with self._lock:
            self._content[handle] = content
            while len(self._content) > self._kept:
                self._content.popitem(last=False)
        return handle

    def __getitem__(self, handle: str) -> bytes:
        """The picture of a handle; raises ``LiveError`` SW-W43 where it is not kept, or no longer."""
        with self._lock:
            if handle not in self._content:
                raise LiveError(
                    "SW-W43",
                    f"the picture is not kept: only the last {self._kept} are",
                    fix="drop it in again",
                )
            self._content.move_to_end(handle)
            return self._content[handle]


def too_large() -> LiveError:
    """The error for a file that is larger than any picture taken."""
    return LiveError(
        "SW-W44", f"the file is larger than {MOST_BYTES // 1024**2} MB", fix="drop in a smaller copy of the picture"
    )
