"""Where a session over whole splits puts the files of a sample: by split and true class."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from seewhy.explain.class_choice import label_of
from seewhy.multi_input.analysis import Heats
from seewhy.multi_input.methods import InputsMethod
from seewhy.multi_input.pictures import Drawing, write_heat_maps, write_picture
from seewhy.store.files import write_atomic
from seewhy.store.names import safe_name
from seewhy.values import Json

SUBFOLDERS = ("heatmaps", "visualizations", "reports", "summaries")


def class_folder(label: int | None, names: Sequence[str] | None) -> str:
    """The folder of a true class.

    Example:
        >>> class_folder(1, ["Normal", "Early AMD"]), class_folder(None, None), class_folder(3, None)
        ('class_1_early_amd', 'class_unknown', 'class_3')
    """
    if label is None:
        return "class_unknown"
    if names is None:
        return f"class_{label}"
    return f"class_{label}_{safe_name('_'.join(label_of(label, names).lower().split()))}"


def metadata_path(stem: str, methods: Sequence[InputsMethod]) -> Path:
    """Where a sample's ``metadata.json`` is, from the folder of its class.

    Example:
        >>> from seewhy.multi_input.methods import methods_called
        >>> [metadata_path("a", methods_called(name)).as_posix() for name in ("gradcam++", "smoothgrad", "both", "all")]
        ['a/a_metadata.json', 'a_smoothgrad_metadata.json', 'a_comparison_metadata.json', 'a_all_methods_metadata.json']
    """
    if _is_plain(methods):
        return Path(stem) / f"{stem}_metadata.json"
    return Path(f"{stem}_{_kind(methods)}_metadata.json")


def heat_map_place(stem: str, method: InputsMethod, methods: Sequence[InputsMethod]) -> tuple[str, str]:
    """The folder of a method's heat maps, and what their names begin with.

    Example:
        >>> from seewhy.multi_input.methods import methods_called
        >>> both = methods_called("both")
        >>> heat_map_place("a", both[1], both[1:]), heat_map_place("a", both[1], both)
        (('a', 'a'), ('a_gradcampp', 'a_gradcampp'))
    """
    name = stem if _is_plain(methods) else f"{stem}_{method.folder}"
    return name, name


def figure_path(stem: str, methods: Sequence[InputsMethod]) -> str:
    """What a sample's figure is called in ``visualizations/{split}``."""
    if len(methods) > 1:
        return f"{stem}_comparison.png" if len(methods) == 2 else f"{stem}_all_methods_comparison.png"
    return f"{stem}_combined.png" if _is_plain(methods) else f"{stem}_{methods[0].folder}_overlay.png"


def write_session_sample(
    folder: Path,
    split: str,
    drawing: Drawing,
    heats: Mapping[str, Heats],
    told: Mapping[str, Json],
    methods: Sequence[InputsMethod],
    names: Sequence[str] | None,
) -> None:
    """All files of one sample."""
    stem = safe_name(drawing.sample_id)
    of_class = folder / "heatmaps" / split / class_folder(told["true_class"], names)
    for method in methods:
        place, prefix = heat_map_place(stem, method, methods)
        write_heat_maps(heats[method.name], of_class / place, prefix, method.colormap)
    write_json(of_class / metadata_path(stem, methods), told)
    write_picture(drawing.figure(methods), folder / "visualizations" / split / figure_path(stem, methods))


def write_json(path: Path, told: Mapping[str, Json]) -> None:
    """A mapping as readable JSON; a number that is not finite is refused rather than written."""
    write_atomic(path, json.dumps(told, indent=2, allow_nan=False).encode(), durable=False)


def _is_plain(methods: Sequence[InputsMethod]) -> bool:
    """One class activation method alone: files carry no method in their names."""
    return len(methods) == 1 and not methods[0].noisy


def _kind(methods: Sequence[InputsMethod]) -> str:
    return methods[0].folder if len(methods) == 1 else "comparison" if len(methods) == 2 else "all_methods"
