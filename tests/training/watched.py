"""A small network trained with and without callbacks, and everything that a callback could have changed in it."""

from __future__ import annotations

import importlib
import logging
import os
import random
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

from borrowed import digest
from seewhy.models.borrow import unwrapped

NAMESPACES = ("lightning.pytorch", "pytorch_lightning")
RECORDS, CLASSES, SIZE = 24, 3, 12


def network(channels: int = 2) -> nn.Module:
    """Convolutions, batch norm, an in-place ReLU and dropout."""
    return nn.Sequential(
        nn.Conv2d(channels, 4, 3, stride=2, padding=1), nn.BatchNorm2d(4), nn.ReLU(inplace=True), nn.Dropout2d(0.3),
        nn.Conv2d(4, 6, 3, padding=1), nn.BatchNorm2d(6), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(),
        nn.Dropout(0.3), nn.Linear(6, CLASSES),
    )  # fmt: skip


def pictures(count: int = RECORDS) -> tuple[Tensor, Tensor]:
    own = torch.Generator().manual_seed(5)
    return torch.randn(count, 2, SIZE, SIZE, generator=own), torch.randint(0, CLASSES, (count,), generator=own)


def loader(batch: int = 4, shuffle: bool = True, count: int = RECORDS) -> DataLoader[Any]:
    return DataLoader(TensorDataset(*pictures(count)), batch_size=batch, shuffle=shuffle)


def module_of(namespace: str, net: nn.Module, rate: float = 0.05) -> Any:
    """``net`` as a LightningModule that notes at every training step whether all of it is in training mode."""
    lightning = importlib.import_module(namespace)

    class Learner(lightning.LightningModule):  # type: ignore[name-defined, misc]
        def __init__(self) -> None:
            super().__init__()
            self.net = net
            self.modes: list[bool] = []
            self.losses: list[float] = []

        def forward(self, image: Tensor) -> Tensor:
            return self.net(image)

        def training_step(self, batch: Any, number: int) -> Tensor:
            self.modes.append(all(part.training for part in self.modules()))
            loss = nn.functional.cross_entropy(self(batch[0]), batch[1])
            self.losses.append(float(loss.detach()))
            return loss

        def validation_step(self, batch: Any, number: int, dataloader_idx: int = 0) -> None:
            self(batch[0])

        def configure_optimizers(self) -> Any:
            return torch.optim.AdamW(self.parameters(), rate)

    return Learner()


@dataclass
class Left:
    """What a training left behind."""

    module: Any
    trainer: Any
    facts: dict[str, Any] = field(default_factory=dict)

    def differences(self, other: Left) -> list[str]:
        return [name for name in {**self.facts, **other.facts} if self.facts.get(name) != other.facts.get(name)]


def train(
    folder: Path,
    callbacks: Sequence[Any] = (),
    *,
    namespace: str = NAMESPACES[0],
    net: nn.Module | None = None,
    data: Any = None,
    validation: Any = None,
    compiled: bool = False,
    rate: float = 0.05,
    trainer_class: Any = None,
    **settings: Any,
) -> Left:
    """Train from the same seed; ``validation=False`` leaves it out."""
    lightning = importlib.import_module(namespace)
    torch.manual_seed(3), random.seed(3), np.random.seed(3)
    module = module_of(namespace, network() if net is None else net, rate)
    told: Mapping[str, Any] = {
        "max_epochs": 2, "accelerator": "cpu", "devices": 1, "logger": False, "enable_checkpointing": False,
        "enable_progress_bar": False, "enable_model_summary": False, "num_sanity_val_steps": 1,
    }  # fmt: skip
    with quiet():
        trainer = (trainer_class or lightning.Trainer)(
            **{**told, **settings}, callbacks=list(callbacks), default_root_dir=folder
        )
        given = torch.compile(module, backend="eager") if compiled else module
        validation = loader(shuffle=False) if validation is None else validation or None
        trainer.fit(given, loader() if data is None else data, validation)
    module = unwrapped(module)
    return Left(module, trainer, facts_of(module, trainer))


def facts_of(module: Any, trainer: Any) -> dict[str, Any]:
    """Weights, buffers, gradients, optimizer state, losses, modes and all random generators, to the bit."""
    tensors = {**dict(module.named_parameters()), **dict(module.named_buffers())}
    facts: dict[str, Any] = {name: digest(tensor) for name, tensor in tensors.items()}
    for name, weight in module.named_parameters():
        facts[f"gradient of {name}"] = None if weight.grad is None else digest(weight.grad)
    for number, state in trainer.optimizers[0].state_dict()["state"].items():
        facts.update({f"optimizer {number} {key}": digest(torch.as_tensor(value)) for key, value in state.items()})
    kind, keys, *rest = np.random.get_state()
    facts["losses"], facts["modes"] = module.losses, module.modes
    facts["python's generator"], facts["numpy's generator"] = random.getstate(), (kind, keys.tobytes(), *rest)
    facts["torch's generator"] = digest(torch.get_rng_state())
    return facts


@contextmanager
def quiet() -> Iterator[None]:
    """Without Lightning's advice and torch's deprecations that it walks into."""
    levels = {name: logging.getLogger(name).level for name in NAMESPACES}
    for name in levels:
        logging.getLogger(name).setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message=r".*(treespec|num_workers|does not have many workers).*")
            warnings.filterwarnings("ignore", message=r".*(number of training batches|exists and is not empty).*")
            warnings.filterwarnings("ignore", message=r".*(val_dataloader|TensorBoardX|sampler has shuffling).*")
            warnings.filterwarnings(
                "ignore",
                message=r".*(\.grad attribute of a Tensor|isolated_log_dir|The '.*' was not|Checkpoint directory).*",
            )
            yield
    finally:
        for name, level in levels.items():
            logging.getLogger(name).setLevel(level)


@contextmanager
def own_process_group() -> Iterator[None]:
    """Lets Lightning start a process group of one, and undoes what that leaves in the process."""
    before = dict(os.environ)
    try:
        yield
    finally:
        if torch.distributed.is_initialized():
            torch.distributed.destroy_process_group()
        for name in set(os.environ) - set(before):
            del os.environ[name]
        os.environ.update(before)
