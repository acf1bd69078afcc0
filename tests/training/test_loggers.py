"""Pictures and numbers reach every kind of logger, and a logger that throws ends no training."""

from __future__ import annotations

import csv
import importlib
import io
import json
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from PIL import Image

from seewhy.training import FeatureMonitorCallback, InterpretationCallback
from seewhy.training.logger_guard import KEPT, Guard
from seewhy.training.logging_pictures import Event, LoggedPicture, deliver, folder_of, kind_of
from seewhy.values import DataError
from training.watched import NAMESPACES, pictures, train

IMAGES, LABELS = pictures()
PAGES = [np.random.default_rng(place).integers(0, 256, (9, 11, 3), np.uint8) for place in range(2)]
EVENT = Event("maps", "epoch_3", 7, [LoggedPicture(place, page, f"words {place}") for place, page in enumerate(PAGES)])


def loggers(namespace: str = NAMESPACES[0]) -> Any:
    return importlib.import_module(f"{namespace}.loggers")


def trainer_with(*given: Any, root: Path = Path(), **settings: Any) -> Any:
    return SimpleNamespace(loggers=list(given), default_root_dir=str(root), global_step=7, **settings)


def read(path: Path) -> np.ndarray:
    with Image.open(path) as file:
        return np.asarray(file.convert("RGB"))


@pytest.mark.parametrize("namespace", NAMESPACES)
def test_loggers_are_told_apart_by_what_they_derive_from(namespace: str) -> None:
    for name in ("TensorBoardLogger", "WandbLogger", "MLFlowLogger"):
        kind = getattr(loggers(namespace), name)
        made = kind.__new__(type("House", (kind,), {}))
        assert kind_of(made) == name
    assert kind_of(loggers(namespace).CSVLogger.__new__(loggers(namespace).CSVLogger)) == ""
    assert kind_of(type("TensorBoardLogger", (), {})()) == ""
    assert kind_of(type("WandbLoggerLike", (), {})()) == ""
    assert kind_of(None) == ""


