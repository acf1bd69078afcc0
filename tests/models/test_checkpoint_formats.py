"""Every kind of file is either read or refused with a message of its own."""

from __future__ import annotations

import hashlib
import json
import struct
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from checkpoint_files import TinyNet, lightning, plain_pickle
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors.torch import save_file

from seewhy.models.checkpoint import read_state_dict
from seewhy.values import CheckpointError

LFS_POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a2146\nsize 45012345\n"
SOME_WEIGHTS = {"conv.weight": torch.arange(6.0).reshape(2, 3), "conv.bias": torch.tensor([1.0, -1.0])}


def refusal(path: Path, **settings: object) -> CheckpointError:
    with pytest.raises(CheckpointError) as caught:
        read_state_dict(path, **settings)
    return caught.value


def written(path: Path, content: bytes) -> Path:
    path.write_bytes(content)
    return path


def assert_holds_the_weights(path: Path) -> None:
    tensors = read_state_dict(path).tensors
    assert list(tensors) == list(SOME_WEIGHTS)
    assert all(torch.equal(tensors[name], SOME_WEIGHTS[name]) for name in SOME_WEIGHTS)


@pytest.mark.parametrize(
    "wrapper", ["state_dict", "model_state_dict", "model", "network", "net", "module", "teacher", "my_own_key"]
)
def test_weights_are_found_under_a_wrapper(wrapper: str, tmp_path: Path) -> None:
    torch.save({"epoch": torch.tensor(3), wrapper: SOME_WEIGHTS, "optimizer": {"state": {}}}, tmp_path / "a.pt")
    if wrapper == "my_own_key":
        torch.save({wrapper: SOME_WEIGHTS, "epoch": 3}, tmp_path / "a.pt")
    assert_holds_the_weights(tmp_path / "a.pt")


def test_a_wrapper_in_a_wrapper_is_opened(tmp_path: Path) -> None:
    torch.save({"model": {"state_dict": SOME_WEIGHTS}, "args": {}}, tmp_path / "a.pt")
    assert_holds_the_weights(tmp_path / "a.pt")
    assert read_state_dict(tmp_path / "a.pt").notes == ("weights taken from 'model.state_dict'",)


def test_bare_legacy_and_safetensors_files_hold_the_same_weights(tmp_path: Path) -> None:
    torch.save(SOME_WEIGHTS, tmp_path / "bare.pt")
    torch.save(SOME_WEIGHTS, tmp_path / "legacy.pth", _use_new_zipfile_serialization=False)
    save_file(SOME_WEIGHTS, tmp_path / "plain.safetensors")
    save_file(SOME_WEIGHTS, tmp_path / "named_wrongly.ckpt")
    assert_holds_the_weights(tmp_path / "bare.pt")
    assert_holds_the_weights(tmp_path / "legacy.pth")
    for name in ("plain.safetensors", "named_wrongly.ckpt"):
        tensors = read_state_dict(tmp_path / name).tensors
        assert {key: value.tolist() for key, value in tensors.items()} == {
            key: value.tolist() for key, value in SOME_WEIGHTS.items()
        }


def test_parts_kept_side_by_side_are_joined_under_their_names(tmp_path: Path) -> None:
    torch.save({"encoder": {"w": torch.ones(1)}, "head": {"w": torch.zeros(2)}, "epoch": 1}, tmp_path / "a.pt")
    tensors = read_state_dict(tmp_path / "a.pt").tensors
    assert {name: tensor.tolist() for name, tensor in tensors.items()} == {"encoder.w": [1.0], "head.w": [0.0, 0.0]}


def test_trained_or_averaged_weights_are_an_explicit_choice(tmp_path: Path) -> None:
    torch.save({"state_dict": {"w": torch.ones(1)}, "state_dict_ema": {"w": torch.full((1,), 2.0)}}, tmp_path / "a.pt")
    assert read_state_dict(tmp_path / "a.pt").tensors["w"].item() == 1.0
    assert "'state_dict_ema'" in " ".join(read_state_dict(tmp_path / "a.pt").notes)
    assert read_state_dict(tmp_path / "a.pt", prefer="ema").tensors["w"].item() == 2.0


@pytest.mark.parametrize("writer", [torch.save, save_file])
def test_averaged_weights_that_are_not_there_are_not_replaced(writer: object, tmp_path: Path) -> None:
    writer(SOME_WEIGHTS, tmp_path / "a.pt")
    assert refusal(tmp_path / "a.pt", prefer="ema").code == "SW-C17"


def test_only_the_weights_of_a_training_checkpoint_are_returned(tmp_path: Path) -> None:
    weights = TinyNet().state_dict()
    torch.save(lightning(weights, {}), tmp_path / "last.ckpt")
    assert list(read_state_dict(tmp_path / "last.ckpt").tensors) == list(weights)


