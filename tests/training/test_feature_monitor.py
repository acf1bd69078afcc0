"""What layers put out while a network learns: the right numbers of the right batches, and the learning unchanged."""

from __future__ import annotations

import logging
import math
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint
from torch.utils.data import DataLoader, TensorDataset

from seewhy.capture.reading import LayerOutput
from seewhy.features.statistics import ChannelStatistics
from seewhy.models.layers import Layer
from seewhy.training import FeatureMonitorCallback
from seewhy.training.feature_tally import Tally, channels_second, chosen_batches
from seewhy.values import LayerError, SeewhyError
from training.watched import NAMESPACES, network, own_process_group, train

LAYERS = ["net.0", "net.2", "net.6"]


class Notebook:
    """A logger that keeps what it is given; Lightning asks for no more."""

    name, version, save_dir, log_dir = "notebook", 0, None, None

    def __init__(self) -> None:
        self.rows: list[tuple[int, dict[str, float]]] = []

    def log_metrics(self, metrics: dict[str, float], step: int) -> None:
        self.rows.append((step, dict(metrics)))

    def of(self, name: str) -> list[float]:
        return [row[name] for _, row in self.rows if name in row]

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return lambda *given, **named: None


@pytest.mark.parametrize("namespace", NAMESPACES)
@pytest.mark.parametrize("precision", ["32-true", "bf16-mixed"])
def test_a_watched_training_ends_bit_for_bit_as_an_unwatched_one(
    namespace: str, precision: str, tmp_path: Path
) -> None:
    settings: Any = {"namespace": namespace, "precision": precision, "accumulate_grad_batches": 4}
    callback = FeatureMonitorCallback(LAYERS, num_batches=100, extra_stats={"l1": lambda values: values.abs().sum()})
    plain, watched = train(tmp_path, **settings), train(tmp_path, [callback], logger=Notebook(), **settings)
    assert watched.differences(plain) == []
    assert watched.facts["modes"] == [True] * 12
    assert (callback.report().events, callback.report().failures) == (4, 0)


class Steps(nn.Module):
    """Puts out its input times ``factor``: what the layer ``scale`` puts out is known without running it."""

    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.Conv2d(2, 2, 1, bias=False)
        self.relu = nn.ReLU()
        self.head = nn.Linear(2, 3)
        with torch.no_grad():
            self.scale.weight.copy_(torch.eye(2)[:, :, None, None])
        self.scale.weight.requires_grad = False

    def forward(self, image: Tensor) -> Tensor:
        return self.head(self.relu(self.scale(image)).mean((2, 3)))


def counting(batches: int, records: int = 2) -> tuple[Tensor, DataLoader[Any]]:
    """Batches ``b`` of values around ``b``, in order; channel 1 is the negative of channel 0."""
    own = torch.Generator().manual_seed(1)
    values = torch.arange(batches * records).div(records, rounding_mode="floor").float()[:, None, None, None]
    first = values + torch.rand(batches * records, 1, 4, 4, generator=own)
    images = torch.cat([first, -first], dim=1)
    labels = torch.zeros(batches * records, dtype=torch.long)
    return images, DataLoader(TensorDataset(images, labels), batch_size=records)


def test_numbers_are_those_of_the_measured_batches_by_hand(tmp_path: Path) -> None:
    images, data = counting(10)
    notebook = Notebook()
    callback = FeatureMonitorCallback(
        ["scale", "relu"], num_batches=2, extra_stats={"l1": lambda x: x.abs().sum() / len(x)}
    )
    train(tmp_path, [callback], net=Steps(), data=data, validation=False, logger=notebook, max_epochs=1)
    measured = torch.cat([images[4:6], images[14:16]]).double()  # the middle of each half of ten batches: 2 and 7
    for layer, values in (("scale", measured), ("relu", measured.clamp(min=0))):
        expected = {
            "mean": values.mean(), "std": values.std(correction=0), "max": values.max(),
            "sparsity": (values == 0).double().mean(), "l1": values.abs().sum() / 4,
            "dead": torch.tensor(0.5 if layer == "relu" else 0.0),
        }  # fmt: skip
        for name, value in expected.items():
            assert notebook.of(f"features/{layer}/{name}") == [pytest.approx(float(value), rel=1e-5)], name
    assert notebook.rows[0][0] == 10
    assert callback.statistics["train"]["scale"].records == 4


