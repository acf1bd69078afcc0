"""Numbers of a static page: what is shown of them is the rounding of what is stored, not of a rounding."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from report_small_runs import mapped, page_of, row, write_small_run

from seewhy.report.packing import short
from seewhy.report.static_report import report_pages
from seewhy.store.run_reader import RunReader


def test_no_number_is_shown_as_another_for_being_packed() -> None:
    rng = np.random.default_rng(0)
    values = [0.56249996, 0.01499999, 0.9994999, *rng.random(20_000), *(rng.standard_normal(20_000) * 1e-3)]
    for value in map(float, values):
        packed = float(short(value))
        assert (f"{packed:.3g}", f"{packed:.1%}") == (f"{value:.3g}", f"{value:.1%}")


def test_the_confidence_and_the_first_probability_are_the_same_number(tmp_path: Path) -> None:
    confidence = float(np.float32(0.6834567))
    one = row("a", confidence=confidence, answers=mapped(np.full((3, 2, 2), 0.1234996)))
    ((_, html),) = report_pages(RunReader(write_small_run(tmp_path / "run", [one])))
    (record,) = page_of(html)["records"]
    assert record["confidence"] == record["top"][0][1]
    mean = record["maps"][0][5][0]
    # of float32(0.1234996); four digits would be shown as 0.124
    assert f"{mean:.3g}" == "0.123"
