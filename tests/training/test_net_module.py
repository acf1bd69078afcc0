"""The LightningModule of several inputs: what it answers, and that a checkpoint of it answers the same."""

from __future__ import annotations

import copy
import os
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from seewhy.data.multi_input import MultiInput
from seewhy.demo.retina import CLASSES, INPUTS, MadeRetina, write_retina
from seewhy.training import DataModule, NetModule, newest_checkpoint, read_config, trained_example
from seewhy.training.configuration import check_config
from seewhy.training.example import Training, share_right, train
from seewhy.values import CheckpointError, ConfigError, ModelError


def small(folder: Path, **net: Any) -> dict[str, Any]:
    """The example, with few eyes of 32 pixels and one epoch."""
    config = read_config()
    config["DataModule"] |= {"image_shape": [32, 32, 1], "counts": {"train": 16, "val": 8, "test": 4}, "batch_size": 8}
    config["NetModule"] |= {"log_dir": str(folder), "max_epochs": 1, "hidden": 8, **net}
    return config


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, Any], Training]:
    config = small(tmp_path_factory.mktemp("logs"))
    return config, train(config)


def eyes(batch: int = 3, size: int = 32) -> list[Tensor]:
    return [torch.rand(batch, 1, size, size, generator=torch.manual_seed(n)) for n in range(4)]


def test_training_leaves_a_checkpoint_of_every_step_where_the_config_says(trained: Any) -> None:
    config, training = trained
    assert training.checkpoint == Path(config["NetModule"]["log_dir"]) / "amd_example" / "epoch=0-step=2.ckpt"
    assert newest_checkpoint(config) == training.checkpoint


def test_a_loaded_checkpoint_gives_bit_identical_logits_with_and_without_a_config(trained: Any, tmp_path: Path) -> None:
    config, training = trained
    again = train(small(tmp_path))  # the same seed and data
    module = NetModule.load_from_checkpoint(again.checkpoint, config=config).eval()
    logits = module(*eyes())
    for loaded in (
        NetModule.load_from_checkpoint(training.checkpoint),
        NetModule.load_from_checkpoint(str(training.checkpoint), config=config),
        NetModule.load_from_checkpoint(training.checkpoint, map_location="cpu"),
    ):
        assert torch.equal(loaded.eval()(*eyes()), logits)
    assert not torch.equal(NetModule(config).eval()(*eyes()), logits)


def test_a_checkpoint_that_would_run_code_is_refused_unread(trained: Any, tmp_path: Path) -> None:
    class Payload:
        def __reduce__(self) -> tuple[Any, ...]:
            return os.mkdir, (str(tmp_path / "ran"),)

    held = torch.load(trained[1].checkpoint, weights_only=True)
    torch.save({**held, "extra": Payload()}, tmp_path / "bad.ckpt")
    with pytest.raises(CheckpointError, match=r"SW-C11.*mkdir"):
        NetModule.load_from_checkpoint(tmp_path / "bad.ckpt")
    (tmp_path / "worse.ckpt").write_bytes(pickle.dumps(Payload()))
    with pytest.raises(CheckpointError):
        NetModule.load_from_checkpoint(tmp_path / "worse.ckpt")
    assert not (tmp_path / "ran").exists()


def test_another_config_than_the_trainings_is_named(trained: Any) -> None:
    config = copy.deepcopy(trained[0])
    config["NetModule"]["hidden"] = 9
    with pytest.raises(ConfigError, match=r"SW-F109(?s:.*)head\.0\.weight"):
        NetModule.load_from_checkpoint(trained[1].checkpoint, config=config)


def test_a_prediction_is_the_softmax_of_the_logits_and_leaves_the_module_as_it_was(trained: Any) -> None:
    module = NetModule.load_from_checkpoint(trained[1].checkpoint).train()
    before = copy.deepcopy(module.state_dict())
    told = module.predict(eyes())
    logits = copy.deepcopy(module).eval()(*eyes()).detach().double().numpy()
    odds = np.exp(logits)
    np.testing.assert_allclose(told["probabilities"], odds / odds.sum(1, keepdims=True), rtol=1e-5)
    assert told["predicted_class"] == logits.argmax(1).tolist()
    assert told["class_name"] == [CLASSES[number] for number in told["predicted_class"]]
    assert told["confidence"] == pytest.approx(told["probabilities"].max(1).tolist())
    assert module.training
    assert all(torch.equal(before[name], value) for name, value in module.state_dict().items())


