"""A training watched by both callbacks beside the same training unwatched: what is reported, and what it really takes.

The trainings are run in turn in one process, in processor time. What a callback reports is wall-clock time, so that
the two agree on a quiet machine only.

    python benchmarks/callbacks.py
"""

from __future__ import annotations

import statistics
import tempfile
import time
import warnings
from collections.abc import Callable
from typing import Any

import lightning.pytorch as pl
import torch
import torchvision
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

from seewhy.demo.train import quiet_lightning
from seewhy.training import AutoTrainer, FeatureMonitorCallback, InterpretationCallback

SIZE, BATCH, STEPS, EPOCHS, ROUNDS = 64, 8, 12, 2, 3
LAYERS = ["layer2", "layer3", "layer4"]
IMAGES = torch.randn(8, 3, SIZE, SIZE, generator=torch.Generator().manual_seed(1))


class Learner(pl.LightningModule):
    """A ResNet-18 on noise: learning is of no concern here."""

    def __init__(self) -> None:
        super().__init__()
        self.backbone = torchvision.models.resnet18(num_classes=10)

    def forward(self, image: Tensor) -> Tensor:
        return self.backbone(image)

    def training_step(self, batch: list[Tensor]) -> Tensor:
        return nn.functional.cross_entropy(self(batch[0]), batch[1])

    def configure_optimizers(self) -> Any:
        return torch.optim.SGD(self.parameters(), 0.01)


def maps() -> list[Any]:
    """Eight pictures by Grad-CAM after every epoch; here an epoch has as few steps as nobody's."""
    return [InterpretationCallback(IMAGES, log_every_n_epochs=1)]


def numbers() -> list[Any]:
    """The default: ten batches of an epoch, which is nearly all of these."""
    return [FeatureMonitorCallback(LAYERS)]


def fit(make: Callable[[], list[Any]]) -> tuple[float, list[Any]]:
    """Processor seconds of one training, and the callbacks that watched it."""
    torch.manual_seed(0)
    data = TensorDataset(torch.randn(STEPS * BATCH, 3, SIZE, SIZE), torch.randint(0, 10, (STEPS * BATCH,)))
    callbacks = make()
    with tempfile.TemporaryDirectory() as folder, quiet_lightning(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        trainer = AutoTrainer(
            max_epochs=EPOCHS, accelerator="cpu", devices=1, logger="csv", callbacks=callbacks, default_root_dir=folder,
            enable_checkpointing=False, enable_progress_bar=False, enable_model_summary=False,
        )  # fmt: skip
        started = time.process_time()
        trainer.fit(Learner(), DataLoader(data, batch_size=BATCH))
        return time.process_time() - started, callbacks


def main() -> None:
    torch.set_num_threads(1)  # threads that wait for each other would count as work
    fit(list)
    plain, watched = [], {make: ([], []) for make in (maps, numbers)}
    for _ in range(ROUNDS):
        plain.append(fit(list)[0])
        for make, (seconds, reports) in watched.items():
            taken, (callback,) = fit(make)
            seconds.append(taken)
            reports.append(callback.report())
    step = statistics.median(plain) / (STEPS * EPOCHS)
    print(f"one training step of ResNet-18, {BATCH} pictures of {SIZE} pixels: {step:.2f} s of processor time\n")
    print("| callback | reported share | training really longer by | one event, in training steps |")
    print("|---|---|---|---|")
    for make, (seconds, reports) in watched.items():
        share = statistics.median(report.share for report in reports)
        extra = statistics.median(with_it - without for with_it, without in zip(seconds, plain, strict=True))
        event = extra / EPOCHS / step
        print(f"| {make.__name__} | {share:.1%} | {extra / statistics.median(plain):.1%} | {event:.2f} |")


if __name__ == "__main__":
    main()
