"""From a training checkpoint to the small file that is shipped."""

from __future__ import annotations

from collections.abc import Mapping
from os import PathLike
from pathlib import Path

from safetensors.torch import save_file
from torch import Tensor

from seewhy.models.checkpoint import read_state_dict

_OF_THE_MODULE = "model."


def export(checkpoint: str | PathLike[str], path: str | PathLike[str], facts: Mapping[str, str]) -> Path:
    """Write a checkpoint's weights in half precision as ``.safetensors``, with ``facts`` in its header.

    Whole numbers stay as they are. ``facts`` say what the weights reach, such as ``{"accuracy": "0.970"}``.

    Raises:
        CheckpointError: when the checkpoint cannot be read.
    """
    tensors = read_state_dict(checkpoint).tensors
    weights = {name.removeprefix(_OF_THE_MODULE): _halved(tensor) for name, tensor in tensors.items()}
    target = Path(path)
    target.parent.mkdir(parents=True, exist_ok=True)
    save_file(weights, target, metadata=dict(facts))
    return target


def _halved(tensor: Tensor) -> Tensor:
    return tensor.half().contiguous() if tensor.is_floating_point() else tensor.contiguous()
