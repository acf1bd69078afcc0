"""The names of a model's inputs, and settings that are one value for all inputs or one for each by name."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from seewhy.values import ModelError, nearest


def check_input_names(names: Any) -> tuple[str, ...]:
    """The names in their order. Raises ``ModelError`` SW-M62 unless they are different texts, at least one."""
    listed = tuple(names) if isinstance(names, Sequence) and not isinstance(names, str) else ()
    texts = all(isinstance(name, str) and name for name in listed)
    if not listed or not texts or len(set(listed)) < len(listed):
        raise ModelError(
            "SW-M62",
            f"inputs must be a list of different names, got {names!r}",
            fix="name every input once, such as [mnv,fluid,ga,drusen]",
        )
    return listed


def of_each_input(setting: str, value: Any, names: Sequence[str]) -> dict[str, Any]:
    """``value`` for every input, or each input's own where it is a mapping by input name.

    Raises:
        ModelError: ``SW-M64`` a mapping that does not name exactly the inputs.

    Example:
        >>> of_each_input("channels", 1, ["mnv", "fluid"])
        {'mnv': 1, 'fluid': 1}
    """
    if not isinstance(value, Mapping):
        return dict.fromkeys(names, value)
    missing = [name for name in names if name not in value]
    unknown = [str(name) for name in value if name not in names]
    if missing or unknown:
        raise ModelError(
            "SW-M64",
            f"{setting} is given for {', '.join(map(str, value)) or 'no input'}; the inputs are {', '.join(names)}",
            near=nearest(unknown[0], names) if unknown else (),
            fix=f"give {setting} once for all inputs, or under every input's name",
        )
    return {name: value[name] for name in names}
