"""The analysis of a feature file: numbers made by hand, the promised files, layers of any rank."""

from __future__ import annotations

import csv
import json
import math
from pathlib import Path

import numpy as np
import pytest
import torch
from feature_samples import RELU, SIGNED, content, foreign, population
from PIL import Image

from seewhy.inspection import (
    analyze,
    compare_layers,
    plot_activation_distribution,
    plot_channel_statistics,
    plot_spatial_activation_patterns,
    save_feature_file,
)
from seewhy.inspection.analysis import chosen_layers
from seewhy.inspection.feature_schema import checked
from seewhy.values import CheckpointError, ConfigError

KINDS = ("distribution", "channel_stats", "spatial_patterns")


def test_the_table_of_a_layer_is_what_can_be_counted_by_hand(tmp_path: Path) -> None:
    numbers = plot_activation_distribution(content()["activations"], "relu", tmp_path)
    assert numbers["shape"] == (3, 2, 2)
    assert numbers["spatial_size"] == (2, 2)
    assert (numbers["mean"], numbers["min"], numbers["max"], numbers["median"]) == (pytest.approx(8 / 12), 0, 3, 0)
    # squares: 1 + 9 + 4 + 4
    assert numbers["std"] == pytest.approx(math.sqrt(18 / 12 - (8 / 12) ** 2))
    assert (numbers["num_zero"], numbers["sparsity"]) == (8, pytest.approx(8 / 12))
    assert (numbers["num_channels"], numbers["active_channels"], numbers["dead_channels"]) == (3, 2, 1)
    assert numbers["dead_over"] == "one input only"


def test_channel_statistics_are_those_of_numpy(tmp_path: Path) -> None:
    columns = plot_channel_statistics(content()["activations"], "relu", tmp_path)
    rows = RELU.numpy().reshape(3, -1)
    assert columns["means"] == pytest.approx(rows.mean(1).tolist())
    assert columns["stds"] == pytest.approx(rows.std(1).tolist())
    assert columns["maxima"] == [3.0, 2.0, 0.0]
    assert columns["sparsity"] == [0.5, 0.5, 1.0]
    assert (tmp_path / "relu_channel_stats.png").exists()


def test_the_strongest_channels_come_first(tmp_path: Path) -> None:
    maps = torch.tensor([1.0, 5.0, 3.0, 5.0])[:, None, None].expand(4, 3, 3)
    assert plot_spatial_activation_patterns({"a": [maps]}, "a", tmp_path, num_channels=3) == [1, 3, 2]
    with pytest.raises(ConfigError, match="SW-F163"):
        plot_spatial_activation_patterns({"a": [maps]}, "a", tmp_path, num_channels=0)


@pytest.mark.slow
def test_every_promised_file_is_written_for_layers_of_every_rank(tmp_path: Path) -> None:
    path = save_feature_file(tmp_path / "features_b1_t4_Robofarmer-II_512.pkl", content())
    found = analyze(path, tmp_path / "analysis")
    layers = ["conv1", "relu", "signal", "volume", "pooled"]
    assert list(found.table) == layers
    names = {f"{layer}_{kind}.png" for layer in layers for kind in KINDS}
    names |= {"layer_comparison.png", "statistics.json", "statistics.csv"}
    assert {entry.name for entry in (tmp_path / "analysis").iterdir()} == names
    assert {file.name for file in found.files} == names
    for file in found.files[:-2]:
        # a page with something on it
        assert np.ptp(np.asarray(Image.open(file).convert("L"))) > 100, file.name


def test_json_and_csv_hold_the_numbers_of_the_table(tmp_path: Path) -> None:
    found = analyze(content(), tmp_path, ["relu", "pooled"])
    written = json.loads((tmp_path / "statistics.json").read_text())
    assert (written["batch_idx"], written["timestep"], written["batch_info"]["verb"]) == (1, 4, "take")
    assert written["bands"] == {"mean": [0.1, 2.0], "sparsity": [0.3, 0.7], "channel_spread": [0.1, 3.0]}
    assert written["layers"]["relu"]["mean"] == found.table["relu"]["mean"]
    rows = list(csv.DictReader((tmp_path / "statistics.csv").read_text().splitlines()))
    assert [(row["layer"], row["shape"], float(row["max"])) for row in rows] == [
        ("relu", "3×2×2", 3.0),
        ("pooled", "3", 1.5),
    ]