def test_near_zero_is_the_share_of_values_up_to_a_hundredth_of_the_largest() -> None:
    tally = Tally({"one": Layer("one")}, {})
    tally.take(LayerOutput("one", 0, nn.ReLU(), torch.tensor([[[[100.0, 1.0], [1.1, -0.5]]]])))
    assert tally.numbers()["one"]["near_zero"] == 0.5
    assert tally.numbers()["one"]["sparsity"] == 0


def test_training_and_validation_are_apart(tmp_path: Path) -> None:
    images, data = counting(4)
    shifted = DataLoader(TensorDataset(images + 100 * images.sign(), torch.zeros(8, dtype=torch.long)), batch_size=2)
    notebook = Notebook()
    callback = FeatureMonitorCallback("scale")
    train(tmp_path, [callback], net=Steps(), data=data, validation=shifted, logger=notebook, max_epochs=2)
    assert notebook.of("features/scale/max") == [pytest.approx(float(images.max()))] * 2
    assert notebook.of("val_features/scale/max") == [pytest.approx(100 + float(images.max()), rel=1e-6)] * 2
    assert {name: of["scale"].records for name, of in callback.statistics.items()} == {"train": 8, "val": 8}


def test_several_validation_loaders_are_counted_together(tmp_path: Path) -> None:
    _, data = counting(3)
    callback = FeatureMonitorCallback("scale", num_batches=2)
    train(tmp_path, [callback], net=Steps(), data=data, validation=[data, data], max_epochs=1)
    assert callback.statistics["val"]["scale"].records == 2 * 2 * 2


def test_epochs_in_between_are_not_read(tmp_path: Path) -> None:
    notebook = Notebook()
    train(tmp_path, [FeatureMonitorCallback(LAYERS, log_every_n_epochs=2)], logger=notebook, max_epochs=5)
    steps = [step for step, row in notebook.rows if "features/net.0/mean" in row]
    assert steps == [12, 24]
    assert len(notebook.of("val_features/net.0/mean")) == 2


@pytest.mark.parametrize(("total", "count"), [(10, 10), (10, 3), (1, 5), (997, 10), (7, 6)])
def test_measured_batches_are_different_and_spread_over_the_epoch(total: int, count: int) -> None:
    chosen = sorted(chosen_batches(total, count))
    assert len(chosen) == min(total, count)
    assert set(chosen) <= set(range(total))
    gaps = [later - earlier for earlier, later in zip([-1, *chosen], [*chosen, total], strict=True)]
    assert max(gaps) <= math.ceil(total / min(total, count))


def test_an_epoch_of_unknown_length_has_its_first_batches_measured() -> None:
    assert list(chosen_batches(math.inf, 3)) == [0, 1, 2]
    assert list(chosen_batches(0, 3)) == []


def test_memory_does_not_grow_with_the_batches() -> None:
    tally = Tally({"a": Layer("a")}, {})
    sizes = []
    for _ in range(50):
        tally.take(LayerOutput("a", 0, nn.Conv2d(3, 6, 1), torch.rand(4, 6, 16, 16)))
        sizes.append(sum(held.numel() for held in vars(tally.statistics["a"]).values() if isinstance(held, Tensor)))
    assert set(sizes) == {7 * 6}


class Recurrent(nn.Module):
    """A layer that puts out a tuple, one that runs twice, and one that puts out no tensor at all."""

    def __init__(self) -> None:
        super().__init__()
        self.lstm = nn.LSTM(4, 5, batch_first=True)
        self.relu = nn.ReLU()
        self.told = Told()
        self.head = nn.Linear(5, 3)

    def forward(self, image: Tensor) -> Tensor:
        found, _ = self.lstm(image[:, 0])
        self.told(found)
        return self.head(self.relu(self.relu(found) - 0.01).mean(dim=1))


class Told(nn.Module):
    def forward(self, image: Tensor) -> str:
        return f"{len(image)} records"


def test_tuples_give_their_first_tensor_and_repeated_layers_every_call_or_the_named_one(tmp_path: Path) -> None:
    _, data = counting(2)
    callback = FeatureMonitorCallback(["lstm", "relu", "relu#1", "told"])
    train(tmp_path, [callback], net=Recurrent(), data=data, validation=False, max_epochs=1)
    found = callback.statistics["train"]
    assert {name: (of.records, of.num_channels) for name, of in found.items()} == {
        "lstm": (4, 5), "relu": (8, 5), "relu#1": (4, 5),
    }  # fmt: skip
    assert found["relu#1"].max == pytest.approx(found["relu"].max - 0.01, abs=1e-6)
    assert any(problem.startswith("measuring told: ") for problem in callback.report().problems)


