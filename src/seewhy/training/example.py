"""Training what a configuration describes, and finding what was trained: the example takes seconds."""

from __future__ import annotations

import time
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import DataLoader

from seewhy.demo.train import quiet_lightning
from seewhy.models.borrow import borrowed
from seewhy.models.sniff import sniff
from seewhy.models.torch_file import read_torch_file
from seewhy.training.configuration import TrainingConfig, check_config, read_config
from seewhy.values import CheckpointError, ConfigError, MissingExtraError

LARGEST_GRADIENT = 1.0


@dataclass(frozen=True)
class Training:
    """What a training run left: its checkpoint, the accuracy on the validation split, and the seconds it took."""

    checkpoint: Path
    accuracy: float
    seconds: float


def newest_checkpoint(config: Mapping[str, Any] | TrainingConfig | None = None) -> Path:
    """The ``*.ckpt`` file in ``log_dir/model_name`` that was written last.

    Raises:
        ConfigError: ``SW-F108`` no such folder, or no checkpoint in it.
    """
    folder = check_config(read_config() if config is None else config).net.checkpoint_dir
    files = sorted(folder.glob("*.ckpt"), key=_age)
    if not files:
        problem = "No checkpoint files found in" if folder.is_dir() else "Checkpoint directory not found"
        raise ConfigError("SW-F108", f"{problem}: {folder}", fix="train first, or correct log_dir and model_name")
    return files[-1]


def trained_example(config: Mapping[str, Any] | TrainingConfig | None = None) -> Path:
    """The newest checkpoint that was trained with just this configuration; trained now where there is none.

    Raises:
        MissingExtraError: Lightning is not installed.
    """
    checked = check_config(read_config() if config is None else config)
    newest_first = sorted(checked.net.checkpoint_dir.glob("*.ckpt"), key=_age, reverse=True)
    for path in newest_first:
        if _config_of(path) == checked.plain:
            return path
    return train(checked.plain).checkpoint


def train(config: Mapping[str, Any] | TrainingConfig | None = None, *, seed: int = 0) -> Training:
    """Train a :class:`NetModule` on the CPU and save it as ``log_dir/model_name/epoch=…-step=….ckpt``.

    The same seed and number of threads give the same weights on the same machine; torch's global generator is left as
    it was.

    Raises:
        MissingExtraError: Lightning is not installed.
    """
    try:
        import lightning
    except ImportError as error:
        raise MissingExtraError("lightning", "lightning") from error
    from seewhy.training.data_module import DataModule
    from seewhy.training.net_module import NetModule

    checked = check_config(read_config() if config is None else config)
    started = time.monotonic()
    data = DataModule(checked.plain)
    with torch.random.fork_rng(devices=[]), quiet_lightning():
        torch.manual_seed(seed)
        module = NetModule(checked.plain)
        checkpoint = _fit(lightning, module, data, checked)
    accuracy = share_right(module, data.val_dataloader())
    return Training(checkpoint, accuracy, time.monotonic() - started)


def share_right(module: nn.Module, loader: DataLoader[Any]) -> float:
    """The share of the records in batches ``(*pictures, label, id)`` whose class the module names; NaN for none."""
    hits: list[Tensor] = []
    with borrowed(module):
        for *pictures, labels, _ in loader:
            hits.append(module(*pictures).argmax(dim=1) == labels)
    return float(torch.cat(hits).float().mean()) if hits else float("nan")


def _fit(lightning: Any, module: Any, data: Any, config: TrainingConfig) -> Path:
    keep = lightning.pytorch.callbacks.ModelCheckpoint(dirpath=config.net.checkpoint_dir, filename="{epoch}-{step}")
    trainer = lightning.Trainer(
        accelerator="cpu",
        devices=1,
        max_epochs=config.net.max_epochs,
        gradient_clip_val=LARGEST_GRADIENT,
        default_root_dir=config.net.checkpoint_dir,
        callbacks=[keep],
        logger=False,
        num_sanity_val_steps=0,
        limit_val_batches=0,
        enable_progress_bar=False,
        enable_model_summary=False,
    )
    with warnings.catch_warnings():  # advice on workers and validation, and that the folder has older checkpoints
        warnings.simplefilter("ignore", lightning.fabric.utilities.warnings.PossibleUserWarning)
        warnings.filterwarnings("ignore", message=r".*exists and is not empty")
        trainer.fit(module, train_dataloaders=data.train_dataloader())
    return Path(keep.best_model_path)


def _age(path: Path) -> tuple[int, str]:
    return path.stat().st_mtime_ns, path.name


def _config_of(path: Path) -> Any:
    """The configuration that a checkpoint holds, None where it holds none or cannot be read safely."""
    try:
        held = read_torch_file(path, sniff(path))
    except CheckpointError:
        return None
    return held.get("hyper_parameters", {}).get("config") if isinstance(held, Mapping) else None
