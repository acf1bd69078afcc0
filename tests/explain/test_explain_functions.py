"""One call for one image, for several methods and for many images: what comes back, what is written, what fails."""

from __future__ import annotations

import csv
import io
import json
import math
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
import timm
import torch
from friendly_models import PLAIN, Brightness, black_with_square, noise
from PIL import Image

from borrowed import unchanged
from seewhy import (
    GradCAM,
    compare_methods,
    explain_prediction,
    load_image,
    load_model,
    quick_explain,
    save_predictions,
    visualize_batch,
)
from seewhy.explain.prediction_table import table_of
from seewhy.explain.result import Result
from seewhy.values import ConfigError, DataError, ModelError, SeewhyError, TargetError

NAMES = ["bright", "dark"]


def read(path: object) -> np.ndarray:
    """The pixels of a written picture."""
    with Image.open(path) as opened:
        return np.asarray(opened)


def test_a_result_holds_what_the_model_says_and_why() -> None:
    picture = black_with_square(64, 64, 16, 16, side=32)
    result = explain_prediction(Brightness(), picture, preprocessing=PLAIN, class_names=NAMES, return_heatmap=True)
    mean = float(picture.mean() / 127.5 - 1)
    assert result["predicted_class"] == 1
    assert (result["label"], result["target_label"], result["target_class"]) == ("dark", "dark", 1)
    assert result["confidence"] == pytest.approx(1 / (1 + math.exp(2 * mean)), abs=1e-6)
    assert result["probabilities"].sum() == pytest.approx(1)
    assert result["score"] == pytest.approx(-mean, abs=1e-6)
    assert (result["method"], result["target_layer"]) == ("gradcam", "cells")
    assert result["valid_mask"].all()
    assert np.array_equal(result["heatmap"], GradCAM(Brightness(), preprocessing=PLAIN).explain(picture))
    assert result.attribution.maps["image"].shape == (1, 8, 8)
    assert "heatmap" not in explain_prediction(Brightness(), picture, preprocessing=PLAIN)


def test_a_result_survives_json() -> None:
    result = explain_prediction(Brightness(), noise(64, 64), preprocessing=PLAIN, return_heatmap=True)
    plain = json.loads(json.dumps(result.to_json()))
    assert plain["probabilities"] == result["probabilities"].tolist()
    assert plain["predicted_class"] == result["predicted_class"]


