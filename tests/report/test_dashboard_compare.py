"""Two runs side by side: pairs, what changed, accuracies on the same records."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from dashboard_samples import FINGERPRINT, client_of, explained, failed, write_rows

from seewhy.report.class_matching import Matching, match_classes
from seewhy.report.compare import Comparison, compare_tables
from seewhy.report.index import RunIndex
from seewhy.report.record_table import RecordTable


@pytest.fixture(scope="module")
def roots(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    folder = tmp_path_factory.mktemp("compared")
    first = [
        explained("kept", 0), explained("broken", 1, confidence=0.9), explained("fixed", 2, label=0, confidence=0.6),
        explained("other", 3, label=2, predicted=1), explained("dead", 4), explained("only first", 5),
        explained("surer", 6, label=0, predicted=0, confidence=0.5),
    ]  # fmt: skip
    second = [
        explained("surer", 0, label=0, predicted=0, confidence=0.9),
        explained("broken", 1, predicted=0, confidence=0.7),
        explained("fixed", 2, label=0, predicted=0, confidence=0.8), explained("other", 3, label=2, predicted=0),
        failed("dead", 4), explained("kept", 5), explained("only second", 6),
    ]  # fmt: skip
    changed = {**FINGERPRINT, "weights": "ab" * 32, "model": {"name": "/srv/ada/secret/net.py"}}
    return (
        write_rows(folder / "first", first, [explained("t", split="train")]),
        write_rows(folder / "second", second, fingerprint=changed),
    )


def tables(roots: tuple[Path, Path]) -> tuple[RecordTable, RecordTable]:
    first, second = (RunIndex(root).view().table for root in roots)
    return first, second


def named(table: RecordTable, found: Comparison) -> dict[str, str]:
    return {
        table.ids[number].as_py(): str(kind) for number, kind in zip(found.first.tolist(), found.kind, strict=True)
    }  # fmt: skip


def test_every_pair_is_told_once_with_what_became_of_it(roots: tuple[Path, Path]) -> None:
    first, second = tables(roots)
    found = compare_tables(first, second)
    assert named(first, found) == {
        "dead": "failed", "broken": "broken", "fixed": "fixed", "other": "other", "surer": "same", "kept": "same",
    }  # fmt: skip
    assert list(named(first, found)) == ["dead", "broken", "fixed", "other", "surer", "kept"]
    assert (found.only_first, found.only_second) == (2, 1)
    assert found.counts == {"broken": 1, "fixed": 1, "other": 1, "failed": 1, "same": 2}


def test_pairs_are_the_same_records(roots: tuple[Path, Path]) -> None:
    first, second = tables(roots)
    found = compare_tables(first, second)
    for number, other in zip(found.first.tolist(), found.second.tolist(), strict=True):
        assert first.ids[number].as_py() == second.ids[other].as_py()


def test_the_shift_is_the_second_less_the_first(roots: tuple[Path, Path]) -> None:
    first, second = tables(roots)
    found = compare_tables(first, second)
    shifts = dict(zip(named(first, found), found.shift.tolist(), strict=True))
    assert shifts["broken"] == pytest.approx(-0.2)
    assert shifts["surer"] == pytest.approx(0.4)
    assert np.isnan(shifts["dead"])
    assert found.mean_shift == pytest.approx((-0.2 + 0.2 + 0 + 0 + 0.4) / 5)


def test_accuracies_are_of_records_that_both_could_judge(roots: tuple[Path, Path]) -> None:
    found = compare_tables(*tables(roots))
    by_split = {one["name"]: one for one in found.splits}
    assert by_split["test"]["records"] == 5  # all pairs but the one that failed
    assert by_split["test"]["first"] == pytest.approx(3 / 5)  # kept, broken, surer
    assert by_split["test"]["second"] == pytest.approx(3 / 5)  # kept, fixed, surer
    assert by_split["train"] == {"name": "train", "records": 0, "first": None, "second": None, "change": None}
    assert [(one["index"], one["change"]) for one in found.classes] == [(1, -0.5), (2, 0.0), (0, 0.5)]


def with_names(root: Path, *names: str) -> Path:
    (root / "about.json").write_text(json.dumps({"class_names": names, "labels_match": True}))
    return root


def test_classes_are_matched_by_name_and_each_run_is_told_in_its_own(tmp_path: Path) -> None:
    """The second run numbers cat and dog the other way round: 1 there is 0 here."""
    ours = [explained("same", 0, label=0, predicted=0), explained("other", 1, label=0, predicted=1)]
    theirs = [explained("same", 0, label=1, predicted=1), explained("other", 1, label=1, predicted=2)]
    first = with_names(write_rows(tmp_path / "first", ours), "cat", "dog")
    second = with_names(write_rows(tmp_path / "second", theirs), "dog", "cat", "cow")
    text = client_of(first, second).get("/compare?a=0&b=1").text
    rows = re.findall(r'<a href="/compare/records/\d+\?a=0&amp;b=1">([^<]+)</a>.*?</tr>', text)
    assert rows == ["other"]
    assert "<td>dog (1), 75.0 %</td><td>cow (2), 75.0 %</td>" in text
    assert "<td>cat (0)</td>" in text
    assert "Classes are matched by name, since the runs number them otherwise; only in the second run: cow." in text
    found = re.search(
        r'id="page">(.*?)</script>', client_of(first, second).get("/compare/records/0?a=0&b=1").text, re.S
    )
    assert found is not None
    names = [side["run"]["class_names"] for side in json.loads(found[1])["sides"]]
    assert names == [["cat", "dog"], ["dog", "cat", "cow"]]


def test_equal_names_in_the_same_order_need_no_words(tmp_path: Path) -> None:
    roots = [with_names(write_rows(tmp_path / name, [explained("a")]), "cat", "dog") for name in ("a", "b")]
    assert "matched by" not in client_of(*roots).get("/compare").text


@pytest.mark.parametrize(
    ("first", "second", "seen", "known", "words"),
    [
        (None, None, (2, 9), True, "Neither run has class names"),
        (("a", "b"), None, (2, 2), True, "The second run has no class names: classes are matched by number."),
        (None, ("a", "b"), (3, 2), False, "the first has no class names, and more classes"),
        (("a", "a"), ("a", "b"), (2, 2), False, "have one name"),
        (("a", "a"), ("a", "a"), (2, 2), True, ""),
        (("a", "b"), ("c", "d"), (2, 2), True, "no class in common"),
    ],
)
def test_what_is_not_known_of_the_classes_is_said(
    first: Any, second: Any, seen: tuple[int, int], known: bool, words: str
) -> None:
    found = match_classes(first, second, first_seen=seen[0], second_seen=seen[1])
    assert found.known is known
    assert words in found.words
    assert bool(found.words) == bool(words)


def test_where_classes_cannot_be_matched_no_prediction_is_another_one(roots: tuple[Path, Path]) -> None:
    first, second = tables(roots)
    found = compare_tables(first, second, Matching(known=False))
    assert found.counts == {"broken": 1, "fixed": 1, "other": 0, "failed": 1, "same": 3}


def test_runs_without_a_common_record_have_no_pairs(tmp_path: Path) -> None:
    roots = write_rows(tmp_path / "a", [explained("a")]), write_rows(tmp_path / "b", [explained("b")])
    found = compare_tables(*tables(roots))
    assert (len(found.first), found.mean_shift, found.classes) == (0, None, [])
    assert "No record." in client_of(*roots).get("/compare").text


def test_the_page_tells_settings_and_records(roots: tuple[Path, Path]) -> None:
    text = client_of(*roots).get("/compare?a=0&b=1").text
    assert "abababababab…" in text
    assert "/srv/ada" not in text
    rows = re.findall(r'<a href="/compare/records/(\d+)\?a=0&amp;b=1">([^<]+)</a>', text)
    assert [name for _, name in rows] == ["dead", "broken", "fixed", "other"]
    broken = client_of(*roots).get("/compare?a=0&b=1&kind=broken").text
    assert re.findall(r'<a href="/compare/records/\d+\?a=0&amp;b=1">([^<]+)</a>', broken) == ["broken"]


def test_a_pair_carries_both_records(roots: tuple[Path, Path]) -> None:
    first, _ = tables(roots)
    number = first.number_of("test", "broken")
    text = client_of(*roots).get(f"/compare/records/{number}?a=0&b=1").text
    found = re.search(r'id="page">(.*?)</script>', text, re.DOTALL)
    assert found is not None
    sides = json.loads(found[1])["sides"]
    assert [(side["record"]["id"], side["record"]["predicted"]) for side in sides] == [("broken", 1), ("broken", 0)]
    assert "right before, wrong now" in text


@pytest.mark.parametrize(
    ("words", "status"),
    [("a=7", 404), ("b=-1", 400), ("a=x", 400), ("kind=same", 400), ("page=99999", 200), ("page=9999999999", 400),
     ("a=0&b=0", 200)],
)  # fmt: skip
def test_odd_addresses_are_answered_in_words(roots: tuple[Path, Path], words: str, status: int) -> None:
    assert client_of(*roots).get(f"/compare?{words}").status_code == status
