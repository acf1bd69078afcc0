"""Ids that would escape, collide or break a file name stay inside the run, each with files of its own."""

from __future__ import annotations

from pathlib import Path

import pyarrow.parquet as pq
from pipeline_samples import Pictures, pictures, rows, snapshot, vit

import seewhy

NASTY = [
    "../../x",
    "/etc/passwd",
    "..",
    ".",
    "CON",
    "con.txt",
    "a" * 300,
    "a\0b",
    "a",
    "A",
    "a/b",
    "a+b",
    "C:\\windows\\x",
    "line\nbreak",
    "naïve",
    "nai\u0308ve",
    "trailing.",
    "trailing ",
    "-rf",
    "<script>alert(1)</script>",
    "=cmd()",
]


def test_nasty_ids_stay_inside_and_do_not_collide(tmp_path: Path) -> None:
    home = tmp_path / "home"
    summary = seewhy.run(vit(), Pictures(NASTY), home / "deep" / "run", target_classes=[0])
    root = home / "deep" / "run"
    assert summary.exit_code == 0
    assert {path.relative_to(home).parts[:2] for path in home.rglob("*") if path.is_file()} == {("deep", "run")}
    folders = {path.name.lower() for path in (root / "gradcam").iterdir()}
    sheets = {path.name.lower() for path in (root / "attention_maps").iterdir()}
    assert len(folders) == len(sheets) == len(NASTY)
    assert len(pictures(root)) == 2 * len(NASTY)
    assert all(len(part) <= 120 for name in snapshot(root) for part in name.split("/"))
    assert seewhy.verify(root) == []


def test_the_true_id_stays_in_the_rows_and_in_the_table(tmp_path: Path) -> None:
    seewhy.run(vit(), Pictures(NASTY), tmp_path / "run", target_classes=[0])
    found = rows(tmp_path / "run")
    assert list(found) == NASTY
    assert pq.read_table(tmp_path / "run/embeddings/test_records.parquet")["record_id"].to_pylist() == NASTY
    files = [file.path for row in found.values() for file in row.files]
    assert len(files) == len({name.lower() for name in files}) == 2 * len(NASTY)


def test_a_nasty_id_can_be_asked_for_by_itself(tmp_path: Path) -> None:
    for record_id in ("../../x", "a\0b", "A"):
        summary = seewhy.run(vit(), Pictures(NASTY), tmp_path / "run", record_id=record_id, target_classes=[0])
        assert summary.computed == 1
    assert set(rows(tmp_path / "run")) == {"../../x", "a\0b", "A"}
