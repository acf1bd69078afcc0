"""Feature files: what layers put out for one record and time step, written and read without running anything."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save as safetensors_bytes
from torch import Tensor

from seewhy.inspection.feature_schema import FORMAT, checked, plain
from seewhy.models.foreign_pickle import read_foreign_pickle
from seewhy.models.sniff import sniff
from seewhy.models.torch_file import read_torch_file
from seewhy.store.files import replacing, write_atomic
from seewhy.values import CheckpointError, ConfigError, nearest

FORMATS: Final = ("pkl", "safetensors")
SUFFIXES: Final = (".pkl", ".pt", ".pth", ".safetensors")
_TEXT_KEY: Final = "seewhy"
_ACTIVATIONS, _POPULATION = "activations", "population"
_PASSED_ON: Final = ("SW-C06", "SW-C16")


def save_feature_file(path: str | os.PathLike[str], content: Mapping[str, Any], *, format: str = "pkl") -> Path:
    """Write a feature file in one step: a reader sees the old one or the new one, never a part; the path.

    The same content gives the same bytes. ``pkl`` is a torch file of tensors and plain values, which
    ``torch.load(path, weights_only=True)`` reads too; ``safetensors`` keeps plain values as JSON beside its tensors.

    Args:
        path: where to; folders are made. The name is taken as it is.
        content: ``activations`` ``{layer: (1, C, *S)}``, ``batch_idx``, ``timestep``; ``batch_info``, ``layers`` and
            ``population`` where known. Anything else is kept, too, if it is plain.
        format: ``pkl`` or ``safetensors``.

    Raises:
        ConfigError: ``SW-F160``, no such format.
        CheckpointError: ``SW-C36`` activations that are none, ``SW-C38`` a value that is not plain.
        StoreError: ``SW-S01`` to ``SW-S03``, the disk.

    Example:
        >>> import tempfile
        >>> content = {"activations": {"layer1": torch.ones(1, 2, 4, 4)}, "batch_idx": 0, "timestep": 3}
        >>> path = save_feature_file(tempfile.mkdtemp() + "/features_b0_t3.pkl", content)
        >>> data = load_feature_file(path)
        >>> data["timestep"], data["activations"]["layer1"][0].shape
        (3, torch.Size([2, 4, 4]))
    """
    if format not in FORMATS:
        raise ConfigError(
            "SW-F160",
            f"there is no feature file format {format!r}",
            near=nearest(str(format), FORMATS),
            fix="format='pkl' or 'safetensors'",
        )
    target = Path(path)
    kept = _prepared(content)
    if format == "safetensors":
        write_atomic(target, safetensors_bytes(*_split(kept)), durable=False)
    else:
        # torch names the archive after the path it is given; a file object leaves its bytes free of that
        with replacing(target, durable=False) as draft, draft.open("wb") as file:
            torch.save(kept, file)
    return target


def load_feature_file(path: str | os.PathLike[str]) -> dict[str, Any]:
    """Read a feature file of this package, or a pickle of the original tool.

    The format is told from the content. Nothing in a file is ever run; see
    :func:`seewhy.models.foreign_pickle.read_foreign_pickle` for pickles of other tools.

    Returns:
        ``activations`` ``{layer: (1, C, *S)}`` float32 on the CPU, so that ``data["activations"][layer][0]`` is
        ``(C, *S)``; ``batch_idx``, ``timestep``, ``batch_info``; ``layers`` and ``population``, empty where unknown;
        ``format``.

    Raises:
        CheckpointError: ``SW-C31`` no such file, ``SW-C32`` something else, ``SW-C33`` to ``SW-C35`` and ``SW-C11`` a
            pickle that is refused, ``SW-C36`` no activations, ``SW-C39`` of a newer version, ``SW-C06`` damaged.
    """
    file = Path(path).expanduser()
    if not file.exists():
        raise _missing(file)
    try:
        kind = sniff(file)
    except CheckpointError as error:
        if error.code in _PASSED_ON:
            raise
        raise CheckpointError(
            "SW-C32",
            f"{file} is no feature file: {error.message}",
            near=_feature_files(file) if file.is_dir() else (),
            fix="give a file that inspect_features or FeatureMapInspector.save_features wrote",
        ) from error
    if kind == "safetensors":
        return checked(_read_safetensors(file), str(file))
    return checked(read_foreign_pickle(file) if kind == "pickle" else read_torch_file(file, kind), str(file))


def _prepared(content: Mapping[str, Any]) -> dict[str, Any]:
    """The content in the order and the types that files keep."""
    kept = checked(content, "the content")
    kept["format"] = FORMAT
    for name in kept:
        if name == _ACTIVATIONS:
            kept[name] = {layer: _by_itself(tensor) for layer, tensor in kept[name].items()}
        elif name == _POPULATION:
            kept[name] = {layer: _state(state, f"population[{layer!r}]") for layer, state in kept[name].items()}
        else:
            kept[name] = plain(kept[name], name)
    return kept


def _by_itself(tensor: Tensor) -> Tensor:
    """The tensor in memory of its own: a view of a whole batch would take the batch into the file."""
    alone = tensor.contiguous()
    return alone if alone.untyped_storage().nbytes() == alone.nbytes else alone.clone()


def _state(state: Mapping[str, Any], place: str) -> dict[str, Any]:
    return {
        name: value.detach().cpu().contiguous().clone() if isinstance(value, Tensor) else plain(value, place)
        for name, value in state.items()
    }


def _split(kept: Mapping[str, Any]) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Tensors by path, and everything else as one JSON text, in which a tensor's place is left out."""
    tensors = {f"{_ACTIVATIONS}/{layer}": tensor for layer, tensor in kept[_ACTIVATIONS].items()}
    numbers: dict[str, dict[str, Any]] = {}
    for layer, state in kept[_POPULATION].items():
        numbers[layer] = {name: value for name, value in state.items() if not isinstance(value, Tensor)}
        tensors |= {
            f"{_POPULATION}/{layer}/{name}": value for name, value in state.items() if isinstance(value, Tensor)
        }
    texts = {name: value for name, value in kept.items() if name not in (_ACTIVATIONS, _POPULATION)}
    order = list(kept[_ACTIVATIONS])
    return tensors, {_TEXT_KEY: json.dumps({**texts, _POPULATION: numbers, "order": order})}


