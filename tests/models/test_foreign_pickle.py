"""Plain pickles of other tools: their tensors and plain values come out, and nothing they ask for runs."""

from __future__ import annotations

import contextlib
import io
import os
import pickle
import struct
from collections import Counter, OrderedDict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from checkpoint_files import Canary, TinyNet

from seewhy.models import pickle_values
from seewhy.models.foreign_pickle import read_foreign_pickle
from seewhy.values import CheckpointError

GRID = torch.arange(24.0).reshape(1, 2, 3, 4)


def dumped(path: Path, value: Any, protocol: int = 4) -> Path:
    path.write_bytes(pickle.dumps(value, protocol=protocol))
    return path


def raw(path: Path, opcodes: bytes) -> Path:
    """A pickle of the fourth protocol made by hand."""
    path.write_bytes(b"\x80\x04" + opcodes)
    return path


def text(word: str) -> bytes:
    return b"\x8c" + bytes([len(word)]) + word.encode()


def named(module: str, name: str) -> bytes:
    """STACK_GLOBAL, as newer protocols name things."""
    return text(module) + text(name) + b"\x93"


def storage_of(tensor: torch.Tensor) -> torch.storage.TypedStorage:
    """As torch hands it to pickle."""
    return torch.storage.TypedStorage(wrap_storage=tensor.untyped_storage(), dtype=tensor.dtype, _internal=True)


def refused(path: Path) -> CheckpointError:
    with pytest.raises(CheckpointError) as caught:
        read_foreign_pickle(path)
    return caught.value


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
def test_what_the_original_tool_wrote_comes_out_value_by_value(protocol: int, tmp_path: Path) -> None:
    content = {
        "activations": {"layer1": [GRID], "layer2": [-GRID.half()]},
        "batch_idx": 0,
        "timestep": 4,
        "batch_info": {
            "verb": np.str_("take"),
            "noun": np.int64(3),
            "size": (512, 512.5, None, True),
            "wide": 10**20,
            "shape": GRID.shape,
            "order": OrderedDict(a=1),
            "raw": b"ab",
            "empty": np.str_(""),
        },
    }
    read = read_foreign_pickle(dumped(tmp_path / "features.pkl", content, protocol))
    assert list(read) == ["activations", "batch_idx", "timestep", "batch_info"]
    assert torch.equal(read["activations"]["layer1"][0], GRID)
    second = read["activations"]["layer2"][0]
    assert second.dtype == torch.float16
    assert torch.equal(second, -GRID.half())
    assert (read["batch_idx"], read["timestep"]) == (0, 4)
    assert read["batch_info"] == {
        "verb": "take",
        "noun": 3,
        "size": (512, 512.5, None, True),
        "wide": 10**20,
        "shape": (1, 2, 3, 4),
        "order": {"a": 1},
        "raw": b"ab",
        "empty": "",
    }


@pytest.mark.parametrize("protocol", [2, 4])
@pytest.mark.parametrize(
    "tensor",
    [
        GRID.permute(0, 3, 1, 2),
        GRID[:, 1:, ::2, 1:3],
        GRID[0, 0, 0, 0],
        torch.empty(0, 3),
        torch.tensor([True, False]),
        torch.tensor([1.5, -2.0], dtype=torch.bfloat16),
        torch.tensor([1, 2**40]),
        GRID.clone().requires_grad_(),
    ],
    ids=["permuted", "strided", "scalar", "empty", "bool", "bfloat16", "int64", "with a gradient"],
)
def test_any_view_of_a_storage_is_the_tensor_it_was(tensor: torch.Tensor, protocol: int, tmp_path: Path) -> None:
    (read,) = read_foreign_pickle(dumped(tmp_path / "one.pkl", [tensor], protocol))
    assert read.dtype == tensor.dtype
    assert read.shape == tensor.shape
    assert torch.equal(read, tensor)
    assert not read.requires_grad


@pytest.mark.parametrize("protocol", [2, 4, 5])
@pytest.mark.parametrize(
    "array",
    [
        np.arange(6, dtype=np.float64).reshape(2, 3),
        np.asfortranarray(np.arange(6, dtype=np.float32).reshape(2, 3)),
        np.arange(6, dtype=">i4"),
        np.array([True, False]),
        np.float16(1.5) * np.ones((1, 2)),
    ],
    ids=["float64", "fortran", "big endian", "bool", "float16"],
)
def test_arrays_become_tensors(array: np.ndarray, protocol: int, tmp_path: Path) -> None:
    (read,) = read_foreign_pickle(dumped(tmp_path / "array.pkl", [array], protocol))
    assert read.tolist() == array.tolist()
    assert read.numpy().dtype == array.dtype.newbyteorder("=")


