"""Models and data of several inputs, volumes, clips and signals, on which Grad-CAM has a closed form."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.data import Dataset

from toys import GapLinear

SHAPES = {"mnv": (2, 8, 8), "fluid": (2, 6, 10)}


def values_of(record_id: str, shape: Sequence[int]) -> Tensor:
    """Values that follow from the id and the shape alone."""
    seed = int.from_bytes(hashlib.sha256(f"{record_id}{shape}".encode()).digest()[:6], "big")
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


class Named(Dataset[Any]):
    """Items ``({name: tensor}, label, id)``; a shape may be given for all records or differ from one to another."""

    def __init__(self, ids: Sequence[str], shapes: Mapping[str, Sequence[int]], taller: Sequence[str] = ()) -> None:
        self.record_ids, self.shapes, self.taller = list(ids), dict(shapes), set(taller)

    def __len__(self) -> int:
        return len(self.record_ids)

    def inputs(self, record_id: str) -> dict[str, Tensor]:
        more = 2 if record_id in self.taller else 0
        return {
            name: values_of(f"{name}/{record_id}", (*shape[:-1], shape[-1] + more))
            for name, shape in self.shapes.items()
        }

    def __getitem__(self, i: int) -> tuple[dict[str, Tensor], int, str]:
        return self.inputs(self.record_ids[i]), i % 3, self.record_ids[i]


class TwoGaps(nn.Module):
    """Two GAP-linear branches whose logits are added: each map's sum is what its branch adds to the logit."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(2)
        self.first, self.second = GapLinear(), GapLinear()
        self.calls = 0

    def forward(self, mnv: Tensor, fluid: Tensor) -> Tensor:
        self.calls += 1
        return self.first(mnv) + self.second(fluid)


def gap_map(branch: GapLinear, values: Tensor, index: int) -> Tensor:
    """Grad-CAM of a GAP-linear network for one record, before ReLU: weights over cells times features."""
    with torch.no_grad():
        features = branch.conv(values[None])[0]
        weights = branch.fc.weight[index] / features[0].numel()
        return torch.tensordot(weights, features, dims=1)
