"""Whole data sets graded: every value is what the metric says of that record alone, and every control is there."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from grade_samples import Masked, brightness, grades_of, left_half, summary_of, table_of, toy_metrics
from pipeline_inputs import SHAPES, Named, TwoGaps
from pipeline_samples import Log, Pictures, after, conv_net, ids, image_of, rows, snapshot, vit
from torch import Tensor, nn

import seewhy
import seewhy.metrics
from borrowed import unchanged
from seewhy.capture.probe import Probe
from seewhy.data.records import Record
from seewhy.methods.ask import Asked
from seewhy.metrics.case import Case
from seewhy.metrics.controls import CONTROLS, controlled
from seewhy.metrics.grading import grade
from seewhy.metrics.rehearsal import why_no_metric
from seewhy.models.adapter import Adapter
from seewhy.pipeline.regions import regions_of
from seewhy.registry import METRICS
from seewhy.store.run_reader import RunReader
from seewhy.targets import Logit
from seewhy.values import SeewhyError

ONLY = {
    "generate_embeddings": False,
    "generate_gradcam": False,
    "generate_attention": False,
    "generate_metrics": True,
}
DELETION = {"names": ["deletion"], "settings": {"deletion": {"steps": 5}}}


@pytest.fixture(autouse=True)
def _toys() -> Iterator[None]:
    with toy_metrics():
        yield


def graded(model: nn.Module, data: Any, root: Path, metrics: dict[str, Any], **given: Any) -> Any:
    return seewhy.run(model, data, root, metrics=metrics, **(ONLY | given))


def case_alone(model: nn.Module, record_id: str) -> Case:
    """Grad-CAM of one record, about the predicted class."""
    inputs = {"image": image_of(record_id)[None]}
    probe, _ = Probe(Adapter(model, inputs), [Logit()]).settled(inputs)
    return Case(probe, inputs, Asked("gradcam")(probe, inputs).target(), Asked("gradcam"), keys=(record_id,))


def test_every_grade_is_what_the_metric_says_of_the_record_alone(tmp_path: Path) -> None:
    names, model = ids(5), conv_net()
    graded(model, Pictures(names), tmp_path / "run", DELETION, batch_size=3, seed=0)
    found = grades_of(tmp_path / "run")
    for name in names:
        case = case_alone(model, name)
        each = {"gradcam": case} | {control: controlled(case, control) for control in CONTROLS}
        for who, one in each.items():
            assert found[name, who, "deletion"][0] == pytest.approx(
                float(grade("deletion", one, steps=5).values), abs=1e-5
            )
    assert {who for _, who, _ in found} == {"gradcam", "random", "centre", "edges"}


def test_the_class_is_the_predicted_one_or_the_label(tmp_path: Path) -> None:
    names, model = ids(6), conv_net()
    with torch.no_grad():
        said = model.eval()(torch.stack([image_of(name) for name in names])).softmax(dim=1)
    data = Masked(names, unlabelled=["r04"])
    graded(model, data, tmp_path / "predicted", {"names": ["confident"]})
    graded(model, data, tmp_path / "label", {"names": ["confident"], "target": "label"})
    predicted, label = grades_of(tmp_path / "predicted"), grades_of(tmp_path / "label")
    for i, name in enumerate(names):
        assert predicted[name, "gradcam", "confident"][0] == pytest.approx(float(said[i].max()), abs=1e-6)
        if name != "r04":
            assert label[name, "gradcam", "confident"][0] == pytest.approx(float(said[i, i % 3]), abs=1e-6)
    assert label["r04", "gradcam", "confident"] == (None, "the record has no label among the model's classes")
    assert {row["class"] for row in table_of(tmp_path / "label") if row["record_id"] == "r01"} == {"1"}


def test_means_of_all_and_of_each_class_are_those_made_by_hand(tmp_path: Path) -> None:
    names, model = ids(9), conv_net()
    graded(model, Pictures(names), tmp_path / "run", {"names": ["brightness"], "target": "label"})
    told = summary_of(tmp_path / "run")["splits"]["test"]["image"]["metrics"]["brightness"]
    bright = np.array([float(image_of(name).mean()) for name in names])
    for who in ("gradcam", "random", "centre", "edges"):
        assert told["all"][who]["mean"] == pytest.approx(bright.mean(), abs=1e-6)
        assert told["all"][who]["low"] < bright.mean() < told["all"][who]["high"]
        for index in range(3):
            found = told["by_class"][str(index)][who]
            assert found["mean"] == pytest.approx(bright[index::3].mean(), abs=1e-6)
            assert (found["n"], found["of"]) == (3, 3)
    assert (told["better"], told["family"]) == ("higher", "complexity")


def test_each_input_of_several_is_graded_by_itself(tmp_path: Path) -> None:
    names = ids(4)
    data, model = Named(names, SHAPES), TwoGaps()
    graded(model, data, tmp_path / "run", {"names": ["brightness"]})
    told = summary_of(tmp_path / "run")["splits"]["test"]
    for name in SHAPES:
        bright = np.mean([float(data.inputs(record_id)[name].mean()) for record_id in names])
        assert told[name]["metrics"]["brightness"]["all"]["gradcam"]["mean"] == pytest.approx(bright, abs=1e-6)
    assert "brightness(gradcam@first.conv):mnv" in rows(tmp_path / "run")["r00"].answers


def test_without_a_mask_there_is_a_reason_and_the_neighbours_have_their_grade(tmp_path: Path) -> None:
    names = ids(4)
    summary = graded(conv_net(), Masked(names, without=["r01"]), tmp_path / "run", {"names": ["inside"]})
    found = grades_of(tmp_path / "run")
    assert found["r01", "centre", "inside"] == (None, "the record has no mask or box")
    assert found["r00", "centre", "inside"][0] == pytest.approx(0.5, abs=0.05)
    assert np.isnan(rows(tmp_path / "run")["r01"].answers["inside(centre)"].values).all()
    told = summary_of(tmp_path / "run")["splits"]["test"]["image"]
    assert (told["metrics"]["inside"]["all"]["centre"]["n"], told["metrics"]["inside"]["all"]["centre"]["of"]) == (3, 4)
    assert told["missing"]["inside"] == {"the record has no mask or box": 1}
    assert (summary.failures, summary.exit_code) == ((), 0)


def test_a_mask_reaches_the_metric_as_it_is(tmp_path: Path) -> None:
    graded(conv_net(), Masked(["r00"]), tmp_path / "run", {"names": ["inside"]})
    case = case_alone(conv_net(), "r00")
    evidence = case.evidence.clamp(min=0)[0]
    expected = float(evidence[left_half()].sum() / evidence.sum())
    assert grades_of(tmp_path / "run")["r00", "gradcam", "inside"][0] == pytest.approx(expected, abs=1e-5)


def test_a_record_that_a_metric_refuses_costs_neither_its_neighbours_nor_its_other_grades(tmp_path: Path) -> None:
    summary = graded(conv_net(), Pictures(ids(4)), tmp_path / "run", {"names": ["picky", "brightness"]}, batch_size=4)
    found = grades_of(tmp_path / "run")
    assert [found[name, "gradcam", "picky"][0] for name in ids(4)] == [1, 1, None, 1]
    assert found["r02", "edges", "picky"][1] == "[SW-T60] r02 is not to its taste"
    assert found["r02", "gradcam", "brightness"][0] == pytest.approx(float(image_of("r02").mean()), abs=1e-6)
    assert summary.failures == ()


def test_reasons_stay_when_other_metrics_are_added(tmp_path: Path) -> None:
    data = Masked(ids(3), without=["r01"])
    graded(conv_net(), data, tmp_path / "run", {"names": ["inside"]})
    before = grades_of(tmp_path / "run")
    graded(conv_net(), data, tmp_path / "run", {"names": ["brightness"]})
    after_it = grades_of(tmp_path / "run")
    assert {key: value for key, value in after_it.items() if key[2] == "inside"} == before
    assert seewhy.verify(tmp_path / "run") == []


def test_only_what_is_missing_is_computed_when_more_is_asked(tmp_path: Path) -> None:
    names, root = ids(4), tmp_path / "run"
    graded(vit(), Pictures(names), root, {"names": ["brightness"], "methods": ["rollout"]})
    graded(vit(), Pictures(names), root, {"names": ["brightness", "confident"], "methods": ["rollout", "gradcam"]})
    shards = sorted((root / "shards").iterdir())
    held = [set(RunReader(root)._shards["test"][i].header.questions) for i in range(len(shards))]
    new = {f"confident({who})" for who in ("rollout", "random", "centre", "edges")}
    layer = "gradcam@blocks.2.norm1"
    assert held[1] == new | {f"brightness({layer})", f"confident({layer})"}
    graded(
        vit(),
        Pictures(names),
        tmp_path / "once",
        {"names": ["brightness", "confident"], "methods": ["rollout", "gradcam"]},
    )
    for file in ("test_metrics.csv", "summary.json", "verdict.json", "verdict.md"):
        assert (root / "metrics" / file).read_bytes() == (tmp_path / "once/metrics" / file).read_bytes()
    log = Log()
    summary = graded(vit(), Pictures(names), root, {"names": ["brightness"]}, observer=log)
    assert (summary.computed, summary.reused) == (0, 4)


def test_stopped_after_a_shard_it_ends_as_if_never_stopped(tmp_path: Path) -> None:
    given: dict[str, Any] = {"batch_size": 2, "shard_size": 3}
    whole = graded(conv_net(), Pictures(ids(8)), tmp_path / "whole", DELETION, **given)
    stopped = graded(conv_net(), Pictures(ids(8)), tmp_path / "run", DELETION, stop=after(1), **given)
    assert (stopped.interrupted, stopped.graded) == (True, ())
    assert not (tmp_path / "run/metrics").exists()
    graded(conv_net(), Pictures(ids(8)), tmp_path / "run", DELETION, **given)
    assert snapshot(tmp_path / "run") == snapshot(tmp_path / "whole")
    assert [one.split for one in whole.graded] == ["test"]


def test_grades_do_not_depend_on_the_size_of_batches(tmp_path: Path) -> None:
    asked = {"names": ["deletion", "average_sensitivity"], "settings": {"deletion": {"steps": 4}}}
    graded(conv_net(), Pictures(ids(5)), tmp_path / "one", asked, batch_size=1)
    graded(conv_net(), Pictures(ids(5)), tmp_path / "five", asked, batch_size=5)
    one, five = grades_of(tmp_path / "one"), grades_of(tmp_path / "five")
    assert one.keys() == five.keys()
    for key, (value, _) in one.items():
        assert five[key][0] == pytest.approx(value, abs=1e-5), key


def test_a_changed_record_is_graded_again(tmp_path: Path) -> None:
    graded(conv_net(), Pictures(ids(3)), tmp_path / "run", {"names": ["brightness"]})
    changed = Pictures(ids(3), contents={"r01": "rewritten"})
    graded(conv_net(), changed, tmp_path / "run", {"names": ["brightness"]})
    found = grades_of(tmp_path / "run")
    assert found["r01", "gradcam", "brightness"][0] == pytest.approx(float(image_of("rewritten").mean()), abs=1e-6)


def test_a_method_that_does_not_suit_the_model_is_told_and_fails_no_record(tmp_path: Path) -> None:
    asked = {"names": ["brightness"], "methods": ["rollout", "gradcam"]}
    summary = graded(conv_net(), Pictures(ids(2)), tmp_path / "run", asked)
    assert "attention" in summary.not_applicable["metrics of rollout"]
    assert summary.failures == ()
    assert {row["method"] for row in table_of(tmp_path / "run")} == {"gradcam", *CONTROLS}


class OneValue(nn.Module):
    """A model whose single output may be anything."""

    def __init__(self) -> None:
        super().__init__()
        self.inner = conv_net(1)

    def forward(self, image: Tensor) -> Tensor:
        return self.inner(image)


def test_a_metric_that_does_not_suit_the_model_is_told_and_fails_no_record(tmp_path: Path) -> None:
    summary = graded(OneValue(), Pictures(ids(2)), tmp_path / "run", {"names": ["confident", "brightness"]})
    assert "no single class" in summary.not_applicable["confident"]
    assert {row["metric"] for row in table_of(tmp_path / "run")} == {"brightness"}
    assert summary.failures == ()


def test_the_usual_methods_are_those_that_suit_the_model(tmp_path: Path) -> None:
    graded(vit(), Pictures(ids(2)), tmp_path / "vit", {"names": ["brightness"]})
    graded(conv_net(), Pictures(ids(2)), tmp_path / "cnn", {"names": ["brightness"]})
    found = [{row["method"] for row in table_of(tmp_path / name)} - set(CONTROLS) for name in ("vit", "cnn")]
    assert found == [{"gradcam", "rollout"}, {"gradcam"}]


def test_grades_and_maps_come_out_of_one_run(tmp_path: Path) -> None:
    summary = seewhy.run(
        vit(), Pictures(ids(2)), tmp_path / "run", generate_metrics=True, metrics={"names": ["brightness"]}
    )
    files = set(snapshot(tmp_path / "run"))
    assert {"embeddings/test_embeddings.pt", "gradcam/r00/class_0.png", "metrics/test_metrics.csv"} <= files
    assert summary.graded[0].costs == {"gradcam": 2.0, "rollout": 1.0}
    assert seewhy.verify(tmp_path / "run") == []


def test_the_model_comes_back_as_it_was(tmp_path: Path) -> None:
    model = conv_net().train()
    with unchanged(model):
        graded(model, Pictures(ids(2)), tmp_path / "run", {"names": ["deletion", "brightness"]})


def test_another_setting_of_a_metric_is_another_run(tmp_path: Path) -> None:
    graded(conv_net(), Pictures(ids(2)), tmp_path / "run", {"names": ["brightness"]})
    with pytest.raises(SeewhyError, match="times") as refused:
        graded(
            conv_net(),
            Pictures(ids(2)),
            tmp_path / "run",
            {"names": ["brightness"], "settings": {"brightness": {"times": 2}}},
        )
    assert refused.value.code == "SW-S12"


def test_settings_reach_metrics_and_methods_by_any_of_their_names(tmp_path: Path) -> None:
    asked = {
        "names": ["Brightness"],
        "methods": ["ig"],
        "settings": {"brightness": {"times": 2}, "ig": {"steps": 4, "baseline": "mean"}},
    }
    graded(conv_net(), Pictures(ids(2)), tmp_path / "run", asked)
    value = grades_of(tmp_path / "run")["r00", "integrated_gradients", "brightness"][0]
    assert value == pytest.approx(2 * float(image_of("r00").mean()), abs=1e-6)
    spec = RunReader(tmp_path / "run").manifest.questions["brightness(integrated_gradients)"]
    assert spec["method settings"]["steps"] == 4


@pytest.mark.parametrize(
    ("metrics", "code", "words"),
    [
        ({"names": ["deletoin"]}, "SW-F223", "deletion"),
        ({"methods": ["gradcm"]}, "SW-F10", "gradcam"),
        ({"settings": {"deletion": {"step": 3}}}, "SW-F222", "steps"),
        ({"methods": ["ig"], "settings": {"ig": {"stps": 3}}}, "SW-F12", "steps"),
        ({"settings": {"deletoin": {"steps": 3}}}, "SW-F10", ""),
        ({"name": ["deletion"]}, "SW-F280", "names"),
        ({"names": []}, "SW-F281", "one or more"),
        ({"names": 3}, "SW-F281", "metrics.names"),
        ("deletion", "SW-F281", "group"),
        ({"settings": {"deletion": 3}}, "SW-F281", "deletion"),
        ({"settings": {"deletion": {"steps": object()}}}, "SW-F281", "steps"),
        ({"names": ["inside"], "settings": {"brightness": {"times": 2}}}, "SW-F282", "brightness"),
        ({"methods": ["gradcam"], "settings": {"ig": {"steps": 2}}}, "SW-F282", "ig"),
        ({"methods": ["random"]}, "SW-F283", "control"),
        ({"target": "truth"}, "SW-F23", "label"),
        ({"names": ["brightness"], "settings": {"brightness": {"times": "many"}}}, "SW-F285", "many"),
        ({"names": ["brightness"], "methods": ["ig"], "settings": {"ig": {"steps": 0}}}, "SW-F43", "steps"),
    ],
)
def test_what_cannot_be_graded_is_refused_before_anything_is_written(
    tmp_path: Path, metrics: Any, code: str, words: str
) -> None:
    with pytest.raises(SeewhyError) as refused:
        graded(conv_net(), Pictures(ids(2)), tmp_path / "run", metrics)
    assert refused.value.code == code
    assert words in str(refused.value)
    assert not (tmp_path / "run").exists()


COMPARES = {"agreement", "label_randomization"}
"""What they compare with, other methods or a retrained model, is not there by default."""


@pytest.mark.parametrize("name", sorted(set(METRICS) - COMPARES))
def test_every_metric_passes_its_rehearsal_on_a_plain_classifier(name: str) -> None:
    adapter = Adapter(conv_net().eval(), {"image": torch.stack([image_of("a"), image_of("b")])})
    assert why_no_metric(adapter, "image", name, {}) == ""


def test_a_rehearsal_asks_the_model_nothing() -> None:
    model = conv_net().eval()
    adapter = Adapter(model, {"image": torch.stack([image_of("a"), image_of("b")])})
    calls: list[int] = []
    handle = model.register_forward_hook(lambda *_: calls.append(1))
    why_no_metric(adapter, "image", "deletion", {})
    why_no_metric(adapter, "image", "max_sensitivity", {})
    handle.remove()
    assert calls == []


def test_a_box_is_an_object_where_there_is_no_mask() -> None:
    with_box = Record("a", "test", {"image": torch.zeros(1, 4, 4)}, box=(1.0, 0.0, 3.0, 2.0))
    with_mask = Record("b", "test", {"image": torch.zeros(1, 4, 4)}, mask=np.eye(4, dtype=bool))
    neither = Record("c", "test", {"image": torch.zeros(1, 4, 4)})
    found, told = regions_of([with_box, with_mask, neither], (4, 4))
    assert told == (True, True, False)
    expected = np.zeros((4, 4), dtype=bool)
    expected[:2, 1:3] = True
    assert found[0].numpy().tolist() == expected.tolist()
    assert found[1].numpy().tolist() == np.eye(4, dtype=bool).tolist()
    assert not found[2].any()
    _, told = regions_of([with_mask], (8, 8))
    assert told == (False,)


def test_labels_of_other_classes_are_refused(tmp_path: Path) -> None:
    data = seewhy.CustomDataset(Pictures(ids(2)), class_names=["a", "b"])
    with pytest.raises(SeewhyError) as refused:
        graded(conv_net(), data, tmp_path / "run", {"names": ["brightness"], "target": "label"})
    assert refused.value.code == "SW-F286"


def test_brightness_is_a_metric_that_anyone_can_work_out() -> None:
    image = torch.tensor([[[[1.0, 3.0]]]])
    assert brightness(image[:, 0], image, times=2).values.tolist() == [4.0]
