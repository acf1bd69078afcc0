"""``seewhy merge``: the run that one job would have made, row for row."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from merge_samples import DATA, GIVEN, OF, data, explain_parts, same_rows, whole_and_parts
from pipeline_samples import Pictures, conv_net, rows, snapshot

import seewhy
from seewhy.pipeline.merge import merge
from seewhy.store import failpoints
from seewhy.store.part import Part
from seewhy.store.parts import require_part_fits
from seewhy.values import SeewhyError


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One run made by one job (``whole``), the same in three parts (``parts``)."""
    return whole_and_parts(tmp_path_factory.mktemp("merge"))


@pytest.fixture
def root(kept: Path, tmp_path: Path) -> Path:
    """Parts that are not merged yet."""
    return Path(shutil.copytree(kept / "parts", tmp_path / "run"))


def own(root: Path) -> dict[str, bytes]:
    """The files of the run itself, without its parts and shards and what is hidden beside them."""
    return {name: data for name, data in snapshot(root).items() if not name.startswith(("parts/", "shards/", "."))}


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


def test_pictures_that_are_gone_are_counted(root: Path) -> None:
    for path in sorted((root / "parts/1-of-3/gradcam").rglob("*.png"))[:2]:
        path.unlink()
    assert merge(root).brought.missing == 2


def test_commands_of_parts_become_one_with_the_part_left_open(tmp_path: Path) -> None:
    for number in range(OF):
        words = ["generate_artifacts", f"shard={number}/{OF}", "seed=0"]
        seewhy.run(conv_net(), data(), tmp_path / "run", shard=f"{number}/{OF}", command=words, **GIVEN)
    merge(tmp_path / "run")
    about = json.loads((tmp_path / "run/about.json").read_text())
    assert about["commands"] == [["generate_artifacts", "shard=…/3", "seed=0"]]
    assert "part" not in about["choices"]
