"""Records that wait for their page come back as they were."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from report_small_runs import GRADCAM, mapped, row, seen, write_small_run

from seewhy.report import spool as spool_module
from seewhy.report.packing import Candidate, Packing
from seewhy.report.run_facts import Facts
from seewhy.report.spool import Spool
from seewhy.store.run_reader import RunReader


@pytest.mark.parametrize("in_memory", [1, 1 << 20])
def test_what_was_put_is_taken_in_any_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, in_memory: int) -> None:
    monkeypatch.setattr(spool_module, "_IN_MEMORY", in_memory)
    raw = np.arange(12.0).reshape(3, 2, 2) - 5
    raw[1, 0, 0] = np.nan
    rows = [row(f"é{n}", answers=mapped(raw * n), previews=seen(n), notes=("a note",)) for n in range(4)]
    reader = RunReader(write_small_run(tmp_path / "run", rows, {"gradcam@layer4": GRADCAM}))
    facts = Facts.of(reader)
    told = {
        each.record_id: Candidate.of(each, facts)
        for each in reader.rows("test", questions=facts.told_of_records, previews=True)
    }
    with Spool() as spool:
        for name, one in told.items():
            spool.put(("test", name), one)
        for name in reversed(told):
            assert packed(spool.take(("test", name))) == packed(told[name])


def packed(one: Candidate) -> object:
    """Everything a page would show of a record, and the bytes of its pictures."""
    packing = Packing()
    packing.add(one, [], maps=24, heads=True)
    return packing.json(), [(each.data, each.shown, each.of, each.kind) for each in one.previews], one.size
