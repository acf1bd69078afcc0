"""The reference pages name every parameter of what they are about, with its meaning and default."""

from __future__ import annotations

import inspect
import re
import runpy
from collections.abc import Callable

import pytest
from source_tree import ROOT

DOCS = ROOT / "docs"
METRICS = (
    "evaluate_all", "deletion", "insertion", "average_sensitivity", "sensitivity_n", "parameter_randomization",
    "model_parameter_randomization_test", "class_sensitivity", "data_randomization_test", "pointing_game", "grade",
)  # fmt: skip
FEATURES = (
    "plot_feature_maps", "visualize_receptive_field", "get_features", "get_feature_statistics", "compare_layers",
    "get_top_activating_features", "most_common_features",
)  # fmt: skip
ABOUT = {
    "methods.md": [
        "explain_prediction", "compare_methods", "visualize_batch", "GradCAM", "GradCAM.explain",
        "GradCAM.explain_batch", "GradCAM.visualize", "IntegratedGradients", "IntegratedGradients.check_completeness",
        "SmoothGrad", "AttentionRollout", "AttentionFlow", "AttentionFlow.get_attention_flow",
    ],
    "metrics.md": ["ExplanationMetrics", *(f"ExplanationMetrics.{name}" for name in METRICS)],
    "task-adapters.md": ["explain_detection", "explain_segmentation"],
    "callbacks.md": ["InterpretationCallback", "InterpretationCallback.explain_now", "FeatureMonitorCallback"],
    "interactive-visualizations.md": [
        "InteractiveVisualizer", "InteractiveVisualizer.visualize_explanation",
        "InteractiveVisualizer.compare_methods", "InteractiveVisualizer.create_report",
    ],
    "feature-visualization.md": ["FeatureVisualizer", *(f"FeatureVisualizer.{name}" for name in FEATURES)],
}  # fmt: skip
"""What other guides and our own pages say that a page is about."""
UNTOLD = {"self", "trainer", "pl_module"}
"""Parameters that say themselves what they are: the last two are Lightning's, in every hook."""
SLOW = [pytest.param(page, marks=pytest.mark.slow if page == "callbacks.md" else ()) for page in ABOUT]
"""The callbacks' signatures need Lightning, whose import takes seconds."""


@pytest.fixture(scope="module")
def made() -> dict[str, Callable[..., object]]:
    return runpy.run_path(str(DOCS / "make_parameters.py"))


@pytest.mark.parametrize("page", SLOW)
def test_a_page_names_every_parameter_of_what_it_is_about(page: str, made: dict[str, Callable[..., object]]) -> None:
    text = (DOCS / page).read_text("utf-8")
    code = " ".join(re.findall(r"```.*?```|`[^`\n]+`", text, re.DOTALL))
    absent = []
    for name in ABOUT[page]:
        thing = made["thing"](name)
        assert callable(thing)
        words = [name.rpartition(".")[2], *inspect.signature(thing).parameters]
        absent += [f"{name}: {one}" for one in words if one not in UNTOLD and not re.search(rf"\b{one}\b", code)]
    assert absent == []


@pytest.mark.parametrize("page", SLOW)
def test_the_tables_of_a_page_are_as_the_docstrings_say(page: str, made: dict[str, Callable[..., object]]) -> None:
    text = (DOCS / page).read_text("utf-8")
    assert text == made["filled"](text), "run: python docs/make_parameters.py"


def test_what_another_docstring_says_is_written_out(made: dict[str, Callable[..., object]]) -> None:
    there = made["meaning"]("explain_prediction", "alpha")
    assert there == "the weight of the colours over the picture, 0 to 1"
    assert made["meaning"]("explain_segmentation", "alpha") == there
    assert made["meaning"]("FeatureVisualizer.most_common_features", "images") == (
        made["meaning"]("FeatureVisualizer.get_features", "image")
    )


def test_a_parameter_without_a_meaning_is_an_error(made: dict[str, Callable[..., object]]) -> None:
    with pytest.raises(KeyError, match="nonsense"):
        made["meaning"]("explain_prediction", "nonsense")
