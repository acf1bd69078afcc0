"""Statistical plots of an analysed data set: how right the model was, on what, and how strong its evidence was.

matplotlib is imported when a figure is made and through its object-oriented interface only, as in
:mod:`seewhy.render.plots`, whose ``save_figure`` writes these figures.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from seewhy.render.errors import RenderError
from seewhy.render.palette import class_colours
from seewhy.render.text import fit_text
from seewhy.values import Json

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Split = Mapping[str, Json]
Bars = Mapping[str, Sequence[float]]

DPI = 150
PANEL_INCHES = (5.5, 4.2)
SCATTER_INCHES = 3.6
SCATTERS_ACROSS = 4
MOST_CLASSES = 20
LABEL_PIXELS, LABEL_SIZE = 160, 12
GROUP_WIDTH = 0.8
SPLIT_KEYS = ("samples_processed", "accuracy", "class_distribution", "avg_processing_time", "heatmap_summary")
NOT_LABELLED = "not labelled"


def analysis_summary(splits: Mapping[str, Split], *, method: str = "") -> Figure:
    """Four panels: accuracy by split, records by class, mean peak of the raw maps by input, seconds per record.

    Args:
        splits: by name, as in ``overall_statistics.json``: ``samples_processed`` records, ``accuracy`` in [0, 1] or
            None where labels are not known, ``class_distribution`` (class name to records), ``avg_processing_time`` in
            seconds, ``heatmap_summary`` (input to ``avg_max_activation`` and ``std_max_activation``, raw map values).
        method: whose maps ``heatmap_summary`` is of, for the panel's title.

    Returns:
        A matplotlib figure that belongs to the caller alone.

    Raises:
        RenderError: ``SW-R49``, no split, or one that lacks an entry.

    Example:
        >>> inputs = {"mnv": {"avg_max_activation": 0.4, "std_max_activation": 0.1}}
        >>> val = {"samples_processed": 4, "accuracy": 0.75, "class_distribution": {"Early": 4},
        ...        "avg_processing_time": 0.02, "heatmap_summary": inputs}
        >>> [panel.get_title() for panel in analysis_summary({"val": val}).axes]
        ['Accuracy', 'Records by class', 'Peak of the raw maps', 'Processing time']
    """
    _require_splits(splits)
    from matplotlib.figure import Figure

    width, height = PANEL_INCHES
    figure = Figure(figsize=(2 * width, 2 * height), dpi=DPI, layout="constrained")
    accuracy, classes, peaks, seconds = figure.subplots(2, 2).ravel()
    _accuracy_bars(accuracy, splits)
    _class_bars(classes, splits)
    _peak_bars(peaks, splits, method)
    _time_bars(seconds, splits)
    for panel in figure.axes:
        panel.spines[["top", "right"]].set_visible(False)
    if len(splits) > 1:
        figure.legend(*peaks.get_legend_handles_labels(), loc="outside upper center", ncols=len(splits), frameon=False)
    return figure


def heatmap_detailed_analysis(activations: Mapping[str, Mapping[str, Sequence[float]]], *, method: str = "") -> Figure:
    """One scatter plot per input, all on the same axes: each record's mean raw map value against its peak.

    Args:
        activations: input name to ``max_activation`` and ``mean_activation``, one raw map value per record each. A
            record with a value that is not finite is not drawn, and counted in the panel's title.
        method: whose maps they are, for the figure's title.

    Returns:
        A matplotlib figure that belongs to the caller alone.

    Raises:
        RenderError: ``SW-R50``, no input, or not as many peaks as means.

    Example:
        >>> figure = heatmap_detailed_analysis({"mnv": {"max_activation": [1.0, 2.0], "mean_activation": [0.1, 0.4]}})
        >>> figure.axes[0].collections[0].get_offsets().tolist()
        [[1.0, 0.1], [2.0, 0.4]]
    """
    _require_activations(activations)
    from matplotlib.figure import Figure

    down = -(-len(activations) // SCATTERS_ACROSS)
    across = -(-len(activations) // down)
    size = (SCATTER_INCHES * across + 0.6, SCATTER_INCHES * down + 0.6)
    figure = Figure(figsize=size, dpi=DPI, layout="constrained")
    panels = figure.subplots(down, across, squeeze=False, sharex=True, sharey=True).ravel()
    for index, (panel, (name, values)) in enumerate(zip(panels, activations.items(), strict=False)):
        _scatter(panel, name, values, index)
    for panel in panels[max(0, len(activations) - across) : len(activations)]:
        panel.tick_params(labelbottom=True)
    for panel in panels[len(activations) :]:
        panel.set_axis_off()
    figure.suptitle(_of_method("Raw maps, record by record", method))
    figure.supxlabel("peak of the raw map")
    figure.supylabel("mean of the raw map")
    return figure


def _accuracy_bars(panel: Axes, splits: Mapping[str, Split]) -> None:
    values = [split["accuracy"] for split in splits.values()]
    bars = panel.bar(range(len(splits)), [value or 0.0 for value in values], GROUP_WIDTH, color=_colours(len(splits)))
    panel.bar_label(bars, [NOT_LABELLED if value is None else f"{100 * value:.1f} %" for value in values], padding=2)
    records = [f"{_label(name)}\n{split['samples_processed']} records" for name, split in splits.items()]
    panel.set_xticks(range(len(splits)), records)
    panel.set_xlim(*_room_for(len(splits)))
    panel.set(title="Accuracy", ylim=(0, 1.1), ylabel="part of the records")


def _class_bars(panel: Axes, splits: Mapping[str, Split]) -> None:
    from matplotlib.ticker import MaxNLocator

    totals: dict[str, int] = {}
    for split in splits.values():
        for name, count in split["class_distribution"].items():
            totals[name] = totals.get(name, 0) + count
    names = list(totals)
    if len(names) > MOST_CLASSES:
        names = sorted(names, key=lambda name: -totals[name])[:MOST_CLASSES]
        panel.set_xlabel(f"records ({len(totals) - len(names)} smaller classes are left out)")
    else:
        panel.set_xlabel("records")
    counts = {name: [split["class_distribution"].get(label, 0) for label in names] for name, split in splits.items()}
    for offset, (split_name, colour, values) in _groups(counts):
        panel.barh(
            np.arange(len(names)) + offset, values, GROUP_WIDTH / len(counts), color=colour, label=_label(split_name)
        )
    panel.set_yticks(range(len(names)), [_label(name) for name in names])
    panel.invert_yaxis()
    panel.set_title("Records by class")
    panel.xaxis.set_major_locator(MaxNLocator(integer=True))


def _peak_bars(panel: Axes, splits: Mapping[str, Split], method: str) -> None:
    names = list(dict.fromkeys(name for split in splits.values() for name in split["heatmap_summary"]))
    means = {name: _of_inputs(split, names, "avg_max_activation") for name, split in splits.items()}
    for offset, (split_name, colour, values) in _groups(means):
        panel.bar(
            np.arange(len(names)) + offset,
            values,
            GROUP_WIDTH / len(means),
            yerr=_deviations(values, _of_inputs(splits[split_name], names, "std_max_activation")),
            capsize=3,
            color=colour,
            label=_label(split_name),
        )
    panel.set_xticks(range(len(names)), [_label(name) for name in names])
    panel.set(title=_of_method("Peak of the raw maps", method), ylabel="mean peak ± standard deviation")


def _time_bars(panel: Axes, splits: Mapping[str, Split]) -> None:
    values = [split["avg_processing_time"] for split in splits.values()]
    bars = panel.bar(range(len(splits)), values, GROUP_WIDTH, color=_colours(len(splits)))
    panel.bar_label(bars, [f"{value:.3g} s" for value in values], padding=2)
    panel.set_xticks(range(len(splits)), [_label(name) for name in splits])
    panel.set_xlim(*_room_for(len(splits)))
    panel.set(title="Processing time", ylabel="seconds per record")
    panel.margins(y=0.15)


def _scatter(panel: Axes, name: str, values: Mapping[str, Sequence[float]], index: int) -> None:
    points = np.array([values["max_activation"], values["mean_activation"]], np.float64).T
    finite = points[np.isfinite(points).all(axis=1)]
    panel.scatter(finite[:, 0], finite[:, 1], s=22, alpha=0.7, color=_colours(index + 1)[index], edgecolors="none")
    lost = len(points) - len(finite)
    panel.set_title(_label(name) + (f" ({lost} not finite)" if lost else ""))
    panel.grid(alpha=0.3)


def _groups(bars: Bars) -> list[tuple[float, tuple[str, tuple[float, ...], Sequence[float]]]]:
    """Each split's bars with their colour, and how far they stand from the middle of their group."""
    colours = _colours(len(bars))
    offsets = (np.arange(len(bars)) - (len(bars) - 1) / 2) * GROUP_WIDTH / len(bars)
    return [
        (float(offset), (name, colour, values))
        for offset, colour, (name, values) in zip(offsets, colours, bars.items(), strict=True)
    ]


