"""Checkpoint files of every kind the reader must handle, written as their real makers write them."""

from __future__ import annotations

import argparse
import enum
import functools
import os
import pathlib
import pickle
import zipfile
from collections import OrderedDict, defaultdict, deque
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch
from omegaconf import OmegaConf
from torch import Tensor, nn


class Colour(enum.Enum):
    RED = 1


class TinyNet(nn.Module):
    """Two layers and a batch norm: 8 counted tensors and one ``num_batches_tracked``."""

    def __init__(self, classes: int = 3) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3)
        self.norm = nn.BatchNorm2d(4)
        self.fc = nn.Linear(4, classes)

    def forward(self, image: Tensor) -> Tensor:
        return self.fc(self.norm(self.conv(image)).mean((2, 3)))


class CompiledLike(nn.Module):
    """A model as ``torch.compile`` names it, without the ten seconds its compiler takes to import."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self._orig_mod = model


class Canary:
    """Unpickled by an ordinary reader, it makes a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self.folder),)


def windows_path() -> pathlib.PurePath:
    return pathlib.PureWindowsPath("C:/data/acdc")


ORDINARY_HPARAMS: dict[str, Callable[[], Any]] = {
    "argparse.Namespace": lambda: argparse.Namespace(lr=1e-3, names=["a"], nested=argparse.Namespace(x=1)),
    "pathlib.PosixPath": lambda: pathlib.PosixPath("/data/acdc"),
    "pathlib.PureWindowsPath": windows_path,
    "numpy scalar": lambda: np.float64(0.1),
    "numpy array": lambda: np.arange(6, dtype=np.int64).reshape(2, 3),
    "numpy dtype": lambda: np.dtype("float32"),
    "numpy scalar type": lambda: np.float32,
    "omegaconf.DictConfig": lambda: OmegaConf.create(
        {"optim": {"lr": 1e-3, "betas": [0.9, 0.99]}, "same": "${optim.lr}"}
    ),
    "omegaconf.ListConfig": lambda: OmegaConf.create([1, {"a": None}, "x"]),
    "types.SimpleNamespace": lambda: SimpleNamespace(depth=12),
    "defaultdict": lambda: defaultdict(list, {"a": [1]}),
    "deque": lambda: deque([1, 2], maxlen=5),
    "frozenset": lambda: frozenset({1}),
    "torch version": lambda: torch.__version__,
    "class of a config": lambda: type(OmegaConf.create({})),
    "plain values": lambda: {"lr": 1e-3, "tags": {"a", "b"}, "dtype": torch.float16, "size": torch.Size([2, 3])},
}

REFUSED_HPARAMS: dict[str, tuple[Callable[[], Any], str]] = {
    "an Enum of the user's": (lambda: Colour.RED, "checkpoint_files.Colour"),
    "functools.partial": (lambda: functools.partial(nn.Linear, 3), "functools.partial"),
    "a loss module": (nn.CrossEntropyLoss, "torch.nn.modules.loss.CrossEntropyLoss"),
    "a class object": (lambda: TinyNet, "checkpoint_files.TinyNet"),
    "a function": (lambda: windows_path, "checkpoint_files.windows_path"),
}


def lightning(weights: dict[str, Tensor], hparams: Any, **extra: Any) -> dict[str, Any]:
    """The layout of Lightning 2: weights under ``state_dict``, optimizer state and hyper-parameters beside them."""
    moments = {index: {"exp_avg": torch.zeros_like(tensor)} for index, tensor in enumerate(weights.values())}
    return {
        "epoch": 3,
        "global_step": 10,
        "pytorch-lightning_version": "2.6.6",
        "state_dict": OrderedDict(weights),
        "optimizer_states": [{"state": moments, "param_groups": [{"lr": 1e-3, "params": list(moments)}]}],
        "lr_schedulers": [],
        "hparams_name": "kwargs",
        "hyper_parameters": hparams,
        **extra,
    }


def raw_checkpoint(path: Path, pickled: bytes) -> Path:
    """A torch zip whose ``data.pkl`` is given byte by byte."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
        archive.writestr("archive/data.pkl", pickled)
        archive.writestr("archive/byteorder", b"little")
        archive.writestr("archive/version", b"3\n")
    return path


def asking_for(module: str, name: str) -> bytes:
    """A protocol-2 pickle of ``{"hyper_parameters": module.name()}``."""
    key = b"hyper_parameters"
    return b"\x80\x02}X" + len(key).to_bytes(4, "little") + key + f"c{module}\n{name}\n".encode() + b")Rs."


def plain_pickle(path: Path, content: Any) -> Path:
    path.write_bytes(pickle.dumps(content, protocol=2))
    return path
