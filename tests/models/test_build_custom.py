"""The user's own models are imported by name, and only models can be."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from seewhy.models.build import build_model
from seewhy.values import ModelError

USERS_MODULE = """
import os
from os import mkdir
from torch import nn

class Net(nn.Module):
    def __init__(self, width, classes=2):
        super().__init__()
        import beside_it
        self.layer = nn.Linear(width, classes * beside_it.FACTOR)

class NotANet:
    pass

def make(width=2):
    return Net(width)

def make_nothing():
    return None

instance = Net(2) if False else 3
"""


@pytest.fixture
def users_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A current directory with the user's own code, which is not on the import path."""
    (tmp_path / "users_own_code.py").write_text(USERS_MODULE)
    (tmp_path / "beside_it.py").write_text("FACTOR = 1\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [entry for entry in sys.path if entry])
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    for name in ("users_own_code", "beside_it"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    return tmp_path


def refusal(**settings: object) -> ModelError:
    with pytest.raises(ModelError) as caught:
        build_model("custom", **settings)
    return caught.value


def test_the_users_own_class_is_built_from_the_current_directory(users_folder: Path) -> None:
    path_before = list(sys.path)
    built = build_model("custom", _target_="users_own_code.Net", width=5)
    assert built.module.layer.weight.shape == (2, 5)
    assert built.facts == {"kind": "custom", "target": "users_own_code.Net", "kwargs": {"width": 5}, "parameters": 12}
    assert sys.path == path_before


def test_a_function_of_the_users_that_returns_a_model_is_called(users_folder: Path) -> None:
    assert build_model("custom", _target_="users_own_code.make").module.layer.weight.shape == (2, 2)


def test_arguments_the_class_does_not_take_are_named_with_its_signature(users_folder: Path) -> None:
    error = refusal(_target_="users_own_code.Net", widht=5)
    assert error.code == "SW-M61"
    assert error.near == ("width",)
    assert "Net(width, classes=2)" in error.fix


@pytest.mark.parametrize(
    ("target", "code", "near"),
    [
        ("users_own_code.Nett", "SW-M58", "Net"),
        ("users_own_cod.Net", "SW-M58", "users_own_code"),
        ("Net", "SW-M58", None),
        ("users own code.Net", "SW-M58", None),
        ("users_own_code.NotANet", "SW-M59", None),
        ("users_own_code.make_nothing", "SW-M59", None),
        ("users_own_code.instance", "SW-M59", None),
        ("users_own_code.mkdir", "SW-M59", None),
        ("users_own_code.os.system", "SW-M59", None),
        ("users_own_code.os.path.join", "SW-M59", None),
    ],
)
def test_what_cannot_be_a_model_is_refused(target: str, code: str, near: str | None, users_folder: Path) -> None:
    error = refusal(_target_=target)
    assert error.code == code
    assert near is None or near in error.near


@pytest.mark.parametrize(
    "target",
    ["os.system", "builtins.eval", "subprocess.run", "posix.system", "functools.partial", "runpy.run_path",
     "torch.load", "torch.hub.load", "torch.jit.load", "shutil.rmtree", "importlib.import_module", "numpy.load"],
)  # fmt: skip
def test_callables_that_make_no_models_are_never_called(target: str) -> None:
    assert refusal(_target_=target).code == "SW-M59"


def test_a_module_that_needs_a_missing_package_says_which(users_folder: Path) -> None:
    (users_folder / "needs_more.py").write_text("import a_package_nobody_has\n")
    error = refusal(_target_="needs_more.Net")
    assert error.code == "SW-M58"
    assert "needs the module 'a_package_nobody_has'" in error.message
