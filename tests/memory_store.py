"""A store in this process's memory, the test's own."""

from __future__ import annotations

import pytest
from fsspec.implementations.memory import MemoryFileSystem

from seewhy.remote import stores


def use_memory(monkeypatch: pytest.MonkeyPatch, cache: object) -> None:
    """Empty ``memory://``, and point this machine's copies at a folder, until the test ends."""
    monkeypatch.setenv("SEEWHY_CACHE_DIR", str(cache))
    monkeypatch.setattr(stores, "_open", {})
    monkeypatch.setattr(MemoryFileSystem, "store", {})
    monkeypatch.setattr(MemoryFileSystem, "pseudo_dirs", [""])