def test_one_tensor_in_two_places_is_built_once(tmp_path: Path) -> None:
    first, second = read_foreign_pickle(dumped(tmp_path / "twice.pkl", [GRID, GRID]))
    assert first is second


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
def test_a_pickle_that_would_make_a_folder_never_does(protocol: int, tmp_path: Path) -> None:
    canary = tmp_path / "it-ran"
    path = dumped(tmp_path / "evil.pkl", {"activations": {"a": [GRID]}, "x": Canary(canary)}, protocol)
    error = refused(path)
    assert error.code == "SW-C33"
    assert f"asks for {os.mkdir.__module__}.mkdir" in error.message
    assert not canary.exists()


@pytest.mark.parametrize(
    ("module", "name"),
    [
        ("os", "system"),
        ("posix", "system"),
        ("builtins", "eval"),
        ("builtins", "getattr"),
        ("builtins", "__import__"),
        ("torch", "load"),
        ("torch.storage", "_load_from_bytes.__globals__"),
        ("numpy", "load"),
        ("numpy.testing._private.utils", "runstring"),
        ("collections", "OrderedDict.fromkeys"),
        ("functools", "partial"),
        ("operator", "methodcaller"),
        ("torch._utils", "_rebuild_parameter"),
        ("pickle", "loads"),
    ],
)
def test_every_other_name_is_refused_by_name(module: str, name: str, tmp_path: Path) -> None:
    canary = tmp_path / "it-ran"
    call = text(f"open({str(canary)!r}, 'w')") if len(str(canary)) < 200 else text("1")
    stacked = raw(tmp_path / "stacked.pkl", named(module, name) + call + b"\x85R.")
    by_line = tmp_path / "line.pkl"
    by_line.write_bytes(b"\x80\x02c" + f"{module}\n{name}\n".encode() + b"X\x01\x00\x00\x00a\x85R.")
    for path in (stacked, by_line):
        error = refused(path)
        assert error.code == "SW-C33"
        assert f"asks for {module}.{name}" in error.message
    assert not canary.exists()


@pytest.mark.parametrize(
    "value",
    [TinyNet(), Counter("aab"), np.array([object()], dtype=object), torch.nn.Parameter(GRID), {1, 2}, 1j, Path("a")],
    ids=["a model", "Counter", "array of objects", "parameter", "set", "complex", "path"],
)
def test_what_is_neither_tensor_nor_plain_is_refused(value: Any, tmp_path: Path) -> None:
    assert refused(dumped(tmp_path / "other.pkl", [value])).code in {"SW-C33", "SW-C34"}


BUILDER = named("torch._utils", "_rebuild_tensor_v2")


@pytest.mark.parametrize(
    ("opcodes", "reason"),
    [
        (BUILDER + b"}" + text("__defaults__") + b"Nsb.", "state for a value"),
        (BUILDER + b"N}" + text("__code__") + b"Ns\x86b.", "state for a value"),
        (b"}" + b"}b.", "state for a value"),
        (BUILDER + b"(I1\nt.", "opcode INT"),
        (BUILDER + b".", "where a value should be"),
        (named("collections", "OrderedDict") + b")\x81.", "an object of collections.OrderedDict"),
        (named("numpy", "ndarray") + b")R.", "a call of numpy.ndarray"),
        (text("print") + text("a") + b"\x85R.", "no name"),
        (b"]K\x01K\x02s.", "no dict"),
        (b"}K\x01a.", "no list"),
        (b"}]K\x01s.", "a list for a key"),
        (b"a.", "did not give"),
        (b"t.", "did not open"),
        (b"(K\x01a.", "no list"),
        (b"h\x05.", ""),
        (b"\x82\x01.", "an object of"),
        (b"K\x01Q.", "outside itself"),
        (b"\x97.", "NEXT_BUFFER"),
        (named("_codecs", "encode") + text("a") + text("zlib") + b"\x86R.", "latin1"),
        (named("numpy", "dtype") + text("O8") + b"\x89\x88\x87R.", "no plain number"),
        (named("collections", "OrderedDict") + b"]\x85R.", "at once"),
    ],
)
def test_tricks_with_opcodes_reach_nothing(opcodes: bytes, reason: str, tmp_path: Path) -> None:
    before = vars(pickle_values._tensor).copy(), pickle_values._tensor.__defaults__
    error = refused(raw(tmp_path / "trick.pkl", opcodes))
    assert error.code in {"SW-C33", "SW-C34"}
    assert reason in error.message
    assert (vars(pickle_values._tensor), pickle_values._tensor.__defaults__) == before


