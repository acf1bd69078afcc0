"""The names that a pickle of tensors and plain values needs, each with a builder of ours that checks its arguments."""

from __future__ import annotations

import io
import math
import re
from collections.abc import Mapping
from typing import Any, Final

import numpy as np
import torch
from torch import Tensor

from seewhy.models.pickle_machine import Draft, Named, NotPlainError, PickleMachine, TooMuchError

DEEPEST: Final = 32
MOST_VALUES: Final = 1_000_000
MOST_COPIES: Final = 3
"""The second protocol writes bytes as text, so that a tensor's pass through our hands twice."""
_MAGIC, _PROTOCOL = 0x1950A86A20F9469CFC6C, 1001
_STORAGES: Final = {
    "torch.DoubleStorage": torch.float64,
    "torch.FloatStorage": torch.float32,
    "torch.HalfStorage": torch.float16,
    "torch.BFloat16Storage": torch.bfloat16,
    "torch.LongStorage": torch.int64,
    "torch.IntStorage": torch.int32,
    "torch.ShortStorage": torch.int16,
    "torch.CharStorage": torch.int8,
    "torch.ByteStorage": torch.uint8,
    "torch.BoolStorage": torch.bool,
}
_NUMBERS: Final = re.compile(r"b1|[iu][1248]|f[248]")
_TEXT: Final = re.compile(r"U\d{1,6}")


class ArrayType(Draft):
    """A NumPy type by its code (``f4``, ``U12``); its byte order comes as state."""

    __slots__ = ("code", "order")

    def __init__(self, code: Any, *_: Any) -> None:
        if type(code) is not str or not (_NUMBERS.fullmatch(code) or _TEXT.fullmatch(code)):
            raise NotPlainError(f"a NumPy type {code!r:.40} that is no plain number")
        self.code = code
        self.order = "<"

    def fill(self, state: Any) -> None:
        plain = type(state) is tuple and len(state) >= 5 and state[2:5] == (None, None, None)
        if not plain or type(state[1]) is not str or state[1] not in ("<", ">", "|", "="):
            raise NotPlainError("a NumPy type with parts of its own")
        self.order = ">" if state[1] == ">" else "<"

    @property
    def is_text(self) -> bool:
        """Whether it is text rather than a number."""
        return self.code.startswith("U")

    def numpy(self) -> np.dtype[Any]:
        """The type itself."""
        return np.dtype(self.order + self.code)


class Array(Draft):
    """A NumPy array, whose content comes as state."""

    __slots__ = ("budget", "values")

    def __init__(self, budget: Budget) -> None:
        self.budget = budget
        self.values: Tensor | None = None

    def fill(self, state: Any) -> None:
        if type(state) is not tuple or len(state) != 5:
            raise NotPlainError("an array without a content")
        _, shape, kind, fortran, raw = state
        self.values = self.budget.array(raw, kind, shape, bool(fortran))


class Budget:
    """Builds values, which together may take a few times the bytes of the file."""

    def __init__(self, bytes_of_the_file: int) -> None:
        self._left = MOST_COPIES * bytes_of_the_file
        self.names: Mapping[str, Any] = {
            "collections.OrderedDict": _ordered_dict,
            "_codecs.encode": self._encoded,
            "__builtin__.bytes": _empty_bytes,
            "builtins.bytes": _empty_bytes,
            "torch.Size": _whole_numbers,
            "torch.storage._load_from_bytes": self.storage,
            "torch._utils._rebuild_tensor_v2": _tensor,
            "numpy.ndarray": None,
            "numpy.dtype": ArrayType,
        } | {
            f"{package}.{name}": builder
            for package in ("numpy.core", "numpy._core")
            for name, builder in (
                ("multiarray._reconstruct", self._array_to_come),
                ("multiarray.scalar", self._scalar),
                ("numeric._frombuffer", self._array_from_buffer),
            )
        }

    def storage(self, raw: Any) -> Tensor:
        """The values that torch wrote in its old format inside a pickle, ``(n,)``."""
        stream = io.BytesIO(_bytes(raw))
        magic, protocol = (PickleMachine({}).run(stream) for _ in range(2))
        if (magic, protocol) != (_MAGIC, _PROTOCOL):
            raise NotPlainError("a storage that torch did not write")
        system = PickleMachine({}).run(stream)
        kind, key, count = PickleMachine(_STORAGES, _described).run(stream)
        keys = PickleMachine({}).run(stream)
        written = int.from_bytes(stream.read(8), "little")
        content = stream.read()
        little = type(system) is dict and system.get("little_endian") is True
        if not little or keys != [key] or written != count or len(content) != count * kind.itemsize:
            raise NotPlainError("a storage whose size is not the one it names")
        return self._from_bytes(content, kind)

    def array(self, raw: Any, kind: Any, shape: Any, fortran: bool) -> Tensor:
        """The tensor of an array's bytes."""
        if type(raw) is list:
            raise NotPlainError("an array of Python objects")
        if not isinstance(kind, ArrayType) or kind.is_text:
            raise NotPlainError("an array that is not of plain numbers")
        content, size, dtype = _bytes(raw), _whole_numbers(shape), kind.numpy()
        if len(content) != math.prod(size) * dtype.itemsize:
            raise NotPlainError("an array whose size is not the one it names")
        self._spend(len(content))
        values = np.frombuffer(content, dtype).reshape(size, order="F" if fortran else "C")
        return torch.from_numpy(np.array(values, dtype.newbyteorder("="), order="C"))

    def _from_bytes(self, content: bytes, kind: torch.dtype) -> Tensor:
        self._spend(len(content))
        return torch.frombuffer(bytearray(content), dtype=kind) if content else torch.empty(0, dtype=kind)

    def _spend(self, size: int) -> None:
        self._left -= size
        if self._left < 0:
            raise TooMuchError("the same bytes over and over")

    def _encoded(self, text: Any, encoding: Any) -> bytes:
        """Bytes as pickles of the second protocol write them."""
        if type(text) is not str or encoding != "latin1":
            raise NotPlainError("an encoding other than latin1")
        self._spend(len(text))
        return text.encode("latin1")

    def _array_to_come(self, *_: Any) -> Array:
        return Array(self)

    def _array_from_buffer(self, raw: Any, kind: Any, shape: Any, order: Any, *_: Any) -> Tensor:
        return self.array(raw, kind, shape, order == "F")

    def _scalar(self, kind: Any, raw: Any = b"") -> Any:
        if not isinstance(kind, ArrayType):
            raise NotPlainError("a NumPy number of no plain type")
        content, dtype = _bytes(raw), kind.numpy()
        self._spend(len(content))
        if kind.is_text:
            return content.decode("utf-32-be" if kind.order == ">" else "utf-32-le").rstrip("\0")
        if len(content) != dtype.itemsize:
            raise NotPlainError("a NumPy number of another size than its type")
        return np.frombuffer(content, dtype)[0].item()


