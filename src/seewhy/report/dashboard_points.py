"""The map of the embeddings as the dashboard draws it: the points, with what names and colours them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from seewhy.report.points import points_json
from seewhy.report.record_table import FAILED, NO_CLASS, RIGHT, WRONG, Integers, RecordTable
from seewhy.values import Json

Points = dict[str, Json]


def points_of(path: Path, table: RecordTable) -> Points:
    """The points of a projection with columns of their records; what is not known is None.

    ``record`` is the number of each point's record. Points of records that the run does not have are left out.

    Raises:
        ReportError: ``SW-P02``, the file is damaged.
    """
    splits = [table.splits[place] for place in table.split.tolist()]
    ids = table.ids.to_pylist()
    told = points_json(path, {pair: number for number, pair in enumerate(zip(splits, ids, strict=True))})
    numbers = np.asarray(told["record"], np.int64)
    states = table.state[numbers].tolist()
    return {
        **told,
        "id": [ids[number] for number in told["record"]],
        "split": [splits[number] for number in told["record"]],
        "label": _classes(table.label, numbers),
        "predicted": _classes(table.predicted, numbers),
        "confidence": _shares(table.confidence, numbers),
        "right": [{RIGHT: True, WRONG: False}.get(state) for state in states],
        "status": ["failed" if state == FAILED else "ok" for state in states],
    }


def _classes(column: Integers, numbers: Integers) -> list[int | None]:
    return [None if cell == NO_CLASS else cell for cell in column[numbers].tolist()]


def _shares(column: NDArray[np.float64], numbers: Integers) -> list[Any]:
    return [cell if np.isfinite(cell) else None for cell in np.round(column[numbers], 4).tolist()]
