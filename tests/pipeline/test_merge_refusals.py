"""What ``seewhy merge`` refuses, without touching anything."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from merge_samples import GIVEN, data, explain_parts, same_rows, whole_and_parts
from pipeline_samples import after, conv_net, ids, rows, snapshot

import seewhy
from seewhy.pipeline.merge import merge
from seewhy.store.holding import holding
from seewhy.store.run_directory import RunDirectory
from seewhy.store.run_reader import RunReader
from seewhy.values import SeewhyError


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One run made by one job (``whole``), the same in three parts (``parts``)."""
    return whole_and_parts(tmp_path_factory.mktemp("merge"))


@pytest.fixture
def root(kept: Path, tmp_path: Path) -> Path:
    """Parts that are not merged yet."""
    return Path(shutil.copytree(kept / "parts", tmp_path / "run"))


def refused(root: Path) -> SeewhyError:
    """Why a merge is refused; nothing may have been touched."""
    left = snapshot(root)
    with pytest.raises(SeewhyError) as refusal:
        merge(root)
    assert snapshot(root) == left
    return refusal.value


def test_missing_and_unfinished_parts_are_named(root: Path) -> None:
    shutil.rmtree(root / "parts/0-of-3")
    shutil.rmtree(root / "parts/2-of-3")
    seewhy.run(conv_net(), data(), root, shard="2/3", stop=after(1), shard_size=1, **GIVEN)
    error = refused(root)
    assert error.code == "SW-S46"
    assert "2 of 3 parts" in error.message
    assert "0/3 is not there" in error.message
    assert "2/3 is not finished (1 records so far)" in error.message


def test_a_part_that_is_being_written_is_left_alone(root: Path) -> None:
    from seewhy.store.lock import DirectoryLock

    lock = DirectoryLock(root / "parts/1-of-3/.lock")
    lock.acquire()
    try:
        with pytest.raises(SeewhyError, match="is being written by process"):
            merge(root)
    finally:
        lock.release()
    merge(root)
    assert seewhy.verify(root) == []


def test_a_part_that_a_job_is_at_work_on_is_not_deleted(root: Path) -> None:
    merge(root)
    with holding(root / "parts/1-of-3"), pytest.raises(SeewhyError, match="is being written by process"):
        merge(root, remove_parts=True)
    assert len(list((root / "parts").iterdir())) == 3
    with RunDirectory.open(root / "parts/2-of-3", RunReader(root / "parts/2-of-3").manifest.fingerprint) as begun:
        begun.remove_derived("part.json")
    with pytest.raises(SeewhyError, match="2/3 is not finished"):
        merge(root, remove_parts=True)
    assert len(list((root / "parts").iterdir())) == 3


def test_an_about_that_says_less_than_a_runs_does_is_named(root: Path) -> None:
    path = root / "parts/1-of-3/about.json"
    whole = json.loads(path.read_text())
    for key in ("class_names", "labels_match", "default_layers", "choices", "not_applicable", "commands"):
        path.write_text(json.dumps({name: value for name, value in whole.items() if name != key}))
        error = refused(root)
        assert f"it has no {key} as a run writes it" in error.message
    for key, wrong in {"choices": {"a": 1}, "commands": [["seed", 1]], "default_layers": []}.items():
        path.write_text(json.dumps({**whole, key: wrong}))
        assert f"it has no {key} as a run writes it" in refused(root).message
    path.write_text(json.dumps({**whole, "commands": [1]}))
    assert refused(root).code == "SW-S49"
    path.write_text("[]")
    assert "it is no object" in refused(root).message


def test_a_merged_run_without_its_about_is_told_how_it_gets_one(root: Path) -> None:
    merge(root)
    (root / "about.json").unlink()
    error = refused(root)
    assert (error.code, "without shard=" in str(error.fix)) == ("SW-S49", True)
    seewhy.run(conv_net(), data(), root, **GIVEN)
    assert merge(root).again


