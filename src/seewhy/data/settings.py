"""Checks of the settings that data sets share: each raises early, before a file is opened."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping, Sequence
from numbers import Real
from pathlib import Path
from typing import Any

from seewhy.remote.address import address_of, local_path
from seewhy.remote.failures import RemoteError
from seewhy.values import DataError, nearest

SPLITS = ("train", "val", "test")
PILLOW_LIMIT = 178_956_970  # twice Pillow's MAX_IMAGE_PIXELS: above it Pillow refuses to open a file
SPLIT_ALIASES = {"training": "train", "valid": "val", "validation": "val", "dev": "val", "testing": "test"}


def check_size(size: Any, smallest: int = 1, largest: int = 16384) -> int:
    """``size`` as a whole number of pixels in range; DataError SW-D01 otherwise."""
    if isinstance(size, bool) or not isinstance(size, int) or not smallest <= size <= largest:
        raise _out_of_range("size", f"a whole number of pixels from {smallest} to {largest}", size)
    return size


def check_frame(size: Any) -> tuple[int, int]:
    """``size`` as ``(height, width)``, from one number or two; DataError SW-D01 otherwise."""
    if isinstance(size, Sequence) and not isinstance(size, str) and len(size) == 2:
        height, width = (check_size(length) for length in size)
        return height, width
    return check_size(size), check_size(size)


def check_ratio(name: str, ratio: Any) -> float:
    """``ratio`` as a number in (0, 1]; DataError SW-D01 otherwise."""
    if isinstance(ratio, bool) or not isinstance(ratio, int | float) or not 0 < ratio <= 1:
        raise _out_of_range(name, "a number above 0 and at most 1", ratio)
    return float(ratio)


def check_positive(name: str, value: Any) -> float:
    """``value`` as a finite number above 0; DataError SW-D01 otherwise."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < math.inf:
        raise _out_of_range(name, "a number above 0", value)
    return float(value)


def check_background(color: Any) -> tuple[int, int, int]:
    """``color`` as three 8-bit values; DataError SW-D01 otherwise."""
    in_range = isinstance(color, Sequence) and all(isinstance(value, int) and 0 <= value <= 255 for value in color)
    if not in_range or len(color) != 3:
        raise _out_of_range("background", "three whole numbers from 0 to 255 (red, green, blue)", color)
    red, green, blue = color
    return red, green, blue


def check_seed(seed: Any) -> int:
    """``seed`` as a whole number; DataError SW-D01 otherwise."""
    if isinstance(seed, bool) or not isinstance(seed, int):
        raise _out_of_range("seed", "a whole number", seed)
    return seed


def check_max_pixels(max_pixels: Any) -> int:
    """``max_pixels`` as a whole number that Pillow's own limit allows; DataError SW-D01 otherwise."""
    if isinstance(max_pixels, bool) or not isinstance(max_pixels, int) or not 1 <= max_pixels <= PILLOW_LIMIT:
        raise _out_of_range("max_pixels", f"a whole number from 1 to {PILLOW_LIMIT}", max_pixels)
    return max_pixels


def check_choice(name: str, value: Any, choices: Sequence[str]) -> str:
    """``value`` as one of ``choices``; DataError SW-D01 with the nearest names otherwise."""
    if value not in choices:
        raise DataError(
            "SW-D01",
            f"{name} must be one of {', '.join(choices)}; got {value!r}",
            fix=f"set {name} to one of these",
            near=nearest(str(value), choices),
        )
    return str(value)


def check_counts(counts: Mapping[str, Any], splits: Sequence[str]) -> dict[str, int]:
    """How many records each split has; DataError SW-D01 for an unknown split or a count that is no whole number."""
    for split, count in counts.items():
        check_choice("a key of counts", split, splits)
        if isinstance(count, bool) or not isinstance(count, int) or count < 0:
            raise _out_of_range(f"counts[{split!r}]", "a whole number, 0 or more", count)
    return dict(counts)


def check_split_ratio(ratio: Sequence[float]) -> tuple[float, float, float]:
    """Three shares of at least 0, scaled to sum to 1; DataError SW-D01 otherwise."""
    shares = [float(share) for share in ratio if isinstance(share, Real)]
    if len(shares) != 3 or not all(math.isfinite(s) and s >= 0 for s in shares) or sum(shares) <= 0:
        raise _out_of_range("split_ratio", "three shares (train, val, test) of 0 or more, not all 0", tuple(ratio))
    train, val, test = (share / sum(shares) for share in shares)
    return train, val, test


def check_names(class_names: Any) -> list[str]:
    """``class_names`` as a list in which none occurs twice; DataError SW-D11 otherwise."""
    names = [] if isinstance(class_names, str) or not isinstance(class_names, Sequence) else [*map(str, class_names)]
    repeated = sorted({name for name in names if names.count(name) > 1})
    if not names or repeated:
        problem = f"names {', '.join(repeated)} twice" if repeated else f"is no list of names: {class_names!r}"
        raise DataError("SW-D11", f"class_names {problem}", fix="write every class once, as [cat,dog]")
    return names


def check_class_names(class_names: Any, found: Sequence[str]) -> list[str]:
    """:func:`check_names`, and as many as ``found``; DataError SW-D11 otherwise."""
    names = check_names(class_names)
    if len(names) != len(found):
        raise DataError(
            "SW-D11",
            f"class_names has {len(names)} names, the data has {len(found)} classes",
            fix=f"give one name per class, in the order {', '.join(found[:20])}",
        )
    return names


def check_directory(name: str, path: str | os.PathLike[str]) -> Path:
    """``path`` as an existing directory; DataError SW-D02 with near names otherwise, SW-D148 for an address."""
    folder = _here(name, path)
    if folder.is_dir():
        return folder
    state = "is not a directory" if folder.exists() else "does not exist"
    raise DataError("SW-D02", f"{name}: {folder} {state}", fix=f"set {name} to a directory", near=_siblings(folder))


def check_file(name: str, path: str | os.PathLike[str]) -> Path:
    """``path`` as an existing file; DataError SW-D02 with near names otherwise, SW-D148 for an address."""
    file = _here(name, path)
    if file.is_file():
        return file
    state = "is not a file" if file.exists() else "does not exist"
    raise DataError("SW-D02", f"{name}: {file} {state}", fix=f"set {name} to a file", near=_siblings(file))


def canonical_split(name: str) -> str:
    """``valid`` and ``validation`` are ``val``, ``training`` is ``train``, ``testing`` is ``test``."""
    return SPLIT_ALIASES.get(name.casefold(), name.casefold())


def _here(name: str, path: str | os.PathLike[str]) -> Path:
    address: object
    try:
        address = address_of(path)
    except RemoteError as error:
        address = error.message
    if address is None:
        return local_path(path)
    raise DataError(
        "SW-D148",
        f"{name}: {address} lies in a store, and this kind of data is read from this machine only",
        fix=f"copy it here and set {name} to the copy; what takes addresses is listed in docs/how-to/remote-data.md",
    )


def _siblings(path: Path) -> list[str]:
    if not path.parent.is_dir():
        return []
    return nearest(path.name, sorted(sibling.name for sibling in path.parent.iterdir()))


def _out_of_range(name: str, expected: str, value: Any) -> DataError:
    return DataError("SW-D01", f"{name} must be {expected}; got {value!r}", fix=f"set {name} to {expected}")