def settled(value: Any) -> Any:
    """The value with tensors in place of drafts.

    Raises:
        NotPlainError: a name or an unfinished array is part of it.
        TooMuchError: it is nested too deeply or holds too many values.
    """
    return _settled(value, 0, [0])


def _settled(value: Any, depth: int, seen: list[int]) -> Any:
    seen[0] += 1
    if depth > DEEPEST or seen[0] > MOST_VALUES:
        raise TooMuchError(
            f"nesting beyond {DEEPEST} levels" if depth > DEEPEST else f"more than {MOST_VALUES:,} values"
        )
    if type(value) is dict:
        return {key: _settled(entry, depth + 1, seen) for key, entry in value.items()}
    if type(value) in (list, tuple):
        return type(value)(_settled(entry, depth + 1, seen) for entry in value)
    if isinstance(value, Array) and value.values is not None:
        return value.values
    if isinstance(value, Draft | Named):
        raise NotPlainError(f"{value.name if isinstance(value, Named) else 'a NumPy type'} where a value should be")
    return bytes(value) if type(value) is bytearray else value


def _tensor(storage: Any, offset: Any, size: Any, stride: Any, *_: Any) -> Tensor:
    if not isinstance(storage, Tensor) or storage.ndim != 1 or type(offset) is not int or offset < 0:
        raise NotPlainError("a tensor without a storage")
    lengths, steps = _whole_numbers(size), _whole_numbers(stride)
    values = math.prod(lengths)
    last = offset + sum((length - 1) * step for length, step in zip(lengths, steps, strict=True))
    if values > len(storage) or (values and last >= len(storage)):
        raise NotPlainError("a tensor larger than its storage")
    return storage.as_strided(lengths, steps, offset) if values else storage.new_empty(lengths)


def _described(reference: Any) -> tuple[torch.dtype, Any, int]:
    """Type, key and number of values of torch's reference to a storage."""
    if type(reference) is not tuple or len(reference) != 6 or reference[0] != "storage" or reference[5] is not None:
        raise NotPlainError("a reference that is not to a storage")
    _, kind, key, _, count, _ = reference
    if type(kind) is not Named or type(count) is not int:
        raise NotPlainError("a storage without a type")
    return kind.stands_for, key, count


def _whole_numbers(given: Any) -> tuple[int, ...]:
    if type(given) not in (tuple, list) or len(given) > DEEPEST:
        raise NotPlainError("a shape that is none")
    if not all(type(number) is int and 0 <= number < 2**40 for number in given):
        raise NotPlainError("a shape of numbers that are no lengths")
    return tuple(given)


def _ordered_dict(*pairs: Any) -> dict[Any, Any]:
    if pairs:
        raise NotPlainError("an OrderedDict given its content at once")
    return {}


def _empty_bytes(*given: Any) -> bytes:
    if given:
        raise NotPlainError("bytes made of something else")
    return b""


def _bytes(given: Any) -> bytes:
    if type(given) not in (bytes, bytearray):
        raise NotPlainError("bytes that are none")
    return bytes(given)