def test_entries_that_are_no_tensors_are_noted(tmp_path: Path) -> None:
    torch.save({**SOME_WEIGHTS, "conv._extra_state": None}, tmp_path / "a.pt")
    assert "conv._extra_state" in read_state_dict(tmp_path / "a.pt").notes[0]
    assert_holds_the_weights(tmp_path / "a.pt")


def test_the_digest_is_that_of_the_files_bytes(tmp_path: Path) -> None:
    torch.save(SOME_WEIGHTS, tmp_path / "a.pt")
    assert read_state_dict(tmp_path / "a.pt").sha256 == hashlib.sha256((tmp_path / "a.pt").read_bytes()).hexdigest()


def test_a_missing_file_names_its_neighbours(tmp_path: Path) -> None:
    written(tmp_path / "epoch=3-step=10.ckpt", b"x")
    error = refusal(tmp_path / "epoch=3-step=11.ckpt")
    assert (error.code, error.near) == ("SW-C01", ("epoch=3-step=10.ckpt",))


def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    error = refusal(tmp_path / "nowhere" / "a.ckpt")
    assert error.code == "SW-C01"
    assert f"the folder {tmp_path / 'nowhere'} does not exist" in error.message


def test_a_folder_names_the_files_in_it(tmp_path: Path) -> None:
    written(tmp_path / "last.ckpt", b"x")
    error = refusal(tmp_path)
    assert (error.code, error.near) == ("SW-C02", ("last.ckpt",))


@pytest.mark.parametrize(
    ("content", "code", "said"),
    [
        (b"", "SW-C03", "empty (0 bytes)"),
        (LFS_POINTER, "SW-C04", "Git LFS pointer"),
        (b"<!DOCTYPE html>\n<html><title>404</title>", "SW-C05", "a web page"),
        (b"\n  <html lang='en'>", "SW-C05", "a web page"),
        (b"<?xml version='1.0'?><Error>NoSuchKey</Error>", "SW-C05", "a web page"),
        (b'{"message": "Not Found"}', "SW-C07", "is text"),
        (b"epoch: 3\nlr: 0.1\n", "SW-C07", "is text"),
        (b"\x89HDF\r\n\x1a\n" + bytes(20), "SW-C07", "HDF5"),
        (b"\x1f\x8b\x08" + bytes(20), "SW-C07", "gzip"),
        (bytes(range(200, 256)), "SW-C07", "unknown format"),
    ],
)
def test_a_file_that_is_no_checkpoint_is_told_from_its_first_bytes(
    content: bytes, code: str, said: str, tmp_path: Path
) -> None:
    error = refusal(written(tmp_path / "a.ckpt", content))
    assert error.code == code
    assert said in error.message
    assert error.fix


def test_the_index_of_a_split_checkpoint_says_how_to_join_it(tmp_path: Path) -> None:
    index = written(tmp_path / "model.safetensors.index.json", b'{"weight_map": {"w": "model-00001-of-00002"}}')
    error = refusal(index)
    assert error.code == "SW-C19"
    assert "join the parts" in error.fix


@pytest.mark.parametrize("kept", [0.05, 0.5, 0.99])
def test_a_truncated_zip_is_said_to_be_cut_off_with_its_size(kept: float, tmp_path: Path) -> None:
    torch.save(SOME_WEIGHTS, tmp_path / "a.ckpt")
    content = (tmp_path / "a.ckpt").read_bytes()
    cut = written(tmp_path / "cut.ckpt", content[: int(len(content) * kept)])
    error = refusal(cut)
    assert error.code == "SW-C06"
    assert "cut off: it begins as a torch checkpoint" in error.message
    assert f"{cut.stat().st_size} bytes" in error.message


def test_a_storage_smaller_than_the_file_claims_is_an_error_of_ours(tmp_path: Path) -> None:
    torch.save({"w": torch.zeros(1000)}, tmp_path / "a.pt")
    with zipfile.ZipFile(tmp_path / "a.pt") as source, zipfile.ZipFile(tmp_path / "b.pt", "w") as target:
        for name in source.namelist():
            target.writestr(name, source.read(name)[:40] if "/data/" in name else source.read(name))
    assert refusal(tmp_path / "b.pt").code == "SW-C06"


def test_a_zip_of_something_else_and_a_compressed_checkpoint_are_refused(tmp_path: Path) -> None:
    np.savez(tmp_path / "arrays.npz", weights=np.zeros(3))
    assert "it holds weights.npy" in refusal(tmp_path / "arrays.npz").message
    torch.save(SOME_WEIGHTS, tmp_path / "a.pt")
    with (
        zipfile.ZipFile(tmp_path / "a.pt") as source,
        zipfile.ZipFile(tmp_path / "b.pt", "w", zipfile.ZIP_DEFLATED) as target,
    ):
        for name in source.namelist():
            target.writestr(name, source.read(name))
    error = refusal(tmp_path / "b.pt")
    assert error.code == "SW-C08"
    assert "compressed" in error.message


