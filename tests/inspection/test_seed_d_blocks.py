"""The code blocks of the feature inspection guide, word for word, on a small model of clips."""

from __future__ import annotations

import sys
from pathlib import Path
from types import ModuleType

import matplotlib as mpl
import pytest
import torch
from PIL import Image
from torch.utils.data import DataLoader

import seewhy.inspection
from features.video_models import ClipNet

PROGRAMMATIC = """
from feature_inspector import FeatureMapInspector

# Load your model and data
model = load_your_model()
batch = get_your_batch()

# Create inspector
inspector = FeatureMapInspector(model, save_dir="my_features")

# Set target
inspector.set_target(batch_idx=0, timestep=2)

# Extract features
activations = inspector.extract_features(batch)

# Save and visualize
inspector.save_features(batch_info={"experiment": "test1"})
inspector.visualize_feature_maps("conv2", num_channels=16)

# Cleanup
inspector.cleanup()
"""

IN_TRAINING = """
from feature_inspector import FeatureMapInspector

def train_epoch(model, dataloader, optimizer):
    # Your training code...

    # Add inspection every N epochs
    if epoch % 10 == 0:
        inspect_features_during_training(model, dataloader, epoch)

def inspect_features_during_training(model, dataloader, epoch):
    inspector = FeatureMapInspector(model, f"features_epoch_{epoch}")

    # Get one batch
    batch = next(iter(dataloader))

    # Extract features
    model.eval()
    with torch.no_grad():
        inspector.set_target(batch_idx=0, timestep=0)
        activations = inspector.extract_features(batch)
        inspector.save_features(batch_info={"epoch": epoch})

    model.train()
    inspector.cleanup()
"""

COMPARE = """
def compare_models(model1_features, model2_features, save_dir):
    data1 = load_feature_file(model1_features)
    data2 = load_feature_file(model2_features)

    # Compare layer by layer
    for layer in data1['activations']:
        if layer in data2['activations']:
            act1 = data1['activations'][layer][0].numpy()
            act2 = data2['activations'][layer][0].numpy()

            # Calculate differences
            diff = np.abs(act1 - act2)

            # Plot comparison
            fig, axes = plt.subplots(1, 3, figsize=(15, 5))

            axes[0].imshow(np.mean(act1, axis=0), cmap='viridis')
            axes[0].set_title(f'Model 1 - {layer}')

            axes[1].imshow(np.mean(act2, axis=0), cmap='viridis')
            axes[1].set_title(f'Model 2 - {layer}')

            axes[2].imshow(np.mean(diff, axis=0), cmap='hot')
            axes[2].set_title(f'Difference - {layer}')

            plt.savefig(f'{save_dir}/comparison_{layer}.png')
            plt.show()
"""


@pytest.fixture(autouse=True)
def guide(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder to work in, with the guide's module under its own name: the one change a reader makes."""
    module = ModuleType("feature_inspector")
    module.FeatureMapInspector = seewhy.inspection.FeatureMapInspector
    monkeypatch.setitem(sys.modules, "feature_inspector", module)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def clips(records: int = 2) -> torch.Tensor:
    return torch.randn(records, 4, 3, 16, 16, generator=torch.Generator().manual_seed(1))


def test_the_programmatic_block_extracts_saves_and_draws(guide: Path) -> None:
    model = ClipNet()
    told = {"load_your_model": lambda: model, "get_your_batch": lambda: {"frames": clips(), "verb": ["open", "cut"]}}
    exec(PROGRAMMATIC, told)
    content = torch.load(guide / "my_features" / "features_b0_t2.pkl", weights_only=True)
    assert content["batch_info"] == {"experiment": "test1"}
    torch.testing.assert_close(content["activations"]["conv1"][0], model.backbone.conv1(clips()[0, 2][None])[0])
    with Image.open(guide / "my_features" / "conv2_b0_t2.png") as page:
        assert page.convert("L").getextrema()[0] < page.convert("L").getextrema()[1]


def test_inspection_every_tenth_epoch_leaves_the_training_as_it_was(guide: Path) -> None:
    model = ClipNet().train()
    told = {"torch": torch, "epoch": 20}
    exec(IN_TRAINING, told)
    loader = DataLoader([(clip, 0) for clip in clips(4)], batch_size=2)
    told["train_epoch"](model, loader, None)
    assert model.training
    assert all(weight.grad is None for weight in model.parameters())
    assert torch.load(guide / "features_epoch_20" / "features_b0_t0.pkl", weights_only=True)["batch_info"] == {
        "epoch": 20
    }


@pytest.mark.filterwarnings("ignore:FigureCanvasAgg is non-interactive")
def test_a_comparison_of_ones_own_reads_our_files_as_the_guide_says(guide: Path) -> None:
    import numpy as np
    from matplotlib import pyplot as plt

    before = dict(mpl.rcParams)
    files = []
    for name in ("one", "two"):
        with seewhy.inspection.FeatureMapInspector(ClipNet(), name, ["conv1", "conv2"]) as inspector:
            inspector.set_target(0, 1)
            inspector.extract_features(clips() * (1 if name == "one" else 2))
            files += inspector.save_features()
    (guide / "theirs").mkdir()
    told = {"load_feature_file": seewhy.inspection.load_feature_file, "np": np, "plt": plt}
    with plt.rc_context({"backend": "agg"}):
        exec(COMPARE, told)
        told["compare_models"](*files, "theirs")
        plt.close("all")
    mpl.rcParams.update({key: value for key, value in before.items() if key != "backend"})
    seewhy.inspection.compare_models(*files, "ours")
    for folder in ("theirs", "ours"):
        assert {"comparison_conv1.png", "comparison_conv2.png"} <= {path.name for path in (guide / folder).iterdir()}
