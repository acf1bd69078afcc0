"""What every page of the dashboard has around its content, and how an error becomes a page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from seewhy.report.dashboard_run import DashboardRun
from seewhy.report.errors import DashboardError
from seewhy.report.index import Damage
from seewhy.report.jinja import environment, json_markup
from seewhy.report.redaction import Redactor
from seewhy.report.served_files import static_href
from seewhy.values import Json, SeewhyError

if TYPE_CHECKING:
    from starlette.responses import Response

VIEWS: Final = (
    ("overview", "Overview", ""),
    ("records", "Records", "/records"),
    ("map", "Embedding map", "/map"),
    ("methods", "Methods", "/methods"),
    ("made", "How it was made", "/made"),
)
MISSING: Final = {"SW-W04", "SW-W05", "SW-W06"}
"""Errors that mean: there is no such page."""

NO_STORE: Final = {"cache-control": "no-store"}


@dataclass(frozen=True)
class Frame:
    """The pages' frame for the runs that are served; ``live`` says that questions can be asked."""

    runs: Sequence[DashboardRun]
    live: bool = False

    def run(self, number: int) -> DashboardRun:
        """A run by its number.

        Raises:
            DashboardError: ``SW-W06``, there is none.
        """
        if not 0 <= number < len(self.runs):
            raise DashboardError("SW-W06", f"there is no run number {number}", fix="choose one on the first page")
        return self.runs[number]

    def page(
        self,
        template: str,
        tab: str,
        *,
        run: DashboardRun | None = None,
        heading: str = "",
        data: Json = None,
        status: int = 200,
        **more: Any,
    ) -> Response:
        """An HTML page: a template with the frame's variables, ``data`` for scripts as JSON, and ``more``."""
        from starlette.responses import Response

        damage: tuple[Damage, ...] = run.view().damage if run is not None else ()
        heading = heading or (run.title() if run is not None else "seewhy")
        shown = "records" if tab == "record" else tab
        html = (
            environment()
            .get_template(template)
            .render(
                title=heading, heading=heading, view=tab, tab=shown, run=run, runs=self.runs, links=self._links(run),
                damage=damage, scripts=True, href=static_href,
                page_json=None if data is None else json_markup(data), **more,
            )
        )  # fmt: skip
        return Response(html.encode("utf-8", "replace"), status, NO_STORE, "text/html; charset=utf-8")

    def error(self, error: SeewhyError) -> Response:
        """A page that says what is wrong, without a path of this machine."""
        status = status_of(error)
        told = told_of(error, self.redactor())
        heading = "There is no such page" if status == 404 else "That cannot be shown"
        return self.page("dashboard_error.html", "error", status=status, heading_words=heading, **told)

    def redactor(self) -> Redactor:
        """Takes the places of the runs out of texts."""
        return Redactor(tuple(str(run.root) for run in self.runs))

    def _links(self, run: DashboardRun | None) -> list[tuple[str, str, str]]:
        links = [] if run is None else [(name, words, f"/runs/{run.number}{end}") for name, words, end in VIEWS]
        if len(self.runs) > 1:
            links = [("runs", "Runs", "/"), *links, ("compare", "Compare", "/compare")]
        return [*links, ("live", "Ask the model", "/live")] if self.live else links


def status_of(error: SeewhyError) -> int:
    """404 for what is not there, 400 for what was asked wrongly, 500 for what cannot be read."""
    if error.code in MISSING:
        return 404
    return 400 if isinstance(error, DashboardError) else 500


def told_of(error: SeewhyError, redact: Redactor) -> Mapping[str, Any]:
    """Code, message, near and fix of an error, without absolute paths."""
    return {
        "code": error.code, "message": redact(error.message), "near": [redact(name) for name in error.near],
        "fix": redact(error.fix),
    }  # fmt: skip


def class_words(index: int | None, names: Sequence[str] | None) -> str:
    """A class by its name, with its number where the name is not the number.

    >>> class_words(1, ["cat", "dog"]), class_words(7, None), class_words(0, ["0"]), class_words(None, None)
    ('dog (1)', 'class 7', 'class 0', '–')
    """
    if index is None:
        return "–"
    name = names[index] if names is not None and 0 <= index < len(names) else ""
    return f"{name} ({index})" if name and name != str(index) else f"class {index}"
