"""Pictures drawn later: the bytes are those the run would have written, and nothing but what is missing is drawn."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pipeline_inputs import SHAPES, Named, TwoGaps
from pipeline_samples import Log, Pictures, conv_net, ids, pictures, rows, snapshot, vit

import seewhy
from seewhy.cli.progress import outcome_of
from seewhy.cli.unchanged import Standing
from seewhy.data.custom import CustomDataset
from seewhy.pipeline.merge import merge
from seewhy.pipeline.rendering import Drawable, Rendered, Rendering, Wish
from seewhy.pipeline.rendering_ground import Previews, Records
from seewhy.pipeline.sampling import sample_of
from seewhy.render.errors import RenderError
from seewhy.report.dashboard_run import DashboardRun
from seewhy.report.static_report import remake_report
from seewhy.store.additions import adding_to
from seewhy.store.picture_tables import KIND
from seewhy.store.receipts import NOT_DRAWN, read_receipts
from seewhy.store.remakable import write_remakable
from seewhy.store.run_reader import RunReader
from seewhy.store.shards import Shard
from seewhy.store.verify import verify
from seewhy.values import ConfigError


def draw(root: Path, dataset: Any = None, **wish: Any) -> Rendered:
    """What ``seewhy render`` does."""
    with adding_to(root) as held:
        grounds = Previews() if dataset is None else Records(seewhy.CustomDataset(dataset))

        def write(relative: str, data: bytes, *, kind: str, record_id: str) -> Any:
            return write_remakable(held.root, relative, data, kind=kind, record_id=record_id)

        def keep(relative: str, data: bytes) -> None:
            held.write_file(relative, data, kind=KIND)

        return Rendering(RunReader(held.root), Drawable.of(held.root), grounds, write, keep).draw(Wish(**wish))


def pngs(root: Path) -> dict[str, bytes]:
    """The pictures of a run with their bytes."""
    return {name: data for name, data in snapshot(root).items() if name.endswith(".png")}


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that drew everything."""
    root = tmp_path_factory.mktemp("whole") / "run"
    seewhy.run(vit(), Pictures([*ids(4), "A", "a"]), root, shard_size=4, generate_report=False)
    return root


