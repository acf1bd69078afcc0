"""Which records a query finds, in what order, and how many each further choice would leave."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow.compute as pc

from seewhy.report.query import Query
from seewhy.report.record_table import FAILED, NO_CLASS, STATES, UNLABELLED, WRONG, Integers, Mask, RecordTable, truths

PAGE_SIZE = 100
FACETS = ("split", "result", "label", "predicted")


@dataclass(frozen=True)
class Page:
    """A page of records: their numbers, where the page lies, and how many records each choice would leave."""

    numbers: Integers
    total: int
    page: int
    pages: int
    facets: Mapping[str, Mapping[str, int]]


def select(table: RecordTable, query: Query, class_names: Sequence[str] | None = None) -> Integers:
    """The numbers of the records a query wants, in its order."""
    kept = _all(_masks(table, query, class_names), len(table))
    order = _order(table, query.sort)
    return order[kept[order]]


def page_of(table: RecordTable, query: Query, class_names: Sequence[str] | None = None) -> Page:
    """One page of what a query wants. The counts of a choice are of records that all *other* filters keep."""
    masks = _masks(table, query, class_names)
    kept = _all(masks, len(table))
    order = _order(table, query.sort)
    found = order[kept[order]]
    pages = max(1, math.ceil(len(found) / PAGE_SIZE))
    page = min(query.page, pages)
    facets = {}
    for name in FACETS:
        others = _all({key: mask for key, mask in masks.items() if key != name}, len(table))
        facets[name] = _counts(table, name, others)
    return Page(found[(page - 1) * PAGE_SIZE : page * PAGE_SIZE], len(found), page, pages, facets)


def neighbours(
    table: RecordTable, query: Query, number: int, class_names: Sequence[str] | None = None
) -> tuple[int | None, int | None, str]:
    """The records before and after one in the order of a query, and its place among them, ``"3 of 70"``.

    None at the ends, and nothing where the record is not among them.
    """
    found = select(table, query, class_names)
    places = np.flatnonzero(found == number)
    if not len(places):
        return None, None, ""
    here = int(places[0])
    before = int(found[here - 1]) if here else None
    after = int(found[here + 1]) if here + 1 < len(found) else None
    return before, after, f"{here + 1:,} of {len(found):,}"


def _masks(table: RecordTable, query: Query, class_names: Sequence[str] | None) -> dict[str, Mask]:
    masks: dict[str, Mask] = {}
    if query.split:
        place = table.splits.index(query.split) if query.split in table.splits else -1
        masks["split"] = table.split == place
    if query.result:
        masks["result"] = table.state == STATES.index(query.result)
    if query.label is not None:
        masks["label"] = table.label == query.label
    if query.predicted is not None:
        masks["predicted"] = table.predicted == query.predicted
    if query.low > 0 or query.high < 1:
        masks["confidence"] = (table.confidence >= query.low) & (table.confidence <= query.high)
    if query.q:
        masks["q"] = _mentions(table, query.q, class_names)
    return masks


def _mentions(table: RecordTable, text: str, class_names: Sequence[str] | None) -> Mask:
    found = np.zeros(len(table), np.bool_)
    for column in table.texts:
        found |= truths(pc.match_substring(column, text.lower()))
    named = [index for index, name in enumerate(class_names or ()) if text.casefold() in name.casefold()]
    return found | np.isin(table.label, named) | np.isin(table.predicted, named) if named else found


def _all(masks: Mapping[str, Mask], count: int) -> Mask:
    kept = np.ones(count, np.bool_)
    for mask in masks.values():
        kept &= mask
    return kept


def _order(table: RecordTable, sort: str) -> Integers:
    if sort not in table.orders:
        table.orders[sort] = _ORDERS[sort](table)
    return table.orders[sort]


def _interesting(table: RecordTable) -> Integers:
    rank = np.select([table.state == FAILED, table.state == WRONG], [0, 1], 2)
    confidence = np.where(table.state == WRONG, -table.confidence, table.confidence)
    return np.lexsort((table.position, table.split, confidence, rank))


def _by_id(table: RecordTable) -> Integers:
    return np.from_dlpack(pc.sort_indices(table.ids)).astype(np.int64)


_ORDERS: dict[str, Callable[[RecordTable], Integers]] = {
    "interesting": _interesting,
    "position": lambda table: np.lexsort((table.position, table.split)),
    "id": _by_id,
    "confidence": lambda table: np.lexsort((table.position, table.split, table.confidence)),
    "-confidence": lambda table: np.lexsort((table.position, table.split, -table.confidence)),
    "label": lambda table: np.lexsort((table.position, table.split, _last_without(table.label))),
    "predicted": lambda table: np.lexsort((table.position, table.split, _last_without(table.predicted))),
}


def _last_without(classes: Integers) -> Integers:
    return np.where(classes == NO_CLASS, -NO_CLASS, classes)


def _counts(table: RecordTable, facet: str, kept: Mask) -> dict[str, int]:
    if facet in ("split", "result"):
        names: Sequence[str] = table.splits if facet == "split" else STATES
        values = table.split if facet == "split" else table.state
        counts = np.bincount(values[kept], minlength=len(names))
        return {name: int(counts[place]) for place, name in enumerate(names) if counts[place] or place < UNLABELLED}
    found, places = table.labels if facet == "label" else table.predictions
    counts = np.bincount(places[kept], minlength=len(found))
    return {
        str(value): count
        for value, count in zip(found.tolist(), counts.tolist(), strict=True)
        if count and value != NO_CLASS
    }
