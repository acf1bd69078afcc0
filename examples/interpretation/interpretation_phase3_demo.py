"""Training and features: a network is watched while it learns, and its layers are looked into afterwards.

    python examples/interpretation/interpretation_phase3_demo.py --output-dir phase3

The training is that of examples/training/callbacks_demo.py and takes some seconds; nothing is downloaded.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import torch

import seewhy

sys.path.insert(0, str(Path(__file__).parents[1] / "training"))
from callbacks_demo import PREPROCESSING, Digits, draw_scenes, watched_training

LAYERS = ["backbone.0", "backbone.1", "backbone.2"]


def look_inside(model: Digits, output_dir: Path) -> None:
    """Maps of one layer, all layers in numbers, and what one channel looks at."""
    visualizer = seewhy.FeatureVisualizer(model, preprocessing=PREPROCESSING)
    image = draw_scenes("test", 1).inputs(torch.arange(1))[0]
    for sort_by in ("activation", "variance", "random"):
        path = output_dir / f"maps_by_{sort_by}.png"
        visualizer.plot_feature_maps(image, "backbone.2", num_features=16, sort_by=sort_by, save_path=path)
    compared = visualizer.compare_layers(image, LAYERS, save_path=output_dir / "layers.png")
    for layer, told in compared.items():
        print(f"{layer}: mean {told['mean']:.3f}, {told['sparsity']:.0%} zeros, {told['active_channels']} active")
    strongest = visualizer.get_top_activating_features(image, "backbone.2", top_k=3)
    print("strongest channels:", ", ".join(f"{channel} ({mean:.2f})" for channel, mean in strongest))
    channel, _ = strongest[0]
    cells = visualizer.get_features(image, "backbone.2")[0, channel]
    place = divmod(int(cells.argmax()), cells.shape[1])
    field = visualizer.visualize_receptive_field(
        image, "backbone.2", channel, position=place, save_path=output_dir / "field.png"
    )
    print(f"channel {channel} at its strongest cell {place} looks at {(field != 0).mean():.1%} of the picture")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--output-dir", type=Path, default=Path("phase3"))
    output_dir = parser.parse_args().output_dir
    model = watched_training(output_dir / "training")
    look_inside(model, output_dir)


if __name__ == "__main__":
    main()