def test_one_record_is_told_in_single_values_and_may_be_given_by_name(trained: Any) -> None:
    module = NetModule.load_from_checkpoint(trained[1].checkpoint)
    one = module.predict([eye[:1] for eye in eyes()])
    three = module.predict(dict(zip(reversed(INPUTS), reversed(eyes()), strict=True)))
    assert isinstance(one["predicted_class"], int)
    assert (one["predicted_class"], one["class_name"]) == (three["predicted_class"][0], three["class_name"][0])
    assert one["confidence"] == pytest.approx(three["confidence"][0], rel=1e-5)
    with pytest.raises(ModelError, match="SW-M67"):
        module.predict([*eyes(), eyes()[0]])


def test_a_step_is_the_cross_entropy_of_the_records_with_a_label(trained: Any) -> None:
    module = NetModule.load_from_checkpoint(trained[1].checkpoint).eval()
    labels = torch.tensor([2, -1, 0])
    with pytest.warns(UserWarning, match="trainer"):  # Lightning's, as nothing logs here
        loss = module.training_step((*eyes(), labels, ["a", "b", "c"]), 0)
    logits = module(*eyes()).detach().double()
    by_hand = [torch.logsumexp(logits[row], 0) - logits[row, labels[row]] for row in (0, 2)]
    assert float(loss.detach()) == pytest.approx(float(sum(by_hand)) / 2, rel=1e-5)


@pytest.mark.parametrize("name", ["efficientnet_b0", "efficientnet_b2", "torchvision:resnet18", "test_vit"])
def test_any_backbone_can_be_named(name: str) -> None:
    module = NetModule({"DataModule": {"image_shape": [64, 64, 3]}, "NetModule": {"backbone_name": name}}).eval()
    assert module(*(torch.rand(1, 3, 64, 64) for _ in range(4))).shape == (1, 4)
    assert (module.input_names, module.class_names) == (INPUTS, list(CLASSES))


def test_inputs_and_classes_come_from_the_config() -> None:
    module = NetModule(
        {
            "DataModule": {"inputs": ["left", "right"], "n_class": 3, "image_shape": [32, 32, 1]},
            "NetModule": {"backbone_name": "test_resnet", "hidden": 4},
        }
    )
    assert (module.input_names, module.class_names) == (("left", "right"), ["0", "1", "2"])
    assert module.eval()(torch.rand(2, 1, 32, 32), right=torch.rand(2, 1, 32, 32)).shape == (2, 3)
    assert [name for name, _ in module.out.named_children()] == ["to3", "backbone1", "backbone2", "head"]


def test_batches_hold_every_record_of_a_split_with_its_label_and_id(tmp_path: Path) -> None:
    config = small(tmp_path)
    made = MadeRetina(32, config["DataModule"]["counts"])
    seen: dict[str, tuple[int, Tensor]] = {}
    for mnv, fluid, ga, drusen, labels, ids in DataModule(config).train_dataloader():
        assert mnv.shape == fluid.shape == ga.shape == (8, 1, 32, 32)
        seen |= {name: (int(label), eye) for name, label, eye in zip(ids, labels, drusen, strict=True)}
    assert sorted(seen) == [f"train_{i:05d}" for i in range(16)]
    for position in (0, 5):
        label, drusen = seen[f"train_{position:05d}"]
        assert label == made.index()[position].label
        assert torch.equal(drusen, made.read(position).inputs["drusen"])
    assert [batch[-1][0] for batch in DataModule(config).val_dataloader()] == ["val_00000"]


def test_own_pictures_are_read_in_place_of_made_ones(tmp_path: Path) -> None:
    config = small(tmp_path)
    made = MadeRetina(32, config["DataModule"]["counts"])
    config["DataModule"]["data_path"] = str(write_retina(made, tmp_path / "eyes"))
    own, drawn = (next(iter(DataModule(one).test_dataloader())) for one in (config, small(tmp_path)))
    assert isinstance(DataModule(config).records, MultiInput)
    order = sorted(range(4), key=lambda row: own[-1][row].rpartition("/")[2])
    for theirs, ours in zip(own[:5], drawn[:5], strict=True):
        assert torch.equal(theirs[order], ours)


