"""``seewhy explain IMAGE…``: pictures where they belong, predictions that are the model's, failures told one by one."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import timm
import torch
from PIL import Image

from seewhy.cli.explain import class_asked
from seewhy.cli.explain_files import images_of, picture_names
from seewhy.cli.main import seewhy
from seewhy.data.cluttered_digits import ClutteredDigits
from seewhy.demo.models import load
from seewhy.explain.predictions import explain_prediction
from seewhy.render.overlay import overlay
from seewhy.values import ConfigError


@pytest.fixture(scope="module")
def digits(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with three digits as pictures; the model's input is the picture itself, 64 × 64."""
    folder = tmp_path_factory.mktemp("digits")
    source = ClutteredDigits(counts={"train": 0, "val": 0, "test": 3})
    for position in range(3):
        record = source.read(position)
        Image.fromarray(source.picture(record.inputs)).save(folder / f"digit{position}.png")
    return folder


@pytest.fixture
def working(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def explain(capsys: pytest.CaptureFixture[str], *words: object, model: str = "demo:cnn") -> tuple[int, list[Any], str]:
    """Exit code, one object for each image, and what was said beside it."""
    capsys.readouterr()
    code = seewhy(["explain", *map(str, words), "--model", model, "--json"])
    said = capsys.readouterr()
    return code, [json.loads(line) for line in said.out.splitlines()], said.err


def test_predictions_are_the_models(digits: Path, working: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, found, _ = explain(capsys, digits)
    assert code == 0
    pixels = [np.asarray(Image.open(path), np.float32) / 255 for path in sorted(digits.iterdir())]
    inputs = (torch.from_numpy(np.stack(pixels)).permute(0, 3, 1, 2) - 0.5) / 0.5
    with torch.no_grad():
        probabilities = load("cnn")(inputs).softmax(dim=1)
    assert [one["predicted_class"] for one in found] == probabilities.argmax(dim=1).tolist()
    assert [one["confidence"] for one in found] == pytest.approx(probabilities.amax(dim=1).tolist(), rel=1e-4)
    assert [one["label"] for one in found] == [str(one["predicted_class"]) for one in found]
    assert [one["errors"] for one in found] == [{}, {}, {}]


def test_a_picture_is_the_heat_map_over_the_original(
    digits: Path, working: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    image = digits / "digit1.png"
    words = (image, "--methods", "gradcam,saliency", "--colormap", "jet", "--alpha", "0.7", "--output-dir", "new/out")
    code, (found,), _ = explain(capsys, *words)
    assert code == 0
    assert found["results"] == {"gradcam": "new/out/digit1_gradcam.png", "saliency": "new/out/digit1_saliency.png"}
    from seewhy.explain.recipe import find_recipe  # the model is loaded anew, without the command's memory of it

    reading = find_recipe(load("cnn"), {"size": 64, "mean": [0.5] * 3, "std": [0.5] * 3, "crop_ratio": 1.0})
    for method, path in found["results"].items():
        heat = explain_prediction(load("cnn"), image, method, preprocessing=reading, return_heatmap=True)["heatmap"]
        expected = overlay(np.asarray(Image.open(image)), heat, "jet", 0.7)
        assert np.array_equal(np.asarray(Image.open(path)), expected), method


def test_the_class_asked_about_changes_the_picture_not_the_prediction(
    digits: Path, working: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    image = digits / "digit0.png"
    _, (free,), _ = explain(capsys, image, "--output-dir", "a")
    other = (free["predicted_class"] + 1) % 10
    _, (asked,), _ = explain(capsys, image, "--output-dir", "b", "--target", other)
    assert (asked["predicted_class"], asked["target_class"]) == (free["predicted_class"], other)
    assert free["target_class"] == free["predicted_class"]
    assert Path(free["results"]["gradcam"]).read_bytes() != Path(asked["results"]["gradcam"]).read_bytes()


def test_a_class_is_asked_about_by_the_name_given(
    digits: Path, working: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (working / "names.txt").write_text("".join(f"digit {n}\n" for n in range(10)))
    words = (digits / "digit0.png", "--class-names", "names.txt", "--target", "digit 7")
    code, (found,), _ = explain(capsys, *words)
    assert (code, found["target_class"], found["target_label"]) == (0, 7, "digit 7")
    assert found["label"] == f"digit {found['predicted_class']}"


def test_a_method_that_does_not_suit_fails_alone(
    digits: Path, working: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, (found,), err = explain(capsys, digits / "digit0.png", "--methods", "rollout,gradcam++")
    assert code == 1
    assert list(found["results"]) == ["gradcam++"]
    assert found["results"]["gradcam++"].endswith("digit0_gradcampp.png")
    assert found["errors"]["rollout"]["code"] == "SW-M10"
    assert "digit0.png, rollout: error [SW-M10]" in err
    assert "1 of 1 images were not fully explained" in err


def test_a_bad_image_fails_alone(digits: Path, working: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (working / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    words = (working / "broken.png", digits / "digit0.png", working / "absent.png")
    code, found, err = explain(capsys, *words)
    assert code == 1
    assert [one.get("error", {}).get("code") for one in found] == ["SW-D06", None, "SW-D05"]
    assert [len(one["results"]) for one in found] == [0, 1, 0]
    assert found[0]["predicted_class"] is None
    assert "2 of 3 images were not fully explained" in err


def test_the_table_names_the_prediction_and_the_pictures(
    digits: Path, working: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert seewhy(["explain", str(digits / "digit2.png"), "--model", "demo:vit", "--methods", "gradcam,rollout"]) == 0
    said = capsys.readouterr()
    header, row = said.out.splitlines()
    assert header.split() == ["image", "predicted", "confidence", "explained", "pictures"]
    assert row.endswith("explanations/digit2_gradcam.png, explanations/digit2_rollout.png")
    assert row.split()[2].endswith("%")
    assert said.err.startswith("preprocessing: ")


def test_a_checkpoint_layer_size_and_settings_are_heeded(
    digits: Path, working: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    torch.manual_seed(0)
    torch.save(timm.create_model("test_resnet", num_classes=3).state_dict(), working / "weights.pth")
    base = (digits / "digit0.png", "--checkpoint", "weights.pth", "--num-classes", "3", "--size", "96")
    code, (deep,), err = explain(capsys, *base, "--output-dir", "deep", model="timm:test_resnet")
    assert code == 0
    assert "96×96" in err
    _, (early,), _ = explain(capsys, *base, "--output-dir", "early", "--layer", "layer1", model="timm:test_resnet")
    _, (one,), _ = explain(
        capsys, *base, "--methods", "random", "--set", "random.seed=1", "--output-dir", "one", model="timm:test_resnet"
    )
    _, (two,), _ = explain(
        capsys, *base, "--methods", "random", "--set", "random.seed=2", "--output-dir", "two", model="timm:test_resnet"
    )
    pictures = [Path(path).read_bytes() for found in (deep, early, one, two) for path in found["results"].values()]
    assert len(set(pictures)) == 4
    assert deep["confidence"] == early["confidence"]


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (["digit0.png", "--model", "timm:test_resnet"], "SW-F85"),
        (["digit0.png", "--model", "resnet18"], "SW-F80"),
        (["digit0.png", "--methods", "gradcan"], "SW-F10"),
        (["digit0.png", "--set", "hirescam.x=1"], "SW-F86"),
        (["digit0.png", "--set", "gradcam.x=1"], "SW-F12"),
        (["digit0.png", "--layer", "layer9"], "SW-L01"),
        (["digit0.png", "--methods", "saliency", "--layer", "stages"], "SW-F13"),
        (["digit0.png", "--colormap", "viridiss"], "SW-R01"),
        (["digit0.png", "--alpha", "1.5"], "SW-R05"),
        (["digit0.png", "--target", "seven"], "SW-T04"),
        (["digit0.png", "--class-names", "absent.txt"], "SW-F88"),
        (["*.gif"], "SW-F87"),
        (["digit0.png", "--output-dir", "digit0.png"], "SW-F89"),
    ],
)
def test_what_cannot_be_begun_ends_with_2_and_writes_nothing(
    words: list[str], code: str, digits: Path, working: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (working / "digit0.png").write_bytes((digits / "digit0.png").read_bytes())
    assert seewhy(["explain", "--model", "demo:cnn", *words]) == 2
    said = capsys.readouterr()
    assert f"[{code}]" in said.err
    assert said.out == ""
    assert [path.name for path in working.iterdir()] == ["digit0.png"]


REFUSED_AT_ONCE = """
import sys
from seewhy.cli.main import seewhy
for model in ("timm:resnet18", "torchvision:resnet50"):
    assert seewhy(["explain", "absent.png", "--model", model]) == 2
heavy = {"torch", "timm", "torchvision", "PIL", "seewhy.methods"} & set(sys.modules)
assert not heavy, heavy
"""


def test_a_model_without_weights_is_refused_before_anything_is_imported_or_built() -> None:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    program = [sys.executable, "-c", REFUSED_AT_ONCE]
    done = subprocess.run(program, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stderr.count("[SW-F85]") == 2
    assert "--checkpoint FILE" in done.stderr


def test_the_layer_has_two_spellings(digits: Path, working: Path, capsys: pytest.CaptureFixture[str]) -> None:
    made = []
    for option in ("--layer", "--target-layer"):
        code, (found,), _ = explain(capsys, digits / "digit0.png", option, "stages.0", "--output-dir", option[2:])
        assert code == 0
        made.append(Path(found["results"]["gradcam"]).read_bytes())
    _, (default,), _ = explain(capsys, digits / "digit0.png", "--output-dir", "default")
    assert made[0] == made[1] != Path(default["results"]["gradcam"]).read_bytes()


def test_images_are_named_by_file_folder_and_pattern(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("b.jpg", "a.PNG", "notes.txt", "sub/c.png", "odd[1].png"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    monkeypatch.chdir(tmp_path)
    assert list(map(str, images_of(["."]))) == ["a.PNG", "b.jpg", "odd[1].png"]
    assert list(map(str, images_of(["*.jpg", "b.jpg", "**/c.png"]))) == ["b.jpg", "sub/c.png"]
    assert images_of([f"{tmp_path}/sub/*"]) == [tmp_path / "sub" / "c.png"]
    assert list(map(str, images_of(["odd[1].png", "absent.png"]))) == ["odd[1].png", "absent.png"]
    (tmp_path / "empty").mkdir()
    with pytest.raises(ConfigError, match="holds no pictures"):
        images_of(["empty"])


def test_no_two_pictures_have_the_same_name() -> None:
    images = [Path(name) for name in ("a/cat.png", "b/cat.png", "CAT.jpg", "cat_2.png", "cat_patch.png", "../x y.png")]
    methods = ["attention", "patch_attention", "gradcam++"]
    names = [name for one in picture_names(images, methods) for name in one.values()]
    assert len({name.casefold() for name in names}) == len(names) == 18
    assert names[:3] == ["cat_attention.png", "cat_patch_attention.png", "cat_gradcampp.png"]
    assert all("/" not in name and name.endswith(".png") for name in names)


def test_a_target_is_a_number_a_name_or_the_prediction() -> None:
    assert [class_asked(text) for text in ("predicted", "0", "12", "-1", "cat 2")] == [None, 0, 12, -1, "cat 2"]
