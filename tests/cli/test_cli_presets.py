"""Law 10: every packaged preset composes, is accepted and can be made; the user's own come first."""

from __future__ import annotations

import inspect
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import fields
from importlib import resources
from pathlib import Path
from typing import Any

import pytest
import yaml
from cli_samples import DEFAULT, MY_EXPERIMENT, pictures, write_experiment
from hydra import compose, initialize_config_module
from hydra.core.global_hydra import GlobalHydra
from omegaconf import OmegaConf

import seewhy
from seewhy.cli.build import DATA_KINDS, LOADING
from seewhy.cli.hydra_errors import known_keys, options_of
from seewhy.cli.schema import request_of
from seewhy.models.build import KINDS
from seewhy.pipeline.settings import Settings

CONF = Path(str(resources.files("seewhy.conf")))
NEEDED = {
    ("model", "timm"): ["model.name=resnet18"],
    ("model", "torchvision"): ["model.name=resnet18"],
    ("model", "custom"): ["model._target_=my.Net"],
    ("model", "multi_branch"): ["model.inputs=[mnv,fluid]", "model.num_classes=4"],
    ("data", "image_folder"): ["data.root=photos"],
    ("data", "manifest"): ["data.path=list.csv"],
    ("data", "custom"): ["data._target_=my.Data"],
}
CHOICES = [
    (group, name) for group in ("model", "data", "paths", "experiment", "debug") for name in options_of(group, None)
]


def composed(*words: str) -> dict[str, Any]:
    GlobalHydra.instance().clear()
    with initialize_config_module(version_base="1.3", config_module="seewhy.conf"):
        config = compose("generate_artifacts", ["ckpt_path=x.ckpt", "output_dir=out", *words])
        config.experiment = "any"  # ${hydra:...} has no value outside a command
        return OmegaConf.to_container(config, resolve=True, throw_on_missing=True)  # type: ignore[return-value]


@pytest.mark.parametrize(("group", "name"), CHOICES, ids=[f"{group}={name}" for group, name in CHOICES])
def test_every_preset_composes_into_an_accepted_request(group: str, name: str) -> None:
    request = request_of(composed(f"{'+' * (group == 'debug')}{group}={name}", *NEEDED.get((group, name), [])))
    assert request.output_dir == Path("out")
    assert request.model["kind"] in KINDS or group != "model"
    assert request.data["kind"] in DATA_KINDS


@pytest.mark.parametrize("kind", [name for name in options_of("data", None) if name != "custom"])
def test_every_key_of_a_data_preset_is_an_argument_of_its_data_set(kind: str) -> None:
    from seewhy.cli.build import _factory

    preset = yaml.safe_load((CONF / "data" / f"{kind}.yaml").read_text("utf-8"))
    known = inspect.signature(_factory(preset["kind"])[0]).parameters
    assert set(preset) - {"kind", *LOADING} <= set(known)


def test_addresses_are_kept_letter_by_letter() -> None:
    signed = "https://host/last.ckpt?sig=ab//cd/./e"
    request = request_of({**composed(), "ckpt_path": signed, "output_dir": "s3://bucket//run"})
    assert (request.checkpoint, request.output_dir) == (signed, "s3://bucket//run")


def test_the_defaults_of_the_command_are_those_of_the_python_function() -> None:
    config = composed()
    for field in fields(Settings):
        if field.name in config:
            value = config[field.name]
            found = Settings.of(**{field.name: tuple(value) if isinstance(value, list) else value})
            assert getattr(found, field.name) == getattr(Settings(), field.name), field.name


def test_the_defaults_the_issue_names() -> None:
    config = composed()
    assert (config["model"]["kind"], config["model"]["backbone"]) == ("mae_vit", "vit_base_patch16")
    assert (config["data"]["kind"], config["data"]["batch_size"], config["data"]["num_workers"]) == ("cmr_acdc", 32, 4)
    assert (config["shard_size"], config["target_classes"], config["accelerator"]) == (None, "auto", "auto")
    assert (Settings().committed_together, Settings(generate_metrics=True).committed_together) == (256, 8)
    assert Settings(generate_metrics=True, shard_size=64).committed_together == 64


def test_the_known_keys_hold_those_of_every_group() -> None:
    keys = known_keys()
    assert {"splits", "data.batch_size", "model.name", "model.backbone", "data.root", "paths.artifact_dir"} <= set(keys)
    assert len(keys) == len(set(keys))


# -- the user's own folder

E = "experiment=embeddings/my_experiment"
MINE = f"{E} ckpt_path=path/to/model.ckpt"


def test_cfg_job_prints_the_composed_configuration_and_runs_nothing(project: Path, command: Callable[..., Any]) -> None:
    ended = command(f"--cfg job {E} ckpt_path=logs/epoch=3-step=10.ckpt data.batch_size=16")
    shown = yaml.safe_load(ended.out)
    assert ended.code == 0
    assert shown["ckpt_path"] == "logs/epoch=3-step=10.ckpt"
    assert (shown["data"]["batch_size"], shown["data"]["kind"], shown["model"]["kind"]) == (
        16,
        "cluttered_digits",
        "timm",
    )
    assert not DEFAULT.exists()


