"""Names of shards made in any order: the same whichever of them were made before the run was killed."""

from __future__ import annotations

import time
from itertools import combinations
from itertools import count as count_from
from pathlib import Path

import numpy as np
import pytest

from seewhy.store import files, ledger, numbering, run_directory
from seewhy.store.attempts import Attempts
from seewhy.store.delegate import Delegate
from seewhy.store.ledger import Answered
from seewhy.store.manifest import read_manifest
from seewhy.store.numbering import shard_names
from seewhy.store.run_directory import RunDirectory
from seewhy.store.verify import verify
from seewhy.values import Answer, RecordRow, StoreError

FRESH = [("train", ("a", "b")), ("train", ("c", "d")), ("train", ("e",))]
SECOND = [("train", ("x", "y")), ("train", ("z",))]
OLD = {"x": Answered("", "ok", {}, 0), "y": Answered("", "ok", {}, 1), "z": Answered("", "ok", {}, 1)}


def shard(number: int, split: str = "train") -> str:
    return f"shards/{split}-{number:05d}.parquet"


def test_records_without_a_row_fill_the_lowest_numbers_and_splits_count_apart() -> None:
    wanted = [*FRESH[:2], ("val", ("f",)), FRESH[2]]
    assert shard_names(wanted, [shard(1)], {}) == [shard(0), shard(2), shard(0, "val"), shard(3)]


def test_splits_that_differ_in_case_alone_count_together() -> None:
    assert shard_names([("Train", ("a",)), ("train", ("b",))], [shard(0)], {}) == [
        "shards/Train-00001.parquet",
        shard(2),
    ]


def test_a_later_row_of_a_record_lies_in_a_later_shard() -> None:
    names = shard_names([SECOND[0], FRESH[0]], [shard(1), shard(3)], {"train": {**OLD, "x": Answered("", "ok", {}, 3)}})
    assert names == [shard(4), shard(0)]


def test_each_gets_the_lowest_free_number_above_its_own_and_many_taken_ones_are_passed_in_few_steps() -> None:
    class Counted(dict[int, int]):
        steps = 0

        def get(self, key: int, default: object = None) -> object:  # type: ignore[override]
            Counted.steps += 1
            return super().get(key, default)

    count = 500
    taken = set(range(1, count)) | {count + 5}
    series = numbering._Series(taken)
    series._onward = Counted(series._onward)
    for least in [*range(3, count), 0, *range(count)]:
        expected = next(number for number in count_from(least) if number not in taken)
        assert series.take(least) == expected
        taken.add(expected)
    assert Counted.steps < 20 * count  # one by one it is hundreds for each


@pytest.mark.parametrize("made", [made for count in range(6) for made in combinations(range(5), count)])
def test_whatever_was_made_before_the_kill_the_rest_gets_the_names_it_would_have_had(made: tuple[int, ...]) -> None:
    """Every subset of five shards, three of new records and two of records answered before."""
    wanted, present = [SECOND[0], *FRESH, SECOND[1]], [shard(0), shard(1)]
    whole = shard_names(wanted, present, {"train": OLD})
    assert len(set(whole)) == 5
    answered = OLD | {
        record: Answered("", "ok", {}, int(whole[place][-13:-8])) for place in made for record in wanted[place][1]
    }
    left = [place for place in range(5) if place not in made]
    again = shard_names(
        [wanted[place] for place in left], [*present, *(whole[place] for place in made)], {"train": answered}
    )
    assert again == [whole[place] for place in left]


def row(record_id: str, position: int = 0) -> RecordRow:
    return RecordRow(record_id, "train", position, status="failed", error="unreadable")


