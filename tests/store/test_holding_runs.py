"""A run held for reading or deleting: what fails on the way leaves it free, and says so."""

from __future__ import annotations

from pathlib import Path

import pytest

from seewhy.store import holding as module
from seewhy.store.holding import holding
from seewhy.store.layout import LOCK
from seewhy.values import StoreError


def test_litter_that_cannot_be_deleted_is_told_and_the_run_is_free_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stuck(root: Path) -> int:
        raise PermissionError(13, "Permission denied", str(root / "draft"))

    (tmp_path / LOCK).write_text("left by a writer that was killed")
    with monkeypatch.context() as patch:
        patch.setattr(module, "remove_temporaries", stuck)
        with pytest.raises(StoreError, match="SW-S02"), holding(tmp_path):
            pass
    with holding(tmp_path), pytest.raises(StoreError, match="SW-S04"), holding(tmp_path):
        pass


def test_what_a_killed_writer_left_is_deleted_what_lies_beside_it_is_not(tmp_path: Path) -> None:
    draft, own = tmp_path / ".seewhy-1-1.tmp", tmp_path / "notes.txt"
    for path in (draft, own):
        path.touch()
    with holding(tmp_path):
        assert draft.exists()  # nobody was killed here: it may be anyone's
    (tmp_path / LOCK).write_text("left by a writer that was killed")
    with holding(tmp_path):
        assert (draft.exists(), own.exists()) == (False, True)
    assert (tmp_path / LOCK).read_bytes() == b""