def test_dead_channels_are_counted_over_the_records_where_the_file_has_them(tmp_path: Path) -> None:
    alone = analyze(content(), tmp_path, ["relu"]).table["relu"]
    many = analyze(content(population={"relu": population()}), tmp_path, ["relu"]).table["relu"]
    assert (alone["dead_channels"], alone["dead_over"]) == (1, "one input only")
    assert (many["dead_channels"], many["dead_over"]) == (0, "over 1,000 records")
    assert "dead" in alone["verdict"]
    assert "dead" not in many["verdict"]


def test_the_rows_are_the_columns_of_the_guide(tmp_path: Path) -> None:
    rows = analyze(content(), tmp_path, ["relu"]).rows()
    assert rows[0][:6] == ("Layer", "Shape", "Mean", "Std", "Sparsity", "Channels")
    assert rows[1][:6] == ("relu", "3×2×2", "0.6667", "1.027", "66.7%", "3")


def test_layers_are_named_short_in_full_or_by_their_module() -> None:
    nested = checked(content(activations={"backbone.layer1": RELU[None], "relu": RELU[None]}), "these features")
    assert chosen_layers(nested, "all") == ["backbone.layer1", "relu"]
    assert chosen_layers(nested, ["layer1"]) == ["backbone.layer1"]
    assert chosen_layers(nested, "backbone.relu") == ["relu"]
    assert chosen_layers(nested, ["relu", "backbone.relu", "relu"]) == ["relu"]
    ambiguous = checked({"activations": {"a.relu": RELU, "b.relu": RELU}}, "these features")
    with pytest.raises(CheckpointError, match=r"may be a\.relu or b\.relu"):
        chosen_layers(ambiguous, ["relu"])


def test_a_layer_that_is_not_there_is_refused_before_anything_is_written(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"SW-C37.*No activations found for layer layer9"):
        analyze(content(), tmp_path / "out", ["relu", "layer9"])
    with pytest.raises(ConfigError, match="SW-F162"):
        analyze(content(), tmp_path / "out", [])
    assert not (tmp_path / "out").exists()


def test_a_folder_that_is_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "out").write_text("a note")
    with pytest.raises(ConfigError, match="SW-F161"):
        analyze(content(), tmp_path / "out" / "deeper")


def test_values_that_are_no_numbers_are_reported_and_the_other_layers_drawn(tmp_path: Path) -> None:
    broken = SIGNED.clone()
    broken[0, 0, 0] = math.nan
    given = content(activations={"some": broken[None], "all": torch.full((1, 2, 3, 3), math.nan), "relu": RELU[None]})
    found = analyze(given, tmp_path, ["some", "all", "relu"])
    assert found.table["some"]["nonfinite"] == 1
    assert "1 values not finite" in found.table["some"]["verdict"]
    assert [note.partition(":")[0] for note in found.notes] == ["all"]
    assert json.loads((tmp_path / "statistics.json").read_text())["layers"]["all"]["mean"] is None
    assert (tmp_path / "relu_distribution.png").exists()
    assert not (tmp_path / "all_distribution.png").exists()


def test_a_pickle_of_the_original_tool_is_analysed(tmp_path: Path) -> None:
    found = analyze(foreign(tmp_path / "f.pkl"), tmp_path / "out")
    assert found.table["conv1"]["num_channels"] == 2
    assert found.table["conv1"]["spatial_size"] == (2, 2)


def test_layers_are_compared_in_one_figure(tmp_path: Path) -> None:
    table = compare_layers(content(), tmp_path)
    assert [table[name]["num_channels"] for name in table] == [2, 3, 2, 2, 3]
    assert [entry.name for entry in tmp_path.iterdir()] == ["layer_comparison.png"]


def test_a_layer_with_a_name_that_is_no_file_name_stays_in_its_folder(tmp_path: Path) -> None:
    found = analyze(content(activations={"../../evil": RELU[None]}), tmp_path / "out")
    assert {file.parent for file in found.files} == {tmp_path / "out"}
    assert [entry.name for entry in tmp_path.iterdir()] == ["out"]
