"""What a model's weights are, in one digest."""

from __future__ import annotations

import hashlib
import os
from concurrent.futures import ThreadPoolExecutor
from operator import itemgetter

import torch
from torch import Tensor, nn
from torch.nn.parameter import is_lazy

from seewhy.values import ModelError

_COMPILED = "_orig_mod."


def weights_fingerprint(model: nn.Module) -> str:
    """SHA-256 over the names, dtypes, shapes and bytes of all parameters and buffers, in the order of their names.

    Tensors are digested side by side (hashing releases the interpreter lock), then the digests in order, so the result
    depends on neither the number of threads nor on ``torch.compile``.

    Raises:
        ModelError: ``SW-M60`` for tensors without values.
    """
    named = [*model.named_parameters(remove_duplicate=False), *model.named_buffers(remove_duplicate=False)]
    tensors = sorted(((name.replace(_COMPILED, ""), tensor) for name, tensor in named), key=itemgetter(0))
    with ThreadPoolExecutor(max_workers=min(8, os.cpu_count() or 1)) as pool:
        digests = pool.map(lambda entry: _digest(*entry), tensors)
        return hashlib.sha256(b"".join(digests)).hexdigest()


def _digest(name: str, tensor: Tensor) -> bytes:
    if is_lazy(tensor) or tensor.is_meta:
        raise ModelError(
            "SW-M60",
            f"{name} has no values yet (a lazy or meta tensor)",
            fix="load a checkpoint, or run the model once on an example",
        )
    header = f"{name}\0{tensor.dtype}\0{tuple(tensor.shape)}\0".encode()
    digest = hashlib.sha256(header)
    digest.update(_bytes(tensor))
    return digest.digest()


def _bytes(tensor: Tensor) -> memoryview:
    dense = tensor.detach().cpu().contiguous().reshape(-1)
    return dense.view(torch.uint8).numpy().data
