"""One record as pages show it: what the model said, what it looked at, how good the maps are."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from io import BytesIO
from typing import Any, Final

import numpy as np
from PIL import Image, UnidentifiedImageError

from seewhy.report.errors import ReportError
from seewhy.report.map_codes import map_json, number
from seewhy.report.record_maps import maps_of, shown_of
from seewhy.report.run_facts import GRADES, Facts
from seewhy.report.tally import right_of
from seewhy.values import Artifact, Json, Preview, RecordRow

Source = Callable[[RecordRow, Preview], str]
"""Where a page finds a record's picture: a data URI or an address."""

TOP: Final = 5
UNDEFINED: Final = "undefined "
"""How the facts of a row begin that say why a grade does not exist."""


def record_json(
    row: RecordRow,
    facts: Facts,
    *,
    source: Source,
    histogram: bool = True,
    href: Callable[[Artifact], str] | None = None,
) -> dict[str, Json]:
    """RECORD of the pages: everything a row says, in plain values.

    ``row`` was read with the answers to ``facts.told_of_records`` and with previews. Histograms are left out where
    ``histogram`` is False, files where there is no ``href`` to link them by. Absolute paths are cut unless the facts
    were made with ``include_paths``.

    Raises:
        ReportError: ``SW-P03``, a preview is no picture.
    """
    return {
        **said_of(row, facts),
        "inputs": inputs_json(row, facts, source),
        "maps": maps_json(row, facts, histogram=histogram),
        "grades": grades_json(row, facts),
        "files": [] if href is None else [{"kind": file.kind, "href": href(file)} for file in row.files],
        "omitted": 0,
    }


def said_of(row: RecordRow, facts: Facts) -> dict[str, Json]:
    """What the model said of a record and how its reading went, without pictures, maps and grades."""
    redact = facts.redact
    return {
        "id": redact.name(row.record_id),
        "split": row.split,
        "status": row.status,
        "stage": row.stage,
        "error": redact(row.error),
        "label": row.label,
        "predicted": row.predicted,
        "confidence": number(row.confidence),
        "right": right_of(row, labels_match=facts.labels_match),
        "top": top_classes(row.probabilities),
        "notes": [redact(note) for note in (*row.notes, *_unknown_shares(row, facts))],
        "geometry": None if row.geometry is None else row.geometry.to_json(),
        "shares": shares_json(row, facts),
    }


def top_classes(probabilities: np.ndarray[Any, Any] | None) -> list[list[Json]]:
    """The five most probable classes; of equal ones the first. One that is not a number comes last, as None.

    >>> top_classes(np.float32([0.25, 0.5, 0.25]))
    [[1, 0.5], [0, 0.25], [2, 0.25]]
    """
    if probabilities is None:
        return []
    order = np.argsort(-np.nan_to_num(probabilities, nan=-1.0), kind="stable")[:TOP]
    return [[int(index), number(float(probabilities[index]))] for index in order]


def inputs_json(row: RecordRow, facts: Facts, source: Source) -> list[dict[str, Json]]:
    """The inputs with their pictures; of a run without previews those that have maps, without pictures."""
    if not row.previews:
        return _missing_inputs(row, facts)
    told: list[dict[str, Json]] = []
    for preview in row.previews:
        width, height = tile_size(preview, facts.redact.name(row.record_id))
        told.append({
            "name": preview.input_name, "kind": preview.kind, "src": source(row, preview),
            "tiles": len(preview.shown), "shown": list(preview.shown), "of": preview.of,
            "width": width, "height": height,
        })  # fmt: skip
    return told


def tile_size(preview: Preview, record_id: str) -> tuple[int, int]:
    """Width and height of one tile of a preview, in pixels.

    Raises:
        ReportError: ``SW-P03``, it is no picture of as many tiles as it says.
    """
    try:
        with Image.open(BytesIO(preview.data)) as picture:
            width, height = picture.size
    except (UnidentifiedImageError, OSError, Image.DecompressionBombError) as error:
        raise damaged_preview(record_id, str(error)) from error
    tiles = len(preview.shown)
    if not tiles or width % tiles:
        raise damaged_preview(record_id, f"{width} pixels are not {tiles} tiles")
    return width // tiles, height


