"""Pages that are written from the registry say what it says."""

from __future__ import annotations

import runpy
from pathlib import Path

DOCS = Path(__file__).parents[2] / "docs"


def test_the_page_of_methods_is_as_the_registry_writes_it() -> None:
    page = runpy.run_path(str(DOCS / "make_methods.py"))["page"]()
    assert (DOCS / "methods.md").read_text() == page, "run: python docs/make_methods.py"


def test_every_method_is_on_the_page_once() -> None:
    from seewhy.registry import METHODS

    page = (DOCS / "methods.md").read_text()
    assert {name: page.count(f"\n| `{name}`") for name in METHODS} == dict.fromkeys(METHODS, 1)


def test_the_page_of_metrics_is_as_the_registry_writes_it() -> None:
    page = runpy.run_path(str(DOCS / "make_metrics.py"))["page"]()
    assert (DOCS / "metrics.md").read_text() == page, "run: python docs/make_metrics.py"


def test_every_metric_is_on_the_page_once() -> None:
    import seewhy.metrics  # noqa: F401  (importing the room registers every metric)
    from seewhy.registry import METRICS

    page = (DOCS / "metrics.md").read_text()
    assert {name: page.count(f"\n| `{name}`") for name in METRICS} == dict.fromkeys(METRICS, 1)
