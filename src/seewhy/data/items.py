"""One item of a user's own data set, in any of its usual forms, as named tensors, an id and a label."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from seewhy.data.manifest_table import parse_box
from seewhy.data.records import Box
from seewhy.values import DataError, nearest

INPUT_KEYS: Final = ("image", "x", "input", "inputs")
LABEL_KEYS: Final = ("label", "y", "target", "targets")
ID_KEYS: Final = ("id", "record_id", "index", "idx")
TRUTH_KEYS: Final = ("box", "mask")
FORMS: Final = '(x, y, id), (x, y, index), (x, y), x, or a dict such as {"image": x, "label": y, "id": id}'


@dataclass(frozen=True)
class Item:
    """What an item says: ``record_id`` is None where it says none."""

    inputs: dict[str, Tensor]
    label: int | None
    record_id: str | None
    box: Box | None = None
    mask: NDArray[np.bool_] | None = None
    notes: tuple[str, ...] = ()


def read_item(item: Any, where: str, class_names: Sequence[str] | None = None) -> Item:
    """Understand ``(x, y, id)``, ``(x, y, index)``, ``(x, y)``, ``x`` alone or a dict; ``x`` may be a dict of tensors.

    A dict's input is under ``image``, ``x``, ``input`` or ``inputs``, or is every tensor under another name than those
    of label (``label``, ``y``, ``target``), id (``id``, ``record_id``, ``index``), ``box`` and ``mask``. ``where``
    names the item in errors. Raises ``DataError`` SW-D30 for another form, SW-D31 for a bad label, SW-D14 a bad box.
    """
    if isinstance(item, Mapping):
        return _read_mapping(item, where, class_names)
    parts = tuple(item) if isinstance(item, tuple | list) else (item,)
    if not 1 <= len(parts) <= 3:
        raise _unknown_form(where, f"a sequence of {len(parts)}")
    x, y, record_id = (*parts, None, None)[:3]
    label, notes = read_label(y, where, class_names)
    return Item(_inputs(x, where), label, read_id(record_id, where), notes=notes)


def read_label(y: Any, where: str, class_names: Sequence[str] | None = None) -> tuple[int | None, tuple[str, ...]]:
    """A class from a number, a 0-d or one-element tensor, a one-hot vector or a class name; -1 and None mean none.

    A vector with several ones (multi-label) has no single class: None, with a note. DataError SW-D31 otherwise.
    """
    if y is None:
        return None, ()
    if isinstance(y, str):
        return _named_label(y, where, class_names), ()
    try:
        values = np.asarray(y.detach().cpu() if isinstance(y, Tensor) else y, dtype=np.float64).reshape(-1)
    except (TypeError, ValueError) as error:
        raise _bad_label(where, f"is a {type(y).__name__}") from error
    if values.size == 1:
        return _whole_label(float(values[0]), where), ()
    if not values.size or not np.isin(values, (0, 1)).all():
        raise _bad_label(where, f"is a vector of {values.size} values that are not 0 or 1")
    ones = np.flatnonzero(values)
    return (int(ones[0]), ()) if len(ones) == 1 else (None, (f"{len(ones)} of {values.size} labels set: none chosen",))


def read_id(value: Any, where: str) -> str | None:
    """An id as text; whole numbers and one-element tensors are written out. DataError SW-D30 for other types."""
    if isinstance(value, Tensor | np.ndarray | np.generic) and math.prod(value.shape) == 1:
        value = value.item()
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    raise _unknown_form(where, f"an id of type {type(value).__name__}")


def _read_mapping(item: Mapping[Any, Any], where: str, class_names: Sequence[str] | None) -> Item:
    label, notes = read_label(_first(item, LABEL_KEYS), where, class_names)
    return Item(
        inputs=_mapping_inputs(item, where),
        label=label,
        record_id=read_id(_first(item, ID_KEYS), where),
        box=parse_box(item.get("box"), where),
        mask=_mask(item.get("mask")),
        notes=notes,
    )


def _mapping_inputs(item: Mapping[Any, Any], where: str) -> dict[str, Tensor]:
    reserved = {*LABEL_KEYS, *ID_KEYS, *TRUTH_KEYS}
    arrays = {
        str(key): value
        for key, value in item.items()
        if key not in reserved and isinstance(value, Tensor | np.ndarray | Mapping)
    }
    if len(arrays) == 1:
        (name, value), *_ = arrays.items()
        return _inputs(value, where) if name in INPUT_KEYS else {name: _tensor(value, where)}
    if not arrays:
        found = ", ".join(f"{key}: {type(value).__name__}" for key, value in item.items())
        raise _unknown_form(where, f"a dict without a tensor ({found})")
    return {name: _tensor(value, where) for name, value in arrays.items()}


def _inputs(x: Any, where: str) -> dict[str, Tensor]:
    if not isinstance(x, Mapping):
        return {"image": _tensor(x, where)}
    if not x:
        raise _unknown_form(where, "an empty dict of inputs")
    return {str(name): _tensor(value, where) for name, value in x.items()}


def _tensor(value: Any, where: str) -> Tensor:
    if isinstance(value, Tensor):
        return value
    if isinstance(value, np.ndarray) and value.dtype != np.object_:
        return torch.from_numpy(np.ascontiguousarray(value))
    raise _unknown_form(where, f"an input of type {type(value).__name__}, not a tensor")


def _mask(value: Any) -> NDArray[np.bool_] | None:
    if value is None:
        return None
    mask: NDArray[np.bool_] = np.asarray(value.detach().cpu() if isinstance(value, Tensor) else value) != 0
    return mask[0] if mask.ndim == 3 and mask.shape[0] == 1 else mask


def _first(item: Mapping[Any, Any], keys: Sequence[str]) -> Any:
    return next((item[key] for key in keys if key in item), None)


def _named_label(name: str, where: str, class_names: Sequence[str] | None) -> int:
    names = list(class_names or ())
    if name in names:
        return names.index(name)
    problem = f"{name!r} is none of the class names" if names else f"{name!r} is a name, and there are no class_names"
    raise DataError(
        "SW-D31",
        f"{where}: the label {problem}",
        fix="give class_names in the order of the model's outputs",
        near=nearest(name, names),
    )


def _whole_label(value: float, where: str) -> int | None:
    if value == -1:
        return None
    if value < 0 or not value.is_integer():
        raise _bad_label(where, f"is {value:g}, not a class number from 0")
    return int(value)


def _bad_label(where: str, problem: str) -> DataError:
    return DataError(
        "SW-D31", f"{where}: the label {problem}", fix="return a class number, a one-hot vector, a class name or None"
    )


def _unknown_form(where: str, found: str) -> DataError:
    return DataError("SW-D30", f"{where}: got {found}", fix=f"return {FORMS}")
