"""Every script under examples runs as its first lines say, and leaves what it promises."""

from __future__ import annotations

import csv
import os
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

ROOT = Path(__file__).parents[2]
PROMISED = {
    "interpretation/interpretation_demo.py": (
        "explanation.png", "comparison.png", "overlay.png", "heatmap.png", "polarity.png", "smooth.png", "rollout.png",
        "flow.png", "predictions.csv", "batch/digit_0_explanation.png", "batch/digit_5_explanation.png",
    ),
    "interpretation/interpretation_phase2_demo.py": (
        "detection/detections_hirescam.png", "detection/detections_integrated_gradients.png",
        "detection/detection_by_place.png", "segmentation/segmentation_entropy.png",
        "segmentation/segmentation_margin.png", "segmentation/similarity.png", "segmentation/regression.png",
    ),
    "interpretation/interpretation_phase3_demo.py": (
        "training/csv/metrics.csv", "training/csv/interpretation/epoch_2/sample_3.png", "maps_by_activation.png",
        "maps_by_variance.png", "maps_by_random.png", "layers.png", "field.png",
    ),
    "interpretation/interpretation_metrics_demo.py": (
        "one_explanation.json", "curves.png", "comparison.png", "evaluation.json", "verdict.md", "grades.png",
    ),
    "interpretation/interactive_visualization_demo.py": (
        "explanation.html", "comparison.html", "report.html", "plain.html",
    ),
    "features/feature_inspection_demo.py": (
        "channels.png", "channels_by_peak.png", "layers.png", "receptive_field.png", "top_records.png",
        "maps/features_b1_t0.pkl", "maps/stem_b0_t0.png",
    ),
    "training/callbacks_demo.py": (
        "csv/metrics.csv", "csv/interpretation/epoch_0/sample_0.png", "csv/gradients/step_30/sample_1.png",
    ),
    "several_inputs/eyes_demo.py": (
        "val_00000_gradcam_visualization.png", "val_00000_heatmaps/val_00000_drusen.png",
        "val_00000_all_all_methods_comparison.png", "batch/summary_visualization.png",
    ),
    "any_rank/any_rank_demo.py": (
        "volume.png", "volume.tiff", "volume.nii.gz", "clip.png", "clip.gif", "clip.mp4", "signal.png",
    ),
}  # fmt: skip

PARTS = {"interpretation/detection_demo.py", "interpretation/segmentation_demo.py"}
"""Scripts that another one runs, and that run by themselves too."""


def test_every_example_is_listed_here() -> None:
    found = {path.relative_to(ROOT / "examples").as_posix() for path in (ROOT / "examples").rglob("*.py")}
    assert found == set(PROMISED) | PARTS


@pytest.mark.slow  # each takes a quarter of a minute; some train with Lightning, whose import alone takes ten seconds
@pytest.mark.parametrize("script", PROMISED)
def test_an_example_runs(script: str, tmp_path: Path) -> None:
    environment = os.environ | {"PYTHONPATH": str(ROOT / "src"), "PYTHONWARNINGS": "error::UserWarning"}
    command = [sys.executable, str(ROOT / "examples" / script), "--output-dir", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    assert done.returncode == 0, done.stderr
    for name in PROMISED[script]:
        assert (tmp_path / name).stat().st_size > 0
        if name.endswith(".png"):
            with Image.open(tmp_path / name) as picture:
                assert picture.convert("L").getextrema()[1] > 0
    if "predictions.csv" not in PROMISED[script]:
        return
    with (tmp_path / "predictions.csv").open(newline="") as table:
        rows = list(csv.DictReader(table))
    assert [row["image"] for row in rows] == [f"digit_{index}" for index in range(6)]
