"""What a store may answer to a run that belongs there, each with a code of its own."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import fsspec
import pytest
from fsspec.implementations.memory import MemoryFileSystem

from memory_store import use_memory
from seewhy.pipeline.remote_output import fetch_run, require_usable
from seewhy.remote import stores
from seewhy.remote.address import Address
from seewhy.values import StoreError


@pytest.fixture
def address(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Address:
    """Where a run is, or all of one that matters here."""
    use_memory(monkeypatch, tmp_path / "machine")
    monkeypatch.setattr(stores, "PAUSES", (0.0,))
    fsspec.filesystem("memory").pipe_file("/refusing/run/manifest.json", b"{}")
    return Address("memory", "refusing/run")


def raising(error: OSError) -> Callable[..., Any]:
    def answer(*_: object, **__: object) -> Any:
        raise error

    return answer


@pytest.mark.parametrize(
    ("error", "code", "said"),
    [
        (PermissionError("not yours"), "SW-S53", "memory://refusing/run: access is denied"),
        (OSError("went away"), "SW-S55", "memory://refusing/run: the store failed"),
    ],
)
def test_a_store_that_denies_or_fails_is_told_before_the_run(
    address: Address, monkeypatch: pytest.MonkeyPatch, error: OSError, code: str, said: str
) -> None:
    monkeypatch.setattr(MemoryFileSystem, "info", raising(error))
    with pytest.raises(StoreError) as refusal:
        require_usable(address)
    assert refusal.value.code == code
    assert refusal.value.message.startswith(said)


def test_a_disk_of_this_machine_that_is_full_is_not_blamed_on_the_store(
    address: Address, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    full = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    monkeypatch.setattr(MemoryFileSystem, "get_file", raising(full))
    with pytest.raises(StoreError) as refusal:
        fetch_run(address, tmp_path / "here")
    assert refusal.value.code == "SW-S56"
    assert "the local copy cannot be written (No space left on device)" in refusal.value.message
    assert not (tmp_path / "here/manifest.json").exists()