class Checkpointed(Steps):
    def forward(self, image: Tensor) -> Tensor:
        found = checkpoint(lambda x: self.relu(self.scale(x)), image.requires_grad_(), use_reentrant=False)
        return self.head(found.mean((2, 3)))


def test_what_a_checkpoint_computes_again_is_not_counted_again(tmp_path: Path) -> None:
    _, data = counting(3)
    callback = FeatureMonitorCallback(["scale", "relu"])
    train(tmp_path, [callback], net=Checkpointed(), data=data, validation=False, max_epochs=1)
    assert {name: found.records for name, found in callback.statistics["train"].items()} == {"scale": 6, "relu": 6}


def test_layers_are_found_by_ending_pattern_and_kind_and_the_stages_without_a_name(tmp_path: Path) -> None:
    for names, expected in (
        (["net.0", "4"], ["net.0", "4"]),
        ("*.[03]", ["net.0", "net.3"]),
        (nn.Conv2d, ["net.0", "net.4"]),
    ):
        callback = FeatureMonitorCallback(names)
        train(tmp_path, [callback], max_epochs=1)
        assert list(callback.statistics["train"]) == expected
    everything = FeatureMonitorCallback()
    train(tmp_path, [everything], max_epochs=1)
    assert {"net.0", "net.1", "net.2", "net.4"} <= set(everything.statistics["train"])


def test_a_layer_that_is_not_there_is_an_error_before_the_first_step(tmp_path: Path) -> None:
    net = network()
    before = net[0].weight.clone()
    with pytest.raises(LayerError):
        train(tmp_path, [FeatureMonitorCallback(["net.0", "layer9"])], net=net)
    assert torch.equal(net[0].weight, before)


@pytest.mark.parametrize(
    ("given", "code"),
    [
        ({"log_every_n_epochs": 0}, "SW-F181"),
        ({"num_batches": -1}, "SW-F181"),
        ({"prefix": "/features"}, "SW-F180"),
        ({"extra_stats": {"mean": torch.sum}}, "SW-F185"),
        ({"extra_stats": {"l1": 3}}, "SW-F185"),
    ],
)
def test_what_cannot_work_is_refused_when_it_is_made(given: dict[str, Any], code: str) -> None:
    with pytest.raises(SeewhyError) as caught:
        FeatureMonitorCallback(LAYERS, **given)
    assert caught.value.code == code


class Stumbling(nn.Module):
    """Breaks in its third forward of the training, or of a validation."""

    def __init__(self) -> None:
        super().__init__()
        self.net, self.calls = network(), 0

    def forward(self, image: Tensor) -> Tensor:
        found = self.net(image)
        self.calls += 1
        if self.calls == 3:
            raise RuntimeError("stumbled")
        return found


@pytest.mark.parametrize("sanity", [0, 2])
def test_no_hook_is_left_when_a_step_raises(sanity: int, tmp_path: Path) -> None:
    net = Stumbling()
    with pytest.raises(RuntimeError, match="stumbled"):
        train(tmp_path, [FeatureMonitorCallback(["net.0"])], net=net, num_sanity_val_steps=sanity)
    assert all(not part._forward_hooks for part in net.modules())


