"""Settings that a caller gives by name: seeds in range, and none that does not exist."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

from seewhy.values import EmbeddingError, nearest

LARGEST_SEED: Final = 2**32 - 1
"""Of the libraries that draw."""


def require_seed(seed: object) -> int:
    """A whole number from 0 to 2**32 - 1; raises ``EmbeddingError`` SW-E12."""
    if isinstance(seed, bool) or not hasattr(seed, "__index__") or not 0 <= seed.__index__() <= LARGEST_SEED:
        raise EmbeddingError("SW-E12", f"a seed is a whole number from 0 to {LARGEST_SEED}, got {seed!r}", fix="take 0")
    return int(seed.__index__())


def require_settings(of: str, given: Iterable[str], known: Sequence[str]) -> None:
    """Raise ``EmbeddingError`` SW-E15 for a setting that ``of`` does not have."""
    for name in given:
        if name not in known:
            raise EmbeddingError(
                "SW-E15", f"{of} has no setting {name!r}: it has {', '.join(known)}", near=nearest(name, known),
                fix="use one of these, or leave it out",
            )  # fmt: skip
