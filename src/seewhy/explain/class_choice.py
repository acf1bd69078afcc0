"""Which class is asked about: by number, or by name where the classes have some."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from torch import Tensor, nn

from seewhy.explain.recipe import remembered
from seewhy.models.borrow import unwrapped
from seewhy.values import TargetError, nearest


def class_list(chosen: Any, records: int, names: Sequence[str] | None = None) -> list[Any]:
    """One class per record: from one for all, or a sequence with one for each; names become numbers.

    Numbers are checked where the model's outputs are known. None, the predicted class, stays None.

    Raises:
        TargetError: ``SW-T02`` another number of classes than records, ``SW-T30`` a name where the names are not known,
            ``SW-T04`` no class has that name.

    >>> class_list(None, 2), class_list([1, "cat"], 2, ["cat", "dog"])
    ([None, None], [1, 0])
    """
    if not _is_several(chosen):
        return [_number(chosen, names)] * records
    wanted = [_number(one, names) for one in chosen]
    if len(wanted) != records:
        raise TargetError(
            "SW-T02",
            f"one class per record is needed, got {len(wanted)} classes for {records} records",
            fix="give as many classes as there are images, or one class for all",
        )
    return wanted


def names_of(model: nn.Module, given: Sequence[str] | None = None) -> tuple[str, ...] | None:
    """The classes' names: those given, those that building the model told, or those a Hugging Face model carries."""
    if given is not None:
        return tuple(map(str, given))
    bare = unwrapped(model)
    facts = remembered(model) or remembered(bare)
    if facts is not None and facts.class_names is not None:
        return facts.class_names
    by_index = getattr(getattr(bare, "config", None), "id2label", None)
    if isinstance(by_index, Mapping) and sorted(by_index) == list(range(len(by_index))):
        labels = tuple(str(by_index[index]) for index in range(len(by_index)))
        return None if all(label == f"LABEL_{index}" for index, label in enumerate(labels)) else labels
    return None


def label_of(index: int, names: Sequence[str] | None) -> str:
    """What to call a class.

    >>> label_of(1, None), label_of(1, ["cat", "dog"])
    ('class 1', 'dog')
    """
    return names[index] if names is not None and 0 <= index < len(names) else f"class {index}"


def _is_several(chosen: Any) -> bool:
    if isinstance(chosen, Tensor | np.ndarray):
        return chosen.ndim > 0
    return isinstance(chosen, Iterable) and not isinstance(chosen, str)


def _number(chosen: Any, names: Sequence[str] | None) -> Any:
    if not isinstance(chosen, str):
        return chosen
    if names is None:
        raise TargetError(
            "SW-T30",
            f"the class {chosen!r} was asked for by name, but the classes' names are not known",
            fix="pass class_names=[...], or the class's number",
        )
    if chosen not in names:
        raise TargetError(
            "SW-T04", f"no class is called {chosen!r}", near=nearest(chosen, names), fix="use one of the class names"
        )
    return list(names).index(chosen)
