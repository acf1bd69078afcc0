"""The first screen: every number derived from rows written by hand."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from report_small_runs import ABOUT, failed, row, write_small_run

from seewhy.report.errors import ReportError
from seewhy.report.run_facts import Facts
from seewhy.report.run_summary import run_json
from seewhy.report.tally import Tally
from seewhy.store.run_reader import RunReader
from seewhy.values import RecordRow

ROWS = [
    row("a", label=0, confidence=0.95),
    row("b", label=0, predicted=1, confidence=0.61),
    row("c", label=2, confidence=0.6),
    row("d", label=None, predicted=2, confidence=1.0),
    failed("e", error="cannot open /srv/jane doe/scans/e.png"),
    row("f", split="val", label=1, confidence=0.35),
]


def told(root: Path, rows: list[RecordRow] = ROWS, about: dict | None = None, **given: object) -> dict:
    reader = RunReader(write_small_run(root, rows, about=ABOUT if about is None else about))
    facts = Facts.of(reader, **given)
    every = (one for split in reader.splits for one in reader.rows(split, questions=()))
    return run_json(facts, Tally.of(every, labels_match=facts.labels_match))


def test_counts_and_accuracy(tmp_path: Path) -> None:
    run = told(tmp_path / "run")
    assert run["counts"] == {"records": 6, "ok": 5, "failed": 1, "failed_by_stage": {"data": 1}}
    assert run["splits"] == [
        {"name": "test", "ok": 4, "failed": 1, "labelled": 3, "correct": 2, "accuracy": 2 / 3},
        {"name": "val", "ok": 1, "failed": 0, "labelled": 1, "correct": 1, "accuracy": 1.0},
    ]


def test_classes_are_counted_by_label(tmp_path: Path) -> None:
    run = told(tmp_path / "run")
    assert run["classes_by"] == "label"
    by_name = {one["name"]: one for one in run["classes"]}
    assert (by_name["cat"]["count"], by_name["cat"]["correct"], by_name["cat"]["predicted"]) == (2, 1, 1)
    assert by_name["cat"]["mean_confidence"] == pytest.approx((0.95 + 0.61) / 2)
    assert (by_name["dog"]["count"], by_name["dog"]["correct"], by_name["dog"]["predicted"]) == (1, 1, 2)
    assert (by_name["owl"]["count"], by_name["owl"]["predicted"]) == (1, 2)


def test_classes_are_counted_by_prediction_where_nothing_has_a_label(tmp_path: Path) -> None:
    run = told(tmp_path / "run", [row("a", label=None, predicted=2), row("b", label=None, predicted=2)])
    assert run["classes_by"] == "prediction"
    assert [(one["index"], one["count"], one["correct"]) for one in run["classes"]] == [(2, 2, None)]
    assert run["splits"][0]["accuracy"] is None


def test_confidence_lies_in_tenths(tmp_path: Path) -> None:
    found = told(tmp_path / "run")["confidence"]
    assert found["edges"] == [0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0]
    assert [step for step in range(10) if found["right"][step]] == [3, 6, 9]
    assert [step for step in range(10) if found["wrong"][step]] == [6]
    assert [step for step in range(10) if found["unlabelled"][step]] == [9]


def test_labels_of_other_classes_are_never_wrong(tmp_path: Path) -> None:
    run = told(tmp_path / "run", about={**ABOUT, "labels_match": False, "label_names": ["x", "y"]})
    assert run["splits"][0]["accuracy"] is None
    assert sum(run["confidence"]["wrong"]) == 0
    assert run["label_names"] == ["x", "y"]


def test_paths_are_told_only_when_asked_for(tmp_path: Path) -> None:
    text = json.dumps(told(tmp_path / "run"), ensure_ascii=False)
    assert "jane" not in text
    assert str(tmp_path) not in text
    assert "…/e.png" in text
    open_run = told(tmp_path / "run", include_paths=True)
    assert open_run["failures"][0]["error"] == "cannot open /srv/jane doe/scans/e.png"
    assert ["root", "/srv/jane doe/scans"] in open_run["data"]
    assert open_run["commands"] == ["generate_artifacts 'data.root=/srv/jane doe/scans'"]


def test_model_and_data_in_words(tmp_path: Path) -> None:
    run = told(tmp_path / "run")
    assert run["title"] == "tiny on shapes"
    assert run["model"][:2] == [["name", "tiny"], ["kind", "timm"]]
    assert ["classes", "3"] in run["model"]
    assert ["argument depth", "2"] in run["model"]
    assert ["weights", "SHA-256 9f2c9f2c9f2c9f2c…"] in run["model"]
    assert run["made"][0][0] == "fingerprint"
    assert len(run["made"][0][1]) == 64


def test_verdicts_name_their_split_and_input(tmp_path: Path) -> None:
    files = {"metrics/verdict.json": json.dumps({"val": {"image": {"outcome": "use gradcam"}}}).encode()}
    reader = RunReader(write_small_run(tmp_path / "run", ROWS, files=files))
    run = run_json(Facts.of(reader), Tally())
    verdict = {"outcome": "use gradcam"}
    assert run["verdicts"] == [{"split": "val", "input": "image", "several": False, "verdict": verdict}]


def test_a_run_without_about_is_told_as_far_as_it_is_known(tmp_path: Path) -> None:
    root = write_small_run(tmp_path / "run", ROWS, about=None)
    facts = Facts.of(RunReader(root))
    assert not facts.known_about
    assert facts.class_names is None
    assert facts.labels_match


@pytest.mark.parametrize(
    "text",
    [b"{", b"[1]", b'{"choices": NaN}', b'{"commands": {}}', b'{"default_layers": null}', b"\xff", b"[" * 100_000],
)
def test_a_damaged_description_is_refused(tmp_path: Path, text: bytes) -> None:
    root = write_small_run(tmp_path / "run", ROWS)
    (root / "about.json").write_bytes(text)
    with pytest.raises(ReportError) as caught:
        Facts.of(RunReader(root))
    assert caught.value.code == "SW-P02"


def test_a_run_without_a_manifest_is_refused(tmp_path: Path) -> None:
    root = write_small_run(tmp_path / "run", ROWS)
    (root / "manifest.json").unlink()
    with pytest.raises(ReportError) as caught:
        Facts.of(RunReader(root))
    assert caught.value.code == "SW-P01"


def test_reasons_in_grades_name_no_paths(tmp_path: Path) -> None:
    missing = {"deletion": {"cannot read /srv/x/mask.png": 2}}
    summary = {"splits": {"test": {"image": {"metrics": {}, "missing": missing}}}}
    files = {"metrics/summary.json": json.dumps(summary).encode()}
    run = run_json(Facts.of(RunReader(write_small_run(tmp_path / "run", ROWS, files=files))), Tally())
    told = run["grades"]["splits"]["test"]["image"]["missing"]
    assert told == {"deletion": {"cannot read …/mask.png": 2}}
