"""The pictures of one sample, and the folder layout that System C's users know."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from jaxtyping import Float
from torch import Tensor

from seewhy.explain.class_choice import label_of
from seewhy.multi_input.analysis import Heats
from seewhy.multi_input.asking import Answers
from seewhy.multi_input.methods import InputsMethod
from seewhy.multi_input.pictures import Drawing, Normalisations, drawing_of, write_heat_maps, write_picture
from seewhy.render.summary_figure import Sample as SummaryRow
from seewhy.render.summary_figure import summary_figure
from seewhy.store.names import safe_name

SUMMARY = "summary_visualization"


@dataclass(frozen=True)
class Style:
    """What all samples of an analysis are drawn with."""

    methods: Sequence[InputsMethod]
    class_names: Sequence[str] | None = None
    normalisation: Normalisations = None
    common: bool = True


def draw_sample(
    sample_id: str,
    tensors: Mapping[str, Float[Tensor, "c *s"]],
    answers: Answers,
    heats: Mapping[str, Heats],
    label: int | None,
    style: Style,
) -> Drawing:
    """A sample ready to be drawn: its pictures, heat maps and shares, and a line of what the model says."""
    shares = {method: found.shares for method, found in answers.items()}
    first = next(iter(answers.values()))
    caption = caption_of(first.says(style.class_names), first.target, label, style.class_names)
    return drawing_of(sample_id, caption, tensors, heats, shares, style.normalisation, style.common)


def caption_of(said: Mapping[str, object], target: int | None, label: int | None, names: Sequence[str] | None) -> str:
    """What was predicted, asked about where that is another class, and true where it is known.

    Example:
        >>> caption_of({"predicted_class": 1, "label": "Early", "confidence": 0.971}, 1, 2, ["Normal", "Early", "Late"])
        'predicted Early (97.1 %) · true Late'
    """
    parts = []
    if said["predicted_class"] is not None:
        parts.append(f"predicted {said['label']} ({100 * float(str(said['confidence'])):.1f} %)")
    if target is not None and target != said["predicted_class"]:
        parts.append(f"explained {label_of(target, names)}")
    if label is not None:
        parts.append(f"true {label_of(label, names)}")
    return " · ".join(parts)


def write_sample(folder: Path, drawing: Drawing, heats: Mapping[str, Heats], style: Style) -> list[Path]:
    """The figure and a folder of heat maps per method, named as in :func:`figure_name` and :func:`heat_map_folder`."""
    stem = safe_name(drawing.sample_id)
    written = [write_picture(drawing.figure(style.methods), folder / figure_name(stem, style.methods))]
    for method in style.methods:
        into = folder / heat_map_folder(stem, method, style.methods)
        written += write_heat_maps(heats[method.name], into, stem, method.colormap)
    return written


def figure_name(stem: str, methods: Sequence[InputsMethod]) -> str:
    """What a sample's figure is called.

    Example:
        >>> from seewhy.multi_input.methods import methods_called
        >>> [figure_name("a", methods_called(name)) for name in ("gradcam++", "both", "all")]
        ['a_gradcamplusplus_visualization.png', 'a_comparison.png', 'a_all_methods_comparison.png']
    """
    if len(methods) == 1:
        return f"{stem}_{methods[0].token}_visualization.png"
    return f"{stem}_comparison.png" if len(methods) == 2 else f"{stem}_all_methods_comparison.png"


def heat_map_folder(stem: str, method: InputsMethod, methods: Sequence[InputsMethod]) -> str:
    """Where a sample's heat maps of a method are: of Grad-CAM alone no method is named.

    Example:
        >>> from seewhy.multi_input.methods import methods_called
        >>> both = methods_called("both")
        >>> heat_map_folder("a", both[0], both[:1]), heat_map_folder("a", both[1], both)
        ('a_heatmaps', 'a_gradcampp_heatmaps')
    """
    alone = len(methods) == 1 and method.name == "gradcam"
    return f"{stem}_heatmaps" if alone else f"{stem}_{method.folder}_heatmaps"


def summary_row(drawing: Drawing, method: str, said: Mapping[str, object], label: str | None) -> SummaryRow:
    """A sample's line in the summary."""
    predicted = "no single class" if said["label"] is None else str(said["label"])
    return SummaryRow(
        drawing.sample_id, label, predicted, drawing.pictures, drawing.heats[method], drawing.shares[method]
    )


def write_summary(folder: Path, rows: Mapping[str, Sequence[SummaryRow]], style: Style) -> list[Path]:
    """``summary_visualization.png``; of further methods with the method's name behind. Nothing without a sample."""
    written = []
    for number, method in enumerate(style.methods):
        if not rows[method.name]:
            continue
        page = summary_figure(
            rows[method.name], method=method.title, colormap=method.colormap, per_input_scale=not style.common
        )
        name = SUMMARY if number == 0 else f"{SUMMARY}_{method.folder}"
        written.append(write_picture(page, folder / f"{name}.png"))
    return written
