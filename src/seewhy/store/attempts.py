"""What was begun and never ended: notes that outlive a process, so that what kills it is found out."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from seewhy.store.files import write_atomic

ATTEMPTS: Final = ".attempts"
"""The folder of the notes, below a run directory; gone once the run ends."""


class Attempts:
    """How often each step of one shard was begun by processes that died in it.

    ``name`` is the shard's. Notes made for another ``holder`` of the run directory do not count: whoever was killed
    together with that run died of something else.

    Example:
        >>> import tempfile
        >>> notes = Attempts(Path(tempfile.mkdtemp()), "shards/test-00000.parquet", "me")
        >>> with notes.attempt("record 7"):
        ...     Attempts(notes.root, notes.name, "me").died("record 7")  # as the next process would see it
        1
        >>> notes.died("record 7")
        0
    """

    def __init__(self, root: Path, name: str, holder: str) -> None:
        self.root, self.name, self._holder = root, name, holder
        self._path = root / ATTEMPTS / f"{Path(name).stem}.json"
        self._begun = self._read()

    def died(self, step: str) -> int:
        """How many processes began a step and did not end it."""
        return self._begun.get(step, 0)

    @contextmanager
    def attempt(self, step: str) -> Iterator[None]:
        """Begin a step: noted until the block ends, by whatever but the end of the process."""
        self._note(step, 1)
        try:
            yield
        finally:
            if self._read():  # else the run has ended: its notes are gone, or another's
                self._note(step, -1)

    def forget(self) -> None:
        """The shard is made: nothing of this is of interest any more."""
        self._path.unlink(missing_ok=True)

    def _read(self) -> dict[str, int]:
        try:
            said = json.loads(self._path.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return {}
        return dict(said["begun"]) if said.get("holder") == self._holder else {}

    def _note(self, step: str, more: int) -> None:
        self._begun[step] = self._begun.get(step, 0) + more
        kept = {name: count for name, count in self._begun.items() if count > 0}
        said = json.dumps({"holder": self._holder, "begun": kept})
        write_atomic(self._path, said.encode("utf-8"), durable=False)


def forget_attempts(root: Path) -> None:
    """Remove all notes of a run directory: those of a holder count for no other, so any new one may."""
    shutil.rmtree(root / ATTEMPTS, ignore_errors=True)
