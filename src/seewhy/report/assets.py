"""Which scripts and styles pages are made of, in the order in which they are put in."""

from __future__ import annotations

from typing import Final

STYLES: Final = ("style.css", "record.css")

SHARED_SCRIPTS: Final = (
    "theme.js", "dom.js", "format.js", "links.js", "colours.js", "resample.js", "heat.js", "legend.js", "picture.js",
    "charts.js", "stage.js", "record_controls.js", "record_panels.js", "grades.js", "record.js", "scatter_camera.js",
    "scatter_index.js", "scatter_draw.js", "scatter_list.js", "scatter.js", "overview_tables.js", "overview.js",
    "methods.js", "made.js",
)  # fmt: skip
"""What the report and the dashboard both need; each adds functions to the namespace ``seewhy``."""

REPORT_SCRIPTS: Final = (
    *SHARED_SCRIPTS, "state.js", "filters.js", "filter_bar.js", "cards.js", "gallery.js", "embedding.js",
    "report.js",
)  # fmt: skip
"""What the report needs behind ``unpack.js``; the last one starts the page."""
