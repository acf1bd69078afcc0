"""Detectors whose evidence is known: a bright square is an object of the class its channel says, at its own place."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torchvision.models.detection.transform import GeneralizedRCNNTransform

STRIDE = 4
SIDE = 8.0


class PlantedHead(nn.Module):
    """Two convolutions that see blobs of colour, then a box of fixed size and class logits at every cell.

    Channel 0 is class 0, channel 1 class 1. The logit of a cell reads the 5 × 5 cells around it, and no others.
    """

    def __init__(self) -> None:
        super().__init__()
        self.pool = nn.Conv2d(3, 2, STRIDE, stride=STRIDE, bias=False)
        self.body = nn.Conv2d(2, 2, 3, padding=1, bias=False)
        self.relu = nn.ReLU(inplace=True)
        self.classes = nn.Conv2d(2, 2, 3, padding=1)
        with torch.no_grad():
            for layer in (self.pool, self.body, self.classes):
                layer.weight.zero_()
            for channel in range(2):
                self.pool.weight[channel, channel] = 1 / STRIDE**2
                self.body.weight[channel, channel] = torch.tensor([[0.0, 0.1, 0.0], [0.1, 0.6, 0.1], [0.0, 0.1, 0.0]])
                self.classes.weight[channel, channel] = torch.tensor(
                    [[0.5, 1.0, 0.5], [1.0, 4.0, 1.0], [0.5, 1.0, 0.5]]
                )
            self.classes.bias.fill_(-4.0)

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor]:
        logits = self.classes(self.relu(self.body(self.pool(image))))
        rows, columns = logits.shape[2:]
        y, x = torch.meshgrid(torch.arange(rows), torch.arange(columns), indexing="ij")
        centre = (torch.stack([x, y], dim=2).reshape(-1, 2).to(image) + 0.5) * STRIDE
        boxes = torch.cat([centre - SIDE / 2, centre + SIDE / 2], dim=1)
        return boxes.expand(len(image), -1, -1), logits.flatten(2).transpose(1, 2)


class PlantedYolo(PlantedHead):
    """Every cell is a candidate: ``(B, N, 4 + 2)``, corners and class logits."""

    def forward(self, image: Tensor) -> Tensor:
        return torch.cat(super().forward(image), dim=2)


class PlantedDetector(PlantedHead):
    """Answers as torchvision's detectors: sigmoid scores above 0.5 after suppression, one dictionary per picture."""

    def forward(self, images: list[Tensor]) -> list[dict[str, Tensor]]:
        boxes, logits = PlantedHead.forward(self, torch.stack(images))
        columns = images[0].shape[2] // STRIDE
        return [self.suppressed(*one, columns) for one in zip(boxes, logits.sigmoid(), strict=True)]

    @staticmethod
    def suppressed(boxes: Tensor, scores: Tensor, columns: int) -> dict[str, Tensor]:
        best, labels = scores.max(dim=1)
        peaks = F.max_pool2d(best.detach().reshape(1, -1, columns), 3, stride=1, padding=1).flatten()
        kept = ((best > 0.5) & (best == peaks)).nonzero().squeeze(1)
        kept = kept[best[kept].argsort(descending=True)]
        return {"boxes": boxes[kept], "labels": labels[kept], "scores": best[kept]}


FIRST, SECOND = (12, 24), (44, 56)
"""From where to where the two squares go, along both axes."""


def two_squares(channel: int = 0) -> Tensor:
    """A dark picture ``(3, 64, 64)`` with a square at the top left and a dimmer one at the bottom right."""
    picture = torch.zeros(3, 64, 64)
    picture[channel, slice(*FIRST), slice(*FIRST)] = 1.0
    picture[channel, slice(*SECOND), slice(*SECOND)] = 0.9
    return picture


class PlantedResizing(PlantedDetector):
    """The same behind torchvision's own normalising, resizing and padding, and back to the picture's pixels."""

    def __init__(self, shortest: int = 64) -> None:
        super().__init__()
        self.transform = GeneralizedRCNNTransform(shortest, 400, [0.0] * 3, [1.0] * 3, size_divisible=32)

    def forward(self, images: list[Tensor]) -> list[dict[str, Tensor]]:
        sizes = [(image.shape[1], image.shape[2]) for image in images]
        moved, _ = self.transform(images)
        boxes, logits = PlantedHead.forward(self, moved.tensors)
        columns = moved.tensors.shape[3] // STRIDE
        found = [self.suppressed(*one, columns) for one in zip(boxes, logits.sigmoid(), strict=True)]
        answer: list[dict[str, Tensor]] = self.transform.postprocess(found, moved.image_sizes, sizes)
        return answer


class PlantedPyramid(PlantedYolo):
    """Two levels in one dictionary: class 0 is told from the fine one, class 1 from the coarse one."""

    def __init__(self) -> None:
        super().__init__()
        self.levels = Levels(self.pool, self.body)

    def forward(self, image: Tensor) -> Tensor:
        fine, coarse = self.levels(image).values()
        tables = [self.classes(fine.relu()), self.classes(coarse.relu())]
        rows = [self.rows(table, only) for only, table in enumerate(tables)]
        return torch.cat(rows, dim=1)

    @staticmethod
    def rows(table: Tensor, only: int) -> Tensor:
        side = STRIDE * 2**only
        y, x = torch.meshgrid(*(torch.arange(length) for length in table.shape[2:]), indexing="ij")
        centre = (torch.stack([x, y], dim=2).reshape(-1, 2).to(table) + 0.5) * side
        boxes = torch.cat([centre - side, centre + side], dim=1).expand(len(table), -1, -1)
        other = table[:, 1 - only].flatten(1) * 0 - 20
        own = table[:, only].flatten(1)
        return torch.cat([boxes, torch.stack([own, other] if only == 0 else [other, own], dim=2)], dim=2)


class PlantedRawHead(PlantedYolo):
    """A head that hands out its raw maps of two sizes; each of their cells is one candidate's."""

    def __init__(self) -> None:
        super().__init__()
        self.raw = RawMaps(self.classes)

    def forward(self, image: Tensor) -> Tensor:
        fine, coarse = self.raw(self.relu(self.body(self.pool(image))))
        return torch.cat([PlantedPyramid.rows(fine, 0), PlantedPyramid.rows(coarse, 1)], dim=1)


class RawMaps(nn.Module):
    """Class maps of two sizes."""

    def __init__(self, classes: nn.Module) -> None:
        super().__init__()
        self.classes, self.shrink = classes, nn.AvgPool2d(2)

    def forward(self, features: Tensor) -> tuple[Tensor, Tensor]:
        return self.classes(features), self.classes(self.shrink(features))


class Levels(nn.Module):
    """A picture at stride 4 and at stride 8."""

    def __init__(self, pool: nn.Module, body: nn.Module) -> None:
        super().__init__()
        self.pool, self.fine, self.coarse, self.shrink = pool, body, nn.Conv2d(2, 2, 1, bias=False), nn.AvgPool2d(2)
        with torch.no_grad():
            self.coarse.weight.copy_(torch.eye(2)[:, :, None, None])

    def forward(self, image: Tensor) -> dict[str, Tensor]:
        pooled = self.pool(image)
        return {"fine": self.fine(pooled), "coarse": self.coarse(self.shrink(pooled))}
