"""``seewhy merge``: the run that one job would have made, row for row, and refusals that touch nothing."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from pipeline_samples import Pictures, after, conv_net, ids, rows, snapshot

import seewhy
from seewhy.pipeline.merge import merge
from seewhy.store import failpoints
from seewhy.store.holding import holding
from seewhy.store.part import Part
from seewhy.store.parts import require_part_fits
from seewhy.store.run_directory import RunDirectory
from seewhy.store.run_reader import RunReader
from seewhy.values import RecordRow, SeewhyError

OF = 3
DATA = {"train": ids(9, "t"), "test": ids(6, "x")}
GIVEN = {"generate_attention": False, "generate_report": False, "batch_size": 1}


def data(**changed: list[str]) -> dict[str, Pictures]:
    return {split: Pictures(names) for split, names in {**DATA, **changed}.items()}


def explain_parts(root: Path, parts: range = range(OF), **given: object) -> None:
    for number in parts:
        seewhy.run(conv_net(), data(), root, shard=f"{number}/{OF}", **{**GIVEN, **given})


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One run made by one job (``whole``), the same in three parts (``parts``)."""
    folder = tmp_path_factory.mktemp("merge")
    seewhy.run(conv_net(), data(), folder / "whole", **GIVEN)
    explain_parts(folder / "parts")
    return folder


@pytest.fixture
def root(kept: Path, tmp_path: Path) -> Path:
    """Parts that are not merged yet."""
    return Path(shutil.copytree(kept / "parts", tmp_path / "run"))


def own(root: Path) -> dict[str, bytes]:
    """The files of the run itself, without its parts and shards and what is hidden beside them."""
    return {name: data for name, data in snapshot(root).items() if not name.startswith(("parts/", "shards/", "."))}


def same_rows(one: dict[str, RecordRow], other: dict[str, RecordRow]) -> bool:
    def plain(row: RecordRow) -> object:
        answers = {key: (answer.values.tobytes(), answer.classes) for key, answer in row.answers.items()}
        assert row.probabilities is not None
        return (row.position, row.predicted, row.label, row.probabilities.tobytes(), answers, row.files, row.revision)

    return {key: plain(row) for key, row in one.items()} == {key: plain(row) for key, row in other.items()}


def test_merged_parts_are_the_run_of_one_job(kept: Path, root: Path) -> None:
    before = snapshot(root)
    merged = merge(root)
    assert (merged.parts, merged.brought.pictures, merged.brought.missing) == (3, 15 * 3, 0)
    for split in DATA:
        assert same_rows(rows(root, split), rows(kept / "whole", split))
    expected, found = own(kept / "whole"), own(root)
    assert found.keys() == expected.keys()
    differing = {name for name in expected if found[name] != expected[name]}
    assert differing <= {"manifest.json", "embeddings/projection_pca.parquet"}  # sums in another order
    assert {name: data for name, data in snapshot(root).items() if name in before} == before  # parts are kept
    assert seewhy.verify(root) == []


def test_embeddings_are_in_the_order_of_the_data_set_and_equal_to_the_bit_at_one_record_a_batch(
    kept: Path, root: Path
) -> None:
    merge(root)
    name = "embeddings/train_embeddings.pt"
    assert torch.equal(torch.load(root / name), torch.load(kept / "whole" / name))
    assert (root / name).read_bytes() == (kept / "whole" / name).read_bytes()


@pytest.mark.slow
def test_larger_batches_change_numbers_by_rounding_alone(tmp_path: Path, kept: Path) -> None:
    explain_parts(tmp_path / "run", batch_size=4)
    merge(tmp_path / "run")
    name = "embeddings/train_embeddings.pt"
    torch.testing.assert_close(torch.load(tmp_path / "run" / name), torch.load(kept / "whole" / name))
    one, other = rows(tmp_path / "run", "train"), rows(kept / "whole", "train")
    for record_id in DATA["train"]:
        for key, answer in other[record_id].answers.items():
            np.testing.assert_allclose(one[record_id].answers[key].values, answer.values, rtol=1e-4, atol=1e-6)


