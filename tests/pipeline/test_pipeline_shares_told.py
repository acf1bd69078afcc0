"""Shares of inputs whose names are not sorted: each page's number is the share of the input that it stands under."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from pipeline_inputs import SHAPES, Named, TwoGaps
from pipeline_samples import ids

import seewhy
from seewhy.report.record import record_json
from seewhy.report.run_facts import Facts
from seewhy.store.run_reader import RunReader


def records(root: Path) -> list[tuple[Any, dict[str, Any]]]:
    reader = RunReader(root)
    facts = Facts.of(reader)
    rows = reader.rows("test", questions=facts.told_of_records, previews=True)
    return [(one, record_json(one, facts, source=lambda row, preview: "")) for one in rows]


def test_shares_are_of_the_inputs_they_stand_under(tmp_path: Path) -> None:
    assert list(SHAPES) != sorted(SHAPES)
    seewhy.run(
        TwoGaps(), Named(ids(4), SHAPES), tmp_path / "run", generate_embeddings=False, generate_attention=False,
    )  # fmt: skip
    layers = {"mnv": "first.conv", "fluid": "second.conv"}
    found = records(tmp_path / "run")
    assert len(found) == 4
    for one, told in found:
        for place, shares in enumerate(told["shares"]):
            maps = {name: one.answers[f"gradcam@{layer}"].values[place] for name, layer in layers.items()}
            sums = {name: values.clip(min=0).sum() for name, values in maps.items()}
            total = sum(sums.values())
            assert shares["layers"] == layers
            assert shares["shares"] == pytest.approx({name: value / total for name, value in sums.items()}, abs=1e-5)
