"""The inputs of one call by name: from a list, a mapping or tensors in the order of the model's signature."""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from torch import Tensor, nn

from seewhy.core import Inputs
from seewhy.models.borrow import unwrapped
from seewhy.values import ConfigError, DataError, ModelError, different_names, nearest

FEWEST_AXES = 2
"""Batch and features: an input of numbers goes to the model too; maps are made of inputs with space."""


def known_names(model: nn.Module, given: Sequence[str] | None = None) -> tuple[str, ...] | None:
    """A model's input names: those given, its own ``input_names``, or the required parameters of its ``forward``.

    None where the signature does not tell: its one parameter takes a list or a dict, or it takes anything.

    Raises:
        ConfigError: ``SW-F123``, names given that are not different texts.

    Example:
        >>> known_names(nn.Bilinear(2, 2, 2))
        ('input1', 'input2')
    """
    bare = unwrapped(model)
    told = given if given is not None else getattr(bare, "input_names", None)
    if told is not None:
        return _checked(told)
    parameters = inspect.signature(bare.forward).parameters.values()
    names = [
        one.name
        for one in parameters
        if one.kind in (one.POSITIONAL_ONLY, one.POSITIONAL_OR_KEYWORD) and one.default is one.empty
    ]
    return tuple(names) if len(names) > 1 else None


def named_inputs(given: Any, names: Sequence[str] | None) -> Inputs:
    """Tensors ``(B, C, *S)`` by name, from a mapping, a sequence in order, or one tensor.

    Where nobody named the inputs they are ``input1``, ``input2`` and so on, one alone ``image``.

    Raises:
        DataError: ``SW-D95`` other inputs than there are names, ``SW-D96`` no batches of equal length, ``SW-D97``
            values that are not finite.

    Example:
        >>> import torch
        >>> list(named_inputs([torch.rand(1, 1, 8, 8)] * 2, ("left", "right")))
        ['left', 'right']
    """
    if isinstance(given, Mapping):
        named = _from_mapping(given, names)
    else:
        tensors = [given] if isinstance(given, Tensor | np.ndarray) else list(given)
        names = names or _numbered(len(tensors))
        if len(tensors) != len(names):
            raise _other_inputs(f"{len(tensors)} inputs in order", names, fix=_fix_of_arrays(tensors))
        named = dict(zip(names, tensors, strict=True))
    _check_batches(named)
    return named


def merged_inputs(in_order: Sequence[Any], by_name: Mapping[str, Any], names: Sequence[str] | None) -> dict[str, Any]:
    """Inputs of which some come in order and others by name.

    Raises:
        DataError: ``SW-D95``, an input that is given twice, or names that the model does not tell.

    Example:
        >>> merged_inputs([1], {"right": 2}, ("left", "right"))
        {'left': 1, 'right': 2}
    """
    known = names or ()
    first = dict(zip(known, in_order, strict=False))
    if len(first) < len(in_order) or set(first) & set(by_name):
        raise _other_inputs(f"{len(in_order)} inputs in order and {', '.join(by_name)} by name", known)
    return {**first, **by_name}


def looked_up(error: ModelError, named: Mapping[str, Any]) -> DataError | None:
    """The error for a model whose ``forward`` looks up an input by a name that no input has; None for another fault.

    Example:
        >>> error = ModelError("SW-M09", "it cannot be called", fix="")
        >>> error.__cause__ = KeyError("mnv")
        >>> looked_up(error, {"input1": 1}).fix
        "input_names=['mnv', ...] names the inputs in their order, or pass them in a dict by these names"
    """
    key = error.__cause__.args[0] if isinstance(error.__cause__, KeyError) and error.__cause__.args else None
    if not isinstance(key, str) or key in named:
        return None
    return DataError(
        "SW-D95",
        f"the model looks up an input {key!r}; got {', '.join(named)}",
        near=nearest(key, named),
        fix=f"input_names=[{key!r}, ...] names the inputs in their order, or pass them in a dict by these names",
    )


def _from_mapping(given: Mapping[str, Any], names: Sequence[str] | None) -> dict[str, Any]:
    if names is None:
        return {str(name): tensor for name, tensor in given.items()}
    wrong = [str(name) for name in given if name not in names]
    if wrong or len(given) < len(names):
        raise _other_inputs(", ".join(map(str, given)) or "none", names, nearest(wrong[0], names) if wrong else ())
    return {name: given[name] for name in names}


def _numbered(count: int) -> tuple[str, ...]:
    return ("image",) if count == 1 else tuple(f"input{number}" for number in range(1, count + 1))


def _check_batches(named: Mapping[str, Any]) -> None:
    told = {
        name: f"{tuple(one.shape)}" if isinstance(one, Tensor) else type(one).__name__ for name, one in named.items()
    }
    batches = [one for one in named.values() if isinstance(one, Tensor) and one.ndim >= FEWEST_AXES and len(one)]
    if len(batches) < len(named) or len({len(one) for one in batches}) != 1:
        raise DataError(
            "SW-D96",
            f"every input must be a tensor (B, C, *space) with the same number of records, got {told}",
            fix=_fix_of_arrays(named.values())
            or "add the batch axis with tensor[None], and pass as many records of every input",
        )
    for name, one in named.items():
        if one.is_floating_point() and not bool(one.isfinite().all()):
            raise DataError(
                "SW-D97",
                f"the input {name!r} holds {int((~one.isfinite()).sum())} values that are NaN or infinite",
                fix="repair or leave out the record; a model's answer about it would mean nothing",
            )


def _checked(told: Any) -> tuple[str, ...]:
    names = different_names(told)
    if names is None:
        raise ConfigError(
            "SW-F123",
            f"input_names must be different texts, one per input, got {told!r}",
            fix="pass input_names=['mnv', 'fluid'] in the order in which the model takes its inputs",
        )
    return names


def _fix_of_arrays(inputs: Iterable[Any]) -> str:
    arrays = any(isinstance(one, np.ndarray) for one in inputs)
    return "pass every input as a tensor: torch.from_numpy(array), with the batch axis first" if arrays else ""


def _other_inputs(came: str, names: Sequence[str], near: Sequence[str] = (), fix: str = "") -> DataError:
    return DataError(
        "SW-D95",
        f"the model takes {', '.join(names) or 'inputs that its signature does not name'}; got {came}",
        near=near,
        fix=fix or "pass every input once, in this order or by name; input_names=[...] renames them",
    )
