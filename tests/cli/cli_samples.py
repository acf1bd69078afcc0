"""A folder such as a user of ``generate_artifacts`` works in, and the command run inside this process."""

from __future__ import annotations

import os
from pathlib import Path

import timm
import torch

from seewhy.store.run_reader import RunReader
from seewhy.values import RecordRow

TINY_VIT = {"img_size": 32, "patch_size": 8, "depth": 2, "embed_dim": 32, "num_heads": 2}

MY_EXPERIMENT = """\
defaults:
  - model: timm
  - data: cluttered_digits
  - paths: default

model:
  name: vit_tiny_patch16_224
  num_classes: 10
  kwargs: {img_size: 32, patch_size: 8, depth: 2, embed_dim: 32, num_heads: 2}

data:
  batch_size: 4
  num_workers: 0
  size: 32
  counts: {train: 4, val: 2, test: 3}

output_dir: ${paths.artifact_dir}/${experiment}
"""
PHOTOS = """\
defaults:
  - model: timm
  - data: image_folder
model:
  name: vit_tiny_patch16_224
  num_classes: 10
  kwargs: {img_size: 32, patch_size: 8, depth: 2, embed_dim: 32, num_heads: 2}
data: {root: photos, size: 32, num_workers: 0}
"""
DEFAULT = Path("artifacts/embeddings/my_experiment")
COUNTS = {"train": 4, "val": 2, "test": 3}


def write_experiment(folder: Path, name: str, text: str) -> Path:
    """``configs/experiment/<name>.yaml`` below ``folder``."""
    path = folder / "configs" / "experiment" / f"{name}.yaml"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


def rewrite_unseen(path: Path | str) -> None:
    """One bit of a file turned, its size and the time of its content kept, as a careless synchronisation leaves it."""
    before, content = Path(path).stat(), bytearray(Path(path).read_bytes())
    content[-1] ^= 1
    Path(path).write_bytes(content)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


def tiny_vit(classes: int = 10) -> torch.nn.Module:
    torch.manual_seed(0)
    return timm.create_model("vit_tiny_patch16_224", num_classes=classes, **TINY_VIT)


def write_lightning_checkpoint(path: Path, model: torch.nn.Module) -> Path:
    """What a LightningModule with the network as ``self.model`` leaves behind."""
    path.parent.mkdir(parents=True, exist_ok=True)
    state = {f"model.{name}": tensor for name, tensor in model.state_dict().items()}
    torch.save({"state_dict": state, "epoch": 3, "global_step": 10, "pytorch-lightning_version": "2.6.6"}, path)
    return path


def rows(root: Path, split: str) -> dict[str, RecordRow]:
    return {row.record_id: row for row in RunReader(root).rows(split)}


def files(root: Path) -> set[str]:
    """What a run holds; the hidden files beside it are no part of it."""
    return {path.relative_to(root).as_posix() for path in root.rglob("*") if path.is_file() and path.name[0] != "."}


def pictures(root: Path) -> set[str]:
    return {name for name in files(root) if name.endswith(".png")}
