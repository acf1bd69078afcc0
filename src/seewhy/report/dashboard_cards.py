"""The records of one page of the gallery as cards, from the index alone: no shard is opened."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import numpy as np

from seewhy.report.dashboard_frame import class_words
from seewhy.report.dashboard_run import DashboardRun
from seewhy.report.index import View
from seewhy.report.query import Query
from seewhy.report.record_table import FAILED, NO_CLASS, STATES, WRONG, Integers
from seewhy.report.redaction import Redactor
from seewhy.report.selection import Page

SIGNS: Final = {"failed": "!", "wrong": "✗", "right": "✓", "unlabelled": "?"}
MOST_CLASSES: Final = 2_000
"""Classes that a choice offers; a run with more is searched by name."""


def cards_of(run: DashboardRun, view: View, query: Query, numbers: Integers, redact: Redactor) -> list[dict[str, Any]]:
    """What each card says and where it leads."""
    names = run.class_names()
    table = view.table
    ending = f"?{words}" if (words := query.words()) else ""
    cards = []
    for number in numbers.tolist():
        state = STATES[table.state[number]]
        picture = ""
        if table.state[number] != FAILED and run.has_pictures(view, number):
            version = run.picture_version(view, number)
            picture = f"/runs/{run.number}/records/{number}/card.jpg?v={version}"
        cards.append({
            "href": f"/runs/{run.number}/records/{number}{ending}",
            "src": picture,
            "id": redact.name(table.ids[number].as_py()), "state": state, "sign": SIGNS[state],
            "outcome": unjudged(run) if state == "unlabelled" else state,
            "words": _words(view, number, names), "truth": redact(_truth(view, number, names)),
        })  # fmt: skip
    return cards


def unjudged(run: DashboardRun) -> str:
    """What is said of records that are neither right nor wrong."""
    return "no label" if run.matching() else "not comparable"


def pager_of(page: Page) -> list[tuple[str, str, int]]:
    """Words, label and page number of the links between pages; 0 where there is nothing to go to."""
    here, last = page.page, page.pages
    return [
        ("« First", "First page", 1 if here > 1 else 0),
        ("‹ Previous", "Previous page", here - 1),
        ("Next ›", "Next page", here + 1 if here < last else 0),
        ("Last »", "Last page", last if here < last else 0),
    ]


def class_choices(classes: Integers, names: Sequence[str] | None) -> list[tuple[int, str]]:
    """What a filter offers of the classes there are; nothing where there are too many."""
    found = [index for index in classes.tolist() if index != NO_CLASS]
    return [(index, class_words(index, names)) for index in found] if len(found) <= MOST_CLASSES else []


def _words(view: View, number: int, names: Sequence[str] | None) -> str:
    table = view.table
    if table.state[number] == FAILED:
        return f"failed at {table.stage[number].as_py() or 'an unknown stage'}"
    if table.predicted[number] == NO_CLASS:
        return "no class"
    sure = table.confidence[number]
    return class_words(int(table.predicted[number]), names) + (f", {100 * sure:.1f} %" if np.isfinite(sure) else "")


def _truth(view: View, number: int, names: Sequence[str] | None) -> str:
    table = view.table
    if table.state[number] == FAILED:
        return str(table.error[number].as_py()).partition("\n")[0][:300]
    return f"true: {class_words(int(table.label[number]), names)}" if table.state[number] == WRONG else ""
