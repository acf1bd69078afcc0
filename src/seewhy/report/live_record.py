"""An answer of the live model as a record page shows it: a map, what the model said, grades beside the controls."""

from __future__ import annotations

import base64
from typing import Final

from seewhy.report.live import Answered
from seewhy.report.map_codes import map_json, number
from seewhy.report.record import UNDEFINED, inputs_json, said_of
from seewhy.report.record_maps import FoundMap, shown_of
from seewhy.report.run_facts import GRADES, Facts
from seewhy.values import Json, Preview, RecordRow

MAP: Final = "map"
"""The kind of an answer that is drawn."""


def live_record_json(answered: Answered, facts: Facts) -> dict[str, Json]:
    """RECORD of the pages, with pictures inline; ``live`` in it is what is told beside the record.

    ``facts`` are those of the run whose model was asked.
    """
    row = answered.row
    return {
        **said_of(row, facts),
        "inputs": inputs_json(row, facts, _inline),
        "maps": _maps(answered),
        "grades": _grades(answered, facts),
        "files": [],
        "omitted": 0,
        "live": {**answered.told, "notes": [facts.redact(str(note)) for note in answered.told.get("notes", ())]},
    }


def _inline(row: RecordRow, preview: Preview) -> str:
    del row
    return f"data:image/jpeg;base64,{base64.b64encode(preview.data).decode('ascii')}"


def _maps(answered: Answered) -> list[dict[str, Json]]:
    row, told = answered.row, []
    previews = {preview.input_name: preview for preview in row.previews}
    for key, spec in answered.questions.items():
        if spec["kind"] != MAP:
            continue
        answer = row.answers[key]
        index = answer.classes[0] if answer.classes else None
        one = FoundMap(
            key, spec["method"], spec["layer"], spec["inputs"][0], index, "", spec["scale"], spec["unit"],
            answer.values[0], (0, 0),
        )  # fmt: skip
        shown, of = shown_of(previews, one)
        told.append(map_json(one.raw, **one.looks, shown=shown, of=of))
    return told


def _grades(answered: Answered, facts: Facts) -> list[dict[str, Json]]:
    row = answered.row
    told: list[dict[str, Json]] = []
    for key, spec in answered.questions.items():
        if spec["kind"] != GRADES:
            continue
        control, reason = spec.get("control"), row.facts.get(f"{UNDEFINED}{key}")
        told.append({
            "who": control or spec["method"], "control": control is not None, "metric": spec["metric"],
            "input": spec["input"], "value": number(float(row.answers[key].values.ravel()[0])),
            "reason": None if reason is None else facts.redact(str(reason)), "better": spec["better"],
        })  # fmt: skip
    return told