class Recorder:
    """Stands for a logger's experiment, or for W&B's logger: keeps every call."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, tuple[Any, ...], dict[str, Any]]] = []

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return lambda *given, **named: self.calls.append((name, given, named))


def pretending(kind: str, experiment: Any) -> Any:
    """A logger of that kind whose doors lead to the experiment."""
    doors = {"experiment": experiment, "run_id": "run 5"}
    if kind == "WandbLogger":
        doors["log_image"] = staticmethod(experiment.log_image)
    base = getattr(loggers(), kind)
    return base.__new__(type("Pretending", (base,), doors))


def test_each_kind_of_logger_is_asked_in_its_own_way() -> None:
    for kind, expected in {
        "TensorBoardLogger": [
            ("add_image", (f"maps/sample_{place}", page, 7), {"dataformats": "HWC"}) for place, page in enumerate(PAGES)
        ],
        "WandbLogger": [
            (
                "log_image",
                (),
                {
                    "key": "maps", "images": PAGES,
                    "caption": ["Sample 0 (words 0)", "Sample 1 (words 1)"], "step": 7,
                },
            )
        ],
        "MLFlowLogger": [
            ("log_image", ("run 5", page), {"artifact_file": f"maps/epoch_3/sample_{place}.png"})
            for place, page in enumerate(PAGES)
        ],
    }.items():  # fmt: skip
        recorder, guard = Recorder(), Guard("test")
        assert deliver(trainer_with(pretending(kind, recorder)), EVENT, guard) == 2, guard.problems
        assert repr(recorder.calls) == repr(expected)


def test_other_loggers_and_none_get_files_and_several_get_each_its_own(tmp_path: Path) -> None:
    recorder, guard = Recorder(), Guard("test")
    table = loggers().CSVLogger(tmp_path / "logs", name="run")
    saved = SimpleNamespace(save_dir=str(tmp_path / "saved"))
    arrived = deliver(trainer_with(pretending("TensorBoardLogger", recorder), table, saved), EVENT, guard)
    assert (arrived, guard.count, len(recorder.calls)) == (6, 0, 2)
    assert deliver(trainer_with(root=tmp_path / "root"), EVENT, guard) == 2
    for folder in (tmp_path / "logs/run/version_0", tmp_path / "saved", tmp_path / "root"):
        for place, page in enumerate(PAGES):
            assert np.array_equal(read(folder / f"maps/epoch_3/sample_{place}.png"), page)
    assert folder_of(trainer_with(root=tmp_path), SimpleNamespace(log_dir=None, save_dir="")) == tmp_path


def test_an_experiment_that_throws_is_counted() -> None:
    class Gone:
        def add_image(self, *given: Any, **named: Any) -> None:
            raise OSError("disk full")

    guard, recorder = Guard("test"), Recorder()
    broken, sound = pretending("TensorBoardLogger", Gone()), pretending("TensorBoardLogger", recorder)
    assert deliver(trainer_with(broken, sound), EVENT, guard) == 2
    assert guard.problems == ("logging pictures to Pretending: OSError: disk full",)
    assert len(recorder.calls) == 2


def test_a_trial_run_delivers_nothing(tmp_path: Path) -> None:
    assert deliver(trainer_with(root=tmp_path, fast_dev_run=1), EVENT, Guard("test")) == 0
    assert list(tmp_path.iterdir()) == []
    callback = InterpretationCallback(IMAGES[:1], log_every_n_epochs=1)
    train(tmp_path, [callback], fast_dev_run=1, enable_checkpointing=True)
    assert (callback.report().pictures, list(tmp_path.iterdir())) == (0, [])


class Throwing:
    """A logger that throws whatever the callbacks ask of it."""

    name, version, save_dir = "throwing", 0, None

    @property
    def log_dir(self) -> str:
        raise ConnectionError("the server is gone")

    def log_metrics(self, metrics: dict[str, float], step: int) -> None:
        raise ConnectionError("the server is gone")

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return lambda *given, **named: None


def test_a_logger_that_throws_ends_no_training_and_keeps_nothing_from_the_others(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    table = loggers().CSVLogger(tmp_path / "logs", name="run", flush_logs_every_n_steps=1)
    pictures_of = InterpretationCallback(IMAGES[:1], log_every_n_epochs=1)
    numbers_of = FeatureMonitorCallback(["net.0"])
    left = train(tmp_path, [pictures_of, numbers_of], logger=[Throwing(), table], max_epochs=3)
    assert len(left.module.losses) == 18
    assert (pictures_of.report().events, pictures_of.report().pictures) == (3, 3)
    assert pictures_of.report().failures == 3 + 1  # each event, and the overhead
    assert numbers_of.report().failures == 3 + 3 + 1
    assert pictures_of.report().problems == (
        "logging pictures to Throwing: ConnectionError: the server is gone",
        "logging numbers to Throwing: ConnectionError: the server is gone",
    )
    told = [record for record in caplog.records if record.name == "seewhy.training"]
    assert len(told) == 3
    assert sorted(path.name for path in (tmp_path / "logs/run/version_0/interpretation").iterdir()) == [
        "epoch_0", "epoch_1", "epoch_2",
    ]  # fmt: skip


def test_numbers_reach_a_table(tmp_path: Path) -> None:
    table = loggers().CSVLogger(tmp_path, name="run")
    callback = FeatureMonitorCallback(["net.2"])
    train(tmp_path, [callback], logger=table, max_epochs=1)
    with (tmp_path / "run/version_0/metrics.csv").open(newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["features/net.2/mean"]]
    found = callback.statistics["train"]["net.2"]
    assert [float(rows[0][f"features/net.2/{name}"]) for name in ("mean", "std", "sparsity", "max")] == [
        found.mean, found.std, found.sparsity, found.max,
    ]  # fmt: skip


def test_what_no_logger_raises_on_purpose_is_not_held_back() -> None:
    with pytest.raises(KeyboardInterrupt):
        Guard("test").attempt("stopping", interrupt)


def interrupt() -> None:
    raise KeyboardInterrupt


def test_the_guard_counts_everything_and_keeps_few_words(caplog: pytest.LogCaptureFixture) -> None:
    guard = Guard("test")
    for number in range(3 * KEPT):
        guard.failed("counting", f"problem {number}")
    guard.failed("reading", DataError("SW-D01", "what came"))
    assert (guard.count, len(guard.problems)) == (3 * KEPT + 1, KEPT)
    assert [record.message for record in caplog.records] == [
        "test: counting failed, and training goes on (told once): problem 0",
        "test: reading failed, and training goes on (told once): DataError: SW-D01 what came",
    ]


REAL = """
import json, sys
sys.path[:0] = [{tests!r}]
from seewhy.training import AutoTrainer, FeatureMonitorCallback, InterpretationCallback
from training.watched import pictures, train
images, labels = pictures()
maps = InterpretationCallback(images, labels, num_samples=2, log_every_n_epochs=1)
numbers = FeatureMonitorCallback(["net.0"])
left = train({folder!r}, [maps, numbers], trainer_class=AutoTrainer, namespace={namespace!r}, logger={logger!r})
print(json.dumps({{
    "problems": maps.report().problems + numbers.report().problems, "pictures": maps.report().pictures,
    "mean": numbers.statistics["train"]["net.0"].mean, "version": str(left.trainer.logger.version),
}}))
"""


def really(logger: str, folder: Path) -> dict[str, Any]:
    """Train with the real logger in a process of its own: some leave threads, variables and servers behind."""
    tests = str(Path(__file__).parents[1])
    words = REAL.format(tests=tests, folder=str(folder), logger=logger, namespace=NAMESPACES[0])
    environment = {**os.environ, "WANDB_SILENT": "true", "HOME": str(folder), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, "-c", words], capture_output=True, text=True, check=False, env=environment, cwd=folder
    )
    assert done.returncode == 0, done.stderr
    told: dict[str, Any] = json.loads(next(line for line in done.stdout.splitlines() if line.startswith("{")))
    assert (told["problems"], told["pictures"]) == ([], 4)
    return told


@pytest.mark.slow
def test_tensorboard_shows_the_pictures_and_numbers(tmp_path: Path) -> None:
    told = really("tensorboard", tmp_path)
    accumulator = importlib.import_module("tensorboard.backend.event_processing.event_accumulator")
    events = accumulator.EventAccumulator(str(tmp_path / "lightning_logs/version_0"), {"images": 0, "scalars": 0})
    events.Reload()
    assert sorted(events.Tags()["images"]) == ["interpretation/sample_0", "interpretation/sample_1"]
    shown = events.Images("interpretation/sample_1")
    assert [one.step for one in shown] == [6, 12]
    with Image.open(io.BytesIO(shown[0].encoded_image_string)) as picture:
        assert picture.size == (shown[0].width, shown[0].height)
        assert picture.convert("L").getextrema()[0] < 100
    means = events.Scalars("features/net.0/mean")
    assert means[-1].step == 12
    assert means[-1].value == pytest.approx(told["mean"], rel=1e-5)


@pytest.mark.slow
def test_wandb_keeps_the_pictures_offline(tmp_path: Path) -> None:
    really("wandb", tmp_path)
    (run,) = (tmp_path / "wandb").glob("offline-run-*")
    found = list((run / "files/media/images").glob("interpretation_*.png"))
    assert len(found) == 4
    assert all(read(path).min() < 100 for path in found)
    assert list(run.glob("*.wandb"))


@pytest.mark.slow
def test_mlflow_keeps_the_pictures_under_its_run_and_the_numbers_in_its_file(tmp_path: Path) -> None:
    told = really("mlflow", tmp_path)
    run = tmp_path / "mlartifacts" / told["version"] / "artifacts/interpretation"
    assert sorted(path.relative_to(run).as_posix() for path in run.rglob("*.png")) == [
        f"epoch_{epoch}/sample_{sample}.png" for epoch in range(2) for sample in range(2)
    ]
    database = importlib.import_module("sqlite3").connect(tmp_path / "mlflow.db")
    try:
        query = "select value from metrics where key = 'features/net.0/mean' and step = 12 and run_uuid = ?"
        assert database.execute(query, [told["version"]]).fetchone() == (pytest.approx(told["mean"]),)
    finally:
        database.close()
