"""Filters, orders, counts and pages of the gallery, against doing the same record by record."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from dashboard_samples import explained, failed, random_commits, write_rows

from seewhy.report.errors import DashboardError
from seewhy.report.index import RunIndex
from seewhy.report.query import SORTS, Query
from seewhy.report.record_table import NO_CLASS, STATES, RecordTable
from seewhy.report.selection import PAGE_SIZE, neighbours, page_of, select

NAMES = ["cat", "dog", "Catfish", "hen"]
QUERIES: list[dict[str, Any]] = [
    {},
    {"split": "train"},
    {"split": "nowhere"},
    {"result": "wrong"},
    {"result": "unlabelled", "split": "test"},
    {"label": 2},
    {"predicted": 0, "result": "right"},
    {"low": 0.25, "high": 0.5},
    {"q": "TEST/01"},
    {"q": "error 7"},
    {"q": "cat"},
    {"q": "(?i).*"},
    {"split": "test", "result": "wrong", "low": 0.5, "q": "1"},
]


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> RecordTable:
    root = write_rows(tmp_path_factory.mktemp("query") / "run", *random_commits(5, records=200, commits=20))
    return RunIndex(root).view().table


def told(table: RecordTable, number: int) -> dict[str, Any]:
    label, predicted = int(table.label[number]), int(table.predicted[number])
    return {
        "split": table.splits[table.split[number]], "id": table.ids[number].as_py(),
        "error": table.error[number].as_py(), "position": int(table.position[number]),
        "label": None if label == NO_CLASS else label, "predicted": None if predicted == NO_CLASS else predicted,
        "confidence": float(table.confidence[number]), "result": STATES[table.state[number]],
    }  # fmt: skip


def passes(one: dict[str, Any], query: Query, but: str = "") -> bool:
    """Whether a record passes all filters but one."""
    names = ("split", "result", "label", "predicted")
    exact = all(
        name == but or getattr(query, name) in (None, "") or one[name] == getattr(query, name) for name in names
    )
    sure = (query.low == 0 and query.high == 1) or query.low <= one["confidence"] <= query.high
    classes = [NAMES[index].lower() for index in (one["label"], one["predicted"]) if index is not None]
    words = [one["id"].lower(), one["error"].lower(), *classes]
    return exact and sure and (not query.q or any(query.q.lower() in word for word in words))


@pytest.mark.parametrize("given", QUERIES, ids=str)
def test_a_filter_keeps_what_it_says(table: RecordTable, given: dict[str, Any]) -> None:
    query = Query(**given)
    wanted = {number for number in range(len(table)) if passes(told(table, number), query)}
    assert set(select(table, query, NAMES).tolist()) == wanted
    assert page_of(table, query, NAMES).total == len(wanted)


@pytest.mark.parametrize("given", QUERIES, ids=str)
def test_counts_are_of_records_that_all_other_filters_keep(table: RecordTable, given: dict[str, Any]) -> None:
    query = Query(**given)
    facets = page_of(table, query, NAMES).facets
    for name in ("split", "result", "label", "predicted"):
        kept = [told(table, number) for number in range(len(table)) if passes(told(table, number), query, but=name)]
        for value in {one[name] for one in kept if one[name] is not None}:
            assert facets[name][str(value)] == sum(one[name] == value for one in kept)
        assert sum(facets[name].values()) == sum(one[name] is not None for one in kept)


def key_of(sort: str, one: dict[str, Any]) -> Any:
    sure = float("inf") if np.isnan(one["confidence"]) else one["confidence"]
    last = {"label": 1e9, "predicted": 1e9}
    if sort == "interesting":
        rank = {"failed": 0, "wrong": 1}.get(one["result"], 2)
        signed = (float("inf") if sure == float("inf") else -sure) if rank == 1 else sure
        return rank, signed
    if sort in last:
        return last[sort] if one[sort] is None else one[sort]
    return {
        "position": (one["split"], one["position"]), "id": one["id"], "confidence": sure,
        "-confidence": float("inf") if sure == float("inf") else -sure,
    }[sort]  # fmt: skip


@pytest.mark.parametrize("sort", SORTS)
def test_every_order_is_that_order(table: RecordTable, sort: str) -> None:
    found = [told(table, number) for number in select(table, Query(sort=sort)).tolist()]
    assert len(found) == len(table)
    keys = [key_of(sort, one) for one in found]
    if sort == "position":
        keys = [key for key in keys if key[0] == "test"]  # splits keep the order of their first commits
    assert keys == sorted(keys)


def test_pages_are_cut_from_one_order(table: RecordTable) -> None:
    whole = select(table, Query(sort="id")).tolist()
    pages = page_of(table, Query()).pages
    assert pages == -(-len(table) // PAGE_SIZE) >= 2
    cut = [page_of(table, Query(sort="id", page=page + 1)).numbers.tolist() for page in range(pages)]
    assert [number for page in cut for number in page] == whole
    assert page_of(table, Query(page=10**6)).page == pages


def test_neighbours_are_those_of_the_order(table: RecordTable) -> None:
    query = Query(result="wrong", sort="confidence")
    order = select(table, query).tolist()
    assert neighbours(table, query, order[0]) == (None, order[1], f"1 of {len(order)}")
    assert neighbours(table, query, order[-1])[:2] == (order[-2], None)
    right = select(table, Query(result="right")).tolist()[0]
    assert neighbours(table, query, right) == (None, None, "")


def test_the_interesting_come_first(tmp_path: Path) -> None:
    rows = [
        explained("unsure", 0, confidence=0.3), explained("sure", 1, confidence=0.9),
        explained("wrong a little", 2, label=0, confidence=0.4), explained("wrong", 3, label=0, confidence=0.8),
        failed("failed", 4),
    ]  # fmt: skip
    table = RunIndex(write_rows(tmp_path / "run", rows)).view().table
    found = [table.ids[number].as_py() for number in select(table, Query()).tolist()]
    assert found == ["failed", "wrong", "wrong a little", "unsure", "sure"]


@pytest.mark.parametrize(
    ("words", "code"),
    [
        ({"page": "0"}, "SW-W01"), ({"page": "one"}, "SW-W01"), ({"page": "1" * 5000}, "SW-W01"),
        ({"label": "3.5"}, "SW-W01"), ({"label": "-99"}, "SW-W01"), ({"low": "nan"}, "SW-W01"),
        ({"high": "1.01"}, "SW-W01"), ({"low": "-inf"}, "SW-W01"), ({"sort": "os.system"}, "SW-W02"),
        ({"result": "<script>"}, "SW-W02"),
    ],
)  # fmt: skip
def test_what_is_no_query_is_refused(words: dict[str, str], code: str) -> None:
    with pytest.raises(DashboardError) as refused:
        Query.read(words)
    assert refused.value.code == code


@pytest.mark.parametrize("given", QUERIES, ids=str)
def test_an_address_brings_back_its_query(given: dict[str, Any]) -> None:
    from urllib.parse import parse_qsl

    query = Query(**given, sort="id", page=3)
    assert Query.read(dict(parse_qsl(query.words()))) == query


def test_unknown_and_empty_words_filter_nothing() -> None:
    assert Query.read({"utm": "x", "split": " ", "low": "", "q": ""}) == Query()
    assert len(Query.read({"q": "x" * 10_000}).q) == 200


@pytest.mark.parametrize("words", [{"page": "1_0"}, {"label": "\u0663"}, {"label": "+1"}, {"page": "1" * 10},
                                   {"low": "0.1_0"}, {"high": "nan"}, {"low": "\u0660"}])  # fmt: skip
def test_numbers_are_plain_digits(words: dict[str, str]) -> None:
    with pytest.raises(DashboardError, match="SW-W01"):
        Query.read(words)
