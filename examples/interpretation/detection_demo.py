"""Explain a detector: for every box it finds, where the evidence for that box's class is.

    python examples/interpretation/detection_demo.py --output-dir detection

Trains a small detector on made pictures in a few seconds, so it needs no download: two discs and two squares lie on
noise, each map must lie on its own object. torchvision's detectors and Hugging Face's are explained by the same call,
without ``reader`` and ``passing``: explain_detection(detector, "street.jpg").
"""

from __future__ import annotations

import argparse
from pathlib import Path

import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor, nn
from torchvision.ops import batched_nms

from seewhy.explain.detection import explain_detection
from seewhy.models.detectors import BoxListReader

SIDE, STRIDE, CELLS = 96, 8, 12
NAMES = ["disc", "square"]


class Dense(nn.Module):
    """Every cell is a candidate, as in the YOLO family: ``(B, N, 4 + 2)``, centre, width, height and class logits."""

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(block(3, 12), block(12, 24), block(24, 32), block(32, 32, stride=1))
        self.head = nn.Conv2d(32, 4 + len(NAMES), 3, padding=1)
        nn.init.constant_(self.head.bias[4:], -3.0)

    def forward(self, image: Tensor) -> Tensor:
        rows = self.head(self.body(image)).flatten(2).transpose(1, 2)
        centre = cell_centres() + 8 * rows[..., :2]
        return torch.cat([centre, 16 * rows[..., 2:4].exp(), rows[..., 4:]], dim=2)


class Detector(nn.Module):
    """The same, answering as torchvision's detectors do: what is left after non-maximum suppression, by picture."""

    def __init__(self, dense: Dense) -> None:
        super().__init__()
        self.dense = dense

    def forward(self, images: list[Tensor]) -> list[dict[str, Tensor]]:
        return [self.suppressed(rows) for rows in self.dense(torch.stack(images))]

    @staticmethod
    def suppressed(rows: Tensor, threshold: float = 0.05, overlap: float = 0.4) -> dict[str, Tensor]:
        boxes = torch.cat([rows[:, :2] - rows[:, 2:4] / 2, rows[:, :2] + rows[:, 2:4] / 2], dim=1)
        scores, labels = rows[:, 4:].sigmoid().max(dim=1)
        kept = (scores > threshold).nonzero().squeeze(1)
        kept = kept[batched_nms(boxes[kept], scores[kept], labels[kept], overlap)]
        return {"boxes": boxes[kept], "labels": labels[kept], "scores": scores[kept]}


def block(inputs: int, outputs: int, stride: int = 2) -> nn.Sequential:
    """A convolution, batch norm and ReLU."""
    convolution = nn.Conv2d(inputs, outputs, 3, stride=stride, padding=1)
    return nn.Sequential(convolution, nn.BatchNorm2d(outputs), nn.ReLU(inplace=True))


def cell_centres() -> Tensor:
    """``(N, 2)``: the centre of each cell, x and y in pixels."""
    y, x = torch.meshgrid(torch.arange(CELLS), torch.arange(CELLS), indexing="ij")
    return (torch.stack([x, y], dim=2).reshape(-1, 2) + 0.5) * STRIDE


def scene(random: torch.Generator) -> tuple[Tensor, Tensor, Tensor]:
    """A picture ``(3, 96, 96)`` in [0, 1], boxes ``(4, 4)`` (centre, width, height) and labels of its objects."""
    vertical, horizontal = torch.meshgrid(torch.arange(SIDE), torch.arange(SIDE), indexing="ij")
    picture = 0.3 + 0.08 * torch.randn(3, SIDE, SIDE, generator=random)
    boxes, labels = [], torch.tensor([0, 1, 0, 1])[torch.randperm(4, generator=random)]
    for corner, label in enumerate(labels.tolist()):
        draw = torch.rand(3, generator=random).tolist()
        x, y = (24 + 48 * (corner % 2) + 10 * (draw[0] - 0.5), 24 + 48 * (corner // 2) + 10 * (draw[1] - 0.5))
        half = 8 + 4 * draw[2]
        disc = (vertical + 0.5 - y) ** 2 + (horizontal + 0.5 - x) ** 2 < half**2
        square = ((vertical + 0.5 - y).abs() < half) & ((horizontal + 0.5 - x).abs() < half)
        picture[:, square if label else disc] += 0.4
        boxes.append([x, y, 2 * half, 2 * half])
    return picture.clamp(0, 1), torch.tensor(boxes), labels


def trained(steps: int = 150) -> Dense:
    """The detector after some seconds of training on made scenes."""
    torch.manual_seed(0)
    random = torch.Generator().manual_seed(0)
    model = Dense().train()
    learnt = list(model.parameters())
    optimiser = torch.optim.Adam(learnt, lr=5e-3)
    for step in range(steps):
        pictures, boxes, labels = (torch.stack(each) for each in zip(*(scene(random) for _ in range(8)), strict=True))
        loss = loss_of(model(pictures), boxes, labels)
        for weight, gradient in zip(learnt, torch.autograd.grad(loss, learnt), strict=True):
            weight.grad = gradient
        optimiser.step()
        if step % 50 == 49:
            print(f"step {step + 1}: loss {float(loss.detach()):.3f}")
    return model.eval()


def loss_of(rows: Tensor, boxes: Tensor, labels: Tensor) -> Tensor:
    """The cell at an object's centre answers for it: its box by distance, its class by cross-entropy; others are 0."""
    cell = (boxes[..., 1] // STRIDE * CELLS + boxes[..., 0] // STRIDE).long()
    record = torch.arange(len(rows)).unsqueeze(1)
    classes = torch.zeros_like(rows[..., 4:])
    classes[record, cell, labels] = 1
    weight = torch.where(classes.amax(dim=2, keepdim=True) > 0, 8.0, 1.0).expand_as(classes)
    said = F.binary_cross_entropy_with_logits(rows[..., 4:], classes, weight=weight)
    return said + 0.02 * F.l1_loss(rows[record, cell, :4], boxes)


def saved(picture: Tensor, path: Path) -> Path:
    """A picture on disk, as a user has it."""
    Image.fromarray((picture.permute(1, 2, 0) * 255).round().byte().numpy()).save(path)
    return path


def explain_detections(output_dir: Path) -> None:
    """All boxes at once, one box by its place, and the same detector read as a tensor of candidates."""
    output_dir.mkdir(parents=True, exist_ok=True)
    dense = trained()
    street = saved(scene(torch.Generator().manual_seed(11))[0], output_dir / "objects.png")
    for method in ("hirescam", "integrated_gradients"):
        result = explain_detection(
            Detector(dense), street, method, reader=BoxListReader(), passing="records", class_names=NAMES,
            save_path=output_dir / f"detections_{method}.png",
        )  # fmt: skip
        found = ", ".join(f"{one['class_name']} {one['score']:.2f}" for one in result["detections"])
        print(f"{method}: {found}; through {sorted({str(layer) for layer in result['layers']})}")
    result = explain_detection(
        dense, street, "occlusion", bbox=result["detections"][0]["bbox"], boxes="xywh", class_names=NAMES,
        save_path=output_dir / "detection_by_place.png", window=8, stride=8,
    )  # fmt: skip
    print(f"occlusion: {result['detections'][0]['class_name']} at {result['detections'][0]['bbox']}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--output-dir", type=Path, default=Path("detection"))
    explain_detections(parser.parse_args().output_dir)


if __name__ == "__main__":
    main()
