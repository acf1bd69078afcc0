"""One writer for a run in a store: a small file there says who it is, renewed while it lives, read before it writes."""

from __future__ import annotations

import json
import os
import socket
import threading
import time
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from typing import Final

from seewhy.remote.failures import RemoteError
from seewhy.remote.folder_store import FolderStore
from seewhy.values import StoreError

LEASE: Final = ".lease"
RENEWED_SECONDS: Final = 30.0
STALE_SECONDS: Final = 120.0
SETTLING_SECONDS: Final = 1.0
"""After taking over a lease, how long another who does so at once has to show."""


@dataclass(frozen=True)
class Said:
    """What the file says: who wrote last (``token`` and in words), when, and whether it is at work still."""

    token: str
    host: str
    process: int
    seen: float
    open: bool

    def encode(self) -> bytes:
        """The bytes of the file."""
        return json.dumps(asdict(self)).encode()


class Lease:
    """The right to write into a folder of a store; :func:`holding` gives it."""

    def __init__(self, folder: FolderStore, token: str, follows: str, clock: Callable[[], float]) -> None:
        self._folder, self._clock = folder, clock
        self.token = token
        self.follows = follows
        """The token of the writer before this one, empty where there was none."""
        self.copied = False
        """Whether this machine has a copy of what that writer left."""
        self._lost = threading.Event()
        self._seen = clock()  # of the wall, which goes on while a process is stopped or its machine sleeps

    def require_held(self, within: float = 0.0) -> None:
        """Look into the store, and raise ``StoreError`` SW-S57 where another writer has taken over.

        That nobody had ``within`` so many seconds ago is enough. Raises ``RemoteError`` from the store.
        """
        if not 0 <= self._clock() - self._seen < within:
            self._look()
        if self._lost.is_set():
            raise StoreError(
                "SW-S57",
                f"another writer has taken over {self._folder.address}, since this one was not heard of for "
                f"{STALE_SECONDS:.0f} s",
                fix="let that one end, then run the same command again: it goes on from what the store holds then",
            )

    def renew(self) -> None:
        """Say that this writer is alive; where another one has taken over, remember that."""
        self._look()
        if not self._lost.is_set():
            self._folder.write(LEASE, _said(self.token, self._clock(), is_open=True).encode())

    def renew_until(self, ended: threading.Event) -> None:
        """Renew now and then; a store that does not answer is asked again the next time."""
        while not ended.wait(RENEWED_SECONDS) and not self._lost.is_set():
            try:
                self.renew()
            except RemoteError:
                continue

    def give_back(self) -> None:
        """Let the next writer in at once; where another one has taken over, the file is that one's."""
        self._look()
        if not self._lost.is_set():
            self._folder.write(LEASE, _said(self.token, self._clock(), is_open=False).encode())

    def _look(self) -> None:
        """Read who holds the lease; it is lost for good once that is another."""
        asked = self._clock()
        now = _parse(self._folder.read(LEASE))
        if now is not None and now.token != self.token:
            self._lost.set()
        self._seen = asked


def require_free(folder: FolderStore, own: Collection[str], clock: Callable[[], float] = time.time) -> str:
    """The token of the one who wrote last, empty where nobody did.

    Raises ``StoreError`` SW-S51 where a writer that is none of ``own`` is at work.
    """
    said = _parse(folder.read(LEASE))
    if said is not None and said.open and said.token not in own and clock() - said.seen < STALE_SECONDS:
        raise StoreError(
            "SW-S51",
            f"{folder.address} is being written by process {said.process} on {said.host}, last heard of "
            f"{max(clock() - said.seen, 0):.0f} s ago",
            fix=f"wait until it ends, or {STALE_SECONDS:.0f} s after it was killed; or choose another output_dir",
        )
    return said.token if said else ""


@contextmanager
def holding(
    folder: FolderStore, token: str, own: Collection[str], clock: Callable[[], float] = time.time
) -> Iterator[Lease]:
    """Hold the lease of a folder as ``token``; ``own`` are those of earlier writers of this machine that have ended.

    A store that creates files in one step lets exactly one writer into a new folder. Where a lease is taken over, two
    that do so within a second may both believe to hold it until one renews it.

    Raises ``StoreError`` SW-S51, and ``RemoteError`` from the store.
    """
    lease = Lease(folder, token, require_free(folder, own, clock), clock)
    mine = _said(lease.token, clock(), is_open=True).encode()
    if not folder.create(LEASE, mine):
        require_free(folder, own, clock)
        folder.write(LEASE, mine)
        time.sleep(SETTLING_SECONDS)
        require_free(folder, [token], clock)
    ended = threading.Event()
    renewing = threading.Thread(target=lease.renew_until, args=(ended,), name="seewhy-lease", daemon=True)
    renewing.start()
    try:
        yield lease
    finally:
        ended.set()
        renewing.join()
        with suppress(RemoteError):  # it becomes stale; the error of the work itself is the one to tell
            lease.give_back()


def _said(token: str, now: float, *, is_open: bool) -> Said:
    return Said(token, socket.gethostname(), os.getpid(), now, is_open)


def _parse(data: bytes | None) -> Said | None:
    try:
        return None if data is None else Said(**json.loads(data))
    except (ValueError, TypeError):
        return None
