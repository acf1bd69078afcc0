"""Write the table of metrics, ``docs/metrics.md``, from the registry."""

from __future__ import annotations

import math
import runpy
from pathlib import Path
from typing import get_args

import seewhy.metrics  # noqa: F401  (importing the room registers every metric)
from seewhy.registry import METRICS, Family, Metric

FAMILIES = {
    "faithfulness": "Faithfulness: does the model need what the map marks?",
    "robustness": "Robustness: do equal pictures get equal maps?",
    "localization": "Localization: does the map mark the object? (these need a mask or a box)",
    "randomization": "Randomization: does the map depend on what the model learnt, and on the class?",
    "complexity": "Complexity: how much does a reader have to look at?",
    "axioms": "Axioms: does the map keep its promises?",
}
ARROWS = {"higher": "↑", "lower": "↓", "neither": "–"}

HEAD = """# Metrics

Every metric answers by name on the command line (`seewhy evaluate cat.png --model demo:cnn --metrics deletion --set
deletion.steps=20`, `generate_artifacts generate_metrics=true metrics.names=[deletion]`) and as the function that is its
formula. A value that does not exist is `nan`, with the reason beside it. Beside every method the controls are graded: a
random map, a Gaussian in the middle, and the picture's edges. ↑ more is better, ↓ less is better, – neither: a
description. This page is written from the registry by `docs/make_metrics.py`.
"""

IN_PYTHON = """## In Python

`seewhy.ExplanationMetrics(model, explainer)` grades explanations of single pictures; every answer has the controls'
values beside it. `evaluate_all` asks the usual metrics at once. Three methods have two names:
`model_parameter_randomization_test` is `parameter_randomization`, `data_randomization_test` is `class_sensitivity`,
`sensitivity_n` is `average_sensitivity` (the metric of that name in the tables is `grade(picture, "sensitivity_n")`).

```python
import seewhy
from seewhy.demo.models import load

digits = seewhy.ClutteredDigits(counts={"test": 1})
metrics = seewhy.ExplanationMetrics(load("cnn"), "gradcam")
record = digits.read(0)
told = metrics.evaluate_all(record.inputs["image"], bbox=record.box)
print(told["deletion"]["auc"], told["deletion"]["controls"], told["pointing_game"]["hit"])
```
"""
MEMBERS = (
    "evaluate_all", "deletion", "insertion", "average_sensitivity", "parameter_randomization", "class_sensitivity",
    "pointing_game", "grade",
)  # fmt: skip
NAMES = ("ExplanationMetrics", *(f"ExplanationMetrics.{name}" for name in MEMBERS))
FILLED = runpy.run_path(str(Path(__file__).with_name("make_parameters.py")))["filled"]


def page() -> str:
    """The whole page."""
    parts = [HEAD]
    for family in get_args(Family):
        members = sorted((entry for entry in METRICS.values() if entry.family == family), key=lambda entry: entry.name)
        rows = [row(entry) for entry in members]
        parts.append(
            "\n".join([
                f"## {FAMILIES[family]}\n", "| metric | what it measures | better | range | settings | source |",
                "|---|---|---|---|---|---|", *rows,
            ])
        )  # fmt: skip
    parts += [IN_PYTHON, *(f"<!-- parameters of {name} -->\n<!-- end -->" for name in NAMES)]
    return FILLED("\n\n".join(part.rstrip() for part in parts) + "\n")


def row(entry: Metric) -> str:
    """One metric: names, first line of its documentation, direction, range, settings with defaults, citation."""
    also = f" ({', '.join(f'`{name}`' for name in entry.also)})" if entry.also else ""
    settings = ", ".join(f"`{name}={default!r}`" for name, default in entry.settings.items()) or "–"
    low, high = (end(value) for value in entry.range)
    cells = [
        f"`{entry.name}`{also}", entry.purpose.replace("``", "`"), ARROWS[entry.better], f"{low} … {high}", settings,
        entry.cite,
    ]  # fmt: skip
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def end(value: float) -> str:
    """An end of a range."""
    return f"{value:g}" if math.isfinite(value) else "∞" if value > 0 else "-∞"


if __name__ == "__main__":
    Path(__file__).with_name("metrics.md").write_text(page())