@pytest.mark.filterwarnings("ignore:.*torch.jit.*:FutureWarning", "ignore:.*torch.jit.*:DeprecationWarning")
def test_a_torchscript_archive_is_refused_as_a_program(tmp_path: Path) -> None:
    torch.jit.save(torch.jit.trace(torch.nn.Linear(2, 2), torch.zeros(1, 2)), tmp_path / "a.pt")
    error = refusal(tmp_path / "a.pt")
    assert error.code == "SW-C09"
    assert "TorchScript" in error.message


@pytest.mark.parametrize("zipped", [True, False], ids=["zip", "legacy"])
def test_a_whole_pickled_model_is_refused_with_the_conversion(zipped: bool, tmp_path: Path) -> None:
    torch.save(torch.nn.Linear(2, 2), tmp_path / "a.pt", _use_new_zipfile_serialization=zipped)
    error = refusal(tmp_path / "a.pt")
    assert error.code == "SW-C10"
    assert "whole pickled torch.nn.modules.linear.Linear" in error.message
    assert "torch.save(model.state_dict(), 'weights.pt')" in error.fix


def test_a_model_inside_a_dict_is_refused_by_the_names_it_asks_for(tmp_path: Path) -> None:
    torch.save({"model": torch.nn.Linear(2, 2), "epoch": 1}, tmp_path / "a.pt")
    error = refusal(tmp_path / "a.pt")
    assert error.code == "SW-C11"
    assert "asks for torch.nn.modules.linear.Linear" in error.message


def test_another_pickle_protocol_is_named(tmp_path: Path) -> None:
    torch.save(SOME_WEIGHTS, tmp_path / "a.pt", pickle_protocol=5)
    assert refusal(tmp_path / "a.pt").code == "SW-C18"


@pytest.mark.parametrize("content", [{}, [1, 2], "weights", {"epoch": 3}, {"state_dict": {}}, torch.ones(3)])
def test_a_checkpoint_without_weights_says_what_it_holds(content: object, tmp_path: Path) -> None:
    torch.save(content, tmp_path / "a.pt")
    error = refusal(tmp_path / "a.pt")
    assert error.code == "SW-C13"
    assert "it holds" in error.message


def test_a_plain_pickle_of_arrays_is_refused(tmp_path: Path) -> None:
    assert refusal(plain_pickle(tmp_path / "a.pkl", {"w": [1.0]})).code == "SW-C11"


def safetensors_file(path: Path, header: object, data: bytes = b"") -> Path:
    encoded = header if isinstance(header, bytes) else json.dumps(header).encode()
    return written(path, struct.pack("<Q", len(encoded)) + encoded + data)


@pytest.mark.parametrize(
    ("header", "data"),
    [
        ({"w": {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}}, b"1234"),
        ({"w": {"dtype": "F32", "shape": [3], "data_offsets": [0, 8]}}, bytes(8)),
        ({"w": {"dtype": "X99", "shape": [2], "data_offsets": [0, 8]}}, bytes(8)),
        (
            {
                "v": {"dtype": "U8", "shape": [4], "data_offsets": [0, 4]},
                "w": {"dtype": "U8", "shape": [4], "data_offsets": [2, 6]},
            },
            bytes(6),
        ),
        (b'{"w": {"dtype": "F32", ', b""),
    ],
    ids=["past the end", "shape and size differ", "unknown dtype", "overlapping", "cut header"],
)
def test_a_damaged_safetensors_file_is_refused(header: object, data: bytes, tmp_path: Path) -> None:
    assert refusal(safetensors_file(tmp_path / "a.safetensors", header, data)).code == "SW-C15"


def test_a_safetensors_file_without_tensors_is_refused(tmp_path: Path) -> None:
    assert refusal(safetensors_file(tmp_path / "a.safetensors", {"__metadata__": {"a": "<b>"}})).code == "SW-C13"


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    where=st.floats(0, 1, exclude_max=True), value=st.integers(0, 255), form=st.sampled_from(["zip", "legacy", "st"])
)
def test_one_changed_byte_is_read_or_refused_but_never_another_error(
    where: float, value: int, form: str, tmp_path: Path
) -> None:
    path = tmp_path / f"a.{form}"
    if form == "st":
        save_file(SOME_WEIGHTS, path)
    else:
        torch.save(SOME_WEIGHTS, path, _use_new_zipfile_serialization=form == "zip")
    content = bytearray(path.read_bytes())
    content[int(where * len(content))] = value
    written(path, bytes(content))
    try:
        tensors = read_state_dict(path).tensors
    except CheckpointError:
        tensors = {}
    assert sum(tensor.numel() for tensor in tensors.values()) <= len(content)