def test_the_command_without_a_shard_finds_nothing_to_do(root: Path) -> None:
    merge(root)
    left = snapshot(root)
    summary = seewhy.run(conv_net(), data(), root, **GIVEN)
    assert (summary.computed, summary.reused) == (0, 15)
    assert snapshot(root) == left


def test_merging_again_changes_nothing_and_parts_go_when_that_is_asked(root: Path) -> None:
    merge(root)
    times = {path: path.stat().st_mtime_ns for path in root.rglob("*") if path.name != ".lock" and path.is_file()}
    assert (merge(root).brought.shards, merge(root).again) == (0, True)
    assert times == {path: path.stat().st_mtime_ns for path in times}
    assert merge(root, remove_parts=True).removed == 3
    assert not (root / "parts").exists()
    assert seewhy.verify(root) == []
    assert [(once.parts, once.again, once.removed) for once in (merge(root), merge(root, remove_parts=True))] == [
        (0, True, 0)
    ] * 2


class Ended(BaseException):
    """What nobody catches."""


@pytest.mark.parametrize("point", ["merge.file", "merge.shard", "merge.marked", "merge.removing", "merge.removed"])
def test_a_merge_that_was_ended_at_a_point_goes_on(
    kept: Path, root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, point: str
) -> None:
    """The kills themselves are in ``test_merge_kills.py``."""

    def end(name: str) -> None:
        if name == point:
            raise Ended

    with monkeypatch.context() as patch:
        patch.setenv(failpoints.VARIABLE, "here")
        patch.setattr(failpoints, "_kill_when_due", end)
        with pytest.raises(Ended):
            merge(root, remove_parts=True)
    merge(root, remove_parts=True)
    undisturbed = Path(shutil.copytree(kept / "parts", tmp_path / "undisturbed"))
    merge(undisturbed, remove_parts=True)
    assert snapshot(root) == snapshot(undisturbed)
    assert not (root / "parts").exists()


def test_what_lies_among_the_parts_is_in_no_ones_way_and_stays(root: Path) -> None:
    log = root / "parts" / "slurm-1.out"
    log.write_text("of the scheduler")
    require_part_fits(root, Part(0, OF))
    assert merge(root).left == ()
    merged = merge(root, remove_parts=True)
    assert (merged.removed, merged.left) == (3, ("parts/slurm-1.out",))
    assert [path.name for path in (root / "parts").iterdir()] == [log.name]
    assert seewhy.run(conv_net(), data(), root, **GIVEN).reused == 15
    assert log.read_text() == "of the scheduler"


def test_a_folder_that_is_named_as_that_of_parts_and_holds_none_is_a_stranger(tmp_path: Path) -> None:
    (tmp_path / "parts").mkdir()
    (tmp_path / "parts" / "wheel.stl").touch()
    with pytest.raises(SeewhyError, match="SW-S09"):
        require_part_fits(tmp_path, Part(0, OF))


def test_shards_share_their_bytes_with_the_parts_where_links_are_possible(root: Path) -> None:
    merge(root)
    assert all(path.stat().st_nlink == 2 for path in (root / "shards").iterdir())


def test_a_part_that_has_grown_is_merged_again(tmp_path: Path) -> None:
    less = {"train": DATA["train"][:5]}
    for number in range(OF):
        seewhy.run(conv_net(), data(**less), tmp_path / "run", shard=f"{number}/{OF}", **GIVEN)
    merge(tmp_path / "run")
    explain_parts(tmp_path / "run")
    with pytest.raises(SeewhyError, match="SW-S44"):
        seewhy.run(conv_net(), data(), tmp_path / "run", **GIVEN)
    grown = [number for number in range(OF) for name in DATA["train"][5:] if seewhy_part(name) == number]
    assert merge(tmp_path / "run").brought.shards == len(set(grown))
    assert rows(tmp_path / "run", "train").keys() == set(DATA["train"])
    assert seewhy.verify(tmp_path / "run") == []
    assert seewhy.run(conv_net(), data(), tmp_path / "run", **GIVEN).computed == 0


