"""The index of a run says what reading its rows one by one says, and follows a run that grows or is damaged."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from dashboard_samples import QUESTIONS, explained, failed, jpeg, random_commits, write_rows

from seewhy.report.index import RunIndex
from seewhy.report.record_table import NO_CLASS, STATES, RecordTable
from seewhy.report.row_source import Recent, RowSource
from seewhy.report.table_tally import tally_of
from seewhy.report.tally import Tally, right_of
from seewhy.store.run_directory import RunDirectory
from seewhy.store.run_reader import RunReader
from seewhy.values import Preview, RecordRow


def rows_of(root: Path) -> dict[tuple[str, str], RecordRow]:
    """Every record as a reader merges it."""
    reader = RunReader(root)
    return {(split, row.record_id): row for split in reader.splits for row in reader.rows(split)}


def indexed(table: RecordTable) -> dict[tuple[str, str], int]:
    """The number of each record."""
    return {
        (table.splits[table.split[number]], table.ids[number].as_py()): number for number in range(len(table))
    }  # fmt: skip


def state_of(row: RecordRow, *, labels_match: bool) -> str:
    if row.status == "failed":
        return "failed"
    right = right_of(row, labels_match=labels_match)
    return "unlabelled" if right is None else "right" if right else "wrong"


@pytest.fixture(scope="module", params=range(4))
def root(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of random commits."""
    return write_rows(tmp_path_factory.mktemp("random") / "run", *random_commits(request.param))


@pytest.mark.parametrize("labels_match", [True, False])
def test_every_column_is_what_the_merged_rows_say(root: Path, labels_match: bool) -> None:
    rows, table = rows_of(root), RunIndex(root, labels_match=lambda: labels_match).view().table
    numbers = indexed(table)
    assert numbers.keys() == rows.keys()
    for name, number in numbers.items():
        row = rows[name]
        assert table.label[number] == (NO_CLASS if row.label is None else row.label)
        assert table.predicted[number] == (NO_CLASS if row.predicted is None else row.predicted)
        np.testing.assert_equal(table.confidence[number], np.nan if row.confidence is None else row.confidence)
        assert STATES[table.state[number]] == state_of(row, labels_match=labels_match)
        assert (table.stage[number].as_py(), table.error[number].as_py()) == (row.stage, row.error)
        assert table.position[number] == row.position
        assert table.number_of(*name) == number


def test_a_record_is_read_as_a_reader_merges_it(root: Path) -> None:
    view, source = RunIndex(root).view(), RowSource()
    numbers = indexed(view.table)
    for name, row in rows_of(root).items():
        found = source.row(view, numbers[name])
        assert (found.record_id, found.status, found.label, found.revision) == (
            row.record_id, row.status, row.label, row.revision,
        )  # fmt: skip
        assert found.answers.keys() == row.answers.keys()
        for key, answer in row.answers.items():
            np.testing.assert_array_equal(found.answers[key].values, answer.values)


def test_counts_from_columns_are_counts_of_rows(root: Path) -> None:
    reader, table = RunReader(root), RunIndex(root).view().table
    ours = tally_of(table, labels_match=True)
    theirs = Tally.of((row for split in reader.splits for row in reader.rows(split)), labels_match=True)
    assert ours.counts_json() == theirs.counts_json()
    assert ours.splits_json() == theirs.splits_json()
    assert ours.confidence_json() == theirs.confidence_json()
    assert ours.failures == theirs.failures
    for one, other in zip(ours.classes_json(None), theirs.classes_json(None), strict=True):
        assert one.pop("mean_confidence") == pytest.approx(other.pop("mean_confidence"), rel=1e-12)
        assert one == other


