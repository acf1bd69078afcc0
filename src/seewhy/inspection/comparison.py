"""Two feature files compared layer by layer: two records, two time steps, or two checkpoints of one network."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

from jaxtyping import Float
from torch import Tensor

from seewhy.features.similarity import mean_difference, mean_map
from seewhy.inspection.analysis import Source, chosen_layers, finite, loaded, number, size
from seewhy.inspection.feature_schema import activations_of
from seewhy.inspection.layer_agreement import LayerComparison, measured
from seewhy.inspection.layer_plots import Folder, require_folder
from seewhy.render.encode import encode_png
from seewhy.render.feature_comparison import feature_comparison
from seewhy.store.files import write_atomic
from seewhy.store.names import safe_name
from seewhy.values import CheckpointError, ConfigError

COLUMNS: Final = ("Layer", "Shape", "CKA", "Unbiased", "Correlation", "Constant", "Mean 1", "Mean 2", "|Difference|")
_MOST_AXES: Final = 4


@dataclass(frozen=True)
class FeatureComparison:
    """Two files layer by layer, the layers that only one of them has, and the files written."""

    names: tuple[str, str]
    layers: Mapping[str, LayerComparison]
    only_first: tuple[str, ...]
    only_second: tuple[str, ...]
    files: tuple[Path, ...]

    def rows(self) -> list[tuple[str, ...]]:
        """The table in text, with a first row of headings."""
        return [COLUMNS, *(_row(layer, found) for layer, found in self.layers.items())]

    def notes(self) -> list[str]:
        """What could not be compared, and why."""
        notes = [f"{layer}: {found.note}" for layer, found in self.layers.items() if found.note]
        for name, alone in zip(self.names, (self.only_first, self.only_second), strict=True):
            notes += [f"only in {name}: {', '.join(alone)}"] if alone else []
        return notes


def compare(
    data1: Source, data2: Source, save_dir: Folder = "feature_comparison", layers: str | Sequence[str] | None = None
) -> FeatureComparison:
    """Compare two readings of the same layers.

    Writes ``comparison_{layer}.png`` of each common layer (both mean maps on one scale, the mean over channels of their
    difference's magnitude, the channels' correlations) and ``comparison.json``.

    Args:
        data1: path of a feature file, or what ``load_feature_file`` gave.
        data2: the other.
        save_dir: where to; it is made.
        layers: names, full or short; every common layer if None or ``"all"``.

    Raises:
        CheckpointError: what ``load_feature_file`` raises; ``SW-C37``, a named layer is in neither or in one only.
        ConfigError: ``SW-F161`` ``save_dir`` is a file, ``SW-F162`` no layers, ``SW-F166`` no layer is in both.

    Example:
        >>> import tempfile, torch
        >>> maps = torch.tensor([[[[0.0, 1.0], [2.0, 5.0]]]])
        >>> one, two = ({"activations": {"relu": scale * maps}} for scale in (1, 3))
        >>> found = compare(one, two, tempfile.mkdtemp()).layers["relu"]
        >>> round(found.cka, 6), round(found.correlation, 6), found.mean_difference
        (1.0, 1.0, 4.0)
    """
    first, second = loaded(data1), loaded(data2)
    chosen = _common(first, second, layers)
    folder = require_folder(save_dir)
    names = _names(data1, data2, first, second)
    compared, files = dict[str, LayerComparison](), list[Path]()
    for layer in chosen:
        maps = activations_of(first["activations"], layer), activations_of(second["activations"], layer)
        compared[layer], correlations = measured(*maps)
        path = _draw(layer, maps, compared[layer], correlations, names, folder)
        files += [path] if path else []
    only = [
        tuple(layer for layer in one["activations"] if layer not in other["activations"])
        for one, other in ((first, second), (second, first))
    ]
    found = FeatureComparison(names, compared, only[0], only[1], (*files, folder / "comparison.json"))
    _write_numbers(found, (first, second))
    return found


def compare_models(
    model1_features: Source, model2_features: Source, save_dir: Folder, layers: str | Sequence[str] | None = None
) -> FeatureComparison:
    """Compare the features that two models, or two checkpoints of one, gave of the same input; see :func:`compare`."""
    return compare(model1_features, model2_features, save_dir, layers)


def _common(first: Mapping[str, Any], second: Mapping[str, Any], layers: str | Sequence[str] | None) -> list[str]:
    common = [layer for layer in first["activations"] if layer in second["activations"]]
    if not common:
        raise ConfigError(
            "SW-F166",
            f"the files have no layer in common: {', '.join(first['activations'])} and "
            f"{', '.join(second['activations'])}",
            fix="extract the same layers from both: inspect_features --layers ...",
        )
    if layers is None or layers == "all" or list(layers) == ["all"]:
        return common
    chosen = chosen_layers(first, layers)
    for layer in chosen:
        if layer not in common:
            raise CheckpointError(
                "SW-C37",
                f"No activations found for layer {layer} in the second file",
                near=common[:5],
                fix="name layers that both files hold",
            )
    return chosen


def _names(data1: Source, data2: Source, first: Mapping[str, Any], second: Mapping[str, Any]) -> tuple[str, str]:
    """What the two are called: by checkpoint, record or time step where these differ, else by file."""
    for key in ("checkpoint", "dataset", "record_id"):
        one, other = (Path(str(data["batch_info"].get(key, ""))).name for data in (first, second))
        if one and other and one != other:
            return one, other
    words = [("record", "batch_idx"), ("time step", "timestep")]
    differing = [(word, key) for word, key in words if first[key] != second[key]]
    if differing:
        one, other = (", ".join(f"{word} {data[key]}" for word, key in differing) for data in (first, second))
        return one, other
    if not isinstance(data1, Mapping) and not isinstance(data2, Mapping):
        here, there = Path(os.fspath(data1)), Path(os.fspath(data2))
        if here.stem != there.stem:
            return here.stem, there.stem
        if here.parent.name != there.parent.name:
            return f"{here.parent.name}/{here.name}", f"{there.parent.name}/{there.name}"
    return "first", "second"


def _draw(
    layer: str,
    maps: tuple[Tensor, Tensor],
    found: LayerComparison,
    correlations: Tensor | None,
    names: tuple[str, str],
    folder: Path,
) -> Path | None:
    first, second = (_drawable(values) for values in maps)
    if first.ndim != second.ndim:
        return None
    same = first.shape == second.shape
    page = feature_comparison(
        mean_map(first).numpy(),
        mean_map(second).numpy(),
        mean_difference(first, second).numpy() if same else None,
        None if correlations is None else correlations.numpy(),
        heading=layer,
        names=names,
        caption=_caption(found),
        vector=first.ndim == 1,
    )
    path = folder / f"comparison_{safe_name(layer)}.png"
    write_atomic(path, encode_png(page), durable=False)
    return path


def _drawable(values: Float[Tensor, "c *s"]) -> Tensor:
    """At most three axes of places: earlier ones are laid behind one another."""
    return values if values.ndim <= _MOST_AXES else values.reshape(len(values), -1, *values.shape[-2:])


def _caption(found: LayerComparison) -> str:
    parts = [f"CKA {number(found.cka)} (unbiased {number(found.unbiased_cka)})"] if found.cka == found.cka else []
    parts += [f"correlation {number(found.correlation)}"] if found.correlation == found.correlation else []
    if found.mean_difference == found.mean_difference:
        parts.append(f"mean |difference| {number(found.mean_difference)}")
    return " · ".join([*parts, *([found.note] if found.note else [])])


def _row(layer: str, found: LayerComparison) -> tuple[str, ...]:
    shapes = [size(found.first_shape), size(found.second_shape)]
    return (
        layer,
        shapes[0] if shapes[0] == shapes[1] else " / ".join(shapes),
        *(number(value) for value in (found.cka, found.unbiased_cka, found.correlation)),
        str(found.constant_channels),
        *(number(value) for value in (found.first_mean, found.second_mean, found.mean_difference)),
    )


def _write_numbers(found: FeatureComparison, read: tuple[Mapping[str, Any], Mapping[str, Any]]) -> None:
    content = {
        "names": found.names,
        "files": [{key: data[key] for key in ("batch_idx", "timestep", "batch_info")} for data in read],
        "layers": {layer: asdict(each) for layer, each in found.layers.items()},
        "only_first": found.only_first,
        "only_second": found.only_second,
    }
    text = json.dumps(finite(content), indent=2, default=str) + "\n"
    write_atomic(found.files[-1], text.encode(), durable=False)
