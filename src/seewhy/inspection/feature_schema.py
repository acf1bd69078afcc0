"""What a feature file holds, whoever wrote it: activations by layer, where they come from, what is known of them."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping
from typing import Any, Final

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from seewhy.values import CheckpointError, nearest

FORMAT: Final = "seewhy.features/1"
_FAMILY, _VERSION = "seewhy.features/", 1
FOREIGN: Final = "another tool"
_PARTS: Final = ("format", "activations", "batch_idx", "timestep", "batch_info", "layers", "population")


def checked(content: Any, source: str) -> dict[str, Any]:
    """The content of a feature file as everyone uses it.

    ``activations[layer]`` is ``(1, C, *S)`` float32, so that ``activations[layer][0]`` is ``(C, *S)``. A list, as the
    original tool writes it, is joined: ``[Tensor[1, C, H, W]]`` becomes ``(1, C, H, W)``, and an entry without a batch
    axis gets one. ``format`` says which version wrote it, or ``"another tool"``.

    Raises:
        CheckpointError: ``SW-C36`` no activations, or such as are no tensors; ``SW-C39`` a newer version.
    """
    activations = content.get("activations") if isinstance(content, Mapping) else None
    if not isinstance(activations, Mapping) or not activations:
        held = f"; it holds {', '.join(map(repr, list(content)[:5]))}" if isinstance(content, Mapping) else ""
        raise CheckpointError(
            "SW-C36",
            f"{source} has no activations by layer{held}",
            fix="give a file that inspect_features or FeatureMapInspector.save_features wrote",
        )
    written_as = content.get("format", FOREIGN)
    _require_known_version(written_as, source)
    return {
        "format": written_as,
        "activations": {str(layer): _one_record(value, str(layer), source) for layer, value in activations.items()},
        "batch_idx": _whole(content.get("batch_idx", 0)),
        "timestep": _whole(content.get("timestep", 0)),
        **{part: _mapping(content.get(part)) for part in ("batch_info", "layers", "population")},
        **{str(key): value for key, value in content.items() if key not in _PARTS},
    }


def activations_of(activations: Mapping[str, Any], layer: str) -> Float[Tensor, "c *s"]:
    """The values of one layer, ``(C, *S)``, from ``data["activations"]``, or from maps or lists of maps by layer.

    Raises:
        CheckpointError: ``SW-C37``, the layer is not there; ``SW-C36`` it is no tensor.
    """
    if layer not in activations:
        short = [name for name in activations if layer.endswith(f".{name}") or name.endswith(f".{layer}")]
        if len(short) != 1:
            raise CheckpointError(
                "SW-C37",
                f"No activations found for layer {layer}",
                near=nearest(layer, activations) or list(activations)[:5],
                fix="name layers of this file; inspect_features --layers chooses those that are extracted",
            )
        layer = short[0]
    return _of_one_target(activations[layer], layer)


def plain(value: Any, place: str = "batch_info") -> Any:
    """A value as files keep it: text, number, None, list or dict; of NumPy and torch what they hold, a path as text.

    Raises:
        CheckpointError: ``SW-C38``, something else.

    Example:
        >>> plain({"noun": np.int64(3), "size": (512, 512), "verb": torch.tensor([1, 2])})
        {'noun': 3, 'size': [512, 512], 'verb': [1, 2]}
    """
    if isinstance(value, Tensor):
        return plain(value.detach().cpu().tolist(), place)
    if isinstance(value, np.ndarray | np.generic):
        return plain(value.tolist(), place)
    if isinstance(value, Mapping) and all(isinstance(key, str) for key in value):
        return {key: plain(entry, f"{place}[{key!r}]") for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return [plain(entry, f"{place}[{index}]") for index, entry in enumerate(value)]
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    for kind in (bool, int, float, str):
        if isinstance(value, kind):
            return kind(value)
    if value is None:
        return None
    raise CheckpointError(
        "SW-C38",
        f"{place} is of type {type(value).__name__}, which a feature file cannot keep",
        fix="give texts, numbers, None, lists, and dicts whose keys are texts",
    )


def _of_one_target(value: Any, layer: str) -> Float[Tensor, "c *s"]:
    """A file's ``(1, C, *S)``, or the only entry ``(C, *S)`` of a list as :class:`FeatureMapInspector` gives it."""
    if not isinstance(value, list | tuple):
        return _one_record(value, layer, "the activations")[0]
    if len(value) != 1 or not isinstance(value[0], Tensor | np.ndarray):
        raise CheckpointError(
            "SW-C36",
            f"the activations of layer {layer} are {_told(value)}, where those of one target are needed",
            fix="set one target, or pass {layer: [maps[0]]}",
        )
    return _as_float(torch.as_tensor(value[0]))


def _one_record(value: Any, layer: str, source: str) -> Float[Tensor, "1 c *s"]:
    if isinstance(value, list | tuple) and value and all(isinstance(entry, Tensor | np.ndarray) for entry in value):
        entries = [_with_batch(torch.as_tensor(entry)) for entry in value]
        if len({entry.shape[1:] for entry in entries}) == 1:
            return _as_float(torch.cat(entries))
    elif isinstance(value, Tensor | np.ndarray) and value.ndim:
        return _as_float(_with_batch(torch.as_tensor(value)))
    raise CheckpointError(
        "SW-C36",
        f"{source} has no activations that can be read for layer {layer}: {_told(value)}",
        fix="a layer is one tensor (1, C, ...) or a list of such tensors of one shape",
    )


def _with_batch(tensor: Tensor) -> Tensor:
    """``(1, C, *S)``: what has one record or four axes has its batch axis; anything else is a record without one."""
    has_batch = tensor.ndim == 4 or (tensor.ndim >= 2 and tensor.shape[0] == 1)
    return tensor if has_batch else tensor[None]


def _as_float(tensor: Tensor) -> Tensor:
    return tensor.detach().cpu().to(torch.float32)


def _told(value: Any) -> str:
    if isinstance(value, list | tuple):
        return f"a list of {', '.join(_told(entry) for entry in value[:3])}" if value else "an empty list"
    return f"a tensor of shape {tuple(value.shape)}" if isinstance(value, Tensor) else f"of type {type(value).__name__}"


def _mapping(value: Any) -> dict[str, Any]:
    """A dict; what another tool wrote in its place is kept under ``value``."""
    if isinstance(value, Mapping):
        return {str(key): entry for key, entry in value.items()}
    return {} if value is None else {"value": value}


def _whole(value: Any) -> int:
    if isinstance(value, Tensor):
        return int(value.reshape(-1)[0]) if value.numel() else 0
    return int(value) if isinstance(value, int | float) and math.isfinite(value) else 0


def _require_known_version(written_as: Any, source: str) -> None:
    if written_as in (FORMAT, FOREIGN) or not str(written_as).startswith(_FAMILY):
        return
    raise CheckpointError(
        "SW-C39",
        f"{source} has the format {written_as!r}; this version of seewhy reads up to {_FAMILY}{_VERSION}",
        fix="upgrade seewhy, or write the features again with this version",
    )
