"""Dividing records into train, val and test by their ids, so that the order files are listed in does not matter."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Hashable, Mapping, Sequence

from seewhy.data.settings import SPLITS


def stratified_splits(
    groups: Mapping[str, Hashable], ratio: Sequence[float], seed: int, names: Sequence[str] = SPLITS
) -> dict[str, str]:
    """A split for every record id: each group (class) is divided by ``ratio``, in the order of a seeded digest.

    ``groups`` maps record id to group; ``ratio`` holds one share per name and sums to 1. A group's counts are its
    shares rounded so that they sum to its size (largest remainder, earlier names first).
    """
    members: dict[Hashable, list[str]] = defaultdict(list)
    for record_id, group in groups.items():
        members[group].append(record_id)
    splits: dict[str, str] = {}
    for ids in members.values():
        ids.sort(key=lambda record_id: _digest(seed, record_id))
        start = 0
        for name, count in zip(names, shares_of(len(ids), ratio), strict=True):
            splits.update(dict.fromkeys(ids[start : start + count], name))
            start += count
    return splits


def shares_of(total: int, ratio: Sequence[float]) -> list[int]:
    """Whole numbers near ``total * ratio`` that sum to ``total``, ``ratio`` summing to 1 (largest remainder).

    >>> shares_of(10, (0.7, 0.15, 0.15))
    [7, 2, 1]
    """
    exact = [round(total * share, 9) for share in ratio]
    counts = [int(value) for value in exact]
    by_remainder = sorted(range(len(exact)), key=lambda i: counts[i] - exact[i])
    for i in by_remainder[: total - sum(counts)]:
        counts[i] += 1
    return counts


def _digest(seed: int, record_id: str) -> bytes:
    return hashlib.blake2b(f"{seed}/{record_id}".encode(), digest_size=16).digest()
