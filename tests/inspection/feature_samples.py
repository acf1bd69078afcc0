"""Feature contents whose numbers can be written down."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import torch

from seewhy.features.statistics import ChannelStatistics

RELU = torch.tensor([[[0.0, 1.0], [0.0, 3.0]], [[0.0, 0.0], [2.0, 2.0]], [[0.0, 0.0], [0.0, 0.0]]])
"""Three channels of 2 × 2: means 1, 1 and 0; 8 of 12 values are zero; the third is dead on this input."""
SIGNED = torch.tensor([[[-1.0, 1.0], [-1.0, 1.0]], [[-2.0, 2.0], [-2.0, 2.0]]])
VECTOR = torch.tensor([0.5, 0.0, 1.5])
SIGNAL = torch.tensor([[0.0, 1.0, 2.0, 3.0], [0.0, 0.0, 4.0, 0.0]])
VOLUME = torch.arange(2 * 2 * 3 * 4.0).reshape(2, 2, 3, 4)


def content(**changes: Any) -> dict[str, Any]:
    """What an extraction of five layers of every rank gives."""
    return {
        "format": "seewhy.features/1",
        "activations": {
            "conv1": SIGNED[None],
            "relu": RELU[None],
            "signal": SIGNAL[None],
            "volume": VOLUME[None],
            "pooled": VECTOR[None],
        },
        "batch_idx": 1,
        "timestep": 4,
        "batch_info": {"verb": "take", "noun": "cup", "length": 8, "dataset": "Robofarmer-II", "image_size": 512},
        "layers": {"relu": {"module": "backbone.relu", "kind": "ReLU", "layout": "channels_first"}},
        "population": {},
        **changes,
    }


def population() -> dict[str, Any]:
    """1000 records in which the third channel of ``relu`` is active once."""
    records = RELU.repeat(1000, 1, 1, 1)
    records[500, 2, 0, 0] = 1.0
    return ChannelStatistics.of(records).state()


def foreign(path: Path, **changes: Any) -> Path:
    """As the original tool pickles: a list with one ``(1, C, H, W)`` per layer."""
    written = {
        "activations": {"conv1": [SIGNED[None]], "relu": [RELU[None]]},
        "batch_idx": 0,
        "timestep": 0,
        "batch_info": {"verb": "take", "noun": torch.tensor(3), "length": 8},
    }
    path.write_bytes(pickle.dumps({**written, **changes}))
    return path
