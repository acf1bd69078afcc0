"""The trainer that takes loggers by name."""

from __future__ import annotations

import importlib
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from seewhy.training import AutoTrainer, InterpretationCallback
from seewhy.training import auto_trainer as room
from seewhy.training.auto_trainer import named_loggers
from seewhy.training.lightning_choice import lightning_module
from seewhy.values import ConfigError, MissingExtraError
from training.watched import pictures, quiet, train

lightning: Any = importlib.import_module("lightning.pytorch")


def test_it_is_lightnings_trainer_and_passes_everything_on(tmp_path: Path) -> None:
    with quiet():
        trainer = AutoTrainer(logger=False, max_epochs=7, accelerator="cpu", default_root_dir=tmp_path)
    assert isinstance(trainer, lightning.Trainer)
    assert (trainer.max_epochs, trainer.loggers, trainer.default_root_dir) == (7, [], str(tmp_path))


def test_names_become_loggers_on_files_under_the_root(tmp_path: Path) -> None:
    table = named_loggers("csv", tmp_path)
    assert type(table) is lightning.loggers.CSVLogger
    assert Path(table.log_dir) == tmp_path / "lightning_logs/version_0"
    board = named_loggers("tensorboard", tmp_path, {"tensorboard": {"name": "eyes", "version": 4}})
    assert type(board) is lightning.loggers.TensorBoardLogger
    assert Path(board.log_dir) == tmp_path / "eyes/version_4"


def test_several_loggers_may_be_mixed_with_ready_ones(tmp_path: Path) -> None:
    own = lightning.loggers.CSVLogger(tmp_path, name="own")
    found = named_loggers(["tensorboard", own, "csv"], tmp_path)
    assert [type(one).__name__ for one in found] == ["TensorBoardLogger", "CSVLogger", "CSVLogger"]
    assert found[1] is own


@pytest.mark.parametrize("passed", [None, True, False])
def test_what_is_no_name_is_left_to_lightning(passed: Any, tmp_path: Path) -> None:
    assert named_loggers(passed, tmp_path) is passed


def test_wandb_is_offline_and_mlflow_a_file_unless_they_are_told_otherwise(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[tuple[str, dict[str, Any]]] = []
    monkeypatch.setattr(lightning.loggers, "WandbLogger", lambda **given: made.append(("wandb", given)))
    monkeypatch.setattr(lightning.loggers, "MLFlowLogger", lambda **given: made.append(("mlflow", given)))
    monkeypatch.setattr(room, "_require", lambda package, extra: None)
    named_loggers(["wandb", "mlflow"], tmp_path)
    online, server = {"offline": False, "project": "eyes"}, {"tracking_uri": "http://tracking.example:5000"}
    named_loggers(["wandb", "mlflow"], tmp_path, {"wandb": online, "mlflow": server})
    assert made == [
        ("wandb", {"save_dir": tmp_path, "offline": True}),
        (
            "mlflow",
            {
                "tracking_uri": f"sqlite:///{tmp_path / 'mlflow.db'}",
                "artifact_location": (tmp_path / "mlartifacts").as_uri(),
            },
        ),
        ("wandb", {"save_dir": tmp_path, **online}),
        ("mlflow", server),
    ]


def test_an_unknown_name_or_settings_for_an_unused_logger_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"SW-F186(?s:.*)tensorboard") as caught:
        AutoTrainer(logger="tensorbord", default_root_dir=tmp_path)
    assert caught.value.near == ("tensorboard",)
    with pytest.raises(ConfigError, match="SW-F187"):
        AutoTrainer(logger="csv", logger_settings={"wandb": {}}, default_root_dir=tmp_path)


@pytest.mark.parametrize("name", ["tensorboard", "wandb", "mlflow"])
def test_a_logger_that_is_not_installed_names_its_extra(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(room, "find_spec", lambda package: None)
    with pytest.raises(MissingExtraError, match=rf"seewhy\[{name}\]"):
        named_loggers(name, tmp_path)


def test_a_training_runs_with_it(tmp_path: Path) -> None:
    callback = InterpretationCallback(pictures()[0][:2], log_every_n_epochs=1)
    train(tmp_path, [callback], trainer_class=AutoTrainer, logger="csv")
    folder = tmp_path / "lightning_logs/version_0"
    assert "interpretation/overhead" in (folder / "metrics.csv").read_text("utf-8")
    names = sorted(path.name for path in (folder / "interpretation/epoch_1").iterdir())
    assert (names, callback.report().problems) == (["sample_0.png", "sample_1.png"], ())


def test_without_lightning_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("lightning.pytorch", "pytorch_lightning"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    monkeypatch.setattr("seewhy.training.lightning_choice.find_spec", lambda package: None)
    with pytest.raises(MissingExtraError, match=r"seewhy\[lightning\]"):
        lightning_module()


@pytest.mark.slow
def test_it_follows_the_name_of_lightning_that_the_program_uses() -> None:
    words = (
        "import pytorch_lightning, sys; from seewhy.training import AutoTrainer, FeatureMonitorCallback; "
        "assert issubclass(AutoTrainer, pytorch_lightning.Trainer), AutoTrainer.__mro__; "
        "assert issubclass(FeatureMonitorCallback, pytorch_lightning.Callback); "
        "assert 'lightning.pytorch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-W", "ignore", "-c", words], check=True)


def test_the_room_is_opened_without_lightning() -> None:
    words = "import sys, seewhy.training; assert not {'lightning', 'pytorch_lightning', 'torch'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", words], check=True)
