"""Quantitative evaluation of explanations: grade one, compare methods, and let the verdict say which one to trust.

    python examples/interpretation/interpretation_metrics_demo.py --output-dir graded

Uses the small model and the digits that the package ships, so it needs no download. Every number stands beside those of
maps that know nothing of the model: noise, a Gaussian in the middle, the picture's edges.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np
from PIL import Image

import seewhy
from seewhy.demo.models import load
from seewhy.render.plots import save_figure
from seewhy.render.plots_grades import Curve, curves_figure

DIGITS = {"mean": (0.5,) * 3, "std": (0.5,) * 3, "size": 64, "crop": "none"}
"""How the demo's models were trained: the whole picture at 64 × 64, values in [-1, 1]."""
METHODS = ["gradcam", "layercam", "integrated_gradients", "guided_backprop"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--output-dir", type=Path, default=Path("graded"))
    parser.add_argument("--pictures", type=int, default=12, help="how many digits the methods are compared on")
    asked = parser.parse_args()
    output_dir: Path = asked.output_dir
    output_dir.mkdir(parents=True, exist_ok=True)
    digits = seewhy.ClutteredDigits(counts={"test": asked.pictures})
    records = [digits.read(position) for position in range(asked.pictures)]
    pictures = [Image.fromarray(digits.picture(record.inputs)) for record in records]
    grade_one(pictures[0], records[0].box, output_dir)
    compare_on_one(pictures[0], records[0].mask, output_dir)
    compare_on_many(pictures, [record.mask for record in records], output_dir)


def grade_one(picture: Image.Image, box: tuple[float, ...], output_dir: Path) -> None:
    """Everything about one explanation, in plain values."""
    model = load("cnn")
    metrics = seewhy.ExplanationMetrics(model, seewhy.GradCAM(model, preprocessing=DIGITS))
    results = metrics.evaluate_all(picture, bbox=list(box))
    (output_dir / "one_explanation.json").write_text(json.dumps(results, indent=2))
    for name in ("deletion", "insertion"):
        found = results[name]
        print(f"{name}: area {found['auc']:.3f}; of maps that know nothing: {told(found['controls'])}")
    sensitivity, pointing = results["sensitivity"], results["pointing_game"]
    print(f"sensitivity to noise: {sensitivity['sensitivity']:.3f} (largest {sensitivity['max_change']:.3f})")
    for name in ("param_randomization", "data_randomization"):
        found = results[name]
        print(f"{name}: correlation {found['correlation']:.3f}, passes: {found['passes']}; {told(found['controls'])}")
    print(f"pointing game: hit {pointing['hit']} at {pointing['max_location']}")
    draw_curves(results, output_dir / "curves.png")


def draw_curves(results: dict, path: Path) -> None:
    """Deletion falls early and insertion rises early where the map is faithful; the controls are drawn beside it."""
    panels = {}
    for name in ("deletion", "insertion"):
        found = results[name]
        fractions = np.array(found["fractions"])
        curves = {"gradcam": Curve(fractions, np.array(found["scores"]))}
        curves |= {
            who: Curve(fractions, np.array(scores), control=True) for who, scores in found["control_scores"].items()
        }
        panels[name.capitalize()] = curves
    save_figure(curves_figure(panels), path)


def compare_on_one(picture: Image.Image, mask: np.ndarray, output_dir: Path) -> None:
    """Several methods about one picture. One picture has no interval, and the verdict says so."""
    results = seewhy.compare_methods(
        load("cnn"), picture, METHODS, preprocessing=DIGITS, metrics=["deletion", "relevance_mass_accuracy"], mask=mask,
        save_path=output_dir / "comparison.png",
    )  # fmt: skip
    for name, result in results.items():
        graded = result["metrics"]["relevance_mass_accuracy"]
        print(f"{name}: {graded['value']:.2f} of its evidence on the digit; {told(graded['controls'])}")
    print(results.verdict.text())


def compare_on_many(pictures: list[Image.Image], masks: list[np.ndarray], output_dir: Path) -> None:
    """The same on a sample: intervals, tests against the controls, sanity checks, and a recommendation."""
    evaluation = seewhy.evaluate_methods(
        load("cnn"), pictures, METHODS, masks=masks, preprocessing=DIGITS,
        metric_settings={"deletion": {"steps": 20}, "insertion": {"steps": 20}, "average_sensitivity": {"samples": 4}},
    )  # fmt: skip
    print(evaluation)
    (output_dir / "evaluation.json").write_text(json.dumps(evaluation.to_json(), indent=2))
    (output_dir / "verdict.md").write_text(evaluation.verdict.markdown())
    save_figure(evaluation.figure(), output_dir / "grades.png")


def told(controls: dict[str, float]) -> str:
    """The controls' numbers in a line."""
    return ", ".join(f"{name} {value:.3f}" for name, value in controls.items() if value is not None)


if __name__ == "__main__":
    main()
