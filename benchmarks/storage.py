"""Bytes per record on disk, by kind and by ``render``: ResNet-18 and a small ViT at 224 pixels, on crops of photos.

Sizes in shards are those of the compressed columns. ``of the run itself`` is what a record costs beside what it holds:
ids, status, geometry, the places of its values, the footer and the manifest's line of its shard.
"""

from __future__ import annotations

import argparse
import tempfile
from collections import Counter
from pathlib import Path

import pyarrow.parquet as pq
import timm
import torch
import torchvision
from torch import nn

import seewhy
from seewhy.data.image_folder import ImageFolder
from whole_run import make_pictures

BAR = 300
"""Bytes per record of the run itself."""
KINDS = {
    "gradcam": "Grad-CAM maps (5 classes)", "attention": "attention maps (heads of the last layer)",
    "rollout": "attention rollout", "embeddings": "embedding", "probabilities": "probabilities",
    "previews": "preview", "files": "list of picture files",
}  # fmt: skip
ITSELF = "of the run itself"


def kind_of(column: str) -> str:
    """``gradcambest5@layer4.values.list.element`` is a map; its shape and classes are the run's own."""
    _, _, part = column.removesuffix(".list.element").removesuffix(".item").rpartition(".")
    if "@" in column or column.startswith("rollout"):
        held = next(kind for kind in KINDS if column.startswith(kind))
        return KINDS[held] if part == "values" else ITSELF
    return KINDS.get(column.partition(".")[0], ITSELF)


def sizes_of(root: Path) -> Counter[str]:
    """Bytes by kind of everything in a run directory."""
    found: Counter[str] = Counter()
    for path in sorted(root.rglob("*")):
        if not path.is_file() or path.name[0] == ".":
            continue
        size, place = path.stat().st_size, path.relative_to(root).parts[0]
        if place == "shards":
            inside = shard_sizes(path)
            found += inside
            found[ITSELF] += size - sum(inside.values())
        else:
            found[{"manifest.json": ITSELF, "gradcam": "pictures of Grad-CAM", "attention_maps": "attention sheet"}.get(
                place, f"exports: {place}")] += size  # fmt: skip
    return found


def shard_sizes(path: Path) -> Counter[str]:
    """Compressed bytes of the columns of a shard, by kind."""
    found: Counter[str] = Counter()
    with pq.ParquetFile(path) as file:
        for group in range(file.metadata.num_row_groups):
            row_group = file.metadata.row_group(group)
            for number in range(row_group.num_columns):
                column = row_group.column(number)
                found[kind_of(column.path_in_schema)] += column.total_compressed_size
    return found


def measure(name: str, model: nn.Module, records: int, folder: Path) -> None:
    """Print one model's table."""
    dataset = ImageFolder(folder / "pictures")
    by_mode = {}
    for render in ("all", "none"):
        root = folder / f"{name}_{render}"
        seewhy.run(model, dataset, root, render=render, batch_size=32)
        by_mode[render] = sizes_of(root)
    print(f"\n{name}, {records} records\n{'bytes per record':44}{'render=all':>12}{'render=none':>12}")
    kinds = sorted(by_mode["all"] | by_mode["none"], key=lambda kind: -by_mode["all"][kind])
    for kind in kinds:
        print(f"{kind:44}{by_mode['all'][kind] / records:12.0f}{by_mode['none'][kind] / records:12.0f}")
    shown = {mode: sum(sizes.values()) / records for mode, sizes in by_mode.items()}
    shards = {
        mode: sum(
            size for kind, size in sizes.items() if not kind.startswith(("exports", "pictures", "attention sheet"))
        )
        for mode, sizes in by_mode.items()
    }
    print(f"{'all':44}{shown['all']:12.0f}{shown['none']:12.0f}")
    print(f"{'shards and manifest alone':44}{shards['all'] / records:12.0f}{shards['none'] / records:12.0f}")
    print(f"{ITSELF}: {by_mode['none'][ITSELF] / records:.0f} bytes per record (bar {BAR})")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--records", type=int, default=512)
    asked = parser.parse_args()
    torch.manual_seed(0)
    models = {
        "resnet18": torchvision.models.resnet18().eval(),
        "vit_tiny_patch16_224": timm.create_model("vit_tiny_patch16_224").eval(),
    }
    with tempfile.TemporaryDirectory() as folder:
        make_pictures(Path(folder) / "pictures", asked.records)
        for name, model in models.items():
            measure(name, model, asked.records, Path(folder))


if __name__ == "__main__":
    main()
