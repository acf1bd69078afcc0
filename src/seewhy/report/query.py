"""What a page of records asks for: which records, in what order, which hundred of them."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any
from urllib.parse import urlencode

from seewhy.report.errors import DashboardError
from seewhy.report.record_table import STATES
from seewhy.values import nearest

LONGEST_TEXT = 200
_DIGITS = re.compile(r"[0-9]{1,9}")
_NUMBER = re.compile(r"(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]{1,3})?")

SORTS = {
    "interesting": "failed, wrong, then unsure",
    "position": "as in the data set",
    "id": "by id",
    "confidence": "least confident first",
    "-confidence": "most confident first",
    "label": "by true class",
    "predicted": "by predicted class",
}


@dataclass(frozen=True)
class Query:
    """A filter with an order; what is None, empty or the whole range filters nothing."""

    split: str = ""
    result: str = ""
    label: int | None = None
    predicted: int | None = None
    low: float = 0.0
    high: float = 1.0
    q: str = ""
    sort: str = "interesting"
    page: int = 1

    @classmethod
    def read(cls, words: Mapping[str, str]) -> Query:
        """A query as a URL spells it; unknown names are ignored, since a link may carry others.

        Raises:
            DashboardError: ``SW-W01`` a number is none or out of range, ``SW-W02`` an order or result does not exist.

        >>> Query.read({"result": "wrong", "low": "0.9", "page": ""})
        Query(split='', result='wrong', label=None, predicted=None, low=0.9, high=1.0, q='', sort='interesting', page=1)
        """
        given = {name: words[name].strip() for name in _READERS if words.get(name, "").strip()}
        query = cls(**{name: _READERS[name](name, text) for name, text in given.items()})
        _require(query.sort, SORTS, "order")
        _require(query.result, ("", *STATES), "result")
        return query

    def words(self, **changes: Any) -> str:
        """The query with changes as the end of a URL; what filters nothing is left out.

        >>> Query(result="wrong", page=3).words(page=4)
        'result=wrong&page=4'
        """
        changed = replace(self, **changes)
        return urlencode(
            {f.name: value for f in fields(self) if (value := getattr(changed, f.name)) != f.default}, errors="replace"
        )

    @property
    def filters(self) -> bool:
        """Whether anything is left out."""
        return bool(replace(self, sort="interesting", page=1) != Query())


def is_whole(text: str) -> bool:
    """Whether a text is a whole number in up to nine plain digits; Python reads more than that as one.

    >>> is_whole("12"), is_whole("1_0"), is_whole("-1"), is_whole("\u0663"), is_whole("")
    (True, False, False, False, False)
    """
    return _DIGITS.fullmatch(text) is not None


def _whole(name: str, text: str) -> int:
    value = int(text) if is_whole(text.removeprefix("-")) else -2
    if value < (1 if name == "page" else -1):
        raise DashboardError(
            "SW-W01", f"{name} is a whole number{' from 1' if name == 'page' else ''}, came {text[:40]!r}",
            fix=f"leave {name} out or correct it",
        )  # fmt: skip
    return value


def _share(name: str, text: str) -> float:
    value = float(text) if _NUMBER.fullmatch(text) else math.nan
    if not 0 <= value <= 1:
        raise DashboardError(
            "SW-W01", f"{name} is a confidence from 0 to 1, came {text[:40]!r}", fix=f"leave {name} out or correct it"
        )
    return value


def _text(_: str, text: str) -> str:
    return text[:LONGEST_TEXT]


def _require(given: str, names: Sequence[str] | Mapping[str, str], what: str) -> None:
    if given not in names:
        raise DashboardError(
            "SW-W02", f"there is no {what} {given[:40]!r}", near=nearest(given, [name for name in names if name]),
            fix=f"choose one of {', '.join(name for name in names if name)}",
        )  # fmt: skip


_READERS: dict[str, Callable[[str, str], Any]] = {
    "split": _text,
    "result": _text,
    "label": _whole,
    "predicted": _whole,
    "low": _share,
    "high": _share,
    "q": _text,
    "sort": _text,
    "page": _whole,
}
