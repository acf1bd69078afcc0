"""The pages of a run and the data behind them, each a function of a request."""

from __future__ import annotations

from collections.abc import Callable
from io import BytesIO
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlencode

from PIL import Image, UnidentifiedImageError

from seewhy.report.dashboard_cards import cards_of, class_choices, pager_of, unjudged
from seewhy.report.dashboard_frame import NO_STORE, Frame
from seewhy.report.dashboard_run import DashboardRun
from seewhy.report.errors import DashboardError
from seewhy.report.jinja import json_text
from seewhy.report.query import SORTS, Query, is_whole
from seewhy.report.record import damaged_preview
from seewhy.report.selection import neighbours, page_of
from seewhy.values import Json, Preview

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response

Handler = Callable[["Request"], "Response"]
KEEP: Final = {"cache-control": "private, max-age=3600"}
_RECORD_NEEDS: Final = ("title", "class_names", "label_names", "labels_match", "questions", "choices", "not_applicable")


class Pages:
    """Handlers for the addresses under ``/runs``; they run in threads, and open nothing a client names."""

    def __init__(self, frame: Frame) -> None:
        self._frame = frame

    def first(self, _: Request) -> Response:
        """The only run, or the list of runs."""
        from starlette.responses import RedirectResponse

        if len(self._frame.runs) == 1:
            return RedirectResponse("/runs/0", 303)
        told = []
        for run in self._frame.runs:
            view = run.view()
            told.append({"run": run, "title": run.title(), "records": len(view.table), "damage": len(view.damage)})
        return self._frame.page("dashboard_runs.html", "runs", overview=told)

    def summary(self, tab: str) -> Handler:
        """The pages that a script draws from RUN."""

        def page(request: Request) -> Response:
            run = self._run(request)
            data = {"run": run.summary(), "number": run.number}
            return self._frame.page("dashboard_page.html", tab, run=run, data=data)

        return page

    def records(self, request: Request) -> Response:
        """The gallery: filters, order and one page of a hundred cards."""
        run, query = self._run(request), Query.read(request.query_params)
        view, names = run.view(), run.class_names()
        page = page_of(view.table, query, names)
        return self._frame.page(
            "dashboard_records.html", "records", run=run, query=query, page=page, total=len(view.table),
            cards=cards_of(run, view, query, page.numbers, run.redactor()), pager=pager_of(page), sorts=SORTS.items(),
            base=f"/runs/{run.number}/records", unjudged=unjudged(run),
            splits=[(split, split) for split in sorted(view.table.splits)],
            labels=class_choices(view.table.labels[0], names),
            predictions=class_choices(view.table.predictions[0], names),
        )  # fmt: skip

    def record(self, request: Request) -> Response:
        """One record, with the way to those before and after it in the order of the gallery."""
        run, query, number = self._run(request), Query.read(request.query_params), _number(request)
        record = run.record(number)
        before, after, position = neighbours(run.view().table, query, number, run.class_names())
        told = run.summary()
        ending = f"?{words}" if (words := query.words()) else ""
        base = f"/runs/{run.number}/records"
        hrefs = {
            "back": f"{base}{ending}",
            "previous": None if before is None else f"{base}/{before}{ending}",
            "next": None if after is None else f"{base}/{after}{ending}",
        }
        data = {
            "record": record, "run": {name: told[name] for name in _RECORD_NEEDS}, "hrefs": hrefs,
            "position": position, "number": number, "of": run.number,
        }  # fmt: skip
        return self._frame.page(
            "dashboard_record.html", "record", run=run, data=data, record_id=record["id"],
            ask=self._ask(run, number, str(record["id"])),
        )  # fmt: skip

    def record_json(self, request: Request) -> Response:
        """RECORD as JSON."""
        return json_response(self._run(request).record(_number(request)))

    def find(self, request: Request) -> Response:
        """The page of the record with a split and an id."""
        from starlette.responses import RedirectResponse

        run, words = self._run(request), request.query_params
        number = run.view().table.number_of(words.get("split", ""), words.get("id", ""))
        if number is None:
            raise DashboardError("SW-W04", "this run has no such record", fix="search for it in the list of records")
        return RedirectResponse(f"/runs/{run.number}/records/{number}", 303)

    def picture(self, request: Request) -> Response:
        """A picture of a record's input, all its tiles side by side."""
        previews = self._run(request).previews(_number(request))
        place = int(request.path_params["place"])
        if place >= len(previews):
            raise DashboardError("SW-W04", "this record has no such picture", fix="choose one of the record's inputs")
        return _jpeg(previews[place].data)

    def card(self, request: Request) -> Response:
        """The first input's picture, or its middle tile."""
        previews = self._run(request).previews(_number(request))
        if not previews:
            raise DashboardError("SW-W04", "this record has no picture", fix="choose another record")
        return _jpeg(middle_tile(previews[0]))

    def map(self, request: Request) -> Response:
        """The map of the embeddings; the points are fetched by the page."""
        run = self._run(request)
        told = run.summary()
        data = {
            "run": {"title": told["title"], "class_names": told["class_names"], "labels_match": told["labels_match"],
                    "counts": told["counts"]},
            "number": run.number, "projections": run.projections(),
        }  # fmt: skip
        return self._frame.page("dashboard_page.html", "map", run=run, data=data)

    def points(self, request: Request) -> Response:
        """The points of a projection."""
        return json_response(self._run(request).points(request.path_params["method"]))

    def choose(self, request: Request) -> Response:
        """The same view of another run."""
        from starlette.responses import RedirectResponse

        text = request.query_params.get("run", "")
        run = self._frame.run(int(text) if is_whole(text) else -1)
        ends = {"records": "/records", "map": "/map", "methods": "/methods", "made": "/made"}
        return RedirectResponse(f"/runs/{run.number}{ends.get(request.query_params.get('view', ''), '')}", 303)

    def _ask(self, run: DashboardRun, number: int, shown: str) -> str:
        """Where the model can be asked about a record; nowhere where its id is a path that is not shown."""
        table = run.view().table
        record_id = table.ids[number].as_py()
        if not self._frame.live or record_id != shown:
            return ""
        words = {"split": table.splits[table.split[number]], "record": record_id}
        return f"/live?{urlencode(words, errors='replace')}"

    def _run(self, request: Request) -> DashboardRun:
        return self._frame.run(int(request.path_params["run"]))


def json_response(told: Json, status: int = 200) -> Response:
    """Plain values as JSON that is safe wherever it is put."""
    from starlette.responses import Response

    return Response(json_text(told).encode(), status, NO_STORE, "application/json")


def middle_tile(preview: Preview) -> bytes:
    """The middle tile of a preview as JPEG; the preview itself where it is one picture.

    Raises:
        ReportError: ``SW-P03``, it is no picture.
    """
    tiles = len(preview.shown)
    if tiles < 2:
        return preview.data
    try:
        with Image.open(BytesIO(preview.data), formats=("JPEG",)) as strip:
            width = strip.width // tiles
            tile = strip.crop((tiles // 2 * width, 0, (tiles // 2 + 1) * width, strip.height))
            sink = BytesIO()
            tile.save(sink, "JPEG", quality=85)
    except (UnidentifiedImageError, OSError, Image.DecompressionBombError) as error:
        raise damaged_preview(preview.input_name, str(error)) from error
    return sink.getvalue()


def _jpeg(data: bytes) -> Response:
    from starlette.responses import Response

    return Response(data, 200, KEEP, "image/jpeg")


def _number(request: Any) -> int:
    return int(request.path_params["number"])