def damaged_preview(record_id: str, reason: str) -> ReportError:
    """The refusal of a preview that is no picture."""
    return ReportError(
        "SW-P03",
        f"the picture of the record {record_id!r} cannot be read: {reason}",
        fix="run `seewhy verify` on the directory, then the run's own command again",
    )


def maps_json(row: RecordRow, facts: Facts, *, histogram: bool) -> list[dict[str, Json]]:
    """Every map of a record, those that say most first."""
    previews = {preview.input_name: preview for preview in row.previews}
    told = []
    for one in maps_of(row, facts):
        shown, of = shown_of(previews, one)
        told.append(map_json(one.raw, **one.looks, shown=shown, of=of, histogram=histogram))
    return told


def shares_json(row: RecordRow, facts: Facts) -> list[dict[str, Json]]:
    """Each input's share of the evidence, by class; None where a map holds values that are not finite."""
    told: list[dict[str, Json]] = []
    for key, answer in sorted(row.answers.items()):
        spec = facts.questions.get(key, {})
        if spec.get("kind") == "shares":
            names = inputs_of_shares(key, spec)
            for place, values in enumerate(answer.values if names else ()):
                shares = {name: number(float(value)) for name, value in zip(names, values, strict=True)}
                index = answer.classes[place] if answer.classes else None
                layers = {name: spec["layers"][name] for name in names}
                told.append({"question": key, "class": index, "layers": layers, "shares": shares})
    return told


def inputs_of_shares(key: str, spec: Mapping[str, Any]) -> list[str]:
    """The inputs in the order of a question's shares; empty where nothing says the order.

    The key names the layers in that order. The mapping of the specification does not: JSON sorts it.

    >>> inputs_of_shares("shares@one,two", {"layers": {"fluid": "two", "mnv": "one"}})
    ['mnv', 'fluid']
    """
    names = {layer: name for name, layer in spec["layers"].items()}
    layers = key.partition("@")[2].split(",")
    return [names[layer] for layer in layers] if sorted(layers) == sorted(names) else []


def _unknown_shares(row: RecordRow, facts: Facts) -> list[str]:
    told = [key for key in row.answers if facts.questions.get(key, {}).get("kind") == "shares"]
    return [
        f"The inputs' shares of the evidence are not shown: {key} does not say which value is of which input."
        for key in told
        if not inputs_of_shares(key, facts.questions[key])
    ]


def grades_json(row: RecordRow, facts: Facts) -> list[dict[str, Json]]:
    """The grades of a record's maps, the controls' after the methods'; None with the reason where there is none."""
    told: list[dict[str, Json]] = []
    for key, answer in row.answers.items():
        spec = facts.questions.get(key, {})
        if spec.get("kind") == GRADES:
            reason = row.facts.get(f"{UNDEFINED}{key}")
            told.append({
                "who": who_of(spec, facts), "control": "control" in spec, "metric": spec["metric"],
                "input": spec["input"], "value": number(float(answer.values.ravel()[0])),
                "reason": None if reason is None else facts.redact(str(reason)), "better": facts.better(spec["metric"]),
            })  # fmt: skip
    return sorted(told, key=lambda one: (one["input"], one["control"], one["who"], one["metric"]))


def who_of(spec: Mapping[str, Any], facts: Facts) -> str:
    """A graded method with its layer where that is not the default one, or a control."""
    if "control" in spec:
        return str(spec["control"])
    layer = spec.get("layer")
    plain = layer is None or layer in facts.default_layers_of_maps
    return str(spec["method"]) if plain else f"{spec['method']}@{layer}"


def _missing_inputs(row: RecordRow, facts: Facts) -> list[dict[str, Json]]:
    found: dict[str, Sequence[int]] = {}
    depths: dict[str, int] = {}
    for one in maps_of(row, facts):
        found[one.input_name], depths[one.input_name] = shown_of({}, one)
    return [
        {
            "name": name, "kind": "missing", "src": None, "tiles": len(shown), "shown": list(shown),
            "of": depths[name], "width": None, "height": None,
        }
        for name, shown in found.items()
    ]  # fmt: skip
