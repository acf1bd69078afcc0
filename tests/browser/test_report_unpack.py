"""What a page unpacks is what the record said: both halves of the packing, in the browser that will do it."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np

from seewhy.report.record import record_json
from seewhy.report.run_facts import Facts
from seewhy.report.static_report import remake_report
from seewhy.store.run_directory import RunDirectory
from seewhy.store.run_reader import RunReader
from seewhy.values import Answer, Geometry, RecordRow

QUESTIONS = {
    "gradcam@layer4": {"kind": "gradcam", "method": "gradcam", "layer": "layer4"},
    "deletion(gradcam@layer4)": {
        "kind": "grades", "method": "gradcam", "layer": "layer4", "metric": "deletion", "input": "image",
    },
    "shares@a,b": {"kind": "shares", "method": "gradcam", "layers": {"left": "a", "right": "b"}},
}  # fmt: skip
READ = "seewhy.unpack(JSON.parse(document.getElementById('page').textContent)).records"


def rows() -> list[RecordRow]:
    rng = np.random.default_rng(3)
    raw = rng.standard_normal((2, 3, 4)).astype(np.float32)
    raw[0, 0, 0], raw[1] = np.nan, 0
    full = RecordRow(
        "full", "test", 0, label=1, predicted=0, confidence=0.7, probabilities=np.float32([0.7, 0.3]),
        geometry=Geometry((20, 30), (8, 8), (0.4, 0.4), (0.0, 2.0)), notes=("a note",),
        facts={"undefined deletion(gradcam@layer4)": "no evidence"},
        answers={
            "gradcam@layer4": Answer(raw, (0, 1)),
            "deletion(gradcam@layer4)": Answer(np.float32([np.nan]), (0,)),
            "shares@a,b": Answer(np.float32([[0.25, 0.75]]), (0,)),
        },
    )  # fmt: skip
    return [full, RecordRow("bare", "test", 1), RecordRow("bad", "test", 2, status="failed", stage="data", error="no")]


def same(one: Any, other: Any) -> bool:
    """Equal but for digits that a page leaves out, and for histograms, which static pages do not carry."""
    if isinstance(one, dict):
        assert one.keys() == other.keys()
        return all(key == "histogram" or same(value, other[key]) for key, value in one.items())
    if isinstance(one, list):
        return len(one) == len(other) and all(map(same, one, other))
    if isinstance(one, float):
        return math.isclose(one, other, rel_tol=1e-3)
    return bool(one == other)


def test_records_are_unpacked_as_they_were(page: Any, tmp_path: Path) -> None:
    with RunDirectory.open(tmp_path / "run", {"model": {"name": "tiny"}}) as run:
        run.commit("test", rows(), QUESTIONS)
        run.finish()
    remake_report(tmp_path / "run")
    reader = RunReader(tmp_path / "run")
    facts = Facts.of(reader)
    read = reader.rows("test", questions=facts.told_of_records, previews=True)
    told = {row.record_id: record_json(row, facts, source=lambda row, preview: "") for row in read}
    page.goto((tmp_path / "run" / "report" / "index.html").as_uri())
    found = {one["id"]: one for one in page.evaluate(READ)}
    assert found.keys() == told.keys() == {"full", "bare", "bad"}
    for name, one in told.items():
        assert same(one, found[name]), name