def test_a_delegate_commits_what_the_holder_takes_note_of(tmp_path: Path) -> None:
    with RunDirectory.open(tmp_path / "whole", {"seed": 0}) as run:
        for record in "ab":
            run.commit("train", [row(record)], {})
        run.finish()
    with RunDirectory.open(tmp_path / "shared", {"seed": 0}) as run:
        first, second = run.names_for([("train", ["a"]), ("train", ["b"])])
        worker = run.delegate()
        for name, record in ((second, "b"), (first, "a"), (first, "a")):
            assert worker.commit("train", [row(record)], {}, name) == name
            run.adopt(name)
        assert set(run.answered("train")) == {"a", "b"}
        run.finish()
    assert verify(tmp_path / "shared") == []
    for name in (first, second, "manifest.json"):
        assert (tmp_path / "shared" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()


def test_a_delegate_never_writes_over_another_shard(tmp_path: Path) -> None:
    with RunDirectory.open(tmp_path, {"seed": 0}) as run:
        worker = run.delegate()
        worker.commit("train", [row("a")], {}, shard(0))
        before = (tmp_path / shard(0)).read_bytes()
        with pytest.raises(StoreError, match="SW-S18"):
            worker.commit("train", [row("b")], {}, shard(0))
        assert (tmp_path / shard(0)).read_bytes() == before
        assert [path.name for path in (tmp_path / "shards").iterdir()] == ["train-00000.parquet"]


def test_a_worker_that_outlives_its_run_writes_nothing(tmp_path: Path) -> None:
    with RunDirectory.open(tmp_path, {"seed": 0}) as run:
        worker = run.delegate()
    with pytest.raises(StoreError, match="SW-S16"):
        worker.commit("train", [row("a")], {}, shard(0))
    with RunDirectory.open(tmp_path, {"seed": 0}), pytest.raises(StoreError, match="SW-S16"):
        worker.commit("train", [row("a")], {}, shard(0))
    assert not (tmp_path / "shards").exists()
    with RunDirectory.open(tmp_path, {"seed": 0}), pytest.raises(StoreError, match="SW-S16"):
        worker.write_file("gradcam/a.png", b"of the run before", kind="gradcam")
    assert not (tmp_path / "gradcam").exists()


def test_a_run_that_ends_while_a_worker_writes_its_shard_gets_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with RunDirectory.open(tmp_path, {"seed": 0}) as run:
        worker = run.delegate()
        monkeypatch.setattr(files, "_sync", lambda *_: (tmp_path / ".lock").write_text("another run"))
        with pytest.raises(StoreError, match="SW-S16"):
            worker.commit("train", [row("a")], {}, shard(0))
        monkeypatch.undo()
        (tmp_path / ".lock").write_text(worker.holder)
    assert list((tmp_path / "shards").iterdir()) == []


def test_notes_of_an_earlier_run_go_when_the_next_begins_and_its_workers_make_none(tmp_path: Path) -> None:
    with RunDirectory.open(tmp_path, {"seed": 0}) as run:
        notes = Attempts(tmp_path, shard(0), run.delegate().holder)
        with notes.attempt("computing"):
            pass
    assert (tmp_path / ".attempts").exists()
    with notes.attempt("computing"), RunDirectory.open(tmp_path, {"seed": 0}):
        assert not (tmp_path / ".attempts").exists()
    assert not (tmp_path / ".attempts").exists()


def test_a_delegate_of_a_place_that_is_not_seen_says_so(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="SW-S16"):
        Delegate(str(tmp_path / "elsewhere"), "holder", {}).commit("train", [row("a")], {}, shard(0))


def test_a_shard_that_does_not_show_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run_directory, "SHOWN_SECONDS", 0.0)
    with RunDirectory.open(tmp_path, {"seed": 0}) as run, pytest.raises(StoreError, match="SW-S19"):
        run.adopt(shard(0))


def test_a_shard_that_shows_late_is_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with RunDirectory.open(tmp_path, {"seed": 0}) as run:
        worker = run.delegate()
        monkeypatch.setattr(time, "sleep", lambda _: worker.commit("train", [row("a")], {}, shard(0)))
        run.adopt(shard(0))
        assert set(run.answered("train")) == {"a"}


def test_taking_note_of_one_shard_reads_no_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with RunDirectory.open(tmp_path, {"seed": 0}) as run:
        worker = run.delegate()
        for number in range(2):
            worker.commit("train", [row("ab"[number])], {}, shard(number))
        monkeypatch.setattr(ledger, "committed_shards", lambda _: pytest.fail("the directory was listed"))
        run.adopt(shard(1))
        assert set(run.answered("train")) == {"b"}
        monkeypatch.undo()
    assert verify(tmp_path) == []


def test_of_two_attempts_at_a_task_the_first_counts(tmp_path: Path) -> None:
    question = {"embedding@head": {"kind": "embedding"}}

    def answer(value: float) -> RecordRow:
        return RecordRow("a", "train", 0, answers={"embedding@head": Answer(np.array([value], np.float32))})

    with RunDirectory.open(tmp_path, {"seed": 0}) as run:
        worker = run.delegate()
        worker.commit("train", [answer(1.0)], question, shard(0))
        before = (tmp_path / shard(0)).read_bytes()
        assert worker.commit("train", [answer(1.0000001)], question, shard(0)) == shard(0)
        assert (tmp_path / shard(0)).read_bytes() == before
        with pytest.raises(StoreError, match="SW-S18"):
            worker.commit("train", [answer(1.0)], {"embedding@head": {"kind": "other"}}, shard(0))


def test_a_run_that_workers_add_to_is_not_complete(tmp_path: Path) -> None:
    with RunDirectory.open(tmp_path, {"seed": 0}) as run:
        run.finish()
        run.delegate()
        assert read_manifest(tmp_path).status == "running"
