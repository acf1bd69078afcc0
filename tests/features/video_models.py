"""Small models of clips that go through time in different ways and compute the same numbers."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn

Way = Literal["folded", "folded by time", "frame by frame"]
WAYS: tuple[Way, ...] = ("folded", "folded by time", "frame by frame")


class Trunk(nn.Module):
    """Of pictures: two convolutions with one activation module that runs twice, then a vector."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1, self.conv2 = nn.Conv2d(3, 4, 3, padding=1), nn.Conv2d(4, 5, 3, stride=2, padding=1)
        self.act = nn.ReLU(inplace=True)

    def forward(self, pictures: Tensor) -> Tensor:
        return self.act(self.conv2(self.act(self.conv1(pictures)))).mean(dim=(2, 3))


class ClipNet(nn.Module):
    """``(B, T, C, H, W)`` through a trunk and an LSTM, whose time comes first where the rows run by time."""

    def __init__(self, way: Way = "folded") -> None:
        super().__init__()
        torch.manual_seed(3)
        self.way = way
        self.backbone, self.fc = Trunk(), nn.Linear(6, 2)
        self.lstm = nn.LSTM(5, 6, batch_first=way != "folded by time")

    def forward(self, frames: Tensor) -> Tensor:
        records, steps = frames.shape[:2]
        if self.way == "folded":
            features = self.backbone(frames.flatten(0, 1)).unflatten(0, (records, steps))
        elif self.way == "folded by time":
            features = self.backbone(frames.transpose(0, 1).flatten(0, 1)).unflatten(0, (steps, records))
        else:
            features = torch.stack([self.backbone(frames[:, step]) for step in range(steps)], dim=1)
        hidden, _ = self.lstm(features)
        return self.fc(hidden[-1] if self.way == "folded by time" else hidden[:, -1])


class TimeAttention(nn.Module):
    """Frames as vectors, mixed by a transformer layer over time."""

    def __init__(self) -> None:
        super().__init__()
        self.trunk = Trunk()
        self.mix = nn.TransformerEncoderLayer(5, 1, 8, batch_first=True)

    def forward(self, frames: Tensor) -> Tensor:
        return self.mix(self.trunk(frames.flatten(0, 1)).unflatten(0, frames.shape[:2])).mean(dim=1)
