"""Interpretation basics: explain one prediction, compare methods, explain a batch, and check what a map adds up to.

    python examples/interpretation/interpretation_demo.py --output-dir explanations

Uses the small models and the digits that the package ships, so it needs no download.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from PIL import Image

import seewhy
from seewhy.demo.models import load
from seewhy.visualization import apply_colormap, overlay_heatmap

DIGITS = {"mean": (0.5,) * 3, "std": (0.5,) * 3, "size": 64, "crop": "none"}
"""How the demo's models were trained: the whole picture at 64 × 64, values in [-1, 1]."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--output-dir", type=Path, default=Path("explanations"))
    output_dir = parser.parse_args().output_dir
    output_dir.mkdir(parents=True, exist_ok=True)
    pictures = write_digits(output_dir / "digits")
    explain_one(pictures[0], output_dir)
    compare(pictures[0], output_dir)
    explain_many(pictures, output_dir)
    check_completeness(pictures[0], output_dir)
    look_at_attention(pictures[0], output_dir)


def write_digits(folder: Path, count: int = 6) -> list[Path]:
    """Pictures on disk, as a user has them."""
    folder.mkdir(parents=True, exist_ok=True)
    digits = seewhy.ClutteredDigits(counts={"test": count})
    paths = [folder / f"digit_{position}.png" for position in range(count)]
    for position, path in enumerate(paths):
        Image.fromarray(digits.picture(digits.read(position).inputs)).save(path)
    return paths


def explain_one(picture: Path, output_dir: Path) -> None:
    """What the model says and where it looked, in one call and one pass."""
    result = seewhy.explain_prediction(
        load("cnn"), picture, method="gradcam", save_path=output_dir / "explanation.png", preprocessing=DIGITS
    )
    print(f"Predicted class: {result['predicted_class']}, confidence {result['confidence']:.1%}")
    print(f"Explained through: {result['target_layer']}")


def compare(picture: Path, output_dir: Path) -> None:
    """Several methods about one picture; those that read one pass share it."""
    methods = ["gradcam", "gradcam++", "hirescam", "integrated_gradients"]
    results = seewhy.compare_methods(
        load("cnn"), picture, methods, layout="grid", save_path=output_dir / "comparison.png", preprocessing=DIGITS
    )
    print(f"Compared {', '.join(results)}: {output_dir / 'comparison.png'}")


def explain_many(pictures: list[Path], output_dir: Path) -> None:
    """A batch, genuinely batched, with its predictions as a table."""
    results = seewhy.visualize_batch(load("cnn"), pictures, output_dir=output_dir / "batch", preprocessing=DIGITS)
    seewhy.save_predictions(results, output_dir / "predictions.csv")
    explainer = seewhy.GradCAM(load("cnn"), preprocessing=DIGITS)
    heatmaps = explainer.explain_batch(pictures, batch_size=4)
    overlaid = overlay_heatmap(Image.open(pictures[0]), heatmaps[0], alpha=0.5, colormap="plasma")
    Image.fromarray(overlaid).save(output_dir / "overlay.png")
    Image.fromarray(apply_colormap(heatmaps[0], colormap="hot")).save(output_dir / "heatmap.png")


def check_completeness(picture: Path, output_dir: Path) -> None:
    """Integrated gradients add up to the score's difference to the baseline; say by how much they miss it."""
    explainer = seewhy.IntegratedGradients(load("cnn"), baseline="black", steps=50, preprocessing=DIGITS)
    print(f"Completeness: {explainer.check_completeness(picture)}")
    figure = explainer.visualize_polarity(picture, save_path=output_dir / "polarity.png")
    print(f"For and against the class: {len(figure.axes)} panels in polarity.png")
    smooth = seewhy.SmoothGrad(seewhy.GradCAM(load("cnn"), preprocessing=DIGITS), noise_level=0.15, num_samples=10)
    Image.fromarray(overlay_heatmap(Image.open(picture), smooth.explain(picture))).save(output_dir / "smooth.png")


def look_at_attention(picture: Path, output_dir: Path) -> None:
    """What a vision transformer attends to: through all layers, and from one patch in the last."""
    rollout = seewhy.AttentionRollout(load("vit"), head_fusion="mean", preprocessing=DIGITS)
    flow = seewhy.AttentionFlow(load("vit"), target_patch=0, preprocessing=DIGITS)
    for name, explainer in {"rollout": rollout, "flow": flow}.items():
        overlaid = overlay_heatmap(Image.open(picture), explainer.explain(picture))
        Image.fromarray(overlaid).save(output_dir / f"{name}.png")


if __name__ == "__main__":
    main()