def test_the_share_right_counts_over_uneven_batches() -> None:
    class Echo(nn.Module):
        def forward(self, eye: Tensor) -> Tensor:
            return nn.functional.one_hot(eye, 4)

    told, true = torch.tensor([0, 1, 2]), torch.tensor([0, 1, 3])
    loader = [(told, true, ["a", "b", "c"]), (told[:1], true[:1], ["d"])]
    assert share_right(Echo(), loader) == 3 / 4  # type: ignore[arg-type]


def test_what_is_trained_already_is_not_trained_again_unless_the_config_changed(trained: Any, tmp_path: Path) -> None:
    config, training = trained
    assert trained_example(config) == training.checkpoint
    changed = small(Path(config["NetModule"]["log_dir"]), hidden=9)
    other = trained_example(changed)
    try:
        assert other != training.checkpoint
        assert NetModule.load_from_checkpoint(other).out.head[0].out_features == 9
        assert trained_example(config) == training.checkpoint
    finally:
        other.unlink()


def test_where_no_checkpoint_is_found_is_told_as_it_always_was(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=f"Checkpoint directory not found: {tmp_path}"):
        newest_checkpoint(small(tmp_path))
    (tmp_path / "amd_example").mkdir()
    with pytest.raises(ConfigError, match=r"No checkpoint files found in: .*amd_example"):
        newest_checkpoint(small(tmp_path))
    for name, age in (("new.ckpt", 2e9), ("old.ckpt", 1e9)):
        (tmp_path / "amd_example" / name).touch()
        os.utime(tmp_path / "amd_example" / name, (age, age))
    assert newest_checkpoint(small(tmp_path)).name == "new.ckpt"


@pytest.mark.parametrize(
    ("tables", "code", "part"),
    [
        ({"NetModule": {"lr": "fast"}}, "SW-F106", "NetModule.lr must be of type float"),
        ({"NetModule": {"max_epochs": 0}}, "SW-F106", "above 0"),
        ({"NetModule": 3}, "SW-F106", "a table"),
        ({"DataModule": {"shuffle": 1}}, "SW-F106", "of type bool"),
        ({"DataModule": {"image_shape": [64, 64]}}, "SW-F106", "[height, width, channels]"),
        ({"DataModule": {"class_names": ["a", "b"]}}, "SW-F106", "n_class is 4"),
        ({"NetModule": {"backbone_nam": "resnet18"}}, "SW-F107", "nearest: backbone_name"),
        ({"Netmodule": {}}, "SW-F107", "nearest: NetModule"),
    ],
)
def test_wrong_values_and_misspelt_keys_are_named(tables: dict[str, Any], code: str, part: str) -> None:
    with pytest.raises(ConfigError) as caught:
        check_config(tables)
    assert (caught.value.code, part in str(caught.value)) == (code, True), str(caught.value)


def test_keys_of_other_programs_are_left_alone_and_kept() -> None:
    config = {"DataModule": {"k_fold": 5}, "Trainer": {"devices": 1}, "NetModule": {"log_dir": Path("a")}}
    checked = check_config(config)
    assert checked.plain == {**config, "NetModule": {"log_dir": "a"}}
    assert (checked.net.backbone_name, checked.data.batch_size, checked.data.split_ratio) == (
        "efficientnet_b0",
        16,
        [0.6, 0.2, 0.2],
    )


def test_a_config_that_cannot_be_read_names_its_neighbours(tmp_path: Path) -> None:
    (tmp_path / "config_bio.toml").write_text("[NetModule")
    with pytest.raises(ConfigError, match="SW-F105"):
        read_config(tmp_path / "config_bio.toml")
    with pytest.raises(ConfigError, match=r"SW-F105(?s:.*)nearest: config_bio\.toml"):
        read_config(tmp_path / "config_bi.toml")


def test_made_eyes_of_other_inputs_than_there_are_are_refused(tmp_path: Path) -> None:
    config = small(tmp_path)
    config["DataModule"]["inputs"] = ["mnv", "oct"]
    with pytest.raises(ConfigError, match=r"SW-F106.*mnv, oct"):
        DataModule(config)


def test_a_configuration_that_was_checked_serves_wherever_a_dict_does(tmp_path: Path) -> None:
    config = small(tmp_path)
    checked = check_config(config)
    assert check_config(checked) is checked
    assert DataModule(checked).table == DataModule(config).table
    again = NetModule(NetModule(checked).config)
    assert again.hparams["config"] == config
