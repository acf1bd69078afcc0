"""Who computes has no effect on a run that is there; a runner that cannot be is refused all the same."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from conftest import Command
from seewhy.cli import generate, runner
from seewhy.pipeline.cluster_errors import ClusterError

MINE = "experiment=embeddings/my_experiment ckpt_path=path/to/model.ckpt"


class Unchanged:
    """What a command depends on, where a receipt says that nothing of it changed."""

    def receipt(self) -> str:
        return "kept"


@pytest.fixture
def unchanged(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every command finds a run that is as it would leave it."""
    monkeypatch.setattr(generate, "standing_of", lambda config: Unchanged())
    monkeypatch.setattr(generate, "show_unchanged", lambda console, standing, receipt: console.print(receipt) or 0)


@pytest.mark.usefixtures("unchanged")
@pytest.mark.parametrize(
    ("words", "code"),
    [
        ("runner=spark", "SW-Y07"),
        ("+ray.worker=2", "SW-Y08"),
        ("ray.workers=2", "SW-Y11"),
        ("runner=ray ray.workers=0", "SW-Y06"),
        ("runner=ray ray.num_cpus=nan", "SW-Y06"),
        ("runner=ray ray.address=nonsense", "SW-Y01"),
    ],
)
def test_on_an_unchanged_run_a_runner_that_cannot_be_is_refused(command: Command, words: str, code: str) -> None:
    ended = command(f"{MINE} {words}")
    assert (ended.code, code in ended.err, "kept" in ended.err) == (2, True, False)


@pytest.mark.usefixtures("unchanged")
def test_on_an_unchanged_run_no_cluster_is_asked(command: Command) -> None:
    ended = command(f"{MINE} runner=ray ray.workers=2 ray.address=127.0.0.1:1")
    assert (ended.code, ended.err.split()) == (0, ["kept"])


@pytest.mark.parametrize(
    ("config", "given"),
    [
        ({}, None),
        ({"runner": "local", "ray": {"address": None, "workers": None, "num_cpus": 1, "num_gpus": None}}, None),
        ({"runner": "ray"}, {}),
        ({"runner": "ray", "ray": {"workers": 2, "num_gpus": None}}, {"workers": 2}),
        ({"runner": "ray", "accelerator": "cpu"}, {"num_gpus": 0}),
    ],
)
def test_what_ray_is_told(config: dict[str, object], given: dict[str, object] | None) -> None:
    assert runner.ray_settings(config) == given


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"address": "head:6379"}, "ray.address=head:6379 has no effect with runner=local"),
        ({"workers": 2, "num_cpus": 4}, "ray.workers=2, ray.num_cpus=4 have no effect with runner=local"),
    ],
)
def test_settings_of_ray_without_ray_are_refused(settings: dict[str, object], said: str) -> None:
    with pytest.raises(ClusterError) as refusal:
        runner.ray_settings({"ray": {"num_cpus": 1, **settings}})
    assert (refusal.value.code, refusal.value.message) == ("SW-Y11", said)
    assert "add runner=ray" in str(refusal.value)


def test_settings_that_are_no_mapping_are_refused() -> None:
    with pytest.raises(ClusterError, match="SW-Y08"):
        runner.ray_settings({"runner": "ray", "ray": 3})


def test_checking_what_ray_is_told_loads_neither_torch_nor_ray() -> None:
    asked = (
        "import sys; from seewhy.cli.runner import ray_settings; ray_settings({'runner': 'ray', 'ray': {'workers': 2}})"
    )
    told = "; print(*(room for room in ('torch', 'ray', 'seewhy.data') if room in sys.modules))"
    done = subprocess.run([sys.executable, "-c", asked + told], capture_output=True, text=True, check=True)
    assert done.stdout == "\n"
