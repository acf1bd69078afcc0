"""One writer for a run in a store: who holds it is told, a dead one gives way, one that slept meanwhile stops."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from fsspec.implementations.memory import MemoryFileSystem

from memory_store import use_memory
from seewhy.pipeline import lease as leases
from seewhy.pipeline.lease import LEASE, STALE_SECONDS, holding, require_free
from seewhy.remote import stores
from seewhy.remote.address import Address
from seewhy.remote.folder_store import FolderStore
from seewhy.values import StoreError

FOLDER = FolderStore(Address("memory", "leases/run"))


@pytest.fixture(autouse=True)
def _fresh(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    use_memory(monkeypatch, tmp_path)
    monkeypatch.setattr(leases, "SETTLING_SECONDS", 0.0)


def said() -> dict[str, object]:
    data = FOLDER.read(LEASE)
    assert data is not None
    found: dict[str, object] = json.loads(data)
    return found


def test_a_second_writer_is_told_who_the_first_is() -> None:
    with holding(FOLDER, "one", []):
        with pytest.raises(
            StoreError, match=r"is being written by process \d+ on .*, last heard of 0 s ago"
        ) as refusal:
            require_free(FOLDER, [])
        assert refusal.value.code == "SW-S51"
        with pytest.raises(StoreError, match="SW-S51"), holding(FOLDER, "two", []):
            pass
        assert said()["token"] == "one"


def test_a_lease_whose_answer_was_lost_is_held_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    real, lost = MemoryFileSystem.pipe_file, [True]

    def pipe_file(self: MemoryFileSystem, *given: object, **more: object) -> object:
        answer = real(self, *given, **more)
        if lost.pop() if lost else False:
            raise ConnectionResetError("the answer is lost")
        return answer

    monkeypatch.setattr(MemoryFileSystem, "pipe_file", pipe_file)
    monkeypatch.setattr(stores, "PAUSES", (0.0,))
    with holding(FOLDER, "one", []):
        assert (said()["token"], lost) == ("one", [])
        assert not FOLDER.create(LEASE, b"another's")


def test_a_lease_that_was_given_back_is_free_at_once_and_names_the_last_writer() -> None:
    with holding(FOLDER, "one", []) as lease:
        assert lease.follows == ""
    assert said()["open"] is False
    assert require_free(FOLDER, []) == "one"
    with holding(FOLDER, "two", []) as lease:
        assert lease.follows == "one"


def test_a_writer_that_died_gives_way_after_its_time_and_to_its_own_machine_at_once() -> None:
    clock = [1000.0]
    FOLDER.write(LEASE, leases._said("one", clock[0], is_open=True).encode())  # as a kill leaves it
    assert require_free(FOLDER, ["one"], lambda: clock[0]) == "one"
    clock[0] += STALE_SECONDS - 1
    with pytest.raises(StoreError, match="SW-S51"):
        require_free(FOLDER, [], lambda: clock[0])
    clock[0] += 1
    assert require_free(FOLDER, [], lambda: clock[0]) == "one"


def test_a_writer_that_was_taken_over_stops_and_leaves_the_lease_to_the_other() -> None:
    with holding(FOLDER, "one", []) as lease:
        lease.require_held()
        FOLDER.write(LEASE, leases._said("two", 0.0, is_open=True).encode())
        lease.renew()
        with pytest.raises(StoreError) as refusal:
            lease.require_held()
        assert refusal.value.code == "SW-S57"
    assert (said()["token"], said()["open"]) == ("two", True)


def test_a_writer_that_slept_meanwhile_learns_of_the_other_before_its_time_to_renew_comes() -> None:
    clock = [1000.0]
    with holding(FOLDER, "one", [], lambda: clock[0]) as lease:
        FOLDER.write(LEASE, leases._said("two", clock[0], is_open=True).encode())
        clock[0] += 29
        lease.require_held(within=30)  # looked 29 seconds ago
        clock[0] += 1
        with pytest.raises(StoreError, match="SW-S57"):
            lease.require_held(within=30)


def test_without_a_margin_every_look_is_into_the_store() -> None:
    with holding(FOLDER, "one", []) as lease:
        lease.require_held()
        FOLDER.write(LEASE, leases._said("two", 0.0, is_open=False).encode())
        with pytest.raises(StoreError, match="SW-S57"):
            lease.require_held()


def test_a_clock_that_was_put_back_makes_no_look_good_for_longer() -> None:
    clock = [1000.0]
    with holding(FOLDER, "one", [], lambda: clock[0]) as lease:
        FOLDER.write(LEASE, leases._said("two", 0.0, is_open=True).encode())
        clock[0] -= 500
        with pytest.raises(StoreError, match="SW-S57"):
            lease.require_held(within=30)


def test_who_was_taken_over_does_not_give_back_what_is_another_ones() -> None:
    with holding(FOLDER, "one", []):
        FOLDER.write(LEASE, leases._said("two", 0.0, is_open=True).encode())
    assert (said()["token"], said()["open"]) == ("two", True)


def test_renewing_says_that_the_writer_lives() -> None:
    clock = [1000.0]
    with holding(FOLDER, "one", [], lambda: clock[0]) as lease:
        clock[0] += 500
        lease.renew()
        assert said()["seen"] == 1500.0
        with pytest.raises(StoreError, match="SW-S51"):
            require_free(FOLDER, [], lambda: clock[0])


def test_a_lease_that_cannot_be_read_keeps_nobody_out() -> None:
    FOLDER.write(LEASE, b"{half")
    with holding(FOLDER, "one", []):
        assert said()["token"] == "one"