def test_the_saved_picture_shows_the_original_beside_the_overlay_at_the_size_asked_for(tmp_path: Path) -> None:
    picture = noise(60, 80)
    result = explain_prediction(
        Brightness(), picture, preprocessing=PLAIN, save_path=tmp_path / "new" / "both.png", dpi=50
    )
    both = read(result["save_path"])
    alone = explain_prediction(
        Brightness(), picture, preprocessing=PLAIN, save_path=tmp_path / "one.png", dpi=50, show_original=False
    )
    one = read(alone["save_path"])
    gap = max(4, 200 // 30)
    assert one.shape[1] == 200 + 2 * gap
    assert both.shape[1] == 2 * 200 + 3 * gap
    assert both.shape[0] == one.shape[0]


def test_where_there_is_no_evidence_the_picture_is_left_as_it_is() -> None:
    picture = noise(64, 128)
    shown = GradCAM(Brightness(), preprocessing=PLAIN).visualize(picture, target_class=0)
    assert np.array_equal(shown[:, :32], picture[:, :32])
    blank = GradCAM(Brightness(), preprocessing=PLAIN).visualize(picture, np.zeros((8, 8)))
    assert np.array_equal(blank, picture)


@pytest.mark.parametrize("suffix", ["jpg", "pdf", "svg"])
def test_other_formats_are_written_by_their_suffix(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"figure.{suffix}"
    explain_prediction(Brightness(), noise(64, 64), preprocessing=PLAIN, save_path=path)
    starts = {"jpg": b"\xff\xd8\xff", "pdf": b"%PDF", "svg": b"<?xml"}
    assert path.read_bytes().startswith(starts[suffix])


@pytest.mark.parametrize(
    ("wrong", "code"),
    [
        ({"method": "gradcm"}, "SW-F10"),
        ({"stepz": 3}, "SW-F12"),
        ({"colormap": "viridiz"}, "SW-R01"),
        ({"alpha": 2.0}, "SW-R05"),
        ({"dpi": 0}, "SW-F76"),
        ({"task": "detection"}, "SW-T13"),
        ({"target_layer": "nowhere"}, "SW-L01"),
    ],
)
def test_a_wrong_argument_is_named(wrong: dict[str, object], code: str) -> None:
    with pytest.raises(SeewhyError) as raised:
        explain_prediction(Brightness(), noise(64, 64), preprocessing=PLAIN, **wrong)
    assert raised.value.code == code


def test_methods_are_compared_on_one_pass_and_each_says_what_it_says_alone(tmp_path: Path) -> None:
    model = Brightness()
    picture = noise(64, 64)
    names = ["gradcam", "gradcam++", "hirescam", "input_x_gradient"]
    study = Brightness()
    explain_prediction(study, picture, preprocessing=PLAIN)
    compared = compare_methods(model, picture, names, layout="grid", preprocessing=PLAIN, save_path=tmp_path / "c.png")
    assert model.calls == study.calls
    assert list(compared) == names
    for name in names:
        alone = explain_prediction(Brightness(), picture, name, preprocessing=PLAIN, return_heatmap=True)
        assert np.allclose(compared[name]["heatmap"], alone["heatmap"], atol=1e-6)
        assert compared[name]["predicted_class"] == alone["predicted_class"]
        assert compared[name]["save_path"] == str(tmp_path / "c.png")


@pytest.mark.parametrize(("layout", "rows", "columns"), [("horizontal", 1, 3), ("vertical", 3, 1), ("grid", 1, 3)])
def test_pictures_of_a_comparison_lie_as_asked(layout: str, rows: int, columns: int) -> None:
    compared = compare_methods(Brightness(), noise(64, 64), ["gradcam", "saliency"], layout=layout, preprocessing=PLAIN)
    figure = compared.figure()
    assert figure.axes[0].get_subplotspec().get_gridspec().get_geometry() == (rows, columns)
    page = read(BytesIO(compared._repr_png_()))
    assert (page.shape[1] > page.shape[0]) == (columns > rows)


def test_the_size_of_a_comparison_can_be_given_in_inches(tmp_path: Path) -> None:
    path = tmp_path / "wide.png"
    compare_methods(
        Brightness(), noise(64, 64), ["gradcam"], preprocessing=PLAIN, save_path=path, figsize=(3, 9), dpi=100
    )
    height, width = read(path).shape[:2]
    assert width == 300
    assert height <= 900


def test_a_method_that_cannot_explain_the_model_is_named_and_the_others_go_on() -> None:
    compared = compare_methods(Brightness(), noise(64, 64), ["gradcam", "rollout"], preprocessing=PLAIN)
    assert list(compared.failures) == ["rollout"]
    assert "SW-M10" in compared["rollout"]["error"]
    assert compared["rollout"]["predicted_class"] is None
    assert "error" not in compared["gradcam"]
    assert list(compared.panels()) == ["Original", "gradcam"]
    with pytest.raises(ModelError, match="SW-M10"):
        compare_methods(Brightness(), noise(64, 64), ["rollout"], preprocessing=PLAIN)


@pytest.mark.parametrize("methods", [[], ["gradcam", "gradcam"], ["rollout", "attention_rollout"]])
def test_methods_are_one_or_more_different_ones(methods: list[str]) -> None:
    with pytest.raises(ConfigError, match="SW-F78"):
        compare_methods(Brightness(), noise(64, 64), methods, preprocessing=PLAIN)


def test_settings_of_a_compared_method_are_heeded() -> None:
    compared = compare_methods(
        Brightness(), noise(64, 64), ["occlusion"], preprocessing=PLAIN, settings={"occlusion": {"window": 32}}
    )
    assert compared["occlusion"]["settings"]["window"] == 32
    with pytest.raises(ConfigError, match="SW-F79"):
        compare_methods(Brightness(), noise(64, 64), ["gradcam"], preprocessing=PLAIN, settings={"rise": {}})


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for place, seed in (("a", 1), ("b", 2)):
        (tmp_path / place).mkdir()
        Image.fromarray(noise(64, 80, seed)).save(tmp_path / place / "cat.png")
    (tmp_path / "b" / "broken.png").write_bytes(b"not a picture")
    return tmp_path


def test_many_images_are_written_under_names_of_their_own(folder: Path) -> None:
    images = [folder / "a" / "cat.png", str(folder / "b" / "cat.png"), noise(64, 64), torch.randn(3, 64, 64)]
    results = visualize_batch(Brightness(), images, output_dir=folder / "out", preprocessing=PLAIN)
    written = [Path(result["save_path"]).name for result in results]
    assert written == [
        "cat_explanation.png",
        "cat_2_explanation.png",
        "image_0002_explanation.png",
        "image_0003_explanation.png",
    ]
    assert sorted(path.name for path in (folder / "out").iterdir()) == sorted(written)


def test_an_image_that_cannot_be_read_is_named_and_the_others_go_on(folder: Path) -> None:
    images = [folder / "a" / "cat.png", folder / "b" / "broken.png", folder / "b" / "cat.png"]
    results = visualize_batch(Brightness(), images, output_dir=folder / "out", preprocessing=PLAIN, return_heatmap=True)
    assert ["error" in result for result in results] == [False, True, False]
    assert "broken.png" in results[1]["error"]
    alone = GradCAM(Brightness(), preprocessing=PLAIN)
    for result, image in zip(results[::2], images[::2], strict=True):
        assert np.allclose(result["heatmap"], alone.explain(image), atol=1e-6)
    with pytest.raises(DataError, match="SW-D06"):
        visualize_batch(Brightness(), images[1:2], preprocessing=PLAIN)


def test_predictions_are_saved_as_a_table_that_runs_nothing(folder: Path) -> None:
    results = visualize_batch(
        Brightness(),
        [folder / "a" / "cat.png", folder / "b" / "broken.png"],
        preprocessing=PLAIN,
        class_names=["=HYPERLINK(1)", "@SUM(1)"],
    )
    with save_predictions(results, folder / "new" / "predictions.csv").open(encoding="utf-8", newline="") as file:
        first, second = csv.DictReader(file)
    assert first["label"][:2] in ("'=", "'@")
    assert float(first["confidence"]) == results[0]["confidence"]
    assert (first["image"], second["image"]) == ("cat", "broken")
    assert second["confidence"] == ""
    assert "SW-D06" in second["error"]


@pytest.mark.parametrize("sign", list("=+-@＝＋－＠"))
@pytest.mark.parametrize("before", ["", " ", "\u00a0", "\u3000 ", "\t", "\r", "\n"])
def test_a_formula_is_text_also_behind_spaces_and_in_full_width(before: str, sign: str) -> None:
    text = f"{before}{sign}SUM(1)"
    (row,) = csv.DictReader(io.StringIO(table_of(Result({"label": text})), newline=""))
    assert row["label"] == f"'{text}"


@pytest.mark.parametrize("text", ["cat", " cat", "a=b", "'=1", "\u00a0", "a\r=b", "a\n=b", ""])
def test_text_that_is_no_formula_is_written_as_it_is(text: str) -> None:
    (row,) = csv.DictReader(io.StringIO(table_of(Result({"label": text})), newline=""))
    assert row["label"] == text


def test_a_result_shows_itself_in_a_notebook_without_running_a_class_name() -> None:
    result = explain_prediction(
        Brightness(), noise(64, 64), preprocessing=PLAIN, class_names=["<script>alert(1)</script>", "<b>"]
    )
    shown = result._repr_html_()
    assert "<script>" not in shown
    assert "<b>" not in shown
    assert "data:image/png;base64," in shown
    assert result._repr_png_().startswith(b"\x89PNG")


def test_quick_explain_writes_its_picture_where_one_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    result = quick_explain(Brightness(), noise(64, 64), preprocessing=PLAIN)
    assert read("explanation.png").shape[1] > 2 * 4 * 150
    assert result["heatmap"].shape == (64, 64)
    quick_explain(Brightness(), noise(64, 64), "other.png", method="saliency", show_plot=True, preprocessing=PLAIN)
    assert (tmp_path / "other.png").exists()


class OneOutput(Brightness):
    """The mean brightness alone."""

    def __init__(self) -> None:
        super().__init__(classes=1)


def test_a_single_output_is_a_value_or_two_classes_as_the_caller_says() -> None:
    bright = np.full((64, 64, 3), 255, np.uint8)
    value = explain_prediction(OneOutput(), bright, preprocessing=PLAIN, task="regression")
    assert value["values"].tolist() == pytest.approx([1.0], abs=1e-5)
    assert value["predicted_class"] is None
    binary = explain_prediction(OneOutput(), bright, preprocessing=PLAIN, task="binary", class_names=NAMES[::-1])
    assert (binary["predicted_class"], binary["label"]) == (1, "bright")
    assert binary["confidence"] == pytest.approx(1 / (1 + math.exp(-1)), abs=1e-5)
    maps = [
        explain_prediction(
            OneOutput(), bright, target_class=one, preprocessing=PLAIN, task="binary", return_heatmap=True
        )
        for one in (0, 1)
    ]
    assert [one["heatmap"].max() for one in maps] == [0, 1]


def test_a_multi_label_model_is_asked_about_a_label_or_all_above_a_threshold() -> None:
    bright = np.full((64, 64, 3), 255, np.uint8)
    with pytest.raises(TargetError, match="SW-T16"):
        explain_prediction(Brightness(3), bright, preprocessing=PLAIN, task="multilabel")
    result = explain_prediction(
        Brightness(3), bright, preprocessing=PLAIN, task="multilabel", threshold=0.5, class_names=["a", "b", "c"]
    )
    assert result["labels"] == ["a", "c"]
    assert result["score"] == pytest.approx(1.5, abs=1e-5)
    assert result["target_class"] is None


def test_a_model_without_a_head_is_asked_what_moves_its_features() -> None:
    model = timm.create_model("test_resnet", num_classes=0).eval()
    result = explain_prediction(model, noise(64, 64), preprocessing=PLAIN)
    features = GradCAM(model, preprocessing=PLAIN)
    prepared = features.explained(noise(64, 64)).prepared.pixels[None]
    with torch.no_grad():
        assert result["score"] == pytest.approx(float(model(prepared).norm()), rel=1e-5)
    assert result["predicted_class"] is None


def test_the_model_comes_back_as_it_was_also_when_the_call_fails() -> None:
    model = Brightness().train()
    before = model.calls
    with unchanged(model):
        explain_prediction(model, noise(64, 64), preprocessing=PLAIN)
        compare_methods(model, noise(64, 64), ["gradcam", "rollout", "saliency"], preprocessing=PLAIN)
        with pytest.raises(TargetError):
            explain_prediction(model, noise(64, 64), target_class=7, preprocessing=PLAIN)
        model.calls = before


def test_a_checkpoint_s_weights_are_loaded_and_give_their_own_answer(tmp_path: Path) -> None:
    torch.manual_seed(3)
    trained = timm.create_model("test_resnet", num_classes=4)
    torch.save(
        {"state_dict": {f"model.{name}": value for name, value in trained.state_dict().items()}}, tmp_path / "m.ckpt"
    )
    model = load_model(tmp_path / "m.ckpt", model="timm:test_resnet", num_classes=4)
    x = torch.randn(2, 3, 64, 64)
    with torch.no_grad():
        assert torch.equal(model(x), trained.eval()(x))
    assert not model.training


@pytest.mark.parametrize("name", ["resnet50", "tim:resnet50", "", "timm"])
def test_a_model_s_name_says_its_kind(name: str) -> None:
    with pytest.raises(ModelError, match="SW-M50"):
        load_model(model=name)


def test_a_picture_is_loaded_upright_in_colour(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(noise(20, 30)).convert("P").convert("L").save(tmp_path / "turned.jpg", exif=exif)
    image = load_image(tmp_path / "turned.jpg")
    assert (image.mode, image.size) == ("RGB", (20, 30))
