"""Pictures handed to whatever logger a trainer has, in its own way; files for loggers that take none."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from jaxtyping import UInt8

from seewhy.render.encode import encode_png
from seewhy.store.files import write_atomic
from seewhy.training.logger_guard import Guard

if TYPE_CHECKING:
    from lightning.pytorch import Trainer

LIGHTNINGS: Final = frozenset({"lightning", "pytorch_lightning", "lightning_fabric"})


@dataclass(frozen=True)
class LoggedPicture:
    """One sample's picture ``(H, W, 3)``; ``number`` is its place among the samples, ``caption`` what stands by it."""

    number: int
    image: UInt8[np.ndarray, "h w 3"]
    caption: str


@dataclass(frozen=True)
class Event:
    """Pictures made at one ``step``; ``when`` is ``epoch_4`` or ``step_200``, a folder's name."""

    prefix: str
    when: str
    step: int
    pictures: Sequence[LoggedPicture]


def deliver(trainer: Trainer, event: Event, guard: Guard) -> int:
    """Give the pictures to every logger and count those that arrived; without a logger they become files.

    TensorBoard, W&B and MLflow show pictures themselves; any other logger gets PNG files
    ``{its folder}/{prefix}/{when}/sample_{i}.png``. A trial run (``fast_dev_run``) delivers nothing.
    """
    if getattr(trainer, "fast_dev_run", False):
        return 0
    arrived = 0
    loggers: list[Any] = [*trainer.loggers]
    for logger in loggers or [None]:
        send = SENDERS.get(kind_of(logger))
        name = "files" if logger is None else type(logger).__name__

        def hand_over(logger: Any = logger, send: Sender | None = send) -> None:
            if send is not None:
                send(logger, event)
            else:
                write_files(folder_of(trainer, logger), event)

        arrived += len(event.pictures) * guard.attempt(f"logging pictures to {name}", hand_over)
    return arrived


def kind_of(logger: object) -> str:
    """The name of the Lightning logger that a logger is or derives from, whatever it calls itself; empty for others."""
    own = (base for base in type(logger).__mro__ if base.__module__.partition(".")[0] in LIGHTNINGS)
    return next((base.__name__ for base in own if base.__name__ in SENDERS), "")


def folder_of(trainer: Trainer, logger: Any) -> Path:
    """Where a logger keeps its files, else the trainer's root; asks no other process, as ``trainer.log_dir`` does."""
    for attribute in ("log_dir", "save_dir"):
        found = getattr(logger, attribute, None)
        if isinstance(found, str | Path) and str(found):
            return Path(found)
    return Path(trainer.default_root_dir)


def write_files(folder: Path, event: Event) -> None:
    """Write ``{folder}/{prefix}/{when}/sample_{i}.png``."""
    for picture in event.pictures:
        path = folder / event.prefix / event.when / f"sample_{picture.number}.png"
        write_atomic(path, encode_png(picture.image), durable=False)


def _to_tensorboard(logger: Any, event: Event) -> None:
    for picture in event.pictures:
        tag = f"{event.prefix}/sample_{picture.number}"
        logger.experiment.add_image(tag, picture.image, event.step, dataformats="HWC")


def _to_wandb(logger: Any, event: Event) -> None:
    images = [picture.image for picture in event.pictures]
    captions = [f"Sample {picture.number} ({picture.caption})" for picture in event.pictures]
    logger.log_image(key=event.prefix, images=images, caption=captions, step=event.step)


def _to_mlflow(logger: Any, event: Event) -> None:
    for picture in event.pictures:
        name = f"{event.prefix}/{event.when}/sample_{picture.number}.png"
        logger.experiment.log_image(logger.run_id, picture.image, artifact_file=name)


Sender = Callable[[Any, Event], None]
SENDERS: Final[Mapping[str, Sender]] = {
    "TensorBoardLogger": _to_tensorboard,
    "WandbLogger": _to_wandb,
    "MLFlowLogger": _to_mlflow,
}
