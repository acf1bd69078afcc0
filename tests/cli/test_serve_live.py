"""The live model of a run: it says what the run stored, of records and of dropped pictures, and stays as it was."""

from __future__ import annotations

import io
import json
import shutil
import zlib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from cli_samples import TINY_VIT, tiny_vit, write_experiment
from PIL import Image

from seewhy.cli.generate import generate_artifacts
from seewhy.cli.live import LiveModel, LiveOptions, open_live
from seewhy.cli.live_options import runs_and_data
from seewhy.cli.main import seewhy
from seewhy.cli.models import ModelRequest, ModelSource
from seewhy.data.cluttered_digits import ClutteredDigits
from seewhy.demo.models import asset, build
from seewhy.demo.retina import INPUTS, MadeRetina, write_retina
from seewhy.models.fingerprint import weights_fingerprint
from seewhy.models.multi_branch import MultiBranch
from seewhy.report.live import Answered, Question
from seewhy.store.manifest import read_manifest, render
from seewhy.store.run_reader import RunReader
from seewhy.values import RecordRow, SeewhyError

DIGITS = "experiment=embeddings/demo splits=[test] data.counts={test:3} generate_attention=false"
QUICK = ("deletion", "gini", "complexity", "pointing_game", "class_sensitivity", "average_drop", "completeness")
GRADES = ("deletion", "gini", "pointing_game")
FIRST = ("test", "test_00000")


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three digits explained and graded by the shipped network."""
    folder = tmp_path_factory.mktemp("live") / "digits"
    metrics = f"generate_metrics=true metrics.names=[{','.join(GRADES)}]"
    assert generate_artifacts([*DIGITS.split(), *metrics.split(), f"output_dir={folder}"]) == 0
    return folder


@pytest.fixture(scope="module")
def live(run: Path) -> LiveModel:
    return open_live(run, LiveOptions("demo:cnn"))


def stored(run: Path) -> dict[str, RecordRow]:
    return {row.record_id: row for row in RunReader(run).rows("test")}


def code_of(ask: Callable[[], Any]) -> str:
    with pytest.raises(SeewhyError) as caught:
        ask()
    return caught.value.code


def only_map(found: Answered) -> np.ndarray[Any, Any]:
    (key,) = [key for key, spec in found.questions.items() if spec["kind"] == "map"]
    return found.row.answers[key].values[0]


def png(picture: Image.Image) -> bytes:
    content = io.BytesIO()
    picture.save(content, "PNG")
    return content.getvalue()


def test_map_prediction_and_grades_are_those_of_the_run(run: Path, live: LiveModel) -> None:
    for record_id, row in stored(run).items():
        found = live.ask(Question("gradcam", record=("test", record_id), metrics=GRADES)).row
        own, known = found.answers["gradcam@norm"], row.answers["gradcam@norm"]
        expected = known.values[known.classes.index(own.classes[0])]
        assert own.classes == (row.predicted,)
        np.testing.assert_allclose(own.values[0], expected, rtol=0, atol=1e-6 * np.abs(expected).max())
        np.testing.assert_allclose(found.probabilities, row.probabilities, rtol=0, atol=1e-6)
        assert (found.predicted, found.label, found.revision) == (row.predicted, row.label, row.revision)
        graded = {key for key in row.answers if "(" in key and "rollout" not in key}
        assert graded == {key for key in found.answers if "(" in key}
        for key in graded:
            np.testing.assert_allclose(found.answers[key].values, row.answers[key].values, atol=1e-5, err_msg=key)


def test_the_specification_of_a_grade_is_the_runs(run: Path, live: LiveModel) -> None:
    manifest = RunReader(run).manifest
    found = live.ask(Question("gradcam", record=FIRST, metrics=("deletion",)))
    assert manifest is not None
    own, known = found.questions["deletion(gradcam@norm)"], manifest.questions["deletion(gradcam@norm)"]
    assert {key: own[key] for key in known} == known


def test_the_model_comes_back_as_it_was(live: LiveModel) -> None:
    before = weights_fingerprint(live.module)
    for method in ("guided_backprop", "deeplift", "ablationcam"):
        live.ask(Question(method, record=FIRST))
    live.ask(Question("gradcam", record=FIRST, metrics=("deletion", "parameter_randomization")))
    assert weights_fingerprint(live.module) == before
    assert not any(module.training for module in live.module.modules())
    assert all(parameter.grad is None and parameter.requires_grad for parameter in live.module.parameters())


def test_another_class_layer_or_setting_is_another_answer(live: LiveModel) -> None:
    usual = live.ask(Question("gradcam", record=FIRST))
    other = live.ask(Question("gradcam", record=FIRST, target="3"))
    assert other.told["target"] == 3
    assert other.row.answers["gradcam@norm"].classes == (3,)
    assert not np.array_equal(only_map(usual), only_map(other))
    stem = live.ask(Question("gradcam", record=FIRST, layer="stem"))
    assert stem.told["layers"] == {"image": "stem"}
    few = live.ask(Question("smoothgrad", record=FIRST, settings={"num_samples": 2}))
    many = live.ask(Question("smoothgrad", record=FIRST, settings={"num_samples": 3}))
    assert not np.array_equal(only_map(few), only_map(many))


@pytest.mark.parametrize(
    ("asked", "code", "near"),
    [
        ({"method": "gradcom"}, "SW-F10", "gradcam"),
        ({"method": "gradcam", "layer": "nrom"}, "SW-L01", "norm"),
        ({"method": "gradcam", "target": 10}, "SW-T01", ""),
        ({"method": "gradcam", "target": "ten"}, "SW-T04", ""),
        ({"method": "smoothgrad", "settings": {"num_sampels": 2}}, "SW-F12", "num_samples"),
        ({"method": "gradcam", "metrics": ("deletoin",)}, "SW-F223", "deletion"),
        ({"method": "saliency", "layer": "norm"}, "SW-F13", ""),
        ({"method": "rollout"}, "SW-M10", ""),
        ({"method": "gradcam", "record": ("test", "tst_00000")}, "SW-W48", "test_00000"),
    ],
)
def test_what_cannot_be_asked_is_refused_with_the_nearest_name(
    live: LiveModel, asked: dict[str, Any], code: str, near: str
) -> None:
    with pytest.raises(SeewhyError) as caught:
        live.ask(Question(**{"record": FIRST, **asked}))
    assert caught.value.code == code
    assert near in caught.value.near or not near


def test_every_method_offered_answers_and_every_metric_offered_grades(live: LiveModel) -> None:
    offers = live.offers()
    quick = [one["name"] for one in offers["methods"] if not one["why_not"] and not _slow(one["name"])]
    assert {"gradcam", "integrated_gradients", "occlusion"} <= set(quick)
    for method in quick:
        assert np.isfinite(only_map(live.ask(Question(method, record=FIRST)))).all(), method
    metrics = [one["name"] for one in offers["metrics"] if not one["why_not"] and one["name"] in QUICK]
    assert len(metrics) == len(QUICK)
    found = live.ask(Question("gradcam", record=FIRST, metrics=tuple(metrics))).row
    for metric in metrics:
        for who in ("gradcam@norm", "random", "centre", "edges"):
            key = f"{metric}({who})"
            assert np.isfinite(found.answers[key].values).all() or found.facts[f"undefined {key}"], key


def _slow(method: str) -> bool:
    return method in ("rise", "lime", "kernel_shap", "deeplift", "gradient_shap", "smoothgrad", "vargrad", "scorecam")


def test_offers_are_plain_and_mark_the_defaults(live: LiveModel) -> None:
    offers = json.loads(json.dumps(live.offers(), allow_nan=False))
    assert [layer["name"] for layer in offers["layers"] if layer["default"]] == ["norm"]
    assert offers["class_names"] == [str(digit) for digit in range(10)]
    assert offers["weights"]["same"] is True
    assert str(asset("cnn").parent) not in json.dumps(offers)
    suits = {one["name"]: one["why_not"] for one in offers["methods"]}
    assert suits["gradcam"] == ""
    assert "attention" in suits["rollout"]
    assert offers["records"]["splits"] == ["train", "val", "test"]


def test_a_dropped_picture_of_a_record_is_told_like_the_record(live: LiveModel) -> None:
    digits = ClutteredDigits()
    place = next(number for number, ref in enumerate(digits.index()) if ref.record_id == FIRST[1])
    content = png(Image.fromarray(digits.picture(digits.read(place).inputs)))
    assert live.look(content) == {"width": 64, "height": 64, "notes": []}
    dropped, record = live.ask(Question("gradcam", image=content)), live.ask(Question("gradcam", record=FIRST))
    np.testing.assert_allclose(dropped.row.probabilities, record.row.probabilities, atol=2e-3)
    np.testing.assert_allclose(only_map(dropped), only_map(record), atol=0.02 * only_map(record).max())
    assert dropped.row.label is None
    wide = live.ask(Question("gradcam", image=png(Image.new("RGB", (128, 96))))).row
    assert wide.geometry is not None
    assert (wide.geometry.original, wide.geometry.input) == ((96, 128), (64, 64))


def bomb() -> bytes:
    """A picture of 400 million pixels, as its header says."""
    content = bytearray(png(Image.new("1", (9, 9))))
    content[16:24] = (20_000).to_bytes(4, "big") * 2
    content[29:33] = zlib.crc32(content[12:29]).to_bytes(4, "big")
    return bytes(content)


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (b"", "SW-D06"),
        (b"only text", "SW-D06"),
        (b"<svg onload='alert(1)'/>", "SW-D06"),
        (b"GIF89a", "SW-D07"),
        (png(Image.new("L", (50, 50)))[:60], "SW-D07"),
        (png(Image.new("L", (4, 50))), "SW-D09"),
        (bomb(), "SW-D08"),
    ],
)
def test_what_is_no_picture_is_refused_and_the_model_answers_on(live: LiveModel, content: bytes, code: str) -> None:
    if content != b"GIF89a":
        assert code_of(lambda: live.look(content)) == code
    assert code_of(lambda: live.ask(Question("gradcam", image=content))) in ("SW-D06", code)
    assert live.ask(Question("gradcam", record=FIRST)).row.status == "ok"


def test_other_weights_are_asked_and_said(run: Path, tmp_path: Path) -> None:
    torch.manual_seed(1)
    torch.save(build("cnn").state_dict(), tmp_path / "other.ckpt")
    other = open_live(run, LiveOptions(str(tmp_path / "other.ckpt")))
    assert other.offers()["weights"]["text"] == "other weights than the run's"
    assert other.ask(Question("gradcam", record=FIRST)).told["weights"]["same"] is False
    torch.save(build("vit").state_dict(), tmp_path / "vit.ckpt")
    assert code_of(lambda: open_live(run, LiveOptions(str(tmp_path / "vit.ckpt")))) == "SW-C20"


def test_data_prepared_otherwise_are_said(run: Path) -> None:
    other = open_live(run, LiveOptions("demo:cnn", data={"seed": 1}))
    assert other.offers()["data"]["differs"] == ["the data are prepared otherwise than the run's: seed: 0 -> 1"]


def rebuilt(run: Path, folder: Path, model: dict[str, Any]) -> Path:
    """The run, as if its model had been told like this."""
    shutil.copytree(run, folder)
    manifest = read_manifest(folder)
    assert manifest is not None
    told = replace(manifest, fingerprint={**manifest.fingerprint, "model": model})
    (folder / "manifest.json").write_bytes(render(told))
    return folder


@pytest.mark.parametrize(
    "told", [{"class": "Net"}, {"kind": "custom", "target": "os.system"}, {"kind": "nonsense"}, {}]
)
def test_no_code_is_imported_on_a_runs_word(run: Path, tmp_path: Path, told: dict[str, Any]) -> None:
    other = rebuilt(run, tmp_path / "other", told)
    assert code_of(lambda: open_live(other, LiveOptions("demo:cnn"))) == "SW-W51"
    asked = ModelRequest(ModelSource("demo", "cnn"))
    assert open_live(other, LiveOptions("demo:cnn", model=asked)).same_weights


def test_a_run_of_the_command_evaluate_names_its_model_in_a_word(run: Path, tmp_path: Path) -> None:
    assert open_live(rebuilt(run, tmp_path / "other", {"model": "demo:cnn"}), LiveOptions("demo:cnn")).same_weights


def pictures(root: Path) -> Path:
    generator = np.random.default_rng(0)
    for name in ("a", "b", "c", "d"):
        folder = root / "test" / ("cat" if name < "c" else "dog")
        folder.mkdir(parents=True, exist_ok=True)
        Image.fromarray(generator.integers(0, 256, (40, 50, 3), np.uint8)).save(folder / f"{name}.png")
    return root


def test_a_folder_of_pictures_is_opened_again_with_the_runs_settings(tmp_path: Path) -> None:
    root = pictures(tmp_path / "photos")
    torch.save(tiny_vit(2).state_dict(), tmp_path / "vit.ckpt")
    words = [
        "model=timm", "model.name=vit_tiny_patch16_224", "model.num_classes=2",
        *(f"model.kwargs.{name}={value}" for name, value in TINY_VIT.items()),
        "data=image_folder", f"data.root={root}", "data.size=32", "data.crop=none", "data.num_workers=0",
        f"ckpt_path={tmp_path / 'vit.ckpt'}", f"output_dir={tmp_path / 'run'}",
    ]  # fmt: skip
    assert generate_artifacts(words) == 0
    found = open_live(tmp_path / "run", LiveOptions(str(tmp_path / "vit.ckpt"), data_root=root))
    assert found.offers()["data"]["differs"] == []
    for record_id, row in stored(tmp_path / "run").items():
        own = found.ask(Question("gradcam", record=("test", record_id))).row
        np.testing.assert_allclose(own.probabilities, row.probabilities, atol=1e-6)
        assert own.revision == row.revision
    without = open_live(tmp_path / "run", LiveOptions(str(tmp_path / "vit.ckpt")))
    assert "--data-root" in without.offers()["records"]["why_not"]
    (record_id,) = [one for one in stored(tmp_path / "run") if one.endswith("a")]
    assert code_of(lambda: without.ask(Question("gradcam", record=("test", record_id)))) == "SW-W47"
    dropped = without.ask(Question("gradcam", image=(root / "test" / "cat" / "a.png").read_bytes())).row
    np.testing.assert_allclose(dropped.probabilities, stored(tmp_path / "run")[record_id].probabilities, atol=1e-6)
    assert without.find("a", 5) == []


def test_several_inputs_are_asked_about_by_record_each_with_its_map(tmp_path: Path) -> None:
    write_retina(MadeRetina(64, {"val": 2}), tmp_path / "eyes")
    torch.manual_seed(0)
    torch.save(MultiBranch(INPUTS, "test_efficientnet", 4, hidden=8).state_dict(), tmp_path / "eyes.ckpt")
    words = [
        "model=multi_branch", f"model.inputs=[{','.join(INPUTS)}]", "model.num_classes=4", "model.hidden=8",
        "model.backbone=test_efficientnet", "data=multi_input", f"data.root={tmp_path / 'eyes'}", "data.size=64",
        "data.num_workers=0", f"ckpt_path={tmp_path / 'eyes.ckpt'}", f"output_dir={tmp_path / 'run'}",
    ]  # fmt: skip
    assert generate_artifacts(words) == 0
    found = open_live(tmp_path / "run", LiveOptions(str(tmp_path / "eyes.ckpt"), data_root=tmp_path / "eyes"))
    assert "several inputs" in found.offers()["images"]["why_not"]
    assert found.offers()["data"]["differs"] == []
    assert code_of(lambda: found.ask(Question("gradcam", image=b"x"))) == "SW-W49"
    for row in RunReader(tmp_path / "run").rows("val"):
        own = found.ask(Question("gradcam", record=("val", row.record_id), metrics=("gini",)))
        maps = {spec["inputs"][0]: key for key, spec in own.questions.items() if spec["kind"] == "map"}
        assert list(maps) == list(INPUTS)
        for number, name in enumerate(INPUTS, start=1):
            known = next(row.answers[key] for key in row.answers if key.startswith(f"gradcam@backbone{number}"))
            answer = own.row.answers[maps[name]]
            expected = known.values[known.classes.index(answer.classes[0])]
            np.testing.assert_allclose(
                answer.values[0], expected, rtol=0, atol=1e-6 * max(1e-3, np.abs(expected).max())
            )
        assert [preview.input_name for preview in own.row.previews] == list(INPUTS)
    assert code_of(lambda: open_live(tmp_path / "run", LiveOptions(str(tmp_path / "eyes.ckpt")))) == "SW-W50"


def test_an_experiment_says_what_the_run_cannot(project: Path) -> None:
    assert generate_artifacts(["experiment=embeddings/my_experiment", "ckpt_path=path/to/model.ckpt"]) == 0
    run = project / "artifacts/embeddings/my_experiment"
    options = LiveOptions("path/to/model.ckpt", experiment="embeddings/my_experiment")
    found = open_live(run, options)
    assert found.same_weights
    for record_id, row in stored(run).items():
        own = found.ask(Question("gradcam", record=("test", record_id))).row
        np.testing.assert_allclose(own.probabilities, row.probabilities, atol=1e-6)
    write_experiment(project, "embeddings/broken", "defaults: [{model: nowhere}]")
    assert code_of(lambda: open_live(run, LiveOptions("x", experiment="embeddings/broken"))) == "SW-F29"


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (["RUN", "--checkpoint", "demo:cnn", "--question-seconds", "0"], "SW-W57"),
        (["RUN", "--checkpoint", "demo:cnn", "--question-seconds", "nan"], "SW-W57"),
        (["RUN", "--question-seconds", "5"], "SW-W54"),
        (["RUN", "--checkpoint", "demo:cnn", "--checkpoint", "demo:cnn"], "SW-W53"),
        (["RUN", "--data-root", "photos"], "SW-W54"),
        (["RUN", "data.root=photos"], "SW-W54"),
        (["data.root=photos"], "SW-W55"),
        (["RUN", "--checkpoint", "no/such.ckpt"], "SW-C01"),
        (["RUN", "--checkpoint", "demo:cnn", "--device", "gpuu"], "SW-F25"),
        (["RUN", "--checkpoint", "demo:cnn", "data.sede=1"], "SW-F28"),
    ],
)
def test_words_that_cannot_be_are_refused_before_anything_is_served(
    run: Path, capsys: pytest.CaptureFixture[str], words: list[str], code: str
) -> None:
    assert seewhy(["serve", *(str(run) if word == "RUN" else word for word in words)]) == 2
    assert f"[{code}]" in capsys.readouterr().err


def test_a_folder_with_an_equals_sign_is_a_run() -> None:
    assert runs_and_data(["./data.x=1", "a=b", "data.n=2"]) == ([Path("data.x=1"), Path("a=b")], ["n=2"])