def again(root: Path, **given: object) -> None:
    """Part 1 anew, with other settings."""
    shutil.rmtree(root / "parts/1-of-3")
    seewhy.run(conv_net(), data(), root, shard="1/3", **{**GIVEN, **given})


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"seed": 5}, "fingerprint.seed: 0 -> 5 (0/3 -> 1/3)"),
        ({"splits": ["train"]}, 'asked.splits: null -> ["train"] (0/3 -> 1/3)'),
        pytest.param({"max_records": 12}, "asked.max_records: null -> 12 (0/3 -> 1/3)", marks=pytest.mark.slow),
        pytest.param({"target_classes": [0]}, 'target_classes: "auto" -> [0] (0/3 -> 1/3)', marks=pytest.mark.slow),
        pytest.param({"generate_embeddings": False}, "questions.embeddings@", marks=pytest.mark.slow),
        ({"target_layer": "body.0"}, "questions.gradcam@body.0"),
    ],
)
def test_parts_of_several_runs_are_refused_field_by_field(root: Path, given: dict[str, object], said: str) -> None:
    again(root, **given)
    error = refused(root)
    assert error.code == "SW-S47"
    assert said in error.message


def test_parts_that_saw_other_data_are_refused(root: Path) -> None:
    shutil.rmtree(root / "parts/1-of-3")
    seewhy.run(conv_net(), data(test=ids(7, "x")), root, shard="1/3", **GIVEN)
    error = refused(root)
    assert error.code == "SW-S47"
    assert "records: 15 -> 16 (0/3 -> 1/3)" in error.message


def test_parts_of_several_numbers_are_refused(root: Path) -> None:
    (root / "parts/0-of-3").rename(root / "parts/0-of-4")
    assert refused(root).code == "SW-S47"


def spoil_shard(root: Path) -> None:
    path = next((root / "parts/1-of-3/shards").iterdir())
    path.write_bytes(path.read_bytes()[:-1])


def lose_shard(root: Path) -> None:
    next((root / "parts/1-of-3/shards").iterdir()).unlink()


def lose_facts(root: Path) -> None:
    (root / "parts/1-of-3/part.json").unlink()


def spoil_about(root: Path) -> None:
    (root / "parts/1-of-3/about.json").write_text("{")


def swap_records(root: Path) -> None:
    first, second = (root / f"parts/{number}-of-3/part_records.parquet" for number in (0, 1))
    first.write_bytes(second.read_bytes())


SLOWLY = [pytest.param(spoil, marks=pytest.mark.slow) for spoil in (lose_shard, lose_facts, spoil_about, swap_records)]


@pytest.mark.parametrize("spoil", [spoil_shard, *SLOWLY])
def test_a_damaged_part_is_refused_and_mended_by_its_command(
    kept: Path, root: Path, spoil: Callable[[Path], None]
) -> None:
    spoil(root)
    with pytest.raises(SeewhyError) as refusal:
        merge(root)
    assert refusal.value.code == "SW-S49"
    for path in (root / "parts").glob("*/shards/*"):
        if len(path.read_bytes()) != len((kept / "parts" / path.relative_to(root)).read_bytes()):
            path.unlink()
    explain_parts(root)
    merge(root)
    assert same_rows(rows(root, "train"), rows(kept / "whole", "train"))
    assert seewhy.verify(root) == []


def test_a_run_of_its_own_is_not_mixed_with_parts(kept: Path, root: Path) -> None:
    shutil.copytree(kept / "whole", root, dirs_exist_ok=True)
    assert refused(root).code == "SW-S48"


def test_nothing_to_merge_is_an_error(kept: Path, tmp_path: Path) -> None:
    assert refused(tmp_path).message == f"{tmp_path} holds no parts of a run: there is nothing to merge"
    whole = Path(shutil.copytree(kept / "whole", tmp_path / "whole"))
    error = refused(whole)
    assert (error.code, "was never in parts" in error.message, "shard=0/4" in str(error.fix)) == ("SW-S45", True, True)
