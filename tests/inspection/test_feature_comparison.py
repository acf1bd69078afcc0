"""Two feature files compared: equal, scaled and unrelated layers; shapes that differ are told, not guessed."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest
import torch
from feature_samples import RELU, SIGNED, VECTOR, content
from torch import Tensor

from seewhy.inspection import compare, compare_models, save_feature_file
from seewhy.inspection.layer_agreement import measured
from seewhy.values import CheckpointError, ConfigError


def random(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def test_a_file_equals_itself(tmp_path: Path) -> None:
    found = compare(content(), content(), tmp_path)
    assert set(found.layers) == {"conv1", "relu", "signal", "volume", "pooled"}
    for layer in ("conv1", "relu", "signal", "volume"):
        assert found.layers[layer].cka == pytest.approx(1)
        assert found.layers[layer].correlation == pytest.approx(1)
    assert all(each.mean_difference == 0 for each in found.layers.values())
    assert found.layers["relu"].constant_channels == 1
    assert {file.name for file in found.files} == {
        *(f"comparison_{layer}.png" for layer in found.layers),
        "comparison.json",
    }
    assert all(file.exists() for file in found.files)


def test_scaled_maps_agree_fully_and_differ_by_what_was_added() -> None:
    maps = random(6, 8, 8)
    found, correlations = measured(maps, 3 * maps)
    assert found.cka == pytest.approx(1)
    assert found.unbiased_cka == pytest.approx(1)
    assert found.mean_difference == pytest.approx(float(2 * maps.abs().mean()), rel=1e-5)
    assert correlations is not None
    assert correlations.tolist() == pytest.approx([1.0] * 6)


def test_unrelated_maps_do_not_agree() -> None:
    found, _ = measured(random(6, 40, 40), random(6, 40, 40, seed=1))
    assert found.cka < 0.02
    assert abs(found.unbiased_cka) < 0.02
    assert abs(found.correlation) < 0.1


def test_other_channels_at_the_same_places_still_have_a_cka() -> None:
    maps = random(6, 8, 8)
    found, correlations = measured(maps, torch.cat([maps, maps]))
    assert found.cka == pytest.approx(1)
    assert correlations is None
    assert math.isnan(found.mean_difference)
    assert "6 and 12 channels" in found.note


def test_other_places_have_no_cka_and_say_so() -> None:
    found, _ = measured(random(6, 8, 8), random(6, 4, 4))
    assert math.isnan(found.cka)
    assert "8×8 and 4×4" in found.note


def test_vectors_are_correlated_over_channels() -> None:
    found, _ = measured(VECTOR, 2 * VECTOR + 1)
    assert found.correlation == pytest.approx(1)
    assert math.isnan(found.cka)
    assert "one place" in found.note
    # |x - (2x + 1)| of 0.5, 0 and 1.5
    assert found.mean_difference == pytest.approx((1.5 + 1 + 2.5) / 3)


def test_layers_of_one_file_only_are_named_and_every_shape_is_drawn_or_told(tmp_path: Path) -> None:
    first = content(activations={"a": RELU[None], "b": SIGNED[None], "c": random(1, 2, 8, 8), "x": RELU[None]})
    second = content(activations={"a": VECTOR[None], "b": RELU[None], "c": random(1, 2, 4, 4), "y": RELU[None]})
    found = compare(first, second, tmp_path)
    assert (found.only_first, found.only_second) == (("x",), ("y",))
    notes = "\n".join(found.notes())
    assert "only in first: x" in notes
    assert "a: its places differ, 2×2 and none" in notes
    assert {file.name for file in found.files} == {"comparison_b.png", "comparison_c.png", "comparison.json"}


def test_the_numbers_are_written_with_null_where_there_is_none(tmp_path: Path) -> None:
    compare(content(), content(timestep=0), tmp_path, ["pooled", "relu"])
    written = json.loads((tmp_path / "comparison.json").read_text())
    assert written["layers"]["pooled"]["cka"] is None
    assert written["layers"]["relu"]["mean_difference"] == 0
    assert [each["timestep"] for each in written["files"]] == [4, 0]


def infos(one: str, other: str) -> list[dict[str, dict[str, str]]]:
    return [{"batch_info": {"checkpoint": checkpoint}} for checkpoint in (one, other)]


@pytest.mark.parametrize(
    ("first", "second", "names"),
    [
        (*infos("runs/early.pth", "runs/late.pth"), ("early.pth", "late.pth")),
        ({"timestep": 0}, {"timestep": 4}, ("time step 0", "time step 4")),
        (
            {"batch_idx": 0, "timestep": 1},
            {"batch_idx": 2, "timestep": 3},
            ("record 0, time step 1", "record 2, time step 3"),
        ),
        ({}, {}, ("first", "second")),
    ],
)
def test_the_two_are_called_by_what_differs(first: dict, second: dict, names: tuple[str, str], tmp_path: Path) -> None:
    assert compare(content(**first), content(**second), tmp_path, "relu").names == names


def test_files_are_called_by_their_names_or_folders(tmp_path: Path) -> None:
    paths = [save_feature_file(tmp_path / name, content()) for name in ("a/f.pkl", "b/f.pkl", "b/g.pkl")]
    assert compare_models(paths[0], paths[1], tmp_path / "out", ["relu"]).names == ("a/f.pkl", "b/f.pkl")
    assert compare_models(paths[1], paths[2], tmp_path / "out", ["relu"]).names == ("f", "g")


def test_what_cannot_be_compared_is_refused_before_anything_is_written(tmp_path: Path) -> None:
    other = content(activations={"other": RELU[None]})
    with pytest.raises(ConfigError, match="SW-F166"):
        compare(content(), other, tmp_path / "out")
    both = content(activations={"relu": RELU[None]})
    with pytest.raises(CheckpointError, match="No activations found for layer conv1 in the second file"):
        compare(content(), both, tmp_path / "out", ["conv1"])
    with pytest.raises(CheckpointError, match="No activations found for layer layer9"):
        compare(content(), both, tmp_path / "out", ["layer9"])
    assert not (tmp_path / "out").exists()
