"""Segmentation models whose answers can be derived by hand."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

CONV = {1: nn.Conv1d, 2: nn.Conv2d, 3: nn.Conv3d}


class PerPlace(nn.Module):
    """features = conv(x), logits = head(features) at every place: linear, so every gradient is known."""

    def __init__(self, rank: int = 2, *, channels: int = 2, features: int = 5, classes: int = 3) -> None:
        super().__init__()
        self.conv = CONV[rank](channels, features, 3, padding=1)
        self.head = CONV[rank](features, classes, 1)

    def forward(self, image: Tensor) -> Tensor:
        return self.head(self.conv(image))


class Unet(nn.Module):
    """Down, up, joined by a skip, in the manner of segmentation_models_pytorch: logits at the input's size."""

    def __init__(self, *, classes: int = 4, ending: nn.Module | None = None) -> None:
        super().__init__()
        self.encoder = nn.ModuleList([nn.Conv2d(3, 6, 3, padding=1), nn.Conv2d(6, 8, 3, stride=2, padding=1)])
        self.decoder = nn.Sequential(nn.Conv2d(14, 8, 3, padding=1), nn.BatchNorm2d(8), nn.ReLU(inplace=True))
        ends = [nn.Conv2d(8, classes, 3, padding=1), nn.Identity(), ending or nn.Identity()]
        self.segmentation_head = nn.Sequential(*ends)

    def forward(self, image: Tensor) -> Tensor:
        high = self.encoder[0](image).relu()
        low = self.encoder[1](high).relu()
        joined = torch.cat([high, F.interpolate(low, size=high.shape[2:])], dim=1)
        return self.segmentation_head(self.decoder(joined))


class Colours(nn.Module):
    """Planted evidence: class 0 is dark, class 1 red, class 2 green; class 2's logit also counts blue beside it.

    ``features`` are red, green, blue and 1 - their sum, smoothed over ``reach`` pixels to either side for blue.
    """

    def __init__(self, reach: int = 8) -> None:
        super().__init__()
        self.features = nn.Conv2d(3, 5, 2 * reach + 1, padding=reach)
        self.rectified = nn.ReLU()
        self.head = nn.Conv2d(5, 3, 1, bias=False)
        with torch.no_grad():
            self.features.weight.zero_()
            for colour in range(3):
                self.features.weight[colour, colour, reach, reach] = 1.0
            self.features.weight[3, :, reach, reach] = -1.0
            self.features.weight[4, 2] = 1 / (2 * reach + 1) ** 2
            self.features.bias.copy_(torch.tensor([0.0, 0.0, 0.0, 1.0, 0.0]))
            self.head.weight.zero_()
            self.head.weight[0, 3] = 1.0
            self.head.weight[1, 0] = 2.0
            self.head.weight[2, 1] = 2.0
            self.head.weight[2, 2] = 0.5
            self.head.weight[2, 4] = 1.0

    def forward(self, image: Tensor) -> dict[str, Tensor]:
        return {"out": self.head(self.rectified(self.features(image))), "aux": image[:, :1]}
