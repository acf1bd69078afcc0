"""Interactive pages: one explanation to zoom into, several methods beside one another, and a report to send on.

    python examples/interpretation/interactive_visualization_demo.py --output-dir interactive

Uses the small models and the digits that the package ships. Needs the extra ``report`` (Plotly); the last report is
written without it.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from PIL import Image

import seewhy
from seewhy import InteractiveVisualizer
from seewhy.demo.models import load

DIGITS = {"mean": (0.5,) * 3, "std": (0.5,) * 3, "size": 64, "crop": "none"}
"""How the demo's models were trained: the whole picture at 64 × 64, values in [-1, 1]."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--output-dir", type=Path, default=Path("interactive"))
    output_dir = parser.parse_args().output_dir
    output_dir.mkdir(parents=True, exist_ok=True)
    picture = write_digit(output_dir / "digit.png")
    explain_one(picture, output_dir)
    compare(picture, output_dir)
    report(picture, output_dir)
    report_without_scripts(picture, output_dir)


def write_digit(path: Path) -> Path:
    """A picture on disk, as a user has it."""
    digits = seewhy.ClutteredDigits(counts={"test": 1})
    Image.fromarray(digits.picture(digits.read(0).inputs)).save(path)
    return path


def explain_one(picture: Path, output_dir: Path) -> None:
    """The picture and the heat map over it, as a figure that is a page too."""
    model = load("cnn")
    figure = InteractiveVisualizer(model).visualize_explanation(
        picture,
        seewhy.GradCAM(model, preprocessing=DIGITS),
        title="Why this digit?",
        colorscale="Plasma",
        opacity=0.7,
        save_path=output_dir / "explanation.html",
    )
    print(f"{figure.layout.title.subtitle.text}; the map has {figure.data[0].z.shape} values")


def compare(picture: Path, output_dir: Path) -> None:
    """Methods beside one another, graded first: the page tells which to trust."""
    model = load("cnn")
    comparison = seewhy.compare_methods(
        model,
        picture,
        ["gradcam", "gradcam++", "integrated_gradients"],
        preprocessing=DIGITS,
        metrics=["deletion", "parameter_randomization"],
        metric_settings={"deletion": {"steps": 20}},
    )
    InteractiveVisualizer(model).compare_methods(None, comparison, save_path=output_dir / "comparison.html")
    print(f"Graded {len(comparison)} methods")


def report(picture: Path, output_dir: Path) -> None:
    """Everything about one prediction on one page."""
    model = load("cnn")
    path = InteractiveVisualizer(model, preprocessing=DIGITS).create_report(
        picture,
        "gradcam",
        include_top_regions=True,
        top_k=5,
        include_metrics=["deletion", "insertion", "parameter_randomization"],
        metric_settings={"deletion": {"steps": 20}, "insertion": {"steps": 20}},
        save_path=output_dir / "report.html",
    )
    print(f"{path}: {Path(path).stat().st_size / 1e6:.1f} MB")


def report_without_scripts(picture: Path, output_dir: Path) -> None:
    """The same for an e-mail: pictures and tables, no script, no Plotly."""
    model = load("cnn")
    path = InteractiveVisualizer(model, preprocessing=DIGITS).create_report(
        picture, "gradcam", include_top_regions=True, save_path=output_dir / "plain.html", interactive=False
    )
    print(f"{path}: {Path(path).stat().st_size / 1e3:.0f} kB")


if __name__ == "__main__":
    main()
