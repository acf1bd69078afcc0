"""A self-contained page of one interpretation: with Plotly's script inside, or without any script."""

from __future__ import annotations

import base64
import gzip
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Any, Final

from markupsafe import Markup

from seewhy.report.jinja import environment, json_markup
from seewhy.values import Json

POLICY: Final = (
    "default-src 'none'; img-src data: blob:; style-src 'unsafe-inline'; script-src {scripts}; base-uri 'none'; "
    "form-action 'none'"
)
EMPTY: Final[Mapping[str, Any]] = {
    "facts": [], "notes": [], "lead": "", "classes": None, "statistics": [], "distribution": None, "regions": None,
    "grades": [], "controls": [], "verdict": [], "figure_title": "Explanation", "figure_text": "", "opacity": 0.6,
    "pictures": [], "legend": None,
}  # fmt: skip


@dataclass(frozen=True)
class Chart:
    """One of Plotly's figures as JSON, the element it is drawn in, and its size in pixels.

    ``panels``: it shows pictures side by side, which stand below one another on a narrow page.
    """

    id: str
    data: Sequence[Json]
    layout: Mapping[str, Json]
    config: Mapping[str, Json]
    width: int
    height: int
    panels: bool = False

    def to_json(self) -> dict[str, Json]:
        """Everything as the page's script reads it."""
        return dict(vars(self))


def interpretation_page(
    title: str, version: str, content: Mapping[str, Any], charts: Sequence[Chart], plotly: str
) -> str:
    """The page as HTML; ``content`` fills sections of ``templates/interpretation.html``, those left out are not shown.

    Args:
        title: of the page.
        version: of the package that made it.
        content: see :data:`EMPTY`.
        charts: drawn where there is a script for it.
        plotly: Plotly's script; empty for a page without any script.

    Every text is escaped. The page's policy allows these scripts by their digests and nothing from elsewhere.
    """
    scripts = [_static("theme.js"), _static("interpretation.js")] if plotly else []
    return (
        environment()
        .get_template("interpretation.html")
        .render(
            **{**EMPTY, **content},
            title=title,
            version=version,
            style=Markup(_static("interpretation.css")),
            policy=POLICY.format(scripts=" ".join(map(_digest, [*scripts, plotly])) if plotly else "'none'"),
            theme_script=Markup(scripts[0]) if plotly else "",
            chart_script=Markup(scripts[1]) if plotly else "",
            packed_plotly=_packed(plotly) if plotly else "",
            charts=json_markup([chart.to_json() for chart in charts]),
        )
    )


def _digest(script: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(script.encode()).digest()).decode('ascii')}'"


@cache
def _packed(script: str) -> str:
    """A script compressed, as text: Plotly's own is five megabytes."""
    return base64.b64encode(gzip.compress(script.encode(), compresslevel=9, mtime=0)).decode("ascii")


@cache
def _static(name: str) -> str:
    return resources.files("seewhy.report").joinpath("static", name).read_text(encoding="utf-8")
