"""A whole data set analysed split by split into a folder: heat maps by class, figures, statistics and a report."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from seewhy.multi_input.analysis import heats_by_method
from seewhy.multi_input.methods import InputsMethod
from seewhy.multi_input.sample_files import draw_sample
from seewhy.multi_input.session_files import SUBFOLDERS, write_json, write_session_sample
from seewhy.multi_input.session_report import report_text
from seewhy.multi_input.session_statistics import SessionRow, activations, metadata, overall_statistics, statistics_of
from seewhy.multi_input.streaming import Sample, each_sample, in_threads
from seewhy.multi_input.visualizer import InputsVisualizer
from seewhy.render.analysis_figures import analysis_summary, heatmap_detailed_analysis
from seewhy.render.plots import save_figure
from seewhy.store.files import make_directory, write_atomic
from seewhy.values import Json, SeewhyError

Watch = Callable[[str, SessionRow], None]
"""Told of every sample when its files are written: its split, and what is kept of it."""


def run_session(
    visualizer: InputsVisualizer,
    loaders: Mapping[str, Iterable[Any]],
    folder: Path,
    told: Mapping[str, Json],
    *,
    max_samples: int | None = None,
    watch: Watch | None = None,
) -> dict[str, Json]:
    """Analyse every split into ``folder``; what ``reports/overall_statistics.json`` says.

    A sample that cannot be explained is in the statistics' ``failures``, and the run goes on.

    Args:
        visualizer: the model and the methods.
        loaders: batches by split: ``(*inputs, label, id)`` or mappings.
        folder: made if needed: ``heatmaps``, ``visualizations``, ``reports``, ``summaries``.
        told: ``analysis_timestamp``, ``config_used`` and ``model_info``, which come first in the statistics.
        max_samples: of each split; all if None.
        watch: told of every sample.
    """
    for name in SUBFOLDERS:
        make_directory(folder / name)
    rows: dict[str, list[SessionRow]] = {}
    for split, loader in loaders.items():
        finish = partial(_finished, visualizer=visualizer, folder=folder, split=split)
        rows[split] = []
        for row in in_threads(each_sample(visualizer.explainer, loader, max_samples), finish):
            rows[split].append(row)
            if watch is not None:
                watch(split, row)
    methods = visualizer.style.methods
    names = [method.name for method in methods]
    found = overall_statistics(rows, names, visualizer.style.class_names, told)
    write_json(folder / "reports" / "overall_statistics.json", found)
    text = report_text(found)
    write_atomic(folder / "reports" / "detailed_analysis_report.txt", text.encode(), durable=False)
    _write_summaries(folder / "summaries", found["splits"], [row for each in rows.values() for row in each], methods)
    return found


def _finished(sample: Sample, visualizer: InputsVisualizer, folder: Path, split: str) -> SessionRow:
    """Write one sample's files; a fault of the sample is its row's, one of the disk is the run's."""
    started, style = time.monotonic(), visualizer.style
    row = SessionRow(sample.sample_id, sample.label, error=sample.error)
    if sample.error:
        return row
    try:
        heats = heats_by_method(sample.answers, common=style.common)
        drawing = draw_sample(sample.sample_id, sample.inputs, sample.answers, heats, sample.label, style)
    except SeewhyError as error:
        return replace(row, error=f"[{error.code}] {error.message}")
    told = metadata(sample, style.methods, style.class_names)
    write_session_sample(folder, split, drawing, heats, told, style.methods, style.class_names)
    return replace(
        row,
        predicted=told["predicted_class"],
        confidence=told["confidence"],
        statistics=statistics_of(sample),
        notes=told["notes"],
        seconds=sample.seconds + time.monotonic() - started,
    )


def _write_summaries(
    folder: Path, splits: Mapping[str, Mapping[str, Json]], rows: list[SessionRow], methods: Sequence[InputsMethod]
) -> None:
    """The two summary figures, of the splits and rows that hold something; further methods' scatter plots beside."""
    shown = {split: found for split, found in splits.items() if found["samples_processed"]}
    if not shown:
        return
    figures = {"analysis_summary": analysis_summary(shown, method=methods[0].title)}
    for number, method in enumerate(methods):
        name = "heatmap_detailed_analysis" if number == 0 else f"heatmap_detailed_analysis_{method.folder}"
        figures[name] = heatmap_detailed_analysis(activations(rows, method.name), method=method.title)
    for name, figure in figures.items():
        save_figure(figure, folder / f"{name}.png")
