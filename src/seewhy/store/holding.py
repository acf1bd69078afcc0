"""A run directory held by whoever is no run: to read it, add to it or delete it while nobody writes there."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

from seewhy.store.files import remove_temporaries
from seewhy.store.layout import LOCK
from seewhy.store.lock import DirectoryLock
from seewhy.store.places import disk_told


@contextlib.contextmanager
def holding(place: Path) -> Iterator[None]:
    """Hold the run directory ``place`` for the block; what a killed writer left half-written is deleted first.

    Raises:
        StoreError: ``SW-S04``, another writer holds it; ``SW-S02`` or ``SW-S03``, the file system does not let it.
    """
    lock = DirectoryLock(place / LOCK)
    abandoned = lock.acquire()
    try:
        if abandoned:
            with disk_told(place):
                remove_temporaries(place)
        yield
    finally:
        lock.release()
