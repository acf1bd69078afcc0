"""The recipe, on a few scenes; and its parts, which need no Lightning."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from torch import Tensor, nn

from seewhy.data.cluttered_digits import ClutteredDigits
from seewhy.demo.export import export
from seewhy.demo.models import build
from seewhy.demo.scenes import Scenes, draw_scenes
from seewhy.demo.train import Batches, Recipe, optimizer_of, rate, share_right, train
from seewhy.models.load import load_checkpoint
from seewhy.values import MissingExtraError


class FirstPixel(nn.Module):
    """Names the digit that the first pixel's red value counts."""

    def forward(self, images: Tensor) -> Tensor:
        red = ((images[:, 0, 0, 0] + 1) * 127.5).round().long()
        return nn.functional.one_hot(red, 10).float()


def counted_scenes(reds: list[int], labels: list[int]) -> Scenes:
    images = torch.zeros(len(reds), 3, 2, 2, dtype=torch.uint8)
    images[:, 0, 0, 0] = torch.tensor(reds, dtype=torch.uint8)
    return Scenes(images, torch.tensor(labels))


def test_scenes_are_the_data_sets_records_to_8_bits() -> None:
    scenes, record = draw_scenes("val", 3, seed=5), ClutteredDigits(counts={"val": 3}, seed=5).read(2)
    assert int(scenes.labels[2]) == record.label
    # Half a step of 1/255 on values spread over [-1, 1].
    assert (scenes.inputs(torch.tensor([2]))[0] - record.inputs["image"]).abs().max() <= 1 / 255 + 1e-6


def test_accuracy_counts_over_uneven_batches() -> None:
    scenes = counted_scenes([1, 2, 3, 4, 5], [1, 2, 3, 0, 0])
    assert share_right(FirstPixel(), scenes, batch=2) == 3 / 5


def test_measuring_keeps_the_models_mode() -> None:
    model = FirstPixel().train()
    share_right(model, counted_scenes([1], [1]))
    assert model.training


def test_an_epoch_shows_each_scene_at_most_once_in_full_batches() -> None:
    batches = Batches(counted_scenes(list(range(10)), list(range(10))), size=4)
    shown = [labels.tolist() for _, labels in batches]
    assert [len(labels) for labels in shown] == [4, 4]
    assert len(batches) == 2
    assert len({label for labels in shown for label in labels}) == 8


def test_images_and_labels_stay_together_when_shuffled() -> None:
    scenes = counted_scenes(list(range(10)), list(range(10)))
    for images, labels in Batches(scenes, size=5):
        assert FirstPixel()(images).argmax(1).tolist() == labels.tolist()


def test_matrices_decay_and_biases_do_not() -> None:
    model = nn.Linear(2, 3)
    optimizer, _ = optimizer_of(model, peak=1e-3, steps=10)
    decay = {id(weight): group["weight_decay"] for group in optimizer.param_groups for weight in group["params"]}
    assert decay[id(model.weight)] > 0
    assert decay[id(model.bias)] == 0


def test_the_learning_rate_rises_for_a_tenth_and_falls_as_a_cosine() -> None:
    # Half of the remaining nine tenths is at 0.55, where the cosine is 0.
    assert [rate(p) for p in (0, 0.05, 0.1, 0.55, 1)] == pytest.approx([0, 0.5, 1, 0.5, 0])


def test_the_schedule_multiplies_the_peak() -> None:
    optimizer, schedule = optimizer_of(nn.Linear(1, 1), peak=1e-3, steps=20)
    rates = []
    for _ in range(20):
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        schedule.step()
    assert rates == pytest.approx([1e-3 * rate(step / 20) for step in range(20)])


def test_export_halves_weights_keeps_counts_and_states_facts(tmp_path: Path) -> None:
    weights = {"model.w": torch.tensor([1.0, 1 / 3]), "model.steps": torch.tensor(70_001)}
    torch.save({"state_dict": weights}, tmp_path / "epoch=0-step=1.ckpt")
    path = export(tmp_path / "epoch=0-step=1.ckpt", tmp_path / "new" / "w.safetensors", {"accuracy": "0.5"})
    with safe_open(path, framework="pt") as file:
        assert file.metadata() == {"accuracy": "0.5"}
        assert file.get_tensor("steps").item() == 70_001
        assert file.get_tensor("w").tolist() == [1.0, float(torch.tensor(1 / 3).half())]


def test_without_lightning_the_install_command_is_named_before_any_work(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "lightning", None)
    lines: list[str] = []
    with pytest.raises(MissingExtraError, match=r"pip install 'seewhy\[lightning\]'"):
        train("cnn", tmp_path, report=lines.append)
    assert lines == []


@pytest.mark.slow
def test_training_a_little_gives_a_checkpoint_that_loads_and_that_the_seed_repeats(tmp_path: Path) -> None:
    recipe = Recipe(scenes=64, epochs=1, batch=16, learning_rate=1e-3, held_out=20)
    lines: list[str] = []
    first = train("cnn", tmp_path / "a", recipe=recipe, report=lines.append)
    again = train("cnn", tmp_path / "b", recipe=recipe, report=lines.append)
    assert first.checkpoint.name == "epoch=0-step=4.ckpt"
    model, repeated = build("cnn").eval(), build("cnn").eval()
    load_checkpoint(model, first.checkpoint, min_coverage=1.0)
    load_checkpoint(repeated, again.checkpoint, min_coverage=1.0)
    test = draw_scenes("test", 20)
    assert share_right(model, test) == first.accuracy
    assert torch.equal(model(test.inputs(torch.arange(4))), repeated(test.inputs(torch.arange(4))))
    assert sum("epoch 1 of 1" in line for line in lines) == 2
