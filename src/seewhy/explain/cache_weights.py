"""A model's weights by their SHA-256, remembered for as long as a look at every word says that they are the same."""

from __future__ import annotations

import hashlib
import weakref
from collections.abc import Sequence
from typing import Final, NamedTuple, TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from seewhy.explain.cache_canonical import CannotBeKeyedError
from seewhy.models.fingerprint import weights_fingerprint

COLUMNS: Final = (1021, 1019)
"""Words of 8 bytes are summed by their number modulo each of these primes."""
LOW: Final = 24
"""Bits of each word that the second sums leave out, so that no carry out of their 64 bits hides a change of signs."""
ROWS: Final = 128
SMALL: Final = 1 << 14
"""Bytes up to which a tensor is digested whole."""


class Place(NamedTuple):
    """Where a tensor lies and how often torch wrote to it."""

    name: str
    address: int
    dtype: torch.dtype
    shape: torch.Size
    strides: tuple[int, ...]
    device: torch.device
    version: int


Layout: TypeAlias = tuple[Place, ...]

_known: weakref.WeakKeyDictionary[nn.Module, tuple[Layout, bytes, str]] = weakref.WeakKeyDictionary()


def weights_of(model: nn.Module) -> str:
    """SHA-256 of all parameters and buffers (:func:`seewhy.models.fingerprint.weights_fingerprint`), cheaply.

    It is computed once. From then on every tensor's address, type, shape, strides and version must be what they were,
    and so must a check sum of all values: tensors of up to 16 KiB digested whole, of larger ones 1021 sums of their
    8-byte words, the word ``i`` in the sum ``i mod 1021``, and 1019 sums of the upper 40 bits of each, the word ``i``
    in the sum ``i mod 1019``. A write through ``.data`` or through shared NumPy memory is seen by the sums. What they
    cannot see is a write behind torch's back that leaves all 2040 sums as they are: an exchange of two words a multiple
    of 1 040 399 words (8.3 MB) apart, an exchange of words a multiple of 1021 apart that differ in their lowest 24 bits
    only, or changes of several words made to cancel. Nothing is kept on the model or keeps it alive.

    Raises ``CannotBeKeyedError`` for tensors without plain memory, ``ModelError`` SW-M60 for those without values.

    Example:
        >>> model = nn.Linear(2, 2)
        >>> before = weights_of(model)
        >>> model.weight.data[0, 0] += 1
        >>> weights_of(model) == before
        False
    """
    return weights_and_layout(model)[0]


def weights_and_layout(model: nn.Module) -> tuple[str, Layout]:
    """:func:`weights_of` with :func:`layout_of`, of one look at the model."""
    tensors = _tensors(model)
    layout, content = _layout(tensors), check_sum(list({id(tensor): tensor for _, tensor in tensors}.values()))
    known = _known.get(model)
    if known is not None and known[:2] == (layout, content):
        return known[2], layout
    found = weights_fingerprint(model)
    _known[model] = (layout, content, found)
    return found, layout


def layout_of(model: nn.Module) -> Layout:
    """Every tensor's name, address, type, shape, strides, device and version: changes when torch writes to one."""
    return _layout(_tensors(model))


def _layout(tensors: Sequence[tuple[str, Tensor]]) -> Layout:
    return tuple(
        Place(name, tensor.data_ptr(), tensor.dtype, tensor.shape, tensor.stride(), tensor.device, _version(tensor))
        for name, tensor in tensors
    )


def check_sum(tensors: Sequence[Tensor]) -> bytes:
    """A digest of all values, that any change of a single word changes; one pass over memory, no copy.

    >>> values = torch.zeros(5000)
    >>> before = check_sum([values])
    >>> values[4321] = 1e-45
    >>> check_sum([values]) == before
    False
    """
    digest, elsewhere = hashlib.blake2b(digest_size=16), []
    for tensor in tensors:
        flat = _flat(tensor)
        if flat.device.type != "cpu":
            elsewhere.append(flat)
        elif flat.numel() <= SMALL:
            digest.update(flat.numpy().data)
        else:
            _add_sums(digest, flat.numpy())
    if elsewhere:
        digest.update(_sums_on_device(elsewhere).numpy().data)
    return digest.digest()


def _add_sums(digest: hashlib.blake2b, values: NDArray[np.uint8]) -> None:
    first, second = (values.size // (8 * columns) * (8 * columns) for columns in COLUMNS)
    digest.update(values[:first].view(np.uint64).reshape(-1, COLUMNS[0]).sum(axis=0).data)
    digest.update(_upper_sums(values[:second].view(np.uint64).reshape(-1, COLUMNS[1])).data)
    digest.update(values[min(first, second) :].data)


def _upper_sums(words: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Sums of the upper bits, a few rows at a time, which stay in the processor's own memory."""
    sums, shifted = np.zeros(words.shape[1], np.uint64), np.empty((ROWS, words.shape[1]), np.uint64)
    for row in range(0, len(words), ROWS):
        some = words[row : row + ROWS]
        sums += np.right_shift(some, LOW, out=shifted[: len(some)]).sum(axis=0)
    return sums


def _sums_on_device(tensors: list[Tensor]) -> Tensor:
    """The same sums, made where the tensors are and fetched at once, so that a GPU is waited for once."""
    parts = []
    for flat in tensors:
        if flat.numel() <= SMALL:
            parts.append(flat)
            continue
        aligned = flat if flat.data_ptr() % 8 == 0 else flat.clone()
        whole, upper_whole = (flat.numel() // (8 * columns) * (8 * columns) for columns in COLUMNS)
        upper = aligned[:upper_whole].view(torch.int64) >> LOW
        parts.append(aligned[:whole].view(torch.int64).view(-1, COLUMNS[0]).sum(dim=0).view(torch.uint8))
        parts.append(upper.view(-1, COLUMNS[1]).sum(dim=0).view(torch.uint8))
        parts.append(flat[min(whole, upper_whole) :])
    first = parts[0].device
    return torch.cat([part.to(first) for part in parts]).cpu()


def _tensors(model: nn.Module) -> list[tuple[str, Tensor]]:
    """Each parameter and buffer under each of its names, so that another one under a shared name is seen."""
    found: list[tuple[str, Tensor]] = []
    for place, module in model.named_modules(remove_duplicate=False):
        for name, tensor in (*module._parameters.items(), *module._buffers.items()):
            if tensor is None:
                continue
            plain = type(tensor) in (Tensor, nn.Parameter) and tensor.layout is torch.strided
            if not plain or tensor.is_quantized or tensor.is_meta:
                raise CannotBeKeyedError(f"{place}.{name} is a {type(tensor).__name__} without plain memory")
            found.append((f"{place}.{name}", tensor))
    return found


def _flat(tensor: Tensor) -> Tensor:
    """A tensor's bytes in the order of its memory, not copied where its memory has no gaps."""
    bare = tensor.detach()
    if not bare.is_contiguous():
        bare = bare.permute(sorted(range(bare.ndim), key=bare.stride, reverse=True))
    return bare.contiguous().reshape(-1).view(torch.uint8)


def _version(tensor: Tensor) -> int:
    return 0 if tensor.is_inference() else tensor._version
