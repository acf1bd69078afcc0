"""From a checkpoint file to named tensors. Files are never trusted: nothing in them is run or imported."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from os import PathLike
from pathlib import Path

from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from seewhy.models.checkpoint_place import checkpoint_on_disk
from seewhy.models.sniff import sniff
from seewhy.models.torch_file import read_torch_file
from seewhy.models.unwrap import Prefer, unwrap
from seewhy.values import CheckpointError


@dataclass(frozen=True)
class StateDict:
    """The weights of a checkpoint by name, what reading passed over, and the SHA-256 of the file's content.

    ``place`` is where it came from, without what an address keeps secret; ``fetched`` is the size in bytes of a file
    that came from a store.
    """

    tensors: Mapping[str, Tensor]
    notes: tuple[str, ...]
    sha256: str
    place: str
    fetched: int | None = None


def read_state_dict(path: str | PathLike[str], *, prefer: Prefer = "model") -> StateDict:
    """The weights of a Lightning ``.ckpt``, a bare or wrapped state dict, or a ``.safetensors`` file.

    ``path`` may be an address (``s3://bucket/last.ckpt``, ``hf://user/name/model.safetensors``): the file is fetched
    whole, into the cache, before it is looked at. The format is told from the content. Tensors stay on the CPU and,
    where the format allows it, on disk until used. ``prefer="ema"`` takes averaged weights. Hyper-parameters of
    ordinary foreign types are skipped with a note.

    Raises:
        CheckpointError: ``SW-C01`` to ``SW-C19``; see ``docs/errors.md``. ``SW-C50`` to ``SW-C54`` from a store.

    Example:
        >>> import tempfile, torch
        >>> torch.save({"state_dict": {"weight": torch.ones(2)}}, path := tempfile.mkdtemp() + "/last.ckpt")
        >>> read_state_dict(path).notes
        ("weights taken from 'state_dict'",)
    """
    with checkpoint_on_disk(path) as place:
        file_format = sniff(place.path)
        if file_format == "safetensors":
            tensors, notes = _read_safetensors(place.path, prefer), list[str]()
        else:
            tensors, notes = unwrap(read_torch_file(place.path, file_format), prefer)
        return StateDict(tensors, tuple(notes), file_sha256(place.path), place.called, place.fetched)


def file_sha256(path: Path) -> str:
    """SHA-256 of a file's content, read in pieces."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _read_safetensors(path: Path, prefer: Prefer) -> dict[str, Tensor]:
    if prefer == "ema":
        raise CheckpointError("SW-C17", f"{path}: a .safetensors file holds one set of weights", fix="prefer='model'")
    try:
        tensors: dict[str, Tensor] = load_file(path)
    except (SafetensorError, ValueError, KeyError, RuntimeError) as error:
        raise CheckpointError(
            "SW-C15",
            f"{path} is a damaged .safetensors file (size {path.stat().st_size} bytes; {error})",
            fix="compare the size with the original and copy it again",
        ) from error
    if not tensors:
        raise CheckpointError("SW-C13", f"{path} holds no tensors", fix="give the file with the weights")
    return tensors
