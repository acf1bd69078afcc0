"""The session over whole splits: its tree, and numbers that are those of NumPy on the raw maps."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from multi_input.branch_models import LAYERS, SIZES, SumOfBranches, some_inputs
from seewhy.explain.explainers import explainer_class
from seewhy.multi_input.analysis import raw_statistics
from seewhy.multi_input.asking import InputsExplainer
from seewhy.multi_input.methods import methods_called
from seewhy.multi_input.session import run_session
from seewhy.multi_input.session_files import figure_path, heat_map_place, metadata_path
from seewhy.multi_input.session_statistics import metadata
from seewhy.multi_input.streaming import Sample
from seewhy.multi_input.visualizer import InputsVisualizer

NAMES = ["Normal", "Early AMD", "Late AMD"]
TOLD = {
    "analysis_timestamp": "2024-11-13T14:30:22",
    "config_used": "configs/config_bio.toml",
    "model_info": {"n_classes": 3, "class_names": NAMES, "backbone": "a convolution"},
}


@pytest.fixture(scope="module")
def session(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any], SumOfBranches]:
    folder, model = tmp_path_factory.mktemp("session"), SumOfBranches()
    inputs = some_inputs(4)
    batch = {**inputs, "label": torch.tensor([0, 1, 2, -1]), "id": ["a", "b", "c", "d"]}
    broken = {**some_inputs(1), "ga": torch.full((1, 1, 10, 10), torch.nan), "label": [1], "id": ["e"]}
    visualizer = InputsVisualizer(model, methods_called("gradcam"), target_layers=LAYERS, class_names=NAMES)
    return folder, run_session(visualizer, {"val": [batch, broken]}, folder, TOLD), model


def raw_maps(model: SumOfBranches) -> list[dict[str, np.ndarray]]:
    explainer = explainer_class("gradcam")(model, target_layer=LAYERS)
    return [{name: values.astype(np.float64) for name, values in one.raw.items()} for one in
            explainer.explain_inputs(some_inputs(4))]  # fmt: skip


def test_the_tree_is_the_one_of_the_guide(session: tuple[Path, dict[str, Any], SumOfBranches]) -> None:
    folder = session[0]
    found = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    classes = {"a": "class_0_normal", "b": "class_1_early_amd", "c": "class_2_late_amd", "d": "class_unknown"}
    expected = {
        "reports/overall_statistics.json", "reports/detailed_analysis_report.txt",
        "summaries/analysis_summary.png", "summaries/heatmap_detailed_analysis.png",
    }  # fmt: skip
    for name, folder_name in classes.items():
        expected |= {f"heatmaps/val/{folder_name}/{name}/{name}_{one}.png" for one in SIZES}
        expected |= {
            f"heatmaps/val/{folder_name}/{name}/{name}_metadata.json",
            f"visualizations/val/{name}_combined.png",
        }
    assert found == expected


def test_metadata_is_computed_from_raw_maps(session: tuple[Path, dict[str, Any], SumOfBranches]) -> None:
    folder, _, model = session
    told = json.loads((folder / "heatmaps/val/class_1_early_amd/b/b_metadata.json").read_text())
    raw = {name: values.clip(min=0) for name, values in raw_maps(model)[1].items()}
    total = sum(values.sum() for values in raw.values())
    for name, values in raw.items():
        expected = [values.max(), values.mean(), values.std(), values.sum() / total]
        assert list(told["heatmap_statistics"][name].values()) == pytest.approx(expected, rel=1e-9)
    logits = model(**some_inputs(4))[1].double().detach()
    assert told["predicted_class"] == int(logits.argmax())
    assert told["probabilities"] == pytest.approx(logits.softmax(0).tolist(), rel=1e-5)
    assert told["correct_prediction"] == (told["predicted_class"] == 1)
    assert (told["true_class_name"], told["method"]) == ("Early AMD", "gradcam")


def test_overall_statistics_are_means_of_the_samples(session: tuple[Path, dict[str, Any], SumOfBranches]) -> None:
    folder, found, model = session
    assert json.loads((folder / "reports" / "overall_statistics.json").read_text()) == found
    val = found["splits"]["val"]
    predicted = model(**some_inputs(4)).argmax(1).tolist()
    right = sum(guess == label for guess, label in zip(predicted[:3], [0, 1, 2], strict=True))
    assert val["accuracy"] == found["overall"]["overall_accuracy"] == right / 3
    assert val["class_distribution"] == {"Normal": 1, "Early AMD": 1, "Late AMD": 1, "not labelled": 1}
    peaks = np.array([one["fluid"].clip(min=0).max() for one in raw_maps(model)])
    assert val["heatmap_summary"]["fluid"]["avg_max_activation"] == pytest.approx(peaks.mean(), rel=1e-9)
    assert val["heatmap_summary"]["fluid"]["std_max_activation"] == pytest.approx(peaks.std(), rel=1e-6)
    assert sum(one["avg_share"] for one in val["heatmap_summary"].values()) == pytest.approx(1)
    assert {key: found[key] for key in TOLD} == TOLD


def test_evidence_is_what_is_drawn_positive_values_or_magnitudes() -> None:
    raw = {"a": np.array([[4.0, -8.0]]), "b": np.array([[1.0, 3.0]])}
    positive, magnitude = raw_statistics(raw, "positive"), raw_statistics(raw, "magnitude")
    assert positive["a"] == {"max_activation": 4, "mean_activation": 2, "std_activation": 2, "share": 0.5}
    assert magnitude["a"] == {"max_activation": 8, "mean_activation": 6, "std_activation": 2, "share": 0.75}
    nothing = raw_statistics({"a": np.array([[-1.0]])}, "positive")
    assert nothing["a"] == {"max_activation": 0, "mean_activation": 0, "std_activation": 0, "share": 0}


def test_a_sample_that_failed_is_counted_and_named(session: tuple[Path, dict[str, Any], SumOfBranches]) -> None:
    folder, found, _ = session
    assert (found["overall"]["total_samples_processed"], found["overall"]["total_samples_failed"]) == (4, 1)
    ((failure),) = found["splits"]["val"]["failures"]
    assert failure["sample_id"] == "e"
    assert "SW-D97" in failure["error"]
    report = (folder / "reports" / "detailed_analysis_report.txt").read_text()
    assert "failed: e: [SW-D97]" in report
    assert "Backbone:       a convolution" in report


@pytest.mark.parametrize(
    ("method", "metadata", "figure", "keys"),
    [
        ("vargrad", "s_vargrad_metadata.json", "s_vargrad_overlay.png", {"heatmap_statistics"}),
        ("both", "s_comparison_metadata.json", "s_comparison.png", {"gradcam_statistics", "gradcampp_statistics"}),
        ("all", "s_all_methods_metadata.json", "s_all_methods_comparison.png", {"method_statistics"}),
    ],
)
def test_files_of_other_methods(tmp_path: Path, method: str, metadata: str, figure: str, keys: set[str]) -> None:
    methods = methods_called(method)
    visualizer = InputsVisualizer(SumOfBranches(), methods, n_samples=2)
    loader = [{**some_inputs(1), "label": [2], "id": ["s"]}]
    run_session(visualizer, {"test": loader}, tmp_path, TOLD)
    told = json.loads((tmp_path / "heatmaps" / "test" / "class_2" / metadata).read_text())
    assert keys <= set(told)
    assert (tmp_path / "visualizations" / "test" / figure).exists()
    assert (metadata_path("s", methods).name, figure_path("s", methods)) == (metadata, figure)
    for one in methods:
        folder, prefix = heat_map_place("s", one, methods)
        assert (tmp_path / "heatmaps" / "test" / "class_2" / folder / f"{prefix}_mnv.png").exists()


def test_a_split_where_every_sample_failed_has_no_accuracy_and_no_figure(tmp_path: Path) -> None:
    broken = {**some_inputs(1), "ga": torch.full((1, 1, 10, 10), torch.nan)}
    found = run_session(InputsVisualizer(SumOfBranches(), methods_called("gradcam")), {"val": [broken]}, tmp_path, TOLD)
    assert found["overall"] == {
        "total_samples_processed": 0, "total_samples_failed": 1, "overall_accuracy": None
    }  # fmt: skip
    assert not list((tmp_path / "summaries").iterdir())


def test_metadata_holds_the_notes_of_all_methods() -> None:
    class Noted(SumOfBranches):
        def forward(self, mnv: torch.Tensor, fluid: torch.Tensor, ga: torch.Tensor) -> torch.Tensor:
            return super().forward(mnv, fluid, ga).softmax(1)

    methods = methods_called("both")
    (answers,) = InputsExplainer(Noted(), methods).explain(some_inputs(1))
    own = replace(answers["gradcam++"], notes=("of Grad-CAM++ alone",))
    sample = Sample("a", None, {}, {**answers, "gradcam++": own})
    told = metadata(sample, methods, NAMES)["notes"]
    assert told == [*answers["gradcam"].notes, "of Grad-CAM++ alone"]
    assert any("softmax" in note for note in told)


def test_summary_figures_name_the_method(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    figures: list[Any] = []
    monkeypatch.setattr("seewhy.multi_input.session.save_figure", lambda figure, path: figures.append(figure))
    visualizer = InputsVisualizer(SumOfBranches(), methods_called("both"))
    run_session(visualizer, {"test": [some_inputs(1)]}, tmp_path, TOLD)
    summary, first, second = figures
    assert "Peak of the raw maps: Grad-CAM" in [panel.get_title() for panel in summary.axes]
    titles = [first.get_suptitle(), second.get_suptitle()]
    assert titles == ["Raw maps, record by record: Grad-CAM", "Raw maps, record by record: Grad-CAM++"]


class OneEncoder(torch.nn.Module):
    """Both inputs go through the same convolution in one call, so that a map of it belongs to both."""

    def __init__(self) -> None:
        super().__init__()
        self.encoder, self.head = torch.nn.Conv2d(2, 3, 3), torch.nn.Linear(3, 2)

    def forward(self, left: torch.Tensor, right: torch.Tensor) -> torch.Tensor:
        return self.head(self.encoder(torch.cat([left, right], 1)).mean((2, 3)))


def test_where_inputs_share_a_layer_no_share_is_told_and_the_note_says_why(tmp_path: Path) -> None:
    visualizer = InputsVisualizer(OneEncoder(), methods_called("gradcam"))
    batch = {"left": torch.rand(2, 1, 8, 8), "right": torch.rand(2, 1, 8, 8), "label": [0, 1], "id": ["a", "b"]}
    found = run_session(visualizer, {"test": [batch]}, tmp_path, TOLD)
    told = json.loads((tmp_path / "heatmaps/test/class_1/b/b_metadata.json").read_text())
    assert {one["share"] for one in told["heatmap_statistics"].values()} == {None}
    assert any("no share is told" in note for note in told["notes"])
    assert {one["avg_share"] for one in found["splits"]["test"]["heatmap_summary"].values()} == {None}
    (first, _) = visualizer.batch_analyze([batch], save_dir=tmp_path / "batch")
    assert first["shares"] == {}
    assert any("no share is told" in note for note in first["notes"])
