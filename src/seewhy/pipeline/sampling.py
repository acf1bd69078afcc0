"""Which records have their pictures drawn while the run goes on: all, none, or a sample that is the same anywhere."""

from __future__ import annotations

import hashlib
import heapq
from collections.abc import Callable, Iterable, Sequence

from seewhy.data.records import RecordRef
from seewhy.pipeline.plan import select
from seewhy.pipeline.settings import Settings


def drawn_records(index: Sequence[RecordRef], settings: Settings) -> Callable[[str], bool]:
    """Whether a run draws the pictures of a record, by its id.

    The sample is taken of all records that the settings select, whichever of several jobs computes them.
    """
    if settings.render == "sample":
        return sample_of((index[at].record_id for at in select(index, settings)), settings.render_sample).__contains__
    every = settings.render == "all"
    return lambda _: every


def sample_of(ids: Iterable[str], size: int) -> frozenset[str]:
    """The ids with the smallest hashes: no order and no number of workers changes them.

    A set of ids that has grown keeps those of its sample that no new id's hash is smaller than.

    Example:
        >>> sample_of(["a", "b", "c"], 2) == sample_of(["c", "b", "a", "b"], 2)
        True
    """
    return frozenset(heapq.nsmallest(size, set(ids), key=lambda identifier: (_hash(identifier), identifier)))


def _hash(identifier: str) -> bytes:
    return hashlib.sha256(b"drawn\0" + identifier.encode("utf-8", "surrogatepass")).digest()
