"""The cache's file: true sizes, least recently used first out, several processes, damage, a full disk, kill -9."""

from __future__ import annotations

import multiprocessing
import os
import signal
import sqlite3
import stat
import threading
import time
import warnings
from collections.abc import Iterator
from pathlib import Path

import pytest
from cache_writers import write_for_a_while, write_for_ever

from seewhy.explain.cache_connection import FILE, Connection
from seewhy.explain.cache_counts import Counts
from seewhy.explain.cache_store import Store
from seewhy.values import CacheError

OVERHEAD = 17
"""A key of one letter and a digest of 16 bytes count beside the value."""


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    opened = Store(tmp_path, 10_000)
    yield opened
    opened.close()


def there(store: Store, keys: str) -> str:
    """Which of these keys of one letter are there, without using them."""
    with sqlite3.connect(store.path) as connection:
        found = "".join(sorted(key for (key,) in connection.execute("SELECT key FROM entries")))
    connection.close()
    assert set(found) <= set(keys)
    return found


def test_overwriting_counts_once(store: Store) -> None:
    for size in [100] * 9 + [250]:
        assert store.put({"a": b"x" * size}) == 1
    assert store.totals() == (1, 250 + OVERHEAD)
    store.put({"b": b"", "c": b"yy"})
    assert store.totals() == (3, 252 + 3 * OVERHEAD)
    store.clear()
    assert store.totals() == (0, 0)
    assert store.get(["a"]) == {}


def test_what_was_used_longest_ago_goes_first(store: Store) -> None:
    for key in "abc":
        store.put({key: b"x" * (3_000 - OVERHEAD)})
    store.get(["a"])
    store.put({"d": b"x" * (3_000 - OVERHEAD)})
    assert there(store, "abcd") == "acd"
    store.put({"c": b"x" * (3_000 - OVERHEAD)})
    store.put({"e": b"x" * (6_000 - OVERHEAD)})
    assert there(store, "abcde") == "ce"
    assert store.totals() == (2, 9_000)


def test_the_limit_holds_to_the_byte_and_what_is_larger_drives_nothing_out(store: Store) -> None:
    store.put({"a": b"x" * 100})
    assert store.put({"b": b"x" * (10_001 - OVERHEAD)}) == 0
    assert there(store, "ab") == "a"
    assert store.put({"b": b"x" * (10_000 - OVERHEAD)}) == 1
    assert there(store, "ab") == "b"


def test_files_are_for_their_owner_alone(store: Store) -> None:
    store.put({"a": b"x"})
    files = sorted(store.path.parent.iterdir())
    assert [file.name for file in files] == [FILE, f"{FILE}-shm", f"{FILE}-wal"]
    assert {stat.S_IMODE(file.stat().st_mode) for file in files} == {0o600}


def test_a_damaged_entry_is_warned_of_and_missing(store: Store) -> None:
    store.put({"a": b"right", "b": b"other"})
    with sqlite3.connect(store.path) as connection:
        connection.execute("UPDATE entries SET value = (SELECT value FROM entries WHERE key = 'b') WHERE key = 'a'")
    connection.close()
    with pytest.warns(UserWarning, match="is damaged: it is dropped"):
        assert store.get(["a", "b"]) == {"b": b"other"}
    assert store.totals() == (1, 5 + OVERHEAD)
    assert store.damaged == 1


def test_a_damaged_file_is_reported_and_never_believed(tmp_path: Path) -> None:
    """Each page of a file in turn is overwritten: what is found is right, and everything can be kept again."""
    values = {chr(97 + number): bytes([number]) * 4_000 for number in range(6)}
    first = Store(tmp_path / "whole", 1_000_000)
    first.put(values)
    first.close()
    whole, warned = first.path.read_bytes(), []
    for page in range(0, len(whole), 4096):
        folder = tmp_path / str(page)
        folder.mkdir()
        (folder / FILE).write_bytes(whole[:page] + b"\xa5" * 4096 + whole[page + 4096 :])
        store = Store(folder, 1_000_000)
        with warnings.catch_warnings(record=True) as told:
            warnings.simplefilter("always")
            found = store.get(list(values))
            store.put(values)
            assert store.get(list(values)) == values
        assert all(found[key] == values[key] for key in found)
        assert [str(one.message) for one in told if "damaged" not in str(one.message)] == []
        assert told or found == values
        warned.append(bool(told))
        store.close()
    assert sum(warned) >= 6


