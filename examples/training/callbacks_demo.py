"""A training that shows what it learns: pictures explained every epoch, and numbers of every layer.

    python examples/training/callbacks_demo.py --output-dir training

Trains a small network on made pictures of digits in some seconds and needs no download. Pictures and numbers go to CSV
and PNG files, and to TensorBoard where it is installed: `tensorboard --logdir training`.
"""

from __future__ import annotations

import argparse
import csv
from importlib.util import find_spec
from pathlib import Path

import lightning.pytorch as pl
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

from seewhy.demo.scenes import draw_scenes
from seewhy.demo.train import quiet_lightning
from seewhy.training import AutoTrainer, FeatureMonitorCallback, InterpretationCallback

EPOCHS = 3
PREPROCESSING = {"size": 64, "mean": [0.5] * 3, "std": [0.5] * 3}


class Digits(pl.LightningModule):
    """A small network; nothing in it knows of the callbacks."""

    class_names = tuple(map(str, range(10)))

    def __init__(self) -> None:
        super().__init__()
        self.backbone = nn.Sequential(
            block(3, 16), block(16, 32), block(32, 64), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Dropout(0.2)
        )
        self.head = nn.Linear(64, 10)

    def forward(self, image: Tensor) -> Tensor:
        return self.head(self.backbone(image))

    def training_step(self, batch: list[Tensor]) -> Tensor:
        images, labels = batch
        loss = nn.functional.cross_entropy(self(images), labels)
        self.log("loss", loss)
        return loss

    def validation_step(self, batch: list[Tensor]) -> None:
        images, labels = batch
        self.log("val_accuracy", (self(images).argmax(1) == labels).float().mean())

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.AdamW(self.parameters(), 3e-3)


def block(channels: int, more: int) -> nn.Module:
    return nn.Sequential(nn.Conv2d(channels, more, 3, stride=2, padding=1), nn.BatchNorm2d(more), nn.ReLU())


def loader(split: str, count: int, shuffle: bool) -> DataLoader:
    scenes = draw_scenes(split, count)
    return DataLoader(TensorDataset(scenes.inputs(torch.arange(count)), scenes.labels), batch_size=32, shuffle=shuffle)


def watched_training(output_dir: Path) -> Digits:
    """Train with two methods side by side, and with the layers' numbers."""
    torch.manual_seed(0)
    validation = loader("val", 64, shuffle=False)
    images, labels = validation.dataset.tensors
    maps = InterpretationCallback(
        images, labels, method="gradcam", log_every_n_epochs=1, num_samples=4, preprocessing=PREPROCESSING
    )
    gradients = InterpretationCallback(
        images, labels, method="integrated_gradients", log_every_n_steps=15, num_samples=2, prefix="gradients",
        explain_labels=True, preprocessing=PREPROCESSING, steps=16,
    )  # fmt: skip
    features = FeatureMonitorCallback(
        ["backbone.0", "backbone.1", "backbone.2"], num_batches=4,
        extra_stats={"l1_norm": lambda values: values.abs().sum() / len(values)},
    )  # fmt: skip
    loggers = ["csv", "tensorboard"] if find_spec("tensorboard") else ["csv"]
    with quiet_lightning():
        trainer = AutoTrainer(
            max_epochs=EPOCHS, accelerator="cpu", devices=1, callbacks=[maps, gradients, features], logger=loggers,
            default_root_dir=output_dir, log_every_n_steps=5, enable_progress_bar=False, enable_model_summary=False,
            enable_checkpointing=False, logger_settings={name: {"name": name, "version": ""} for name in loggers},
        )  # fmt: skip
        model = Digits()
        trainer.fit(model, loader("train", 320, shuffle=True), validation)
    for name, callback in {"Grad-CAM": maps, "integrated gradients": gradients, "features": features}.items():
        print(f"{name}: {callback.report()}")
    for layer, told in features.statistics["val"].items():
        print(f"{layer}: mean {told.mean:.3f}, {told.sparsity:.0%} zeros, {len(told.dead_channels)} dead channels")
    return model


def numbers(output_dir: Path, name: str) -> list[float]:
    """A column of the table, epoch by epoch."""
    with (output_dir / "csv/metrics.csv").open(newline="") as table:
        return [float(row[name]) for row in csv.DictReader(table) if row[name]]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--output-dir", type=Path, default=Path("training"))
    output_dir = parser.parse_args().output_dir
    watched_training(output_dir)
    sparsity = ", ".join(f"{value:.1%}" for value in numbers(output_dir, "features/backbone.2/sparsity"))
    print(f"zeros of the last block, epoch by epoch: {sparsity}")


if __name__ == "__main__":
    main()
