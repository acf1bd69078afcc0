"""The run fingerprint: what decides the numbers of a run, as canonical JSON that can be compared and digested."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping

from seewhy.values import Json, StoreError

_ABSENT = "(absent)"


def canonical_json(value: Json) -> str:
    """One spelling per value: sorted keys, no spaces, no NaN.

    Raises:
        StoreError: ``SW-S13``, the value holds something JSON does not know.

    >>> canonical_json({"b": (1, 2), "a": None})
    '{"a":null,"b":[1,2]}'
    """
    try:
        return json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False, default=_as_dict)
    except (TypeError, ValueError) as error:
        raise StoreError(
            "SW-S13",
            f"expected plain JSON (text, finite numbers, true, false, null, lists, mappings with text keys): {error}",
            fix="convert arrays with .tolist(), numbers with float(), and write None for a number that does not exist",
        ) from error


def plain(value: Json) -> Json:
    """``value`` as it reads back from JSON (tuples are lists), so that old and new settings compare."""
    return json.loads(canonical_json(value))


def digest(value: Json) -> str:
    """SHA-256 of the canonical JSON, 64 hexadecimal digits."""
    return hashlib.sha256(canonical_json(value).encode("utf-8")).hexdigest()


def difference(old: Mapping[str, Json], new: Mapping[str, Json]) -> list[str]:
    """One line per field that differs, sorted by its dotted name.

    >>> difference({"model": {"name": "resnet18"}, "seed": 0}, {"model": {"name": "vit"}, "seed": 0})
    ['model.name: "resnet18" -> "vit"']
    """
    before, after = dict(_fields(plain(old))), dict(_fields(plain(new)))
    changed = sorted(name for name in before.keys() | after.keys() if before.get(name) != after.get(name))
    return [f"{name}: {before.get(name, _ABSENT)} -> {after.get(name, _ABSENT)}" for name in changed]


def _fields(value: Json, prefix: str = "") -> Iterator[tuple[str, str]]:
    if isinstance(value, dict) and value:
        for key, cell in value.items():
            yield from _fields(cell, f"{prefix}.{key}" if prefix else key)
    else:
        yield prefix, canonical_json(value)


def _as_dict(value: object) -> Json:
    if isinstance(value, Mapping):
        return dict(value)
    raise TypeError(f"{type(value).__module__}.{type(value).__qualname__} is not JSON")
