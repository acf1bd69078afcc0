"""Explain a segmentation: where a class is seen, what speaks for it there, and how sure the model is of each pixel.

    python examples/interpretation/segmentation_demo.py --output-dir segmentation

Trains a small network on made pictures in a few seconds, so it needs no download: discs and squares are grey alike, and
a disc counts as "lit" only while a bright bar stands beside it. What the network looks at is therefore known.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor, nn

from seewhy.explain.regression import explain_regression
from seewhy.explain.segmentation import explain_segmentation
from seewhy.explain.similarity import explain_similarity

SIDE = 64
NAMES = ["ground", "square", "dark disc", "lit disc", "bar"]
PLAIN = {"size": SIDE, "mean": [0.5] * 3, "std": [0.5] * 3, "crop": "none"}
"""How the network is fed: the whole picture at 64 × 64, values in [-1, 1]."""


class SmallUnet(nn.Module):
    """Two steps down and up with skips; answers as torchvision's segmentation models do."""

    def __init__(self, classes: int) -> None:
        super().__init__()
        self.stem, self.down = block(3, 8), block(8, 16, stride=2)
        self.bottom = nn.Sequential(block(16, 32, stride=2), block(32, 32, size=5))
        self.up, self.join = block(32 + 16, 16), block(16 + 8, 12)
        self.classifier = nn.Conv2d(12, classes, 1)

    def forward(self, image: Tensor) -> dict[str, Tensor]:
        high = self.stem(image)
        middle = self.down(high)
        low = self.up(torch.cat([larger(self.bottom(middle), middle), middle], dim=1))
        return {"out": self.classifier(self.join(torch.cat([larger(low, high), high], dim=1)))}


class LitArea(nn.Module):
    """A regression: the share of the picture that the segmentation sees as lit disc, less that of dark disc."""

    def __init__(self, segmenter: SmallUnet) -> None:
        super().__init__()
        self.segmenter = segmenter

    def forward(self, image: Tensor) -> Tensor:
        shares = self.segmenter(image)["out"].softmax(dim=1).mean(dim=(2, 3))
        return shares[:, 3:4] - shares[:, 2:3]


