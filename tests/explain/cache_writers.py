"""What other processes do to a cache's file in tests; it loads neither torch nor the tests."""

from __future__ import annotations

import multiprocessing
from pathlib import Path

from seewhy.explain.cache_store import Store


def write_for_a_while(folder: Path, number: int, results: multiprocessing.Queue[bool]) -> None:
    store = Store(folder, 1 << 20)
    fine = True
    for round_number in range(25):
        key = f"{round_number % 7}"
        store.put({key: key.encode() * 500, f"own {number}": b"%d" % round_number})
        fine &= store.get([key, f"own {number}"]) == {key: key.encode() * 500, f"own {number}": b"%d" % round_number}
    store.close()
    results.put(fine)


def write_for_ever(folder: Path) -> None:
    store = Store(folder, 1 << 24)
    for number in range(10**9):
        store.put({f"{number % 50}": b"%05d" % number * 2_000})
