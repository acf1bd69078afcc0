"""``seewhy selftest [MODEL]``: verdicts in a table or as JSON, and an exit code that a script can trust."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import seewhy.methods
from seewhy.cli.main import seewhy
from seewhy.cli.selftest import as_table, method_names, settings_by_method
from seewhy.explain.selftest import CHECKS, Finding
from seewhy.registry import METHODS
from seewhy.values import ConfigError

CAMS = "gradcam,hirescam,rollout"


@pytest.fixture
def broken_layercam(monkeypatch: pytest.MonkeyPatch) -> None:
    """LayerCAM that sees the rest of the batch."""

    def broken(activations: torch.Tensor, gradients: torch.Tensor) -> torch.Tensor:
        return (activations * gradients.relu()).sum(dim=1) - activations.mean()

    entry = replace(METHODS["layercam"], function=broken)
    monkeypatch.setattr(METHODS, "_entries", {**METHODS._entries, "layercam": entry})


def test_methods_that_are_right_end_with_0_and_a_verdict_for_each_check(capsys: pytest.CaptureFixture[str]) -> None:
    assert seewhy(["selftest", "demo:cnn", "--methods", CAMS, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    verdicts = {(row["method"], row["check"]): row["verdict"] for row in found}
    assert {verdicts["gradcam", check] for check in ("finite", "batch-blind", "linear", "closed form")} == {"ok"}
    assert verdicts["rollout", "answers"] == "not applicable"
    assert [check for method, check in verdicts if method == "gradcam"] == ["answers", "borrowed", *CHECKS]


def test_a_failure_ends_with_1_and_is_named(broken_layercam: None, capsys: pytest.CaptureFixture[str]) -> None:
    assert seewhy(["selftest", "--methods", "gradcam,layercam"]) == 1
    out = capsys.readouterr().out
    assert "layercam, batch-blind: FAILED: image: record 0 alone differs" in out
    assert "2 methods on demo:cnn (the weights shipped with seewhy), inputs 3×64×64" in out
    assert "1 checks FAILED" in out


def test_the_table_has_a_row_for_each_method_and_a_column_for_each_check() -> None:
    found = [
        Finding("a", "answers", "ok"), Finding("a", "finite", "FAILED", "NaN"), Finding("b", "answers", "ok"),
        Finding("b", "finite", "ok"), Finding("c", "answers", "not applicable", "no attention"),
    ]  # fmt: skip
    assert as_table(found) == [
        "method  answers  finite",
        "a       ok       FAILED",
        "b       ok       ok",
        "c       -",
        "",
        "c: not applicable: no attention",
        "a, finite: FAILED: NaN",
    ]


def test_a_picture_is_tried_in_place_of_random_numbers(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "photo.png"
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (80, 100, 3), np.uint8)).save(path)
    words = ["selftest", "demo:vit", "--methods", "gradcam,rollout", "--image", str(path)]
    assert seewhy(words) == 0
    out = capsys.readouterr().out
    assert "inputs 3×64×64" in out
    assert "0 checks FAILED" in out


@pytest.mark.parametrize(
    ("words", "shape"),
    [
        (["timm:test_resnet"], "3×64×64"),
        (["timm:test_resnet", "--size", "96x80"], "3×96×80"),
        (["timm:vit_tiny_patch16_224", "--model-arg", "depth=1"], "3×224×224"),
        (["timm:test_resnet", "--model-arg", "in_chans=1"], "1×64×64"),
    ],
)
def test_random_inputs_are_small_where_the_model_takes_them(
    words: list[str], shape: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert seewhy(["selftest", *words, "--methods", "gradcam"]) == 0
    assert f"inputs {shape}," in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (["--methods", "gradcan"], "SW-F10"),
        (["--methods", ""], "SW-F10"),
        (["--set", "steps=3"], "SW-F84"),
        (["--set", "gradcam.steps"], "SW-F82"),
        (["--methods", "gradcam", "--set", "gradcam.steps=3"], "SW-F12"),
        (["--image", "absent.png"], "SW-D05"),
    ],
)
def test_what_cannot_be_done_ends_with_2(words: list[str], code: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert seewhy(["selftest", *words]) == 2
    assert f"[{code}]" in capsys.readouterr().err


def test_methods_and_their_settings_are_read() -> None:
    assert method_names("GradCAM, hirescam,gradcam") == ["gradcam", "hirescam"]
    assert method_names(None) == []
    assert settings_by_method(["rise.seed=1", "rise.value=0.5"]) == {"rise": {"seed": 1, "value": 0.5}}
    with pytest.raises(ConfigError, match=r"METHOD\.steps="):
        settings_by_method([".steps=1"])


def test_the_example_of_several_inputs_is_tried_in_place_of_the_guides_test(capsys: pytest.CaptureFixture[str]) -> None:
    assert seewhy(["selftest", "demo:eyes", "--methods", "gradcam,gradcam++,smoothgrad"]) == 0
    told = capsys.readouterr().out
    assert "inputs 4 of 1×64×64" in told
    assert "0 checks FAILED" in told
