"""Feature files: what is written comes back, whoever wrote it; anything else is told for what it is."""

from __future__ import annotations

import pickle
from collections import OrderedDict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from feature_samples import RELU, SIGNED, content, foreign, population

from seewhy.features.statistics import ChannelStatistics
from seewhy.inspection import load_feature_file, save_feature_file
from seewhy.inspection.feature_schema import activations_of, plain
from seewhy.values import CheckpointError, ConfigError

SUFFIX = {"pkl": ".pkl", "safetensors": ".safetensors"}


@pytest.fixture(params=["pkl", "safetensors"])
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def refusal(path: Path) -> CheckpointError:
    with pytest.raises(CheckpointError) as caught:
        load_feature_file(path)
    return caught.value


def test_what_was_saved_comes_back(kind: str, tmp_path: Path) -> None:
    given = content(population={"relu": population()})
    path = save_feature_file(tmp_path / f"deep/er/features{SUFFIX[kind]}", given, format=kind)
    read = load_feature_file(path)
    assert list(read["activations"]) == ["conv1", "relu", "signal", "volume", "pooled"]
    assert all(torch.equal(read["activations"][name], given["activations"][name]) for name in read["activations"])
    assert torch.equal(read["activations"]["relu"][0], RELU)
    for part in ("format", "batch_idx", "timestep", "batch_info", "layers"):
        assert read[part] == given[part]
    statistics = ChannelStatistics.from_state(read["population"]["relu"])
    assert (statistics.records, statistics.maximum.tolist()) == (1000, [3.0, 2.0, 1.0])


def test_the_same_content_gives_the_same_bytes_under_any_name(kind: str, tmp_path: Path) -> None:
    paths = [tmp_path / name for name in ("a.pkl", "another_name.pkl")]
    for path in paths:
        save_feature_file(path, content(population={"relu": population()}), format=kind)
    assert paths[0].read_bytes() == paths[1].read_bytes()


def test_a_pkl_is_a_torch_file_of_tensors_and_plain_values(tmp_path: Path) -> None:
    path = save_feature_file(tmp_path / "features.pkl", content(population={"relu": population()}))
    read = torch.load(path, weights_only=True)
    assert torch.equal(read["activations"]["relu"][0], RELU)
    assert read["batch_info"]["verb"] == "take"


def test_one_record_of_a_batch_does_not_take_the_batch_along(tmp_path: Path) -> None:
    batch = torch.zeros(64, 8, 16, 16)
    path = save_feature_file(tmp_path / "one.pkl", {"activations": {"a": batch[3:4]}})
    assert path.stat().st_size < 2 * batch[0].nbytes


def test_a_file_is_replaced_in_one_step_and_nothing_is_left_beside_it(kind: str, tmp_path: Path) -> None:
    path = save_feature_file(tmp_path / "features", content(), format=kind)
    before = path.read_bytes()
    with pytest.raises(CheckpointError, match="SW-C38"):
        save_feature_file(path, content(batch_info={"model": object()}), format=kind)
    assert path.read_bytes() == before
    save_feature_file(path, content(timestep=5), format=kind)
    assert load_feature_file(path)["timestep"] == 5
    assert list(tmp_path.iterdir()) == [path]


def test_values_of_numpy_and_torch_become_plain_and_half_precision_single(kind: str, tmp_path: Path) -> None:
    info = {
        "noun": np.int64(3),
        "verbs": (np.str_("take"), None),
        "size": torch.tensor([512, 512]),
        "path": Path("a/b"),
    }
    given = content(activations={"a": torch.tensor([[0.5, 2.0]]).half()}, batch_info=info)
    read = load_feature_file(save_feature_file(tmp_path / "f", given, format=kind))
    assert read["batch_info"] == {"noun": 3, "verbs": ["take", None], "size": [512, 512], "path": "a/b"}
    assert read["activations"]["a"].dtype == torch.float32
    assert read["activations"]["a"].tolist() == [[0.5, 2.0]]


@pytest.mark.parametrize("value", [object(), {1: "a"}, {"a": {"b": 1j}}, b"raw", {1, 2}])
def test_a_value_that_no_file_keeps_is_named_by_its_place(value: Any) -> None:
    with pytest.raises(CheckpointError, match=r"SW-C38.*batch_info\['x'\]"):
        plain({"x": value})


def test_an_unknown_format_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"SW-F160.*'safetensor'[\s\S]*nearest: safetensors"):
        save_feature_file(tmp_path / "f", content(), format="safetensor")


def test_a_pickle_of_the_original_tool_is_read_as_one_of_ours(tmp_path: Path) -> None:
    read = load_feature_file(foreign(tmp_path / "features_b0_t0.pkl"))
    assert read["activations"]["conv1"].shape == (1, 2, 2, 2)
    assert torch.equal(read["activations"]["conv1"][0], SIGNED)
    assert (read["format"], read["batch_idx"], read["batch_info"]["length"]) == ("another tool", 0, 8)
    assert (read["layers"], read["population"]) == ({}, {})


