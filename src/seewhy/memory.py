"""Out of memory: which errors say so, and how to give back what a failed attempt held."""

from __future__ import annotations

import gc
from typing import Final

import torch

_WORDS: Final = (
    "out of memory",
    "can't allocate memory",
    "cannot allocate memory",
    "DefaultCPUAllocator",
    "ALLOC_FAILED",  # of cuBLAS, cuDNN and cuFFT, whose workspaces torch's own allocator does not hand out
)


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error, or what it was raised from, says that memory did not suffice.

    Allocators of CPUs and of other libraries raise a plain ``RuntimeError`` that only its words tell apart.

    Example:
        >>> is_out_of_memory(MemoryError()), is_out_of_memory(RuntimeError("shapes do not fit"))
        (True, False)
    """
    seen: BaseException | None = error
    while seen is not None:
        if isinstance(seen, MemoryError | torch.OutOfMemoryError):
            return True
        if isinstance(seen, RuntimeError) and any(words in str(seen) for words in _WORDS):
            return True
        seen = seen.__cause__
    return False


def release() -> None:
    """Give back what a failed attempt held; to be called once its error is gone, which holds every tensor it made."""
    gc.collect()
    torch.cuda.empty_cache()  # does nothing where CUDA was not used