def _deviations(means: Sequence[float], deviations: Sequence[float]) -> tuple[NDArray[np.float64], Sequence[float]]:
    """How far error bars reach down and up: not below 0, where no peak of evidence can be."""
    return np.minimum(np.maximum(means, 0), deviations), deviations


def _of_method(title: str, method: str) -> str:
    return f"{title}: {method}" if method else title


def _label(name: str) -> str:
    """A name short enough for its place, in which no pair of dollar signs is taken for a formula."""
    return fit_text(name, LABEL_PIXELS, LABEL_SIZE, "middle").replace("$", r"\$")


def _room_for(bars: int) -> tuple[float, float]:
    """Horizontal limits with room for three bars or more, so that a single one is no wall."""
    slots = max(3, bars)
    return (bars - 1 - slots) / 2, (bars - 1 + slots) / 2


def _of_inputs(split: Split, names: Sequence[str], key: str) -> list[float]:
    """One number per input; not a number where the split has none of that input, which leaves the bar out."""
    return [split["heatmap_summary"].get(name, {}).get(key, float("nan")) for name in names]


def _colours(count: int) -> list[tuple[float, ...]]:
    """As many colours, the same for a split in every panel; blue first."""
    return [tuple(colour) for colour in (class_colours((np.arange(count) + 4) % max(7, count)) / 255).tolist()]


def _require_splits(splits: Mapping[str, Split]) -> None:
    missing = [f"{key!r} in split {name!r}" for name, split in splits.items() for key in SPLIT_KEYS if key not in split]
    if missing or not splits:
        raise RenderError(
            "SW-R49",
            f"the summary needs {missing[0]}" if missing else "the summary needs at least one split",
            fix=f"pass the 'splits' of overall_statistics.json, each with {', '.join(SPLIT_KEYS)}",
        )


def _require_activations(activations: Mapping[str, Mapping[str, Sequence[float]]]) -> None:
    uneven = [
        name
        for name, values in activations.items()
        if len(values.get("max_activation", ())) != len(values.get("mean_activation", ()))
    ]
    if uneven or not activations:
        raise RenderError(
            "SW-R50",
            f"input {uneven[0]!r} has not as many peaks as means" if uneven else "there is no input to plot",
            fix="give each input 'max_activation' and 'mean_activation' with one number per record",
        )
