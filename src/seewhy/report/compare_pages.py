"""The pages that put two runs side by side."""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING, Any, Final

from seewhy.report.class_matching import Matching, match_classes
from seewhy.report.compare import KINDS, Comparison, compare_tables, what_changed
from seewhy.report.dashboard_frame import Frame, class_words
from seewhy.report.dashboard_run import DashboardRun
from seewhy.report.errors import DashboardError
from seewhy.report.index import View
from seewhy.report.query import is_whole
from seewhy.report.record_table import NO_CLASS
from seewhy.values import Json

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response

PER_PAGE: Final = 100
MOST_CLASSES: Final = 200
_NEEDS: Final = ("title", "class_names", "labels_match", "questions")


_DIGEST: Final = re.compile(r"\b([0-9a-f]{12})[0-9a-f]{20,}\b")


class ComparePages:
    """Handlers of ``/compare``; the pairing of two runs is kept until one of them grows."""

    def __init__(self, frame: Frame) -> None:
        self._frame = frame
        self._held: dict[tuple[int, int], tuple[Any, Comparison]] = {}

    def page(self, request: Request) -> Response:
        """What differs between two runs, and the records that came out otherwise."""
        first, second = self._runs(request)
        found = self._comparison(first, second)
        kind = request.query_params.get("kind", "")
        if kind and kind not in KINDS:
            raise DashboardError("SW-W02", f"there is no change {kind[:40]!r}", fix=f"choose one of {', '.join(KINDS)}")
        places = found.of_kind(kind)
        pages = max(1, math.ceil(len(places) / PER_PAGE))
        page = min(pages, _whole(request, "page", 1))
        shown = places[(page - 1) * PER_PAGE : page * PER_PAGE]
        before, after = [run.facts().manifest.fingerprint for run in (first, second)]
        lines, redact = what_changed(before, after), first.redactor()
        return self._frame.page(
            "dashboard_compare.html", "compare", heading="Two runs side by side", first=first, second=second,
            titles=(first.title(), second.title()), changed=[_DIGEST.sub(r"\1…", redact(line)) for line in lines],
            found=found, kinds=KINDS, kind=kind, page=page, pages=pages, listed=len(places),
            matching=redact(self._matching(first, second).words),
            classes=[
                {**one, "name": class_words(int(one["index"]), first.label_names())}
                for one in found.classes[:MOST_CLASSES]
            ],
            rows=[_row(found, first, second, int(place), redact.name) for place in shown],
        )  # fmt: skip

    def record(self, request: Request) -> Response:
        """One record in both runs."""
        first, second = self._runs(request)
        found = self._comparison(first, second)
        number = int(request.path_params["number"])
        place = next((int(p) for p, n in enumerate(found.first.tolist()) if n == number), None)
        if place is None:
            raise DashboardError("SW-W04", "the two runs do not share that record", fix="choose one of the list")
        pair = [(first, number), (second, int(found.second[place]))]
        sides: list[dict[str, Any]] = [
            {
                "record": run.record(own),
                "run": _needed(run.summary()),
                "name": run.name,
                "href": f"/runs/{run.number}/records/{own}",
            }
            for run, own in pair
        ]
        ends = {"back": f"/compare?a={first.number}&b={second.number}"}
        for word, step in (("previous", place - 1), ("next", place + 1)):
            there = 0 <= step < len(found.first)
            ends[word] = f"/compare/records/{found.first[step]}?a={first.number}&b={second.number}" if there else ""
        return self._frame.page(
            "dashboard_pair.html", "compare", heading="Two runs side by side", data={"sides": sides, "hrefs": ends},
            record_id=sides[0]["record"]["id"], kind=str(found.kind[place]), kinds=KINDS,
        )  # fmt: skip

    def _runs(self, request: Request) -> tuple[DashboardRun, DashboardRun]:
        return self._frame.run(_whole(request, "a", 0)), self._frame.run(_whole(request, "b", 1))

    def _comparison(self, first: DashboardRun, second: DashboardRun) -> Comparison:
        key, views = (first.number, second.number), (first.view(), second.view())
        versions = (views[0].version, views[1].version, first.class_names(), second.class_names())
        held = self._held.get(key)
        if held is None or held[0] != versions:
            found = compare_tables(views[0].table, views[1].table, self._matching(first, second))
            held = self._held[key] = (versions, found)
        return held[1]

    @staticmethod
    def _matching(first: DashboardRun, second: DashboardRun) -> Matching:
        seen = [_classes_seen(run.view()) for run in (first, second)]
        return match_classes(first.class_names(), second.class_names(), first_seen=seen[0], second_seen=seen[1])


def _classes_seen(view: View) -> int:
    """One more than the largest class number that any record was predicted to have."""
    return int(max(view.table.predicted, default=NO_CLASS)) + 1


def _row(found: Comparison, first: DashboardRun, second: DashboardRun, place: int, named: Any) -> dict[str, Json]:
    """A record in both runs, each prediction by the names of its own run."""
    ours, theirs = first.view(), second.view()
    number, other = int(found.first[place]), int(found.second[place])
    shift = float(found.shift[place])
    label = int(ours.table.label[number])
    return {
        "number": number,
        "id": named(ours.table.ids[number].as_py()),
        "split": ours.table.splits[ours.table.split[number]],
        "kind": str(found.kind[place]),
        "label": class_words(None if label == NO_CLASS else label, first.label_names()),
        "first": _said(ours, number, first.class_names()),
        "second": _said(theirs, other, second.class_names()),
        "shift": None if math.isnan(shift) else shift,
    }


def _said(view: View, number: int, names: Any) -> str:
    predicted, sure = int(view.table.predicted[number]), float(view.table.confidence[number])
    if predicted == NO_CLASS:
        return "–"
    return class_words(predicted, names) + ("" if math.isnan(sure) else f", {100 * sure:.1f} %")


def _needed(told: dict[str, Json]) -> dict[str, Json]:
    return {name: told[name] for name in _NEEDS}


def _whole(request: Request, name: str, usual: int) -> int:
    text = request.query_params.get(name, "").strip()
    if not text:
        return usual
    if not is_whole(text):
        raise DashboardError("SW-W01", f"{name} is a whole number, came {text[:40]!r}", fix=f"leave {name} out")
    return int(text)