@pytest.fixture(scope="module")
def bare(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same run, without pictures."""
    root = tmp_path_factory.mktemp("bare") / "run"
    seewhy.run(vit(), Pictures([*ids(4), "A", "a"]), root, shard_size=4, generate_report=False, render="none")
    return root


@pytest.fixture
def undrawn(bare: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(bare, tmp_path / "run"))


def test_a_run_without_pictures_holds_the_same_maps_and_previews(whole: Path, bare: Path) -> None:
    assert pictures(bare) == set()
    drawn, undrawn = rows(whole), rows(bare)
    assert all(row.files and not undrawn[name].files for name, row in drawn.items())
    for name, row in drawn.items():
        for key, answer in row.answers.items():
            np.testing.assert_array_equal(undrawn[name].answers[key].values, answer.values)
    assert [row.previews for row in RunReader(bare).rows("test", previews=True)] == [
        row.previews for row in RunReader(whole).rows("test", previews=True)
    ]
    assert verify(bare) == []


def test_pictures_drawn_later_are_those_of_the_run_to_the_bit(whole: Path, undrawn: Path) -> None:
    done = draw(undrawn, Pictures([*ids(4), "A", "a"]))
    assert (done.records, done.pictures, done.failures) == (6, 24, [])  # three classes and the sheet
    assert pngs(undrawn) == pngs(whole)
    assert {name: row.files for name, row in rows(undrawn).items()} == {
        name: row.files for name, row in rows(whole).items()
    }
    assert verify(undrawn) == []
    assert draw(undrawn, Pictures([*ids(4), "A", "a"])).records == 0


def test_pictures_of_merged_parts_are_those_of_one_run_to_the_bit(tmp_path: Path) -> None:
    given: dict[str, Any] = {"batch_size": 1, "generate_report": False, "target_classes": [0]}
    seewhy.run(conv_net(), Pictures(["a", "A", *ids(4)]), tmp_path / "whole", **given)
    for part in ("0/2", "1/2"):
        seewhy.run(conv_net(), Pictures(["a", "A", *ids(4)]), tmp_path / "run", shard=part, render="none", **given)
    assert merge(tmp_path / "run", remove_parts=True).parts == 2
    assert draw(tmp_path / "run", Pictures(["a", "A", *ids(4)])).pictures == 6
    assert pngs(tmp_path / "run") == pngs(tmp_path / "whole")
    assert verify(tmp_path / "run") == []


def test_the_same_command_with_render_all_draws_what_is_missing_and_asks_no_model(
    whole: Path, undrawn: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    summary = seewhy.run(vit(), Pictures([*ids(4), "A", "a"]), undrawn, shard_size=4, generate_report=False)
    assert (summary.computed, summary.reused) == (0, 6)
    assert pngs(undrawn) == pngs(whole)
    assert verify(undrawn) == []
    before = snapshot(undrawn)
    seewhy.run(vit(), Pictures([*ids(4), "A", "a"]), undrawn, shard_size=4, generate_report=False)
    assert snapshot(undrawn) == before


def test_pictures_that_a_later_command_cannot_draw_are_told_and_keep_no_receipt(undrawn: Path) -> None:
    names = [*ids(4), "A", "a"]
    given: dict[str, Any] = {"shard_size": 4, "generate_report": False}
    standing = Standing(undrawn, "request", "data", 1, report=False, retries=False, recheck=False)
    summary = seewhy.run(vit(), Pictures(names, faults={"r01": OSError("gone")}), undrawn, **given)
    assert summary.choices[NOT_DRAWN] == "of 1 records, such as r01: OSError: gone"
    assert json.loads((undrawn / "about.json").read_text())["choices"][NOT_DRAWN] == summary.choices[NOT_DRAWN]
    assert f"{NOT_DRAWN}: of 1 records, such as r01: OSError: gone" in outcome_of(summary).notes
    standing.keep(outcome_of(summary))
    assert read_receipts(undrawn) == []
    assert verify(undrawn) == []
    summary = seewhy.run(vit(), Pictures(names), undrawn, **given)
    assert NOT_DRAWN not in (undrawn / "about.json").read_text()
    standing.keep(outcome_of(summary))
    assert len(read_receipts(undrawn)) == 1


def test_a_later_command_that_draws_is_watched_and_can_be_stopped(whole: Path, undrawn: Path) -> None:
    names = [*ids(4), "A", "a"]
    given: dict[str, Any] = {"shard_size": 4, "generate_report": False}
    log = Log()
    summary = seewhy.run(
        vit(), Pictures(names), undrawn, observer=log, stop=lambda: bool(pngs(undrawn)), writer_threads=1, **given
    )
    assert summary.interrupted
    assert 0 < len(pngs(undrawn)) < len(pngs(whole))
    assert set(log.advances) == {(1, 0)}
    assert not seewhy.run(vit(), Pictures(names), undrawn, **given).interrupted
    assert pngs(undrawn) == pngs(whole)
    assert verify(undrawn) == []


def test_a_sample_follows_from_the_ids_alone(tmp_path: Path) -> None:
    names = ids(9)
    one = {"render": "sample", "render_sample": 2, "generate_report": False, "target_classes": [0]}
    seewhy.run(conv_net(), Pictures(names), tmp_path / "one", batch_size=2, shard_size=2, **one)
    seewhy.run(conv_net(), Pictures(names[::-1]), tmp_path / "other", **one)
    chosen = sample_of(names, 2)
    assert len(chosen) == 2
    assert (
        pictures(tmp_path / "one") == pictures(tmp_path / "other") == {f"gradcam/{name}/class_0.png" for name in chosen}
    )
    seewhy.run(conv_net(), Pictures(names), tmp_path / "one", **one | {"render_sample": 4})
    assert pictures(tmp_path / "one") == {f"gradcam/{name}/class_0.png" for name in sample_of(names, 4)}


def test_pages_are_the_same_with_pictures_and_without(whole: Path, bare: Path, tmp_path: Path) -> None:
    shown = []
    for root in (whole, bare):
        copied = Path(shutil.copytree(root, tmp_path / root.parent.name))
        remake_report(copied)
        record = DashboardRun(1, copied).record(0)
        shown.append(((copied / "report/index.html").read_bytes(), record))
    assert shown[0] == shown[1]


def test_records_classes_and_a_limit_can_be_chosen(undrawn: Path) -> None:
    data = Pictures([*ids(4), "A", "a"])
    assert draw(undrawn, data, chosen={"r01"}.__contains__, classes=frozenset({2})).pictures == 1
    assert pictures(undrawn) == {"gradcam/r01/class_2.png"}
    done = draw(undrawn, data, limit=2)
    assert (done.records, len(pictures(undrawn))) == (2, 8)  # r00 and the rest of r01
    assert verify(undrawn) == []
    assert draw(undrawn, data, splits=["val"]).records == 0


def test_over_previews_pictures_say_so_and_give_way_to_those_of_the_data(whole: Path, undrawn: Path) -> None:
    done = draw(undrawn)
    assert (done.records, done.failures) == (6, [])
    drawn, right = pngs(undrawn), pngs(whole)
    assert drawn.keys() == right.keys()
    assert all(drawn[name] != right[name] for name in right)
    assert verify(undrawn) == []
    assert draw(undrawn).records == 0
    assert draw(undrawn, Pictures([*ids(4), "A", "a"])).records == 6
    assert pngs(undrawn) == right
    assert verify(undrawn) == []


def test_what_is_deleted_is_drawn_again_and_listed_as_it_lies(whole: Path, tmp_path: Path) -> None:
    root = Path(shutil.copytree(whole, tmp_path / "run"))
    shutil.rmtree(root / "gradcam")
    assert {finding.problem for finding in verify(root)} == {"missing"}
    assert draw(root).records == 6
    assert verify(root) == []


def test_a_lacking_picture_drawn_over_a_preview_leaves_the_others_of_its_record(whole: Path, tmp_path: Path) -> None:
    root = Path(shutil.copytree(whole, tmp_path / "run"))
    (root / "gradcam/r01/class_0.png").unlink()
    done = draw(root)
    assert (done.records, done.pictures) == (1, 1)
    drawn, right = pngs(root), pngs(whole)
    assert {name for name in right if drawn[name] != right[name]} == {"gradcam/r01/class_0.png"}
    assert verify(root) == []
    assert draw(root, Pictures([*ids(4), "A", "a"])).pictures == 1
    assert pngs(root) == right


def test_the_page_of_several_inputs_is_made_again(tmp_path: Path) -> None:
    data = Named(ids(2), SHAPES)
    seewhy.run(TwoGaps(), data, tmp_path / "run", generate_report=False, target_classes=[0])
    before = pngs(tmp_path / "run")
    (tmp_path / "run/gradcam/r01/class_0.png").unlink()
    assert [finding.path for finding in verify(tmp_path / "run")] == ["gradcam/r01/class_0.png"]
    assert draw(tmp_path / "run", data).pictures == 1
    assert pngs(tmp_path / "run") == before
    assert verify(tmp_path / "run") == []


def test_shards_without_a_chosen_record_are_not_decoded(undrawn: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    decoded: list[str] = []
    group = Shard.group

    def counted(shard: Shard, *given: Any, **named: Any) -> Any:
        decoded.append(shard.path.name)
        return group(shard, *given, **named)

    monkeypatch.setattr(Shard, "group", counted)
    assert draw(undrawn, Pictures([*ids(4), "A", "a"]), chosen={"a"}.__contains__).records == 1
    assert decoded == ["test-00001.parquet"]


def test_a_record_whose_content_changed_is_told_and_keeps_no_other_from_it(undrawn: Path) -> None:
    done = draw(undrawn, Pictures(ids(4), contents={"r01": "other"}))
    assert done.records == 3
    reasons = dict(done.failures)
    assert reasons.keys() == {"r01", "A", "a"}
    assert "[SW-R74] its content has changed" in reasons["r01"]
    assert "[SW-R74] the data set has no such record" in reasons["a"]


def test_a_store_and_a_disk_cannot_tell_whether_they_hold_the_same(
    undrawn: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = Pictures([*ids(4), "A", "a"])
    read = CustomDataset.read
    monkeypatch.setattr(CustomDataset, "read", lambda self, at: replace(read(self, at), revision="etag:9a03/7"))
    done = draw(undrawn, data)
    said = "[SW-R74] the run read it from a disk, and this is a store: whether they hold the same cannot be told"
    assert {reason for _, reason in done.failures} == {f"RenderError: {said}"}


def test_explained_again_it_loses_the_pictures_of_before(undrawn: Path) -> None:
    names = [*ids(4), "A", "a"]
    draw(undrawn, Pictures(names))
    changed = Pictures(names, contents={"r01": "other"})
    old = (undrawn / "gradcam/r01/class_0.png").read_bytes()
    seewhy.run(vit(), changed, undrawn, shard_size=4, generate_report=False, render="none")
    assert not (undrawn / "gradcam/r01/class_0.png").exists()
    assert rows(undrawn)["r01"].files == ()
    assert (undrawn / "gradcam/r02/class_0.png").exists()
    assert verify(undrawn) == []
    assert draw(undrawn, changed).records == 1
    assert (undrawn / "gradcam/r01/class_0.png").read_bytes() != old
    assert verify(undrawn) == []


def test_several_inputs_are_drawn_as_the_run_draws_them(tmp_path: Path) -> None:
    model, data = TwoGaps(), Named(ids(3), SHAPES)
    given = {"generate_report": False, "shard_size": 2}
    seewhy.run(model, data, tmp_path / "whole", **given)
    seewhy.run(model, data, tmp_path / "run", **given, render="none")
    draw(tmp_path / "run", data)
    assert pngs(tmp_path / "run") == pngs(tmp_path / "whole") != {}


def test_questions_of_several_commands_are_all_drawn(tmp_path: Path) -> None:
    names = ids(3)
    for root, render in ((tmp_path / "whole", "all"), (tmp_path / "run", "none")):
        for asked in ([1], [0, 2]):
            seewhy.run(vit(), Pictures(names), root, target_classes=asked, render=render, generate_report=False)
    draw(tmp_path / "run", Pictures(names))
    assert pngs(tmp_path / "run") == pngs(tmp_path / "whole")
    assert verify(tmp_path / "run") == []


def test_stopped_it_lists_what_is_drawn_and_goes_on(whole: Path, undrawn: Path) -> None:
    data = Pictures([*ids(4), "A", "a"])
    asked = iter(range(9))
    with adding_to(undrawn) as held:
        done = Rendering(
            RunReader(held.root),
            Drawable.of(held.root),
            Records(seewhy.CustomDataset(data)),
            lambda relative, content, *, kind, record_id: write_remakable(
                held.root, relative, content, kind=kind, record_id=record_id
            ),
            lambda relative, content: held.write_file(relative, content, kind=KIND),
        ).draw(Wish(), stop=lambda: next(asked) >= 5)
    assert (done.records, done.stopped) == (5, True)
    assert verify(undrawn) == []
    assert draw(undrawn, data).records == 1
    assert pngs(undrawn) == pngs(whole)


def test_a_damaged_table_is_named_and_made_again(undrawn: Path) -> None:
    data = Pictures([*ids(4), "A", "a"])
    draw(undrawn, data)
    table = undrawn / "pictures/test-00001.parquet"
    table.write_bytes(table.read_bytes()[:-9])
    findings = verify(undrawn)
    assert {(finding.problem, finding.path) for finding in findings} == {("damaged", "pictures/test-00001.parquet")}
    with pytest.raises(seewhy.SeewhyError, match="SW-S20"):
        list(RunReader(undrawn).rows("test"))
    table.unlink()
    assert draw(undrawn, data).records == 2
    assert verify(undrawn) == []


def test_a_shard_made_anew_does_not_take_the_pictures_of_another(undrawn: Path) -> None:
    draw(undrawn, Pictures([*ids(4), "A", "a"]))
    (undrawn / "pictures/test-00000.parquet").replace(undrawn / "pictures/test-00001.parquet")
    assert all(row.files == () for row in rows(undrawn).values())


@pytest.mark.parametrize("given", [{"render": "some"}, {"render": True}])
def test_another_word_for_render_is_refused(given: dict[str, Any], tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="SW-F330"):
        seewhy.run(vit(), Pictures(ids(2)), tmp_path / "run", **given)


def test_a_record_without_a_picture_of_its_inputs_is_drawn_from_the_data_alone(bare: Path) -> None:
    row = next(RunReader(bare).rows("test", previews=True))
    assert Previews().of(row)
    for changed in (replace(row, previews=()), replace(row, previews=(replace(row.previews[0], kind="signals"),))):
        with pytest.raises(RenderError, match="SW-R72") as refusal:
            Previews().of(changed)
        assert "data.root=DIR" in str(refusal.value)
