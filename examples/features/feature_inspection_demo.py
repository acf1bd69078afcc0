"""Looking inside a network: its feature maps, its layers in numbers, what a unit sees, and which pictures excite it.

    python examples/features/feature_inspection_demo.py --output-dir features

Uses the small model and the digits that the package ships, so it needs no download.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import torch
from PIL import Image
from torch import nn

import seewhy
from seewhy.demo.models import load

DIGITS = {"mean": (0.5,) * 3, "std": (0.5,) * 3, "size": 64, "crop": "none"}
"""How the demo's model was trained: the whole picture at 64 × 64, values in [-1, 1]."""
LAYERS = ["stem", "stages.0.blocks.1", "norm"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--output-dir", type=Path, default=Path("features"))
    output_dir = parser.parse_args().output_dir
    output_dir.mkdir(parents=True, exist_ok=True)
    model, digits = load("cnn"), seewhy.ClutteredDigits(counts={"test": 200})
    picture = output_dir / "digit.png"
    Image.fromarray(digits.picture(digits.read(0).inputs)).save(picture)
    channel = look_at_channels(model, picture, output_dir)
    measure_layers(model, picture, output_dir)
    see_what_a_unit_sees(model, picture, channel, output_dir)
    find_exciting_records(model, digits, channel, output_dir)
    keep_features(model, digits, output_dir)


def look_at_channels(model: nn.Module, picture: Path, output_dir: Path) -> int:
    """The most active channels of the last layer as a sheet; the first of them is looked at more closely below."""
    visualizer = seewhy.FeatureVisualizer(model, preprocessing=DIGITS)
    visualizer.plot_feature_maps(picture, "norm", num_features=16, save_path=output_dir / "channels.png")
    visualizer.plot_feature_maps(
        picture, "norm", num_features=9, sort_by=lambda maps: maps.flatten(1).amax(dim=1),
        save_path=output_dir / "channels_by_peak.png",
    )  # fmt: skip
    top = visualizer.get_top_activating_features(picture, "norm", top_k=3)
    print("Most active channels:", ", ".join(f"{channel} ({mean:.2f})" for channel, mean in top))
    return top[0][0]


def measure_layers(model: nn.Module, picture: Path, output_dir: Path) -> None:
    """Several layers in numbers, from one forward."""
    visualizer = seewhy.FeatureVisualizer(model, preprocessing=DIGITS)
    table = visualizer.compare_layers(picture, LAYERS, save_path=output_dir / "layers.png")
    for layer, numbers in table.items():
        print(f"{layer}: mean {numbers['mean']:.3f}, sparsity {numbers['sparsity']:.1%}, {numbers['spatial_size']}")


def see_what_a_unit_sees(model: nn.Module, picture: Path, channel: int, output_dir: Path) -> None:
    """The part of the picture that the channel's unit in the middle depends on, by covering windows and by gradient."""
    visualizer = seewhy.FeatureVisualizer(model, preprocessing=DIGITS)
    field = visualizer.visualize_receptive_field(
        picture, "norm", channel, save_path=output_dir / "receptive_field.png", method="both", patch=8, stride=4
    )
    print(f"Covering a window changes the unit by {field.min():.2f} to {field.max():.2f}")


def find_exciting_records(model: nn.Module, digits: seewhy.ClutteredDigits, channel: int, output_dir: Path) -> None:
    """The pictures of a whole data set that excite the channel most."""
    found = seewhy.top_records(
        model, digits, "norm", channels=channel, top_k=8, save_path=output_dir / "top_records.png"
    )
    print("Most exciting:", ", ".join(f"{one.record_id} ({one.value:.1f})" for one in found[channel]))


def keep_features(model: nn.Module, digits: seewhy.ClutteredDigits, output_dir: Path) -> None:
    """The same layers for two records, in files that any later session reads again."""
    batch = torch.stack([digits.read(position).inputs["image"] for position in range(2)])
    with seewhy.FeatureMapInspector(model, output_dir / "maps", layers=LAYERS) as inspector:
        inspector.set_target(batch_idx=[0, 1])
        activations = inspector.extract_features(batch)
        paths = inspector.save_features({"dataset": "digits"})
        inspector.visualize_feature_maps("stem", num_channels=16)
    print(f"Kept {len(activations)} layers in {', '.join(path.name for path in paths)}")


if __name__ == "__main__":
    main()
