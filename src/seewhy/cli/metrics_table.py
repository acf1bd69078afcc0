"""``seewhy metrics``: every metric with what it measures, which direction is better, and where it comes from."""

from __future__ import annotations

import argparse
import json
import math
from typing import TYPE_CHECKING, Any

from seewhy.cli.layers import aligned

if TYPE_CHECKING:
    from seewhy.registry import Metric
    from seewhy.values import Json


def add_metrics(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """The words of the command."""
    parser = commands.add_parser("metrics", help="list the metrics that explanations are graded by")
    parser.add_argument("--json", action="store_true", help="print JSON")


def run_metrics(asked: argparse.Namespace) -> int:
    """Print the list."""
    import seewhy.metrics  # noqa: F401  (importing the room registers every metric)
    from seewhy.registry import METRICS

    entries = sorted(METRICS.values(), key=lambda entry: (entry.family, entry.name))
    if asked.json:
        print(json.dumps([as_json(entry) for entry in entries], indent=2, ensure_ascii=False))
    else:
        rows = [("metric", "family", "better", "range", "source")]
        rows += [(one.name, one.family, one.better, range_of(one), one.cite) for one in entries]
        print("\n".join(aligned(rows)))
    return 0


def as_json(entry: Metric) -> dict[str, Json]:
    """A metric as plain values; an end of its range that is infinite is text."""
    return {
        "name": entry.name, "also": list(entry.also), "family": entry.family, "better": entry.better,
        "range": [end if math.isfinite(end) else str(end) for end in entry.range], "purpose": entry.purpose,
        "settings": {name: _plain(value) for name, value in entry.settings.items()}, "cite": entry.cite,
        "needs_mask": entry.needs_mask,
    }  # fmt: skip


def range_of(entry: Metric) -> str:
    """The closed range of a metric's values: ``0 … 1``."""
    return " … ".join("∞" if end == math.inf else "-∞" if end == -math.inf else f"{end:g}" for end in entry.range)


def _plain(value: Any) -> Any:
    return value if value is None or isinstance(value, bool | int | float | str) else repr(value)