def seewhy_part(name: str) -> int:
    from seewhy.store.part import Part

    return next(number for number in range(OF) if Part(number, OF).holds(name))


@pytest.mark.slow
def test_a_record_that_was_explained_again_keeps_its_later_row(tmp_path: Path) -> None:
    name = DATA["train"][0]
    explain_parts(tmp_path / "run")
    changed = {**data(), "train": Pictures(DATA["train"], contents={name: "second"})}
    for number in range(OF):
        seewhy.run(conv_net(), changed, tmp_path / "run", shard=f"{number}/{OF}", **GIVEN)
    assert merge(tmp_path / "run").brought.missing == 0
    seewhy.run(conv_net(), changed, tmp_path / "whole", **GIVEN)
    assert rows(tmp_path / "run", "train")[name].revision == "second"
    assert same_rows(rows(tmp_path / "run", "train"), rows(tmp_path / "whole", "train"))
    assert seewhy.verify(tmp_path / "run") == []


@pytest.mark.slow
def test_failed_records_are_told_as_one_run_tells_them(tmp_path: Path) -> None:
    broken = {**data(), "train": Pictures(DATA["train"], faults={"t03": ValueError("torn")})}
    for number in range(OF):
        seewhy.run(conv_net(), broken, tmp_path / "run", shard=f"{number}/{OF}", **GIVEN)
    merged = merge(tmp_path / "run")
    seewhy.run(conv_net(), broken, tmp_path / "whole", **GIVEN)
    assert merged.summary.exit_code == 1
    assert own(tmp_path / "run")["failures.json"] == own(tmp_path / "whole")["failures.json"]


def test_grades_are_those_of_one_run(tmp_path: Path) -> None:
    metrics = {"names": ["deletion"], "settings": {"deletion": {"steps": 3}}}
    graded = {**GIVEN, "generate_metrics": True, "splits": ["test"], "metrics": metrics}
    seewhy.run(conv_net(), data(), tmp_path / "whole", **graded)
    explain_parts(tmp_path / "run", **graded)
    merged = merge(tmp_path / "run")
    assert len(merged.summary.graded) == 1
    expected, found = own(tmp_path / "whole"), own(tmp_path / "run")
    tables = [name for name in expected if name.startswith("metrics/")]
    assert len(tables) == 4
    assert {name: found[name] for name in tables} == {name: expected[name] for name in tables}


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


def test_pictures_that_are_gone_are_counted(root: Path) -> None:
    for path in sorted((root / "parts/1-of-3/gradcam").rglob("*.png"))[:2]:
        path.unlink()
    assert merge(root).brought.missing == 2


def test_a_run_of_its_own_is_not_mixed_with_parts(kept: Path, root: Path) -> None:
    shutil.copytree(kept / "whole", root, dirs_exist_ok=True)
    assert refused(root).code == "SW-S48"


def test_nothing_to_merge_is_an_error(kept: Path, tmp_path: Path) -> None:
    assert refused(tmp_path).message == f"{tmp_path} holds no parts of a run: there is nothing to merge"
    whole = Path(shutil.copytree(kept / "whole", tmp_path / "whole"))
    error = refused(whole)
    assert (error.code, "was never in parts" in error.message, "shard=0/4" in str(error.fix)) == ("SW-S45", True, True)


def test_commands_of_parts_become_one_with_the_part_left_open(tmp_path: Path) -> None:
    for number in range(OF):
        words = ["generate_artifacts", f"shard={number}/{OF}", "seed=0"]
        seewhy.run(conv_net(), data(), tmp_path / "run", shard=f"{number}/{OF}", command=words, **GIVEN)
    merge(tmp_path / "run")
    about = json.loads((tmp_path / "run/about.json").read_text())
    assert about["commands"] == [["generate_artifacts", "shard=…/3", "seed=0"]]
    assert "part" not in about["choices"]