@pytest.mark.parametrize(
    ("value", "first"),
    [
        ([SIGNED], SIGNED),
        ([SIGNED[None]], SIGNED),
        (SIGNED[None], SIGNED),
        ([SIGNED[None], 2 * SIGNED[None]], SIGNED),
        (torch.stack([SIGNED, -SIGNED]), SIGNED),
        ([SIGNED.numpy()[None]], SIGNED),
        ([torch.tensor([[1.0, 2.0]])], torch.tensor([1.0, 2.0])),
        ([torch.tensor([1.0, 2.0])], torch.tensor([1.0, 2.0])),
        ([SIGNED[None].double()], SIGNED),
    ],
)
def test_index_zero_is_the_record_whatever_shape_another_tool_gave_it(
    value: Any, first: torch.Tensor, tmp_path: Path
) -> None:
    path = foreign(tmp_path / "f.pkl", activations=OrderedDict(layer=value))
    assert torch.equal(load_feature_file(path)["activations"]["layer"][0], first)


@pytest.mark.parametrize("value", [[], ["text"], 3, None, [SIGNED, RELU], torch.tensor(1.0)])
def test_a_layer_that_is_no_tensor_is_named(value: Any, tmp_path: Path) -> None:
    error = refusal(foreign(tmp_path / "f.pkl", activations={"layer9": value}))
    assert error.code == "SW-C36"
    assert "layer9" in error.message


def test_a_hostile_pickle_is_refused_and_does_nothing(tmp_path: Path) -> None:
    canary = tmp_path / "it-ran"
    path = tmp_path / "features_b0_t0.pkl"
    path.write_bytes(b"\x80\x04\x8c\x05posix\x8c\x06system\x93\x8c\x20touch " + str(canary)[:26].encode() + b"\x85R.")
    assert refusal(path).code in {"SW-C33", "SW-C34"}
    path.write_bytes(pickle.dumps({"activations": eval}))
    assert refusal(path).code == "SW-C33"
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["features_b0_t0.pkl"]


def test_a_missing_file_names_those_nearby(tmp_path: Path) -> None:
    save_feature_file(tmp_path / "features_b0_t4.pkl", content())
    error = refusal(tmp_path / "features_b0_t5.pkl")
    assert (error.code, error.near) == ("SW-C31", ("features_b0_t4.pkl",))
    assert "no folder" in refusal(tmp_path / "gone" / "f.pkl").message


@pytest.mark.parametrize(
    ("written", "said"),
    [(b"", "empty"), (b"layer,mean\nrelu,1\n", "text"), (b"\x89PNG\r\n\x1a\n", "PNG"), (b"\x93NUMPY\x01", "NumPy")],
)
def test_a_file_of_another_kind_is_told_for_what_it_is(written: bytes, said: str, tmp_path: Path) -> None:
    path = tmp_path / "features.pkl"
    path.write_bytes(written)
    error = refusal(path)
    assert error.code == "SW-C32"
    assert said in error.message


def test_a_folder_names_the_feature_files_in_it(tmp_path: Path) -> None:
    save_feature_file(tmp_path / "features_b0_t0.pkl", content())
    error = refusal(tmp_path)
    assert (error.code, error.near) == ("SW-C32", ("features_b0_t0.pkl",))


def test_a_checkpoint_is_no_feature_file(tmp_path: Path) -> None:
    path = tmp_path / "weights.pth"
    torch.save({"state_dict": {"fc.weight": torch.ones(2)}}, path)
    error = refusal(path)
    assert error.code == "SW-C36"
    assert "'state_dict'" in error.message


def test_a_file_that_was_cut_off_is_damaged(kind: str, tmp_path: Path) -> None:
    path = save_feature_file(tmp_path / "f.pkl", content(), format=kind)
    path.write_bytes(path.read_bytes()[:-700])
    assert refusal(path).code in {"SW-C06", "SW-C15"}


def test_a_newer_version_is_refused_by_name(tmp_path: Path) -> None:
    path = tmp_path / "f.pkl"
    torch.save({**content(), "format": "seewhy.features/2"}, path)
    error = refusal(path)
    assert error.code == "SW-C39"
    assert "seewhy.features/2" in error.message


def test_a_layer_that_was_not_extracted_is_told_with_near_names() -> None:
    activations = content()["activations"]
    with pytest.raises(CheckpointError) as caught:
        activations_of(activations, "relu1")
    assert "No activations found for layer relu1" in caught.value.message
    assert caught.value.near[0] == "relu"
    assert torch.equal(activations_of(activations, "backbone.relu"), RELU)
