"""One self-contained page: a run, some of its records, where they lie, and how to get to the other pages."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from typing import Any, Final

from seewhy.render.colormap import colormap, colormap_names
from seewhy.report.bundle import bundle
from seewhy.report.jinja import environment, json_markup
from seewhy.report.reading_order import ORDER
from seewhy.values import Json

LARGEST_PAGE: Final = 5_000_000
"""The bytes that a page of many records may have."""

_LONGEST_NAMES: Final = 60_000


def page_name(number: int) -> str:
    """The file of a page within ``report/``.

    >>> page_name(1), page_name(2)
    ('index.html', 'page-2.html')
    """
    return "index.html" if number == 1 else f"page-{number}.html"


def page_bytes(page: Mapping[str, Json]) -> bytes:
    """The HTML file of PAGE, packed or not; equal pages have equal bytes."""
    parts = bundle()
    html = (
        environment()
        .get_template("report.html")
        .render(
            title=str(page["run"]["title"]),
            csp=parts.csp,
            styles=parts.styles,
            scripts=parts.scripts,
            page_json=json_markup(page),
        )
    )
    return html.encode()


def page_json(
    run: Mapping[str, Json],
    packed: Mapping[str, Json],
    *,
    points: Sequence[Mapping[str, Json]] = (),
    number: int = 1,
    of: int = 1,
    notice: Sequence[str] = (),
    elsewhere: Mapping[str, Json] | None = None,
) -> dict[str, Json]:
    """PAGE of a run and some packed records; ``elsewhere`` tells of the records of the other pages."""
    hrefs = [page_name(place) for place in range(1, of + 1)]
    told = {"number": number, "of": of, "hrefs": hrefs, "order": ORDER, "notice": list(notice)}
    told["elsewhere"] = None if elsewhere is None else dict(elsewhere)
    return {"run": dict(run), **packed, "points": list(points), "page": told, "colormaps": colormaps_json()}


def colormaps_json() -> dict[str, str]:
    """Every colour map as base64 of 256 times red, green and blue."""
    return {name: base64.b64encode(colormap(name).tobytes()).decode("ascii") for name in colormap_names()}


def short_names(names: Sequence[str] | None, used: set[int]) -> list[str | None] | None:
    """The class names; where they are very many, only those that the page uses, the others None.

    >>> short_names(["cat", "dog"], {1})
    ['cat', 'dog']
    """
    if names is None or sum(map(len, names)) <= _LONGEST_NAMES:
        return None if names is None else list(names)
    return [name if index in used else None for index, name in enumerate(names)]


def classes_of(run: Mapping[str, Any], records: Sequence[Mapping[str, Any]]) -> set[int]:
    """The classes that a page's records and tables name; ``records`` are what ``said_of`` told of them."""
    used = {int(one["index"]) for one in run["classes"]}
    for record in records:
        used.update(int(index) for index, _ in record["top"])
        used.update(record[key] for key in ("label", "predicted") if record[key] is not None)
    return used