def block(inputs: int, outputs: int, size: int = 3, stride: int = 1) -> nn.Sequential:
    """A convolution, batch norm and ReLU."""
    convolution = nn.Conv2d(inputs, outputs, size, stride=stride, padding=size // 2)
    return nn.Sequential(convolution, nn.BatchNorm2d(outputs), nn.ReLU(inplace=True))


def larger(features: Tensor, like: Tensor) -> Tensor:
    """Features at the size of others."""
    return F.interpolate(features, size=like.shape[2:], mode="bilinear", align_corners=False)


def scene(random: torch.Generator, lit: bool | None = None) -> tuple[Tensor, Tensor]:
    """A picture ``(3, 64, 64)`` in [-1, 1] and its labels: a square, and a disc with or without a bar beside it."""
    draw = torch.rand(7, generator=random).tolist()
    lit = draw[0] < 0.5 if lit is None else lit
    upright = draw[1] < 0.5
    row, column = 14 + 36 * draw[2], 14 + 4 * draw[3]
    vertical, horizontal = torch.meshgrid(torch.arange(SIDE), torch.arange(SIDE), indexing="ij")
    disc = (vertical - row) ** 2 + (horizontal - column) ** 2 < 64
    bar = ((vertical - row).abs() < 8) & ((horizontal - column - 12).abs() < 2) if lit else torch.zeros_like(disc)
    top, start = 6 + int(40 * draw[4]), 40 + int(6 * draw[5])
    square = (vertical >= top) & (vertical < top + 14) & (horizontal >= start) & (horizontal < start + 14)
    labels = torch.zeros(SIDE, SIDE, dtype=torch.long)
    labels[square], labels[disc], labels[bar] = 1, 3 if lit else 2, 4
    grey = -0.6 + 0.15 * torch.randn(SIDE, SIDE, generator=random)
    picture = torch.stack([grey, grey, grey + 0.1 * draw[6]])
    picture[:, square | disc] += 0.8
    picture[:2, bar] += 1.4
    picture = picture.clamp(-1, 1)
    return (picture, labels) if upright else (picture.flip(1), labels.flip(0))


def trained(steps: int = 120) -> SmallUnet:
    """The network after some seconds of training on made scenes."""
    torch.manual_seed(0)
    random = torch.Generator().manual_seed(0)
    model = SmallUnet(len(NAMES)).train()
    learnt = list(model.parameters())
    optimiser = torch.optim.Adam(learnt, lr=1e-2)
    rarity = torch.tensor([0.3, 1.0, 3.0, 3.0, 3.0])
    for step in range(steps):
        pictures, labels = (torch.stack(each) for each in zip(*(scene(random) for _ in range(8)), strict=True))
        loss = F.cross_entropy(model(pictures)["out"], labels, weight=rarity)
        for weight, gradient in zip(learnt, torch.autograd.grad(loss, learnt), strict=True):
            weight.grad = gradient
        optimiser.step()
        if step % 40 == 39:
            print(f"step {step + 1}: loss {float(loss.detach()):.3f}")
    return model.eval()


def saved(picture: Tensor, path: Path) -> Path:
    """A picture on disk at four times its size, as a user has it."""
    pixels = ((picture.permute(1, 2, 0) + 1) * 127.5).round().byte().numpy()
    Image.fromarray(pixels).resize((4 * SIDE, 4 * SIDE), Image.Resampling.NEAREST).save(path)
    return path


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--output-dir", type=Path, default=Path("segmentation"))
    explain_scenes(parser.parse_args().output_dir)


def explain_scenes(output_dir: Path) -> None:
    """Segmentation with its uncertainty, what two scenes share, and what moves a number."""
    output_dir.mkdir(parents=True, exist_ok=True)
    model = trained()
    random = torch.Generator().manual_seed(7)
    lit = saved(scene(random, lit=True)[0], output_dir / "lit.png")
    dark = saved(scene(random, lit=False)[0], output_dir / "dark.png")
    segment(model, lit, output_dir)
    compare(model, lit, dark, output_dir)
    measure(model, lit, output_dir)


def segment(model: SmallUnet, picture: Path, output_dir: Path) -> None:
    """Two classes at the last layer, then one at a deeper layer, whose cells see more of what is around them."""
    for measure_of, target in (("entropy", "lit disc"), ("margin", "square")):
        result = explain_segmentation(
            model,
            picture,
            target,
            uncertainty_method=measure_of,
            class_names=NAMES,
            background=0,
            preprocessing=PLAIN,
            save_path=output_dir / f"segmentation_{measure_of}.png",
        )
        present = ", ".join(f"{NAMES[one]} {share:.1%}" for one, share in result["classes"].items())
        print(f"{target} through {result['target_layer']}: mean logit {result['score']:.2f}; present: {present}")
    deeper = explain_segmentation(
        model, picture, "lit disc", target_layer="up", class_names=NAMES, background=0, preprocessing=PLAIN,
        save_path=output_dir / "segmentation_deeper.png",
    )  # fmt: skip
    print(f"mean entropy {float(deeper['uncertainty'].mean()):.3f} nats")


def compare(model: SmallUnet, picture: Path, other: Path, output_dir: Path) -> None:
    """What two scenes share, to the features in the middle of the network."""
    result = explain_similarity(
        model, picture, other, embedding_layer="bottom", preprocessing=PLAIN,
        save_path=output_dir / "similarity.png",
    )  # fmt: skip
    print(f"cosine of the two scenes at {result['embedding_layer']}: {result['similarity']:.3f}")


def measure(model: SmallUnet, picture: Path, output_dir: Path) -> None:
    """What raises and what lowers a number that is computed from the picture."""
    result = explain_regression(
        LitArea(model), picture, output_names=["lit less dark"], preprocessing=PLAIN,
        save_path=output_dir / "regression.png",
    )  # fmt: skip
    print(f"{result['output_label']} = {result['value']:.4f}, {result['share_raising']:.0%} of evidence raises it")


if __name__ == "__main__":
    main()
