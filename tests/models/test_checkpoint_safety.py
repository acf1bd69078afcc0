"""Reading a checkpoint runs nothing from it and imports nothing for it; what it cannot read it names."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from checkpoint_files import (
    ORDINARY_HPARAMS,
    REFUSED_HPARAMS,
    Canary,
    TinyNet,
    asking_for,
    lightning,
    plain_pickle,
    raw_checkpoint,
)
from torch.serialization import get_safe_globals, safe_globals

from seewhy.models.checkpoint import read_state_dict
from seewhy.models.inert import only_placeholders_allowed
from seewhy.models.torch_file import check_torch_is_safe
from seewhy.values import CheckpointError

SOURCES = Path(__file__).parents[2] / "src"


READ_AND_REPORT = """
import encodings.latin_1, json, sys  # Python's own codec, with which pickles write bytes
from seewhy.models.checkpoint import read_state_dict
read_state_dict(sys.argv[1])  # the first reading may import parts of torch
added = {}
for path in sys.argv[1:]:
    before = set(sys.modules)
    assert read_state_dict(path).tensors, path
    added[path] = sorted(set(sys.modules) - before)
foreign = [name for name in ("omegaconf", "lightning", "canary_module") if name in sys.modules]
print(json.dumps({"added": added, "foreign": foreign}))
"""


@pytest.mark.parametrize("kind", ORDINARY_HPARAMS)
def test_ordinary_hyper_parameters_do_not_stop_the_weights(kind: str, tmp_path: Path) -> None:
    weights = TinyNet().state_dict()
    path = tmp_path / "last.ckpt"
    torch.save(lightning(weights, {"value": ORDINARY_HPARAMS[kind]()}), path)
    state = read_state_dict(path)
    assert list(state.tensors) == list(weights)
    assert all(torch.equal(state.tensors[name], weights[name]) for name in weights)


def test_ordinary_hyper_parameters_are_named_in_the_notes(tmp_path: Path) -> None:
    hparams = {"root": ORDINARY_HPARAMS["pathlib.PosixPath"](), "scale": ORDINARY_HPARAMS["numpy scalar"]()}
    path = tmp_path / "last.ckpt"
    torch.save(lightning(TinyNet().state_dict(), hparams), path)
    assert read_state_dict(path).notes == (
        "weights taken from 'state_dict'",
        "'hyper_parameters.root' of type pathlib.PosixPath was not loaded",
        "'hyper_parameters.scale' of type numpy.generic was not loaded",
    )


def test_reading_imports_nothing_not_even_for_strings_that_name_classes(tmp_path: Path) -> None:
    (tmp_path / "canary_module.py").write_text("raise SystemExit('the canary was imported')")
    named = dict.fromkeys(("_instantiator", "_class_path", "_target_", "class_path"), "canary_module.Net")
    paths = []
    for kind, make in {"first": dict, "strings": lambda: named, **ORDINARY_HPARAMS}.items():
        hparams = {**named, "value": make()}
        paths.append(tmp_path / f"{kind}.ckpt")
        torch.save(lightning(TinyNet().state_dict(), hparams, **named), paths[-1])
    done = subprocess.run(
        [sys.executable, "-c", READ_AND_REPORT, *map(str, paths)],
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(SOURCES), str(tmp_path)])},
        capture_output=True,
        text=True,
        check=True,
    )
    assert json.loads(done.stdout) == {"added": {str(path): [] for path in paths}, "foreign": []}


@pytest.mark.parametrize("kind", REFUSED_HPARAMS)
def test_hyper_parameters_that_need_code_are_refused_by_name(kind: str, tmp_path: Path) -> None:
    make, name = REFUSED_HPARAMS[kind]
    path = tmp_path / "last.ckpt"
    torch.save(lightning(TinyNet().state_dict(), {"value": make()}), path)
    with pytest.raises(CheckpointError, match=rf"SW-C11.*\b{name}\b"):
        read_state_dict(path)


@pytest.mark.parametrize("legacy", [False, True], ids=["zip", "legacy"])
def test_a_file_that_would_run_a_command_never_does(legacy: bool, tmp_path: Path) -> None:
    canary = tmp_path / "the-file-ran-code"
    path = tmp_path / "evil.ckpt"
    content = {"state_dict": TinyNet().state_dict(), "hyper_parameters": Canary(canary)}
    torch.save(content, path, _use_new_zipfile_serialization=not legacy)
    with pytest.raises(CheckpointError, match=r"SW-C11.*posix\.mkdir|SW-C11.*nt\.mkdir"):
        read_state_dict(path)
    assert not canary.exists()


def test_a_plain_pickle_is_refused_unopened(tmp_path: Path) -> None:
    canary = tmp_path / "the-file-ran-code"
    path = plain_pickle(tmp_path / "evil.pt", Canary(canary))
    with pytest.raises(CheckpointError, match=r"SW-C11.*plain pickle.*asks for (posix|nt)\.mkdir"):
        read_state_dict(path)
    assert not canary.exists()


@pytest.mark.parametrize(
    ("module", "name"),
    [
        ("os", "system"),
        ("subprocess", "Popen"),
        ("__builtin__", "eval"),
        ("builtins", "getattr"),
        ("torch", "load"),
        ("torch.hub", "load"),
        ("torch.jit", "load"),
        ("torch._dynamo", "optimize"),
        ("importlib", "import_module"),
        ("torch.optim.sgd", "SGD"),
        ("torchmetrics.classification.accuracy", "MulticlassAccuracy"),
        ("pathlib", "Path.home"),
        ("numpy", "load"),
        ("operator", "methodcaller"),
        ("omegaconf.resolvers", "oc"),
    ],
)
def test_any_other_global_is_refused_by_name(module: str, name: str, tmp_path: Path) -> None:
    path = raw_checkpoint(tmp_path / "evil.ckpt", asking_for(module, name))
    shown = f"{module}.{name}".replace("__builtin__", "builtins")
    with pytest.raises(CheckpointError) as caught:
        read_state_dict(path)
    assert caught.value.code == "SW-C11"
    assert f"asks for {shown}" in caught.value.message


def test_what_others_registered_as_safe_is_not_trusted_here_and_stays_registered(tmp_path: Path) -> None:
    path = tmp_path / "last.ckpt"
    torch.save(lightning(TinyNet().state_dict(), {"net": TinyNet}), path)
    with safe_globals([TinyNet]):
        before = set(get_safe_globals())
        with pytest.raises(CheckpointError, match="SW-C11"):
            read_state_dict(path)
        assert set(get_safe_globals()) == before


def test_torchs_list_of_safe_globals_is_as_before_also_after_an_error() -> None:
    before = set(get_safe_globals())
    with pytest.raises(ZeroDivisionError), only_placeholders_allowed():
        raise ZeroDivisionError
    assert set(get_safe_globals()) == before


@pytest.mark.parametrize("version", ["2.9.1", "2.9.1+cu128", "1.13.0", "2.5.0a0"])
def test_a_torch_with_known_holes_is_refused(version: str) -> None:
    with pytest.raises(CheckpointError, match=rf"SW-C14.*torch {version.split('+')[0]}"):
        check_torch_is_safe(version)


@pytest.mark.parametrize("version", ["2.10.0", "2.15.0+cu132", "3.0.0.dev20270101"])
def test_a_current_torch_is_accepted(version: str) -> None:
    check_torch_is_safe(version)
