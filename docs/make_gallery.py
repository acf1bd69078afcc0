"""Make the gallery's pictures: two photographs, a digit, and what models trained on them look at.

    python docs/make_gallery.py [--output-dir docs/gallery]

The photographs are those bundled with scikit-learn. A small ResNet learns to tell their crops apart (under a minute),
in colour and in grey, so that a map has something to show; the digits and their models are the demo's.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import timm
import torch
import torch.nn.functional as F
from PIL import Image
from sklearn.datasets import load_sample_images
from torch import Tensor, nn

import seewhy
from seewhy.demo.models import load
from seewhy.pixels import Normalisation

STEPS = 40
CROP = 96
CLASSES = ("temple", "flower")
PIXEL_METHODS = ("integrated_gradients", "smoothgrad", "guided_gradcam", "occlusion")
CAM_METHODS = ("gradcam", "gradcam++", "layercam", "scorecam")
ATTENTION_METHODS = ("rollout", "attention_relevance", "legrad")
SETTINGS = {"smoothgrad": {"num_samples": 20, "of": "saliency"}, "integrated_gradients": {"steps": "auto"}}
DIGITS = {"mean": (0.5,) * 3, "std": (0.5,) * 3, "size": 64, "crop": "none"}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--output-dir", type=Path, default=Path(__file__).parent / "gallery")
    parser.add_argument("--steps", type=int, default=STEPS, help="training steps of the photographs' model")
    asked = parser.parse_args()
    asked.output_dir.mkdir(parents=True, exist_ok=True)
    photographs = [Image.fromarray(pixels) for pixels in load_sample_images().images]
    model = trained(photographs, asked.steps)
    for name, photograph in zip(CLASSES, photographs, strict=True):
        for kind, methods in (("cams", CAM_METHODS), ("pixels", PIXEL_METHODS)):
            compare(model, photograph, methods, asked.output_dir / f"{name}_{kind}.jpg", class_names=CLASSES)
    scene = seewhy.ClutteredDigits(counts={"test": 3})
    digit = Image.fromarray(scene.picture(scene.read(1).inputs))
    compare(load("cnn"), digit, CAM_METHODS, asked.output_dir / "digit_cams.jpg", preprocessing=DIGITS)
    compare(load("vit"), digit, ATTENTION_METHODS, asked.output_dir / "digit_attention.jpg", preprocessing=DIGITS)


def compare(model: nn.Module, picture: Image.Image, methods: tuple[str, ...], path: Path, **how: object) -> None:
    """One row: the picture, then each method's map over it."""
    settings = {name: SETTINGS[name] for name in methods if name in SETTINGS}
    size = (2.6 * (len(methods) + 1), 2.6 * picture.height / picture.width + 0.3)
    results = seewhy.compare_methods(
        model,
        picture,
        list(methods),
        save_path=path,
        settings=settings,
        figsize=size,
        colormap="turbo",
        alpha=0.6,
        **how,
    )
    for name, result in results.items():
        print(path.name, name, result.get("error") or f"{result['label']} {result['confidence']:.0%}")


def trained(photographs: list[Image.Image], steps: int) -> nn.Module:
    """A small ResNet that tells crops of the two photographs apart."""
    torch.manual_seed(0)
    generator = torch.Generator().manual_seed(0)
    normalisation = Normalisation()
    pixels = [torch.frombuffer(bytearray(one.tobytes()), dtype=torch.uint8) for one in photographs]
    planes = [
        plane.reshape(one.height, one.width, 3).permute(2, 0, 1).float() / 255
        for plane, one in zip(pixels, photographs, strict=True)
    ]
    model = timm.create_model("resnet10t", num_classes=len(CLASSES))
    optimiser = torch.optim.AdamW(model.parameters(), lr=1e-3)
    for step in range(steps):
        labels = torch.randint(0, len(CLASSES), (32,), generator=generator)
        crops = torch.stack([random_crop(planes[label], generator) for label in labels.tolist()])
        loss = F.cross_entropy(model(torch.stack([normalisation.apply(crop) for crop in crops])), labels)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        if step % 10 == 9:
            print(f"step {step + 1}: loss {loss.item():.3f}")
    return model.eval()


def random_crop(plane: Tensor, generator: torch.Generator) -> Tensor:
    """A square of random place and size, in colour or nearer to grey, so that colour alone does not tell."""
    height, width = plane.shape[1:]
    side = int(torch.randint(90, height, (1,), generator=generator))
    top = int(torch.randint(0, height - side + 1, (1,), generator=generator))
    left = int(torch.randint(0, width - side + 1, (1,), generator=generator))
    square = plane[None, :, top : top + side, left : left + side]
    crop = F.interpolate(square, size=(CROP, CROP), mode="bilinear", antialias=True)[0]
    colour, brightness = torch.rand(2, generator=generator).tolist()
    crop = colour * crop + (1 - colour) * crop.mean(dim=0, keepdim=True)
    return (crop * (0.7 + 0.6 * brightness)).clamp(0, 1)


if __name__ == "__main__":
    main()
