"""``shard=i/n``: which part a record falls to, what a launcher's environment says, and what a part leaves."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from pipeline_samples import Log, Pictures, after, conv_net, ids, rows, snapshot

import seewhy
from seewhy.data.records import RecordRef
from seewhy.pipeline.plan import falling_to
from seewhy.pipeline.settings import Settings
from seewhy.store.part import Part, part_of
from seewhy.values import SeewhyError

GRADCAM = {"generate_attention": False, "target_classes": [0]}


def by_hand(record_id: str, of: int) -> int:
    """The rule once more: the first eight bytes of SHA-256 as a number, modulo the number of parts."""
    return int(hashlib.sha256(record_id.encode()).hexdigest()[:16], 16) % of


def test_every_record_falls_to_the_one_part_that_its_hash_names() -> None:
    names = [f"folder/é{i}" for i in range(500)]
    for of in (1, 2, 7):
        holders = [[part.number for part in (Part(n, of) for n in range(of)) if part.holds(name)] for name in names]
        assert holders == [[by_hand(name, of)] for name in names]
    counts = [sum(Part(n, 7).holds(name) for name in names) for n in range(7)]
    assert min(counts) > 500 / 7 / 2


def test_the_shards_of_an_index_add_up_to_what_one_run_selects() -> None:
    index = [RecordRef(name, "test") for name in ids(40)]
    selected = tuple(range(3, 31, 2))
    parts = [falling_to(Part(n, 5), index, selected) for n in range(5)]
    assert sorted(at for part in parts for at in part) == list(selected)
    assert falling_to(None, index, selected) == selected


SLURM_ARRAY = {"SLURM_ARRAY_TASK_ID": "5", "SLURM_ARRAY_TASK_COUNT": "4"}


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({"RANK": "3", "WORLD_SIZE": "4"}, Part(3, 4)),
        ({"RANK": "3", "WORLD_SIZE": "4", "SLURM_PROCID": "0", "SLURM_NTASKS": "2"}, Part(3, 4)),
        ({"SLURM_PROCID": "1", "SLURM_NTASKS": "2"}, Part(1, 2)),
        ({**SLURM_ARRAY, "SLURM_ARRAY_TASK_MIN": "2"}, Part(3, 4)),
        ({**SLURM_ARRAY, "SLURM_ARRAY_TASK_MIN": "1", "SLURM_ARRAY_TASK_STEP": "2"}, Part(2, 4)),
        ({**SLURM_ARRAY, "SLURM_ARRAY_TASK_MIN": "4", "SLURM_PROCID": "0", "SLURM_NTASKS": "1"}, Part(1, 4)),
        ({**SLURM_ARRAY, "SLURM_ARRAY_TASK_MIN": "4", "RANK": "0", "WORLD_SIZE": "1"}, Part(1, 4)),
        (
            {"SLURM_ARRAY_TASK_ID": "0", "SLURM_ARRAY_TASK_COUNT": "1", "SLURM_PROCID": "1", "SLURM_NTASKS": "2"},
            Part(1, 2),
        ),
    ],
)
def test_auto_is_what_the_launcher_says(environment: dict[str, str], expected: Part) -> None:
    assert part_of("auto", environment) == expected


@pytest.mark.parametrize(
    ("environment", "said"),
    [
        ({}, "none of RANK and WORLD_SIZE, SLURM_ARRAY_TASK_ID and SLURM_ARRAY_TASK_COUNT"),
        ({"RANK": "0"}, "RANK is set and WORLD_SIZE is not"),
        ({"SLURM_NTASKS": "2"}, "SLURM_NTASKS is set and SLURM_PROCID is not"),
        ({"SLURM_ARRAY_TASK_ID": "2"}, "SLURM_ARRAY_TASK_ID is set and SLURM_ARRAY_TASK_COUNT is not"),
        ({"RANK": "4", "WORLD_SIZE": "4"}, "RANK is 4 and WORLD_SIZE is 4"),
        ({"RANK": "one", "WORLD_SIZE": "4"}, "RANK is 'one'"),
        ({**SLURM_ARRAY, "SLURM_ARRAY_TASK_MIN": "1"}, "job 5 of an array of 4"),
        ({**SLURM_ARRAY, "SLURM_ARRAY_TASK_MIN": "4", "SLURM_ARRAY_TASK_STEP": "2"}, "is no whole part"),
        (
            {**SLURM_ARRAY, "SLURM_ARRAY_TASK_MIN": "4", "SLURM_PROCID": "1", "SLURM_NTASKS": "2"},
            "an array of 4 jobs and 2 tasks in each",
        ),
        (
            {**SLURM_ARRAY, "SLURM_ARRAY_TASK_MIN": "4", "RANK": "0", "WORLD_SIZE": "2"},
            "an array of 4 jobs and 2 tasks in each",
        ),
    ],
)
def test_auto_without_one_clear_answer_is_refused(environment: dict[str, str], said: str) -> None:
    with pytest.raises(SeewhyError, match="shard=auto finds no part") as refusal:
        part_of("auto", environment)
    assert refusal.value.code == "SW-S42"
    assert said in refusal.value.message


@pytest.mark.parametrize("written", ["8/8", "1/0", "-1/8", "1:8", "1/8/2", "", "0.5/2", "١/8", 3, True])
def test_a_shard_that_is_none_is_refused_and_shown_from_where_numbers_count(written: object) -> None:
    with pytest.raises(SeewhyError, match="a number from 0") as refusal:
        Settings.of(shard=written)
    assert refusal.value.code == "SW-S41"
    assert refusal.value.fix == "shard=0/8 to shard=7/8 are the eight parts of a run"


def test_settings_that_are_made_by_hand_take_a_shard_as_it_is_written() -> None:
    assert Settings(shard="0/2").shard == Part(0, 2)  # type: ignore[arg-type]
    with pytest.raises(SeewhyError, match="SW-S41"):
        Settings(shard="2/2")  # type: ignore[arg-type]


def test_a_part_explains_its_records_alone_and_leaves_what_a_merge_needs(tmp_path: Path) -> None:
    data = {"train": Pictures(ids(9, "t")), "test": Pictures(ids(4, "x"))}
    mine = {name for name in (*ids(9, "t"), *ids(4, "x")) if by_hand(name, 2) == 1}
    summary = seewhy.run(conv_net(), data, tmp_path / "run", shard="1/2", **GRADCAM)
    place = tmp_path / "run/parts/1-of-2"
    assert (summary.output_dir, summary.selected, summary.computed) == (place, len(mine), len(mine))
    assert rows(place, "train").keys() | rows(place, "test").keys() == mine
    assert {name for name in snapshot(place) if "/" not in name} == {
        "about.json", "failures.json", "manifest.json", "part.json", "part_records.parquet",
    }  # fmt: skip
    assert {name.partition("/")[0] for name in snapshot(place) if "/" in name} == {"shards", "gradcam"}
    listed = pq.read_table(place / "part_records.parquet").to_pylist()
    order = [*ids(9, "t"), *ids(4, "x")]
    assert [(one["record_id"], one["position"]) for one in listed] == [
        (name, at) for at, name in enumerate(order) if name in mine
    ]
    assert json.loads((place / "part.json").read_text())["records"] == 13
    assert "seewhy merge" in summary.choices["part"]
    assert seewhy.verify(place) == []


def test_a_part_that_no_record_falls_to_is_complete_and_empty(tmp_path: Path) -> None:
    name = ids(1)[0]
    empty = 1 - by_hand(name, 2)
    summary = seewhy.run(conv_net(), Pictures([name]), tmp_path / "run", shard=f"{empty}/2", **GRADCAM)
    assert (summary.selected, summary.computed, summary.exit_code) == (0, 0, 0)
    manifest = seewhy.RunReader(summary.output_dir).manifest
    assert manifest is not None
    assert (manifest.status, dict(manifest.shards)) == ("complete", {})


def test_a_part_goes_on_where_it_was_stopped(tmp_path: Path) -> None:
    given = {"shard": "0/2", "shard_size": 2, **GRADCAM}
    seewhy.run(conv_net(), Pictures(ids(12)), tmp_path / "whole", **given)
    stopped = seewhy.run(conv_net(), Pictures(ids(12)), tmp_path / "run", stop=after(1), **given)
    resumed = seewhy.run(conv_net(), Pictures(ids(12)), tmp_path / "run", **given)
    assert (stopped.computed, stopped.interrupted, resumed.reused) == (2, True, 2)
    assert snapshot(tmp_path / "run") == snapshot(tmp_path / "whole")


class Unread(Pictures):
    """A data set that nobody may have looked into."""

    def __len__(self) -> int:
        raise AssertionError("the data set was opened before the directory was refused")


@pytest.mark.parametrize(
    ("before", "then", "code"),
    [
        ({"shard": "0/2"}, {"shard": "0/3"}, "SW-S43"),
        ({}, {"shard": "0/2"}, "SW-S43"),
        ({"shard": "0/2"}, {}, "SW-S44"),
    ],
)
def test_parts_and_other_runs_do_not_mix_which_is_said_before_anything_is_read(
    tmp_path: Path, before: dict[str, str], then: dict[str, str], code: str
) -> None:
    seewhy.run(conv_net(), Pictures(ids(4)), tmp_path / "run", **before, **GRADCAM)
    left = snapshot(tmp_path / "run")
    with pytest.raises(SeewhyError) as refusal:
        seewhy.run(conv_net(), Unread(ids(4)), tmp_path / "run", **then, **GRADCAM)
    assert refusal.value.code == code
    assert snapshot(tmp_path / "run") == left


def test_two_jobs_write_their_parts_at_once(tmp_path: Path) -> None:
    """Each has a lock of its own, and neither takes the other's half-written files for litter."""
    from seewhy.store.run_directory import RunDirectory

    first, second = (Part(number, 2).place(tmp_path / "run") for number in range(2))
    with RunDirectory.open(first, {}) as run:
        draft = first / "shards/.seewhy-1-1.tmp"
        draft.parent.mkdir()
        draft.write_bytes(b"half")
        with RunDirectory.open(second, {}), RunDirectory.open(tmp_path / "run", {}):
            assert draft.exists()
        assert run.answered("test") == {}


def test_a_log_sees_the_plan_of_the_part(tmp_path: Path) -> None:
    log = Log()
    seewhy.run(conv_net(), Pictures(ids(10)), tmp_path / "run", shard=Part(1, 3), observer=log, **GRADCAM)
    assert log.plan is not None
    assert log.plan.records == sum(by_hand(name, 3) == 1 for name in ids(10))
