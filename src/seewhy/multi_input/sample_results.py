"""What is told of one sample of a loader, and what is kept of it for the summary."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeAlias

from seewhy.explain.class_choice import label_of
from seewhy.multi_input.analysis import Heats, heats_by_method, notes_of
from seewhy.multi_input.sample_files import Style, draw_sample, summary_row, write_sample
from seewhy.multi_input.streaming import Sample
from seewhy.render.summary_figure import Sample as SummaryRow
from seewhy.values import SeewhyError

SampleResult: TypeAlias = dict[str, Any]


@dataclass(frozen=True)
class Finished:
    """``result`` for the person who asked; ``rows`` of the summary by method, none of a sample that failed."""

    result: SampleResult
    rows: Mapping[str, SummaryRow] = field(default_factory=dict)


def finished(sample: Sample, style: Style, folder: Path | None = None) -> Finished:
    """The result of one sample; with a folder its files are written there. Safe to call from several threads."""
    if sample.error:
        return Finished(failed_result(sample, sample.error))
    try:
        heats = heats_by_method(sample.answers, common=style.common)
        if folder is None:
            return Finished(sample_result(sample, heats, style))
        drawing = draw_sample(sample.sample_id, sample.inputs, sample.answers, heats, sample.label, style)
    except SeewhyError as error:
        return Finished(failed_result(sample, f"[{error.code}] {error.message}"))
    write_sample(folder, drawing, heats, style)
    true = None if sample.label is None else label_of(sample.label, style.class_names)
    said = next(iter(sample.answers.values())).says(style.class_names)
    rows = {method: summary_row(drawing, method, said, true) for method in sample.answers}
    return Finished(sample_result(sample, heats, style), rows)


def sample_result(sample: Sample, heats: Mapping[str, Heats], style: Style) -> SampleResult:
    """``sample_id``, ``true_class``, ``pred_class``, ``confidence``, ``probabilities``, ``notes``, and ``heatmaps`` and
    ``shares``, by method first where there are several."""
    first = next(iter(sample.answers.values()))
    said = first.says(style.class_names)
    shares = {method: found.shares for method, found in sample.answers.items()}
    alone = len(style.methods) == 1
    return {
        "sample_id": sample.sample_id,
        "true_class": sample.label,
        "pred_class": said["predicted_class"],
        "confidence": said["confidence"],
        "probabilities": said["probabilities"],
        "heatmaps": next(iter(heats.values())) if alone else heats,
        "shares": next(iter(shares.values())) if alone else shares,
        "notes": notes_of([sample.answers]),
        "error": "",
    }


def failed_result(sample: Sample, reason: str) -> SampleResult:
    """The same keys for a sample that could not be explained: nothing is made up."""
    empty: SampleResult = {"pred_class": None, "confidence": None, "probabilities": None, "heatmaps": {}, "shares": {}}
    return {"sample_id": sample.sample_id, "true_class": sample.label, **empty, "notes": [], "error": reason}