@pytest.mark.parametrize(
    ("size", "stride", "offset"),
    [((25,), (1,), 0), ((24,), (1,), 1), ((2, 2), (24, 1), 0), ((1000, 1000), (0, 0), 0), ((2**39,) * 3, (0,) * 3, 0)],
)
def test_a_tensor_never_reaches_beyond_its_storage(
    size: tuple[int, ...], stride: tuple[int, ...], offset: int, tmp_path: Path
) -> None:
    class Forged:
        def __reduce__(self) -> tuple[Any, ...]:
            return torch._utils._rebuild_tensor_v2, (storage_of(GRID), offset, size, stride, False, OrderedDict())

    error = refused(dumped(tmp_path / "forged.pkl", Forged()))
    assert error.code == "SW-C34"
    assert "larger than its storage" in error.message


@pytest.mark.parametrize("end", [3, 60, 250, -30, -1])
def test_a_file_that_is_cut_off_says_so(end: int, tmp_path: Path) -> None:
    path = dumped(tmp_path / "cut.pkl", {"a": GRID})
    path.write_bytes(path.read_bytes()[:end])
    assert refused(path).code == "SW-C34"


def test_no_single_changed_byte_gives_a_bare_error_or_runs_anything(tmp_path: Path) -> None:
    whole = pickle.dumps({"activations": {"a": [torch.ones(1, 1, 2, 2)]}, "n": np.float32(1)}, protocol=4)
    path = tmp_path / "changed.pkl"
    for place in range(2, len(whole)):
        for change in (1, 0x80, 0xFF):
            path.write_bytes(whole[:place] + bytes([whole[place] ^ change]) + whole[place + 1 :])
            with contextlib.suppress(CheckpointError):
                read_foreign_pickle(path)


@pytest.mark.parametrize(
    "opcodes",
    [
        b")" + b"\x85" * 200_000 + b".",
        b"]" * 5000 + b"a" * 4999 + b".",
        b"]\x94" + b"h\x00a.",
        b"]" + b"\x94" + b"".join(b"](" + b"h" + bytes([n]) + b"h" + bytes([n]) + b"e\x94" for n in range(30)) + b".",
        b"N0" * 600_000 + b"N.",
    ],
    ids=["deep tuples", "deep lists", "a list in itself", "a billion laughs", "endless steps"],
)
def test_small_files_that_grow_are_stopped_at_once(opcodes: bytes, tmp_path: Path) -> None:
    path = raw(tmp_path / "bomb.pkl", opcodes)
    assert refused(path).code == "SW-C35"


def test_the_same_bytes_cannot_be_built_over_and_over(tmp_path: Path) -> None:
    buffer = io.BytesIO()
    torch.save(storage_of(torch.zeros(4096)), buffer, _use_new_zipfile_serialization=False)
    storage = buffer.getvalue()
    loader = named("torch.storage", "_load_from_bytes") + b"\x94" + b"B" + struct.pack("<I", len(storage)) + storage
    opcodes = b"](" + loader + b"\x94" + b"\x85R" + b"h\x00h\x01\x85R" * 1000 + b"e."
    assert refused(raw(tmp_path / "bomb.pkl", opcodes)).code == "SW-C35"


def test_a_length_that_is_not_there_takes_no_memory(tmp_path: Path) -> None:
    assert refused(raw(tmp_path / "long.pkl", b"\x8e" + struct.pack("<Q", 2**40) + b"abc.")).code == "SW-C34"


def test_a_file_that_is_no_pickle_is_named_for_what_it_is(tmp_path: Path) -> None:
    path = tmp_path / "features.pkl"
    path.write_text("layer,mean\nconv1,0.1\n")
    assert refused(path).code == "SW-C07"
    torch.save({"a": GRID}, path)
    assert "torch-zip" in refused(path).message
