"""Statistics of channels and of layers as plots: each channel of one layer, and the layers of a model side by side."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Bool, Float

from seewhy.render.errors import RenderError
from seewhy.render.palette import PALETTE
from seewhy.render.text import fit_text
from seewhy.render.value_scale import short_number
from seewhy.values import nearest

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

DPI = 150
PANEL_INCHES = (6.2, 3.3)
BLUE, ORANGE, LIGHT = (tuple(value / 255 for value in PALETTE[index]) for index in (4, 5, 1))
BAR_INCHES, GROUP_WIDTH = 0.42, 0.8
LEVEL_LAYERS, NUMBERED_LAYERS = 5, 12
"""So many layers at most have their names level, and the numbers above their bars."""
FEWEST_SLOTS = 4
"""Room for so many bars at least, so that two are no walls."""
LABEL_PIXELS, LABEL_SIZE = 150, 12


@dataclass(frozen=True)
class Quantity:
    """One panel of a comparison: its title, and the keys of the numbers that stand side by side in it."""

    title: str
    keys: tuple[str, ...]
    unit: str = ""


MEAN = Quantity("Mean activation", ("mean",))
DEVIATION = Quantity("Standard deviation", ("std",))
SPARSITY = Quantity("Sparsity", ("sparsity", "near_zero"), "share of the values")
CHANNELS = Quantity("Channels", ("num_channels",))
ACTIVE_CHANNELS = Quantity("Active channels", ("active_channels",))
LAYER_QUANTITIES = (MEAN, DEVIATION, SPARSITY, CHANNELS)
ACTIVITY_QUANTITIES = (MEAN, DEVIATION, Quantity("Sparsity", ("sparsity",), "share of the values"), ACTIVE_CHANNELS)

WORDS = {"sparsity": "exactly zero", "near_zero": "near zero"}


def channel_stats_figure(
    means: Float[np.ndarray, " c"],
    stds: Float[np.ndarray, " c"],
    maxima: Float[np.ndarray, " c"],
    sparsity: Float[np.ndarray, " c"],
    *,
    title: str,
    dead: Bool[np.ndarray, " c"] | None = None,
) -> Figure:
    """Four panels over the channel's index: mean, standard deviation, maximum, share of exact zeros.

    Args:
        means: of each channel, raw activations; a value that is not finite has no bar and is counted in the title.
        stds: likewise, and so ``maxima``.
        maxima: of each channel.
        sparsity: share of values that are exactly zero, in [0, 1].
        title: of the figure, such as the layer's name.
        dead: which channels to mark as dead; those whose every value is zero (``sparsity`` 1) if None.

    Returns:
        A matplotlib figure that belongs to the caller alone.

    Raises:
        RenderError: ``SW-R56``, no channel, or not as many numbers of each kind.

    Example:
        >>> number = np.array([0.5, 0.0])
        >>> channel_stats_figure(number, number, number, np.array([0.2, 1.0]), title="relu").get_suptitle()
        'relu: 2 channels, 1 dead'
    """
    columns = {"Mean": means, "Standard deviation": stds, "Maximum": maxima, "Sparsity": sparsity}
    marked = np.asarray(sparsity) >= 1 if dead is None else np.asarray(dead, bool)
    _require_channels({**columns, "dead": marked})
    from matplotlib.figure import Figure

    width, height = PANEL_INCHES
    figure = Figure(figsize=(2 * width, 2 * height), dpi=DPI, layout="constrained")
    panels = figure.subplots(2, 2, sharex=True)
    for panel, (name, values) in zip(panels.ravel(), columns.items(), strict=True):
        _channel_bars(panel, name, np.asarray(values, np.float64), marked)
    panels[1, 1].set(ylim=(0, 1.05), ylabel="share of exact zeros")
    for panel in panels[1]:
        panel.set_xlabel("channel")
    for panel in panels.ravel()[:3]:
        panel.set_ylabel("activation")
    lost = int((~np.isfinite(np.stack(list(columns.values())))).any(axis=0).sum())
    words = [f"{len(marked)} channels", f"{int(marked.sum())} dead"] + ([f"{lost} not finite"] if lost else [])
    figure.suptitle(f"{_label(title)}: {', '.join(words)}")
    if marked.any():
        handles, labels = panels[0, 0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside lower center", frameon=False)
    return figure


def layer_comparison_figure(
    table: Mapping[str, Mapping[str, object]],
    quantities: Sequence[Quantity] = LAYER_QUANTITIES,
    *,
    title: str = "Layers compared",
) -> Figure:
    """A panel of bars per quantity over the layers, two panels in a row.

    Args:
        table: layer name to its numbers by key, such as ``mean``, ``std``, ``sparsity``, ``near_zero`` and
            ``num_channels``, in the order drawn. A number that is not finite has no bar and says so.
        quantities: the panels: :data:`LAYER_QUANTITIES`, :data:`ACTIVITY_QUANTITIES` (active channels in place of their
            number) or others.
        title: of the figure.

    Returns:
        A matplotlib figure that belongs to the caller alone.

    Raises:
        RenderError: ``SW-R57``, no layer or quantity, or a layer lacks a number.

    Example:
        >>> table = {"layer1": {"mean": 0.4}, "layer2": {"mean": 0.1}}
        >>> [float(bar.get_height()) for bar in layer_comparison_figure(table, [MEAN]).axes[0].patches]
        [0.4, 0.1]
    """
    _require_table(table, quantities)
    from matplotlib.figure import Figure

    across = min(2, len(quantities))
    down = -(-len(quantities) // across)
    width, height = max(PANEL_INCHES[0], BAR_INCHES * len(table) + 1), PANEL_INCHES[1]
    names_inches = 0.9 if len(table) > LEVEL_LAYERS else 0.4
    figure = Figure(figsize=(across * width, down * height + names_inches), dpi=DPI, layout="constrained")
    panels = figure.subplots(down, across, squeeze=False, sharex=True).ravel()
    for panel, quantity in zip(panels, quantities, strict=False):
        _layer_bars(panel, table, quantity)
    for panel in panels[len(quantities) - across : len(quantities)]:
        panel.tick_params(labelbottom=True)
    for panel in panels[len(quantities) :]:
        panel.set_axis_off()
    figure.suptitle(_label(title, 4 * LABEL_PIXELS))
    return figure


def _channel_bars(panel: Axes, name: str, values: Float[np.ndarray, " c"], dead: Bool[np.ndarray, " c"]) -> None:
    from matplotlib.ticker import MaxNLocator

    finite = np.where(np.isfinite(values), values, np.nan)
    panel.stairs(np.nan_to_num(finite), np.arange(len(values) + 1) - 0.5, fill=True, color=BLUE)
    if np.isfinite(finite).any():
        middle = float(np.nanmedian(finite))
        panel.axhline(middle, color="0.2", linewidth=0.9, linestyle="--")
        name = f"{name} (median {short_number(middle)}, dashed)"
    panel.set_title(name)
    places = np.flatnonzero(dead)
    if len(places):  # an empty line drawn outside the axes would let the layout collapse
        panel.plot(
            places,
            np.zeros(len(places)),
            "x",
            color=ORANGE,
            markersize=5,
            clip_on=False,
            label="dead channel",
            zorder=3,
        )
    if not np.nan_to_num(finite).any():
        panel.set_ylim(0, 1)
    panel.set_xlim(-0.5, len(values) - 0.5)
    panel.xaxis.set_major_locator(MaxNLocator(integer=True))
    panel.spines[["top", "right"]].set_visible(False)


def _layer_bars(panel: Axes, table: Mapping[str, Mapping[str, object]], quantity: Quantity) -> None:
    from matplotlib.ticker import MaxNLocator

    keys = quantity.keys
    for index, (key, colour) in enumerate(zip(keys, (BLUE, LIGHT, ORANGE) * len(keys), strict=False)):
        values = np.array([float(str(numbers[key])) for numbers in table.values()])
        offset = (index - (len(keys) - 1) / 2) * GROUP_WIDTH / len(keys)
        shown = np.where(np.isfinite(values), values, 0.0)
        label = WORDS.get(key, key)
        bars = panel.bar(np.arange(len(table)) + offset, shown, GROUP_WIDTH / len(keys), color=colour, label=label)
        if len(table) * len(keys) <= NUMBERED_LAYERS or not np.isfinite(values).all():
            words = [_number(value) for value in values.tolist()]
            few = len(table) * len(keys) <= NUMBERED_LAYERS
            panel.bar_label(bars, [word if few or word == "not finite" else "" for word in words], padding=2, size=8)
    names = [_label(name) for name in table]
    panel.set_xticks(range(len(table)), names)
    if len(table) > LEVEL_LAYERS:
        for tick in panel.get_xticklabels():
            tick.set(rotation=40, ha="right", rotation_mode="anchor")
    slots = max(FEWEST_SLOTS, len(table))
    panel.set_xlim((len(table) - 1 - slots) / 2, (len(table) - 1 + slots) / 2)
    if all(float(str(numbers[key])).is_integer() for numbers in table.values() for key in keys):
        panel.yaxis.set_major_locator(MaxNLocator(integer=True, steps=[1, 2, 5, 10]))
    panel.margins(y=0.12)
    panel.set_title(quantity.title, loc="left")
    panel.set_ylabel(quantity.unit)
    panel.axhline(0, color="0.4", linewidth=0.8)
    panel.spines[["top", "right"]].set_visible(False)
    if len(keys) > 1:
        panel.legend(frameon=False, loc="lower right", bbox_to_anchor=(1.0, 0.97), ncols=len(keys), fontsize=9)


def _number(value: float) -> str:
    """Counts in full, other numbers short."""
    if not np.isfinite(value):
        return "not finite"
    return f"{int(value):,}" if value.is_integer() and abs(value) < 1_000_000 else short_number(value)


def _label(name: str, pixels: int = LABEL_PIXELS) -> str:
    """A name short enough for its place, in which no pair of dollar signs is taken for a formula."""
    return fit_text(name, pixels, LABEL_SIZE, "middle").replace("$", r"\$")


def _require_channels(columns: Mapping[str, np.ndarray]) -> None:
    shapes = {name: np.shape(values) for name, values in columns.items()}
    first = next(iter(shapes.values()))
    if len(first) != 1 or first[0] == 0 or set(shapes.values()) != {first}:
        raise RenderError(
            "SW-R56",
            f"expected one number per channel and kind, got shapes {list(shapes.values())}",
            fix="pass means, stds, maxima and sparsity of the same channels, each of shape (c,)",
        )


def _require_table(table: Mapping[str, Mapping[str, object]], quantities: Sequence[Quantity]) -> None:
    wanted = [key for quantity in quantities for key in quantity.keys]
    missing = [(layer, key) for layer, numbers in table.items() for key in wanted if key not in numbers]
    if missing or not table or not wanted:
        layer, key = missing[0] if missing else ("", "")
        raise RenderError(
            "SW-R57",
            f"layer {layer!r} has no {key!r}" if missing else "the comparison needs one layer and one quantity or more",
            fix="pass the statistics of each layer, with the keys that the quantities name",
            near=nearest(key, tuple(table[layer])) if missing else (),
        )