def test_the_experiment_key_holds_the_chosen_name_and_names_the_folder(
    project: Path, command: Callable[..., Any]
) -> None:
    write_experiment(project, "a/b/deep", MY_EXPERIMENT)
    assert command("experiment=a/b/deep ckpt_path=path/to/model.ckpt splits=val").code == 0
    assert pictures(Path("artifacts/a/b/deep"))


@pytest.mark.parametrize("option", ["--config-dir elsewhere", "--config-dir=elsewhere", "-cd elsewhere"])
def test_another_config_folder_is_found_instead(project: Path, command: Callable[..., Any], option: str) -> None:
    (project / "configs").rename(project / "elsewhere")
    assert command(f"--cfg job {MINE}").code == 2
    assert yaml.safe_load(command(f"{option} --cfg job {MINE}").out)["model"]["name"] == "vit_tiny_patch16_224"


def test_the_users_own_groups_come_before_the_packaged_ones(project: Path, command: Callable[..., Any]) -> None:
    for group, text in (("paths", "data_dir: /d\nartifact_dir: mine\n"), ("model", "kind: timm\nname: my_net\n")):
        (project / "configs" / group).mkdir()
        name = "default" if group == "paths" else "timm"
        (project / "configs" / group / f"{name}.yaml").write_text(text)
    write_experiment(project, "embeddings/default", "defaults:\n  - model: timm\n  - data: cluttered_digits\n")
    shown = yaml.safe_load(command("--cfg job --resolve ckpt_path=x").out)
    assert (shown["output_dir"], shown["model"]["name"]) == ("mine/embeddings/default", "my_net")
    assert shown["data"]["kind"] == "cluttered_digits"


@pytest.mark.parametrize(
    "defaults",
    [
        "  - model: timm\n  - data: cluttered_digits\n  - paths: default\n",
        "  - /model: timm\n  - /data: cluttered_digits\n",
        "  - override /model: timm\n  - override /data: cluttered_digits\n  - _self_\n",
        "  - model: timm\n  - data: cluttered_digits\n  - _self_\n",
    ],
    ids=["as the seed", "absolute", "hydra's own words", "self last"],
)
def test_groups_of_an_experiment_file_are_absolute_however_written(
    project: Path, command: Callable[..., Any], defaults: str
) -> None:
    body = MY_EXPERIMENT.partition("\n\n")[2]
    write_experiment(project, "embeddings/my_experiment", f"defaults:\n{defaults}\n{body}")
    ended = command(f"--cfg job --resolve {MINE}")
    assert ended.code == 0, ended.err
    shown = yaml.safe_load(ended.out)
    assert (shown["model"]["kind"], shown["data"]["kind"], shown["data"]["batch_size"]) == (
        "timm",
        "cluttered_digits",
        4,
    )
    assert shown["output_dir"] == "artifacts/embeddings/my_experiment"


def test_an_experiment_can_build_on_another(project: Path, command: Callable[..., Any]) -> None:
    write_experiment(
        project, "embeddings/smaller", "defaults:\n  - embeddings/my_experiment\n\ndata:\n  batch_size: 2\n"
    )
    ended = command("--cfg job --resolve experiment=embeddings/smaller ckpt_path=x")
    assert ended.code == 0, ended.err
    shown = yaml.safe_load(ended.out)
    assert (shown["data"]["batch_size"], shown["data"]["size"], shown["model"]["kind"]) == (2, 32, "timm")
    assert shown["output_dir"] == "artifacts/embeddings/smaller"


def test_debug_switches_loader_processes_off(project: Path, command: Callable[..., Any]) -> None:
    for words in ("+debug=default", "debug.enabled=true"):
        ended = command(f"--cfg job {words} {MINE}")
        assert ended.code == 0, ended.err
        assert yaml.safe_load(ended.out)["debug"] == {"enabled": True}
    assert request_of(composed("debug.enabled=true")).settings.num_workers == 0


# -- quick to answer

ASKED = """
import json, sys
from seewhy.cli.generate import generate_artifacts
try:
    code = generate_artifacts(sys.argv[1:])
except SystemExit as ended:
    code = ended.code
heavy = ("torch", "timm", "torchvision", "lightning", "pyarrow", "PIL", "matplotlib", "sklearn")
print(json.dumps({"code": code, "heavy": [name for name in heavy if name in sys.modules]}), file=sys.stderr)
"""


@pytest.mark.parametrize("words", [["--help"], ["--cfg", "job", E], ["experiment=embeddings/my_experment"]])
def test_help_and_configuration_load_nothing_heavy(project: Path, words: list[str]) -> None:
    source = str(Path(seewhy.__file__).parents[1])
    begun = time.monotonic()
    ended = subprocess.run(
        [sys.executable, "-c", ASKED, *words],
        env={**os.environ, "PYTHONPATH": source},
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    told = json.loads(ended.stderr.splitlines()[-1])
    assert told == {"code": 2 if words[0].startswith("experiment") else 0, "heavy": []}
    assert time.monotonic() - begun < 30
    if words == ["--help"]:
        assert "generate_gradcam" in ended.stdout
        assert "my_experiment" in ended.stdout