def _read_safetensors(file: Path) -> dict[str, Any]:
    try:
        with safe_open(file, framework="pt") as opened:
            texts = json.loads((opened.metadata() or {}).get(_TEXT_KEY, "{}"))
            tensors = {name: opened.get_tensor(name) for name in opened.keys()}  # noqa: SIM118 - it is no dict
    except (SafetensorError, ValueError, RuntimeError, OSError) as error:
        raise CheckpointError(
            "SW-C15", f"{file} is a damaged .safetensors file ({error})", fix="copy it again, or write it anew"
        ) from error
    found = {name.partition("/")[2]: tensor for name, tensor in tensors.items() if name.startswith(f"{_ACTIVATIONS}/")}
    if not isinstance(texts, dict):
        return {}
    content: dict[str, Any] = {**texts, _ACTIVATIONS: {n: found[n] for n in texts.pop("order", found) if n in found}}
    for layer, state in content.get(_POPULATION, {}).items():
        prefix = f"{_POPULATION}/{layer}/"
        state.update({n.removeprefix(prefix): tensor for n, tensor in tensors.items() if n.startswith(prefix)})
    return content


def _missing(file: Path) -> CheckpointError:
    names = _feature_files(file.parent)
    return CheckpointError(
        "SW-C31",
        f"there is no feature file {file}" + ("" if file.parent.is_dir() else f": no folder {file.parent}"),
        near=nearest(file.name, names) or names[:5],
        fix="give the path that inspect_features named ('Features saved to ...')",
    )


def _feature_files(folder: Path) -> list[str]:
    if not folder.is_dir():
        return []
    return sorted(entry.name for entry in folder.iterdir() if entry.suffix in SUFFIXES)