def test_a_new_shard_is_seen_and_records_keep_their_numbers(tmp_path: Path) -> None:
    root = write_rows(tmp_path / "run", [explained("b", split="val")], [explained("z", split="train")])
    index = RunIndex(root, look_seconds=0)
    before = indexed(index.view().table)
    with RunDirectory.open(
        root, {"weights": "9f2c", "model": {"name": "tiny"}, "data": {"kind": "shapes"}, "seed": 0}
    ) as run:
        run.commit("val", [explained("a", split="val"), failed("b", split="val")], QUESTIONS)
        after = indexed(index.view().table)
    assert {name: after[name] for name in before} == before
    assert len(after) == 3
    table = index.view().table
    assert STATES[table.state[after["val", "b"]]] == "failed"
    assert table.predicted[after["val", "b"]] == 1


def test_the_directory_is_not_looked_at_again_at_once(tmp_path: Path) -> None:
    root = write_rows(tmp_path / "run", [explained("a")])
    index = RunIndex(root, look_seconds=3600)
    first = index.view()
    write_rows(root, [explained("b")])
    assert index.view() is first


def test_an_empty_run_has_no_records(tmp_path: Path) -> None:
    root = write_rows(tmp_path / "run")
    assert len(RunIndex(root).view().table) == 0


@pytest.mark.parametrize("damage", ["truncated", "empty", "text"])
def test_a_damaged_shard_is_told_and_the_others_are_shown(tmp_path: Path, damage: str) -> None:
    root = write_rows(tmp_path / "run", [explained("a")], [explained("b")])
    path = root / "shards" / "test-00000.parquet"
    data = path.read_bytes()
    path.write_bytes({"truncated": data[: len(data) // 2], "empty": b"", "text": b"hello" * 99}[damage])
    index = RunIndex(root, look_seconds=0)
    view = index.view()
    assert [record_id.as_py() for record_id in view.table.ids] == ["b"]
    assert [(one.shard, one.code) for one in view.damage] == [("shards/test-00000.parquet", "SW-S06")]
    assert str(tmp_path) not in view.damage[0].message
    path.write_bytes(data)
    view = index.view()
    assert (sorted(record_id.as_py() for record_id in view.table.ids), view.damage) == (["a", "b"], ())


def test_a_shard_that_vanishes_takes_its_records_along(tmp_path: Path) -> None:
    root = write_rows(tmp_path / "run", [explained("a")], [explained("b")])
    index = RunIndex(root, look_seconds=0)
    assert len(index.view().table) == 2
    (root / "shards" / "test-00000.parquet").unlink()
    assert [record_id.as_py() for record_id in index.view().table.ids] == ["b"]


def test_pictures_are_those_of_the_latest_content(tmp_path: Path) -> None:
    def with_picture(revision: str, name: str, grey: int) -> RecordRow:
        return explained("a", revision=revision, previews=(Preview(name, "picture", jpeg(grey)),))

    root = write_rows(
        tmp_path / "run", [with_picture("r1", "old", 10)], [with_picture("r2", "left", 20)],
        [with_picture("r2", "right", 30)],
    )  # fmt: skip
    view = RunIndex(root).view()
    found = {preview.input_name: preview.data for preview in RowSource().previews(view, 0)}
    assert found == {"left": jpeg(20), "right": jpeg(30)}


def test_recent_values_stay_within_their_bytes() -> None:
    recent = Recent[int, bytes](100, len)
    for number in range(50):
        assert recent.get(number, lambda n=number: bytes([n]) * 30) == bytes([number]) * 30  # type: ignore[misc]
    assert recent.bytes == 90
    assert recent.get(49, lambda: b"read again") == bytes([49]) * 30
    assert recent.get(0, lambda: b"read again") == b"read again"


def test_the_index_brings_neither_torch_nor_pandas(tmp_path: Path) -> None:
    root = write_rows(tmp_path / "run", [explained("a"), failed("b", 1)])
    program = (
        "import sys; from pathlib import Path\n"
        "from seewhy.report.index import RunIndex\nfrom seewhy.report.selection import page_of\n"
        "from seewhy.report.query import Query\n"
        "page = page_of(RunIndex(Path(sys.argv[1])).view().table, Query(q='a'))\n"
        "print(page.total, {'torch', 'pandas'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", program, str(root)], capture_output=True, text=True, check=False)
    assert (done.stdout.strip(), done.stderr) == ("2 set()", "")