def test_a_file_of_something_else_is_put_aside_not_deleted(tmp_path: Path) -> None:
    (tmp_path / FILE).write_text("my thesis, by mistake called so" * 200)
    store = Store(tmp_path, 10_000)
    with pytest.warns(UserWarning, match=r"damaged.*it is now"):
        assert store.put({"a": b"x"}) == 1
    (aside,) = tmp_path.glob("*.damaged-*")
    assert aside.read_text().startswith("my thesis")
    store.close()


def test_a_full_disk_is_warned_of_once_and_what_is_there_stays(store: Store) -> None:
    store.put({"a": b"x" * 100})
    with store._connection as connection:
        pages = connection.execute("PRAGMA page_count").fetchone()[0]
        connection.execute(f"PRAGMA max_page_count = {pages}")
    with pytest.warns(UserWarning, match="full") as caught:
        assert [store.put({"b": b"x" * 9_000}) for _ in range(3)] == [0, 0, 0]
    assert len(caught) == 1
    assert store.get(["a", "b"]) == {"a": b"x" * 100}


def test_a_deleted_folder_is_made_again(tmp_path: Path) -> None:
    store = Store(tmp_path / "inner", 10_000)
    store.put({"a": b"x"})
    for file in (tmp_path / "inner").iterdir():
        file.unlink()
    (tmp_path / "inner").rmdir()
    assert store.get(["a"]) == {}
    store.put({"b": b"y"})
    assert store.get(["b"]) == {"b": b"y"}
    store.close()


def test_threads_share_a_store(store: Store) -> None:
    def work(number: int) -> None:
        for round_number in range(20):
            store.put({f"{number}": b"%d" % round_number, "shared": b"same"})
            assert store.get(["shared"]) == {"shared": b"same"}

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert store.get([str(number) for number in range(4)]) == {str(number): b"19" for number in range(4)}
    assert store.totals()[0] == 5


def test_four_processes_share_a_folder(tmp_path: Path) -> None:
    spawned = multiprocessing.get_context("spawn")
    results: multiprocessing.Queue[bool] = spawned.Queue()
    workers = [spawned.Process(target=write_for_a_while, args=(tmp_path, number, results)) for number in range(4)]
    for worker in workers:
        worker.start()
    assert [results.get(timeout=60) for _ in workers] == [True] * 4
    for worker in workers:
        worker.join()
    results.close()
    results.join_thread()
    store = Store(tmp_path, 1 << 20)
    assert store.totals()[0] == 7 + 4
    store.close()


def test_a_killed_writer_leaves_a_usable_store(tmp_path: Path) -> None:
    writer = multiprocessing.get_context("spawn").Process(target=write_for_ever, args=(tmp_path,))
    writer.start()
    store = Store(tmp_path, 1 << 24)
    until = time.monotonic() + 60
    while store.totals()[0] < 20 and time.monotonic() < until:
        time.sleep(0.01)
    assert writer.pid is not None
    os.kill(writer.pid, signal.SIGKILL)
    writer.join()
    keys = [str(number) for number in range(50)]
    found = store.get(keys)
    assert len(found) >= 20
    assert all(value[:5] * 2_000 == value and int(value[:5]) % 50 == int(key) for key, value in found.items())
    assert store.put({"mine": b"x"}) == 1
    assert store.totals()[1] == sum(len(key) + len(value) + 16 for key, value in store.get([*keys, "mine"]).items())
    store.close()