def test_a_statistic_that_raises_is_told_once_and_the_training_goes_on(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    callback = FeatureMonitorCallback(["net.0"], extra_stats={"odd": lambda values: 1 / 0})
    with caplog.at_level(logging.WARNING, "seewhy.training"):
        left = train(tmp_path, [callback], logger=Notebook())
    assert len(left.module.losses) == 12
    assert callback.report().failures >= 12
    assert sum("ZeroDivisionError" in record.message for record in caplog.records) == 1


def test_without_a_logger_the_numbers_are_kept_and_that_is_told(tmp_path: Path) -> None:
    callback = FeatureMonitorCallback(["net.0"])
    train(tmp_path, [callback])
    assert "callback.statistics" in callback.report().problems[0]
    assert callback.statistics["train"]["net.0"].num_channels == 4


@pytest.mark.slow
def test_a_compiled_network_has_its_batches_run_once_more_and_learns_the_same(tmp_path: Path) -> None:
    callback = FeatureMonitorCallback(LAYERS, num_batches=100)
    settings: Any = {"compiled": True, "max_epochs": 1, "accumulate_grad_batches": 4}
    plain, watched = train(tmp_path, **settings), train(tmp_path, [callback], logger=Notebook(), **settings)
    assert watched.differences(plain) == []
    assert callback.report().problems == ()
    assert {stage: of["net.0"].records for stage, of in callback.statistics.items()} == {"train": 24, "val": 24}


@pytest.mark.slow
def test_a_wrapped_network_is_read_and_learns_the_same(tmp_path: Path) -> None:
    callback = FeatureMonitorCallback(LAYERS, num_batches=100)
    settings: Any = {"strategy": "ddp", "max_epochs": 1, "accumulate_grad_batches": 4}
    with own_process_group():
        plain, watched = train(tmp_path, **settings), train(tmp_path, [callback], logger=Notebook(), **settings)
    assert watched.differences(plain) == []
    assert callback.statistics["train"]["net.0"].records == 24


class SwinLike(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.norm, self.mlp = nn.LayerNorm(5), nn.Sequential(nn.Linear(5, 5), nn.GELU())


@pytest.mark.parametrize(
    ("module", "shape", "channels"),
    [
        (nn.Conv2d(1, 5, 1), (2, 5, 6, 7), 5),
        (nn.Sequential(nn.Conv2d(1, 5, 1), nn.LayerNorm(7)), (2, 5, 6, 7), 5),  # a ConvNeXt block puts channels second
        (nn.ReLU(), (2, 5, 6, 7), 5),
        (SwinLike(), (2, 6, 7, 5), 5),
        (SwinLike(), (2, 42, 5), 5),
        (nn.Sequential(nn.Conv2d(3, 5, 4), nn.Flatten(2)), (2, 42, 5), 5),  # a patch embedding puts out tokens
        (nn.Sequential(nn.Conv1d(3, 5, 3), nn.ReLU()), (2, 5, 42), 5),
        (nn.BatchNorm1d(5), (2, 5, 42), 5),
        (nn.Linear(9, 5), (2, 5), 5),
    ],
)
def test_channels_are_found_by_what_a_layer_is_made_of(
    module: nn.Module, shape: tuple[int, ...], channels: int
) -> None:
    assert channels_second(module, torch.zeros(shape)).shape[1] == channels


def test_broken_tallies_are_noticed_by_the_numbers_of_the_whole() -> None:
    parts = torch.randn(5, 4, 3, 6, 6, generator=torch.Generator().manual_seed(2)).relu()
    whole = ChannelStatistics.of(parts.flatten(0, 1)).summary()

    def numbers(forget: bool = False, twice: bool = False) -> dict[str, float]:
        tally = Tally({"a": Layer("a")}, {})
        for part in parts:
            if forget:
                tally.statistics.clear()
            tally.take(LayerOutput("a", 0, nn.ReLU(), part))
        if twice:
            tally.take(LayerOutput("a", 0, nn.ReLU(), parts[0]))
        return tally.numbers()["a"]

    expected = {"mean": whole.mean, "std": whole.std, "sparsity": whole.sparsity, "max": whole.max}
    assert {name: numbers()[name] for name in expected} == pytest.approx(expected, rel=1e-6)
    for broken in (numbers(forget=True), numbers(twice=True)):
        assert {name: broken[name] for name in expected} != pytest.approx(expected, rel=1e-6)


def test_the_overhead_is_logged_once_when_the_fit_ends(tmp_path: Path) -> None:
    notebook = Notebook()
    callback = FeatureMonitorCallback(["net.0"])
    train(tmp_path, [callback], logger=notebook)
    (share,), (seconds,) = notebook.of("features/overhead"), notebook.of("features/overhead_seconds")
    assert 0 < share < 1
    assert share == pytest.approx(callback.report().share, rel=0.2)
    assert 0 < seconds <= callback.report().seconds


def test_names_fit_every_logger(tmp_path: Path) -> None:
    notebook = Notebook()
    train(tmp_path, [FeatureMonitorCallback(["net[0]"])], logger=notebook)
    assert len(notebook.of("features/net_0_/mean")) == 2
