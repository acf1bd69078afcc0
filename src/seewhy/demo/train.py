"""The recipe that made the shipped models: draw scenes, train with Lightning, measure on the test split."""

from __future__ import annotations

import logging
import math
import time
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

import torch
from jaxtyping import Float32, Int64
from torch import Tensor, nn
from torch.optim import AdamW, Optimizer
from torch.optim.lr_scheduler import LambdaLR, LRScheduler

from seewhy.demo.models import Kind, build
from seewhy.demo.scenes import Scenes, draw_scenes
from seewhy.values import MissingExtraError

WEIGHT_DECAY: Final = 0.05
LABEL_SMOOTHING: Final = 0.1
LARGEST_GRADIENT: Final = 1.0
WARM_UP: Final = 0.1


@dataclass(frozen=True)
class Recipe:
    """How long and how fast: AdamW, the learning rate rising to its peak in a tenth of the steps, then a cosine."""

    scenes: int
    epochs: int
    batch: int
    learning_rate: float
    held_out: int = 1000


RECIPES: Final[Mapping[Kind, Recipe]] = MappingProxyType(
    {
        "cnn": Recipe(scenes=18_000, epochs=3, batch=64, learning_rate=3e-3),
        "vit": Recipe(scenes=18_000, epochs=4, batch=64, learning_rate=3e-3),
    }
)


@dataclass(frozen=True)
class Trained:
    """What a training run left: its Lightning checkpoint, the accuracy on the test split, and the seconds it took."""

    checkpoint: Path
    accuracy: float
    seconds: float


def train(
    kind: Kind,
    output_dir: Path,
    *,
    recipe: Recipe | None = None,
    seed: int = 0,
    report: Callable[[str], None] = print,
) -> Trained:
    """Train a demonstration model on the CPU and save it as ``output_dir/epoch=…-step=….ckpt``.

    The same seed and number of threads give the same weights on the same machine; torch's global generator is left as
    it was. ``report`` is given one line per epoch. No glyph of the test split is among those trained on.

    Raises:
        MissingExtraError: Lightning is not installed.
    """
    lightning = _lightning()
    recipe = recipe or RECIPES[kind]
    started = time.monotonic()
    scenes = draw_scenes("train", recipe.scenes)
    held_out = draw_scenes("val", recipe.held_out)
    report(f"{kind}: drew {len(scenes)} scenes in {time.monotonic() - started:.0f} s")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = build(kind)
        module = _lightning_module(lightning, model, held_out, recipe, lambda line: report(f"{kind}: {line}"))
        checkpoint = _fit(lightning, module, Batches(scenes, recipe.batch), Path(output_dir), recipe.epochs)
    accuracy = share_right(model, draw_scenes("test", recipe.held_out))
    return Trained(checkpoint, accuracy, time.monotonic() - started)


@torch.no_grad()
def share_right(model: nn.Module, scenes: Scenes, batch: int = 250) -> float:
    """The share of scenes whose digit the model names, in evaluation mode; the model's own mode is kept."""
    was_training = model.training
    model.eval()
    hits = 0
    for start in range(0, len(scenes), batch):
        rows = torch.arange(start, min(start + batch, len(scenes)))
        hits += int((model(scenes.inputs(rows)).argmax(1) == scenes.labels[rows]).sum())
    model.train(was_training)
    return hits / len(scenes)


@dataclass(frozen=True)
class Batches:
    """Scenes as ``(images, labels)``, shuffled anew each time; those that fill no whole batch sit out a turn."""

    scenes: Scenes
    size: int

    def __len__(self) -> int:
        return len(self.scenes) // self.size

    def __iter__(self) -> Iterator[tuple[Float32[Tensor, "b 3 h w"], Int64[Tensor, " b"]]]:
        order = torch.randperm(len(self.scenes))
        for rows in order[: len(self) * self.size].reshape(-1, self.size):
            yield self.scenes.inputs(rows), self.scenes.labels[rows]


def _fit(lightning: Any, module: Any, batches: Batches, output_dir: Path, epochs: int) -> Path:
    keep = lightning.pytorch.callbacks.ModelCheckpoint(dirpath=output_dir, filename="{epoch}-{step}")
    with quiet_lightning():
        trainer = lightning.Trainer(
            accelerator="cpu",
            devices=1,
            max_epochs=epochs,
            gradient_clip_val=LARGEST_GRADIENT,
            default_root_dir=output_dir,
            callbacks=[keep],
            logger=False,
            enable_progress_bar=False,
            enable_model_summary=False,
        )
        trainer.fit(module, train_dataloaders=batches)
    return Path(keep.best_model_path)


@contextmanager
def quiet_lightning() -> Iterator[None]:
    """Without Lightning's notes on hardware, its tips, and what it does against torch's deprecations."""
    logger = logging.getLogger("lightning.pytorch")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message=r".*treespec.*", module=r"lightning\..*")
            yield
    finally:
        logger.setLevel(level)


def _lightning_module(
    lightning: Any, model: nn.Module, held_out: Scenes, recipe: Recipe, report: Callable[[str], None]
) -> Any:
    """The model as Lightning trains it; a class within a function, since importing Lightning takes many seconds."""

    class Classifier(lightning.LightningModule):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.model = model
            self.loss = nn.CrossEntropyLoss(label_smoothing=LABEL_SMOOTHING)
            self.save_hyperparameters({"recipe": vars(recipe)})

        def training_step(self, batch: tuple[Tensor, Tensor], index: int) -> Tensor:
            del index
            images, labels = batch
            loss: Tensor = self.loss(self.model(images), labels)
            return loss

        def on_train_epoch_end(self) -> None:
            share = share_right(self.model, held_out)
            report(f"epoch {self.current_epoch + 1} of {recipe.epochs}, {share:.1%} of the held-out scenes right")

        def configure_optimizers(self) -> dict[str, Any]:
            optimizer, schedule = optimizer_of(
                self.model, recipe.learning_rate, self.trainer.estimated_stepping_batches
            )
            return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}

    return Classifier()


def optimizer_of(model: nn.Module, peak: float, steps: int) -> tuple[Optimizer, LRScheduler]:
    """AdamW that decays matrices but neither biases nor norms, and its schedule over ``steps`` steps."""
    matrices = [weight for weight in model.parameters() if weight.ndim > 1]
    vectors = [weight for weight in model.parameters() if weight.ndim <= 1]
    groups = [{"params": matrices, "weight_decay": WEIGHT_DECAY}, {"params": vectors, "weight_decay": 0.0}]
    optimizer = AdamW(groups, lr=peak)
    return optimizer, LambdaLR(optimizer, lambda step: rate(step / steps))


def rate(progress: float) -> float:
    """The learning rate, as a share of its peak, when a share ``progress`` of the steps is done.

    >>> rate(0.05), rate(0.1), rate(1.0)
    (0.5, 1.0, 0.0)
    """
    if progress < WARM_UP:
        return progress / WARM_UP
    return (1 + math.cos(math.pi * (progress - WARM_UP) / (1 - WARM_UP))) / 2


def _lightning() -> Any:
    try:
        import lightning
        import lightning.pytorch.callbacks
    except ImportError as error:
        raise MissingExtraError("lightning", "lightning") from error
    return lightning
