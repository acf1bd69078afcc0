"""Where kept tensors go: memory while they are few, files of their own beyond that."""

from __future__ import annotations

import shutil
import tempfile
import weakref
from pathlib import Path
from typing import Final

import torch
from torch import Tensor

from seewhy.store.files import make_directory

MEMORY: Final = 256 * 2**20
"""Bytes kept in memory before tensors go to disk."""


class Shelf:
    """Copies tensors to the CPU; beyond ``memory`` bytes each goes straight to a file and is mapped from there.

    The files lie in a folder of their own below ``folder``, which goes with :meth:`clear` or with the shelf.
    """

    def __init__(self, folder: Path, memory: int = MEMORY) -> None:
        self._folder, self._memory = folder, memory
        self._held, self._files = 0, 0
        self._drawer: Path | None = None
        self._gone: weakref.finalize[..., object] | None = None

    def keep(self, tensor: Tensor) -> Tensor:
        """A copy of a tensor that stays as it is."""
        size = tensor.numel() * tensor.element_size()
        if not size or self._held + size <= self._memory:
            self._held += size
            return tensor.to("cpu", copy=True).contiguous()
        path = self._new_file()
        mapped = torch.from_file(str(path), shared=True, size=tensor.numel(), dtype=tensor.dtype).reshape(tensor.shape)
        return mapped.copy_(tensor)

    def clear(self) -> None:
        """Forget everything; mapped tensors that are still held keep their memory until they are let go."""
        if self._gone is not None:
            self._gone()
        self._held, self._files, self._drawer, self._gone = 0, 0, None, None

    def _new_file(self) -> Path:
        if self._drawer is None:
            make_directory(self._folder)
            self._drawer = Path(tempfile.mkdtemp(prefix=".kept-", dir=self._folder))
            self._gone = weakref.finalize(self, shutil.rmtree, self._drawer, ignore_errors=True)
        self._files += 1
        return self._drawer / f"{self._files}.bin"
