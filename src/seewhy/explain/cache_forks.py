"""Locks that a forked process can take: nobody else holds one at the moment of the fork."""

from __future__ import annotations

import os
import threading
import weakref
from typing import Final

LONGEST: Final = 5.0
"""Seconds that a fork waits for another thread's use of a cache, which takes milliseconds."""

_locks: weakref.WeakSet[threading.RLock] = weakref.WeakSet()
_held: list[threading.RLock] = []


def lock_over_forks() -> threading.RLock:
    """A re-entrant lock that a fork waits for, so that the child finds it free and what it guards whole.

    Else a child would inherit the lock as another thread held it, with nobody left to release it; so it would the locks
    inside SQLite.
    """
    lock = threading.RLock()
    _locks.add(lock)
    return lock


def _take_all() -> None:
    _held.extend(lock for lock in list(_locks) if lock.acquire(timeout=LONGEST))


def _release_all() -> None:
    while _held:
        _held.pop().release()


def _free_all() -> None:
    """In the child: a lock that was not to be had in time is held by a thread that is not there."""
    for lock in set(_locks).difference(_held):
        lock._at_fork_reinit()  # type: ignore[attr-defined]
    _release_all()


os.register_at_fork(before=_take_all, after_in_parent=_release_all, after_in_child=_free_all)
