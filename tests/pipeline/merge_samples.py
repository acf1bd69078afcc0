"""A run in three parts, not merged yet, and the same made by one job."""

from __future__ import annotations

from pathlib import Path

from pipeline_samples import Pictures, conv_net, ids

import seewhy
from seewhy.values import RecordRow

OF = 3
DATA = {"train": ids(9, "t"), "test": ids(6, "x")}
GIVEN = {"generate_attention": False, "generate_report": False, "batch_size": 1}


def data(**changed: list[str]) -> dict[str, Pictures]:
    return {split: Pictures(names) for split, names in {**DATA, **changed}.items()}


def explain_parts(root: Path, parts: range = range(OF), **given: object) -> None:
    for number in parts:
        seewhy.run(conv_net(), data(), root, shard=f"{number}/{OF}", **{**GIVEN, **given})


def whole_and_parts(folder: Path) -> Path:
    """``whole`` and ``parts`` in a folder."""
    seewhy.run(conv_net(), data(), folder / "whole", **GIVEN)
    explain_parts(folder / "parts")
    return folder


def same_rows(one: dict[str, RecordRow], other: dict[str, RecordRow]) -> bool:
    def plain(row: RecordRow) -> object:
        answers = {key: (answer.values.tobytes(), answer.classes) for key, answer in row.answers.items()}
        assert row.probabilities is not None
        return (row.position, row.predicted, row.label, row.probabilities.tobytes(), answers, row.files, row.revision)

    return {key: plain(row) for key, row in one.items()} == {key: plain(row) for key, row in other.items()}
