"""``docs/errors.md`` lists the codes a user can meet, each once, and the code raises what it lists."""

from __future__ import annotations

import ast
import inspect
import re
from collections import Counter

import pytest
from source_tree import ROOT, calls, modules

from seewhy import values

CODE = re.compile(r"SW-[A-Z]\d{2,3}")
ROW = re.compile(r"^\|\s*`?(SW-[A-Z]\d{2,3})`?\s*\|\s*(.+?)\s*\|\s*(.+?)\s*\|", re.MULTILINE)


def documented_rows() -> list[tuple[str, str, str]]:
    """Code, meaning and what to do, of every table row."""
    return ROW.findall((ROOT / "docs" / "errors.md").read_text("utf-8"))


def codes_in_source() -> dict[str, list[str]]:
    """Where each code stands as a literal."""
    places: dict[str, list[str]] = {}
    for place, tree in modules():
        for node in ast.walk(tree):
            if isinstance(node, ast.Constant) and isinstance(node.value, str) and CODE.fullmatch(node.value):
                places.setdefault(node.value, []).append(f"{place}:{node.lineno}")
    return places


def letter_of_each_error() -> dict[str, str]:
    """The letter that each error class of ``values`` names in its docstring: ``Codes ``SW-D..```` gives ``D``.

    ``X`` is left out: ``MissingExtraError`` writes its own code and its own advice.
    """
    classes = {
        name: kind for name, kind in inspect.getmembers(values, inspect.isclass) if kind.__module__ == values.__name__
    }
    letters = {name: re.search(r"Codes ``SW-([A-WYZ])", kind.__doc__ or "") for name, kind in classes.items()}
    return {name: found.group(1) for name, found in letters.items() if found}


def test_every_code_in_use_is_documented() -> None:
    documented = {code for code, *_ in documented_rows()}
    assert {code: where for code, where in codes_in_source().items() if code not in documented} == {}


def test_every_documented_code_is_in_use() -> None:
    assert sorted({code for code, *_ in documented_rows()} - set(codes_in_source())) == []


def test_every_code_is_documented_once_and_no_two_mean_the_same() -> None:
    rows = documented_rows()
    repeated_codes = [code for code, times in Counter(code for code, *_ in rows).items() if times > 1]
    repeated_meanings = [
        text for text, times in Counter(meaning.casefold() for _, meaning, _ in rows).items() if times > 1
    ]
    assert (repeated_codes, repeated_meanings) == ([], [])


def test_a_code_belongs_to_one_kind_of_error_and_carries_its_letter() -> None:
    letters = letter_of_each_error()
    assert letters["DataError"] == "D"
    wrong = [
        f"{place}:{line}: {name}({call.args[0].value!r})"
        for place, tree in modules()
        for line, name, call in calls(tree)
        if (kind := name.split(".")[-1]) in letters
        and call.args
        and isinstance(call.args[0], ast.Constant)
        and not str(call.args[0].value).startswith(f"SW-{letters[kind]}")
    ]
    assert wrong == []


def raisers_without_advice() -> list[str]:
    """Errors raised with a literal code but without ``fix``."""
    return [
        f"{place}:{line}"
        for place, tree in modules()
        for line, name, call in calls(tree)
        if name.split(".")[-1] in letter_of_each_error()
        and call.args
        and isinstance(call.args[0], ast.Constant)
        and not {"fix", None} & {keyword.arg for keyword in call.keywords}
    ]


def test_every_error_says_what_to_do() -> None:
    assert raisers_without_advice() == []


@pytest.mark.parametrize(
    "row", ["| SW-D01 | a file is gone | restore it |", "| `SW-D01` | a file is gone | restore it |"]
)
def test_a_row_is_read_with_or_without_backticks(row: str) -> None:
    assert ROW.findall(row) == [("SW-D01", "a file is gone", "restore it")]
