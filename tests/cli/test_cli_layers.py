"""``seewhy layers MODEL``: what the table says is what the trace saw, and every MODEL is understood or refused."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import timm
import torch

from seewhy.cli.assignments import assignments
from seewhy.cli.main import seewhy
from seewhy.cli.models import ModelSource, parse_model, parse_size
from seewhy.models.adapter import Adapter
from seewhy.models.layers import candidates
from seewhy.registry import METHODS
from seewhy.values import ConfigError

OWN = """\
from torch import nn


class Net(nn.Module):
    def __init__(self, num_classes=4, width=6):
        super().__init__()
        self.conv = nn.Conv2d(3, width, 3, padding=1)
        self.act = nn.ReLU()
        self.fc = nn.Linear(width, num_classes)

    def forward(self, x):
        x = self.act(self.conv(x))
        x = self.act(x)
        return self.fc(x.mean(dim=(2, 3)))


class Detached(Net):
    def forward(self, x):
        return self.fc(self.conv(x).mean(dim=(2, 3)).detach())


class Volume(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv3d(1, 2, 3, padding=1)
        self.fc = nn.Linear(2, 3)

    def forward(self, x):
        return self.fc(self.conv(x).mean(dim=(2, 3, 4)))
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder with the user's own module in it, under a name no other test uses."""
    (tmp_path / f"{tmp_path.name}_nets.py").write_text(OWN)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def own(folder: Path, name: str) -> str:
    return f"{folder.name}_nets.{name}"


def layers(capsys: pytest.CaptureFixture[str], *words: str) -> dict[str, Any]:
    capsys.readouterr()
    assert seewhy(["layers", *words, "--json"]) == 0
    found: dict[str, Any] = json.loads(capsys.readouterr().out)
    return found


def refused(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    capsys.readouterr()
    assert seewhy(["layers", *words]) == 2
    return capsys.readouterr().err


def test_every_call_of_the_trace_is_told_as_it_was(capsys: pytest.CaptureFixture[str]) -> None:
    found = layers(capsys, "timm:test_vit", "--num-classes", "5", "--all")
    trace = Adapter(timm.create_model("test_vit", num_classes=5), {"image": torch.randn(2, 3, 160, 160)}).trace
    assert [(row["layer"], row["kind"], tuple(row["shape"])) for row in found["layers"]] == [
        (call.name + (f"#{call.call}" if call.call else ""), call.kind, call.shape[1:]) for call in trace.calls
    ]
    assert [row["prefix"] for row in found["layers"]] == [call.grid.prefix if call.grid else 0 for call in trace.calls]
    assert [row["gradient"] == "yes" for row in found["layers"]] == [call.reaches_target for call in trace.calls]


def test_without_all_only_the_candidates_are_shown(capsys: pytest.CaptureFixture[str]) -> None:
    found = layers(capsys, "timm:test_resnet")
    trace = Adapter(timm.create_model("test_resnet"), {"image": torch.randn(2, 3, 160, 160)}).trace
    assert [row["layer"] for row in found["layers"]] == [
        call.name + (f"#{call.call}" if call.call else "") for call in candidates(trace)
    ]
    assert [row["layer"] for row in found["layers"] if row["default"]] == [found["target_layer"]["layer"]] == ["layer4"]
    assert found["embedding_layer"]["layer"] == "fc.input"


def test_a_layer_that_runs_twice_is_told_call_by_call(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = layers(
        capsys, own(folder, "Net"), "--size", "8x12", "--num-classes", "2", "--model-arg", "width=7", "--all"
    )
    assert [(row["layer"], row["shape"], row["grid"]) for row in found["layers"]] == [
        ("conv", [7, 8, 12], [8, 12]), ("act", [7, 8, 12], [8, 12]), ("act#1", [7, 8, 12], [8, 12]), ("fc", [2], None)
    ]  # fmt: skip
    assert found["target_layer"]["layer"] == "act#1"
    assert found["outputs"] == "2 outputs"


def test_a_volume_is_traced_at_the_size_and_channels_asked_for(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    found = layers(capsys, own(folder, "Volume"), "--size", "4x6x5", "--channels", "1")
    assert found["inputs"] == {"image": [1, 4, 6, 5]}
    assert found["layers"][0]["grid"] == [4, 6, 5]


def test_methods_that_need_attention_suit_only_a_model_that_has_it(capsys: pytest.CaptureFixture[str]) -> None:
    attentive = {name for name, method in METHODS.items() if method.needs_attention}
    vit, cnn = layers(capsys, "demo:vit"), layers(capsys, "demo:cnn")
    assert set(vit["methods"]["suitable"]) == set(METHODS)
    assert set(cnn["methods"]["not_suitable"]) == attentive
    assert vit["attention"] == {"calls": 4, "heads": 4, "tokens": 64, "query": "mean of tokens"}
    assert cnn["attention"]["calls"] == 0
    assert "no attention" in cnn["attention"]["why"]


def test_the_table_marks_the_default_and_says_why(capsys: pytest.CaptureFixture[str]) -> None:
    assert seewhy(["layers", "timm:test_resnet", "--num-classes", "5"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("timm:test_resnet: 5 outputs, traced on image 3×160×160, random weights")
    (marked,) = (line for line in lines if line.startswith("*  "))
    assert marked.split()[1] == "layer4"
    assert "target layer     layer4: last layer with a spatial grid" in "\n".join(lines)
    (header,) = (line for line in lines if "layout" in line)
    table = lines[lines.index(header) : lines.index(header) + 5]
    column = header.index("output")
    assert all(line[column - 1] == " " and line[column] != " " for line in table)


HIDDEN = "have a grid, but no gradient with these random weights"


def test_what_is_not_shown_is_told_with_why(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """timm starts the last norm of each block at zero: nothing inside a block has a gradient until it learns."""
    words = ["layers", "timm:test_resnet", "--num-classes", "5"]
    assert seewhy(words) == 0
    fresh = capsys.readouterr().out
    assert "layers with a grid on which the score has a gradient:" in fresh
    assert "layer1.0.conv1 " not in fresh
    assert HIDDEN in fresh
    torch.manual_seed(0)
    model = timm.create_model("test_resnet", num_classes=5)
    for module in model.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            torch.nn.init.constant_(module.weight, 0.5)
    torch.save(model.state_dict(), tmp_path / "learnt.pth")
    assert seewhy([*words, "--checkpoint", str(tmp_path / "learnt.pth")]) == 0
    learnt = capsys.readouterr().out
    assert "layer1.0.conv1 " in learnt
    assert HIDDEN not in learnt


def test_with_all_the_table_claims_no_gradient(capsys: pytest.CaptureFixture[str]) -> None:
    assert seewhy(["layers", "timm:test_resnet", "--all"]) == 0
    said = capsys.readouterr().out
    assert "all calls:" in said
    assert "layers with a grid on which" not in said
    assert "not shown" not in said


def test_a_model_whose_outputs_depend_on_no_layer_is_told_so(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = layers(capsys, own(folder, "Detached"), "--size", "8")
    assert found["target_layer"]["layer"] is None
    assert "detached features" in found["target_layer"]["why"]
    assert found["target_layer"]["why"] in found["methods"]["not_suitable"]["gradcam"]
    assert found["layers"] == []


@pytest.mark.parametrize(
    ("text", "near"),
    [
        ("resnet18", ("timm:resnet18", "torchvision:resnet18")),
        ("tim:resnet18", ("timm:resnet18",)),
        ("timm:", ("timm:NAME",)),
        ("my-package.Net", ("timm:my-package.Net", "torchvision:my-package.Net")),
    ],
)
def test_a_model_in_no_known_form_is_refused_with_the_forms(text: str, near: tuple[str, ...]) -> None:
    with pytest.raises(ConfigError, match="timm:NAME") as error:
        parse_model(text)
    assert error.value.code == "SW-F80"
    assert error.value.near[: len(near)] == near


def test_a_model_in_a_known_form_is_understood() -> None:
    assert parse_model("torchvision:resnet50") == ModelSource("torchvision", "resnet50")
    assert parse_model("timm:vit_base_patch16_224.augreg_in21k").name == "vit_base_patch16_224.augreg_in21k"
    assert parse_model("pkg.nets.make") == ModelSource("custom", "pkg.nets.make")


def test_sizes_and_arguments_are_read() -> None:
    assert (parse_size("224"), parse_size("8X16"), parse_size("2x3x4")) == ((224, 224), (8, 16), (2, 3, 4))
    words = ["a=1", "b=x=y", "c=true", "d=[1,2]", "e=", "f=None"]
    assert assignments(words, "--set") == {"a": 1, "b": "x=y", "c": True, "d": [1, 2], "e": "", "f": "None"}


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (("resnet18",), "SW-F80"),
        (("demo:rnn",), "SW-F80"),
        (("demo:cnn", "--num-classes", "3"), "SW-F83"),
        (("timm:test_resnet", "--size", "0"), "SW-F81"),
        (("timm:test_resnet", "--size", "big"), "SW-F81"),
        (("timm:test_resnet", "--model-arg", "depth"), "SW-F82"),
        (("timm:test_resnettt",), "SW-M52"),
        (("timm:test_resnet", "--checkpoint", "absent.pth"), "SW-C01"),
        (("timm:test_resnet", "--device", "tpu"), "SW-F25"),
        (("no_such_package.Net",), "SW-M58"),
    ],
)
def test_what_cannot_be_done_is_refused_before_anything_is_printed(
    words: tuple[str, ...], code: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert f"[{code}]" in refused(capsys, *words)
    assert capsys.readouterr().out == ""


HELP = """
import sys
from seewhy.cli.main import seewhy
for words in (["--help"], ["layers", "--help"], ["selftest", "--help"], ["explain", "--help"]):
    try:
        seewhy(words)
    except SystemExit as ended:
        assert ended.code == 0, words
heavy = {"torch", "torchvision", "timm", "hydra", "matplotlib", "PIL", "pyarrow", "seewhy.methods"} & set(sys.modules)
assert not heavy, heavy
"""


def test_help_imports_nothing_heavy() -> None:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    done = subprocess.run([sys.executable, "-c", HELP], env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("--checkpoint") >= 3


def test_a_reader_that_leaves_early_ends_the_command_quietly() -> None:
    command = [sys.executable, "-c", "from seewhy.cli.main import main; main()", "layers", "demo:cnn", "--all"]
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parents[2] / "src")}
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdout=pipe, stderr=pipe, text=True, env=environment) as running:
        assert running.stdout is not None
        assert running.stderr is not None
        running.stdout.close()
        complaint = running.stderr.read()
    assert running.returncode == 141
    assert "Traceback" not in complaint


def test_every_input_has_its_target_layer(capsys: pytest.CaptureFixture[str]) -> None:
    assert seewhy(["layers", "demo:eyes"]) == 0
    told = capsys.readouterr().out
    for number, name in enumerate(("mnv", "fluid", "ga", "drusen"), 1):
        assert f"target layer of {name}: backbone{number}." in told