def test_a_forked_child_opens_the_file_for_itself(store: Store) -> None:
    store.put({"a": b"x"})
    with store._connection as parents:
        pid = os.fork()
        if pid == 0:  # the parent holds the lock, which no thread of the child would ever give back
            same = store.get(["a"]) == {"a": b"x"} and store.put({"b": b"y"}) == 1
            with store._connection as own:
                os._exit(0 if same and own is not parents else 1)
        assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    assert store.get(["a", "b"]) == {"a": b"x", "b": b"y"}


@pytest.mark.filterwarnings("ignore:.*multi-threaded.*:DeprecationWarning")
@pytest.mark.parametrize("patience", [10.0, 0.01], ids=["waits", "cannot wait"])
def test_a_fork_leaves_the_child_no_lock_that_another_thread_held(
    store: Store, monkeypatch: pytest.MonkeyPatch, patience: float
) -> None:
    monkeypatch.setattr("seewhy.explain.cache_forks.LONGEST", patience)
    store.put({"a": b"x"})
    counts, taken = Counts(), threading.Event()

    def hold() -> None:
        with counts._lock, store._connection:
            taken.set()
            time.sleep(0.2)

    thread = threading.Thread(target=hold)
    thread.start()
    taken.wait(10)
    pid = os.fork()
    if pid == 0:
        signal.alarm(10)
        counts.looked(hits=1)
        os._exit(0 if store.get(["a"]) == {"a": b"x"} and counts.told()["hits"] == 1 else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    thread.join()
    assert store.get(["a"]) == {"a": b"x"}
    counts.looked(hits=1)
    assert counts.told()["hits"] == 1


def test_a_store_that_is_gone_closes_its_file(tmp_path: Path) -> None:
    store = Store(tmp_path, 10_000)
    connection: Connection = store._connection
    store.put({"a": b"x"})
    assert connection._open is not None
    del store
    assert connection._open is None


def test_clearing_deletes_damaged_files_that_were_put_aside(store: Store) -> None:
    aside = store.path.with_name(f"{FILE}.damaged-1")
    aside.write_text("maps of patients")
    store.put({"a": b"x"})
    store.clear()
    assert not aside.exists()


def test_clearing_deletes_the_file_where_the_database_cannot_be_written(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.put({"a": b"maps of patients"})

    def full(connection: sqlite3.Connection) -> bool:
        connection.execute("PRAGMA max_page_count = 1")
        connection.execute("CREATE TABLE more AS SELECT randomblob(9000000)")
        return True

    monkeypatch.setattr("seewhy.explain.cache_store._clear", full)
    store.clear()
    assert not store.path.exists()
    assert store.totals() == (0, 0)
    monkeypatch.setattr(Path, "unlink", refuse)
    with pytest.raises(CacheError, match=r"SW-K08.*cannot be deleted \(not yours\)"):
        store.clear()


def refuse(path: Path, missing_ok: bool = False) -> None:
    raise PermissionError(13, "not yours")


def test_a_smaller_limit_makes_room_when_asked_and_makes_no_file(tmp_path: Path) -> None:
    first = Store(tmp_path / "kept", 10_000)
    for key in "abc":
        first.put({key: b"x" * (3_000 - OVERHEAD)})
    first.close()
    second = Store(tmp_path / "kept", 6_000)
    second.make_room()
    assert there(second, "abc") == "bc"
    assert second.totals() == (2, 6_000)
    second.close()
    Store(tmp_path, 10).make_room()
    assert not (tmp_path / FILE).exists()


def test_a_hit_does_not_wait_for_a_writer(store: Store) -> None:
    store.put({"a": b"x"})
    found: list[dict[str, bytes]] = []
    other = sqlite3.connect(store.path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    reader = threading.Thread(target=lambda: found.append(store.get(["a"])))
    reader.start()
    reader.join(10)
    told = list(found)
    other.execute("ROLLBACK")
    other.close()
    reader.join()
    assert told == [{"a": b"x"}]
