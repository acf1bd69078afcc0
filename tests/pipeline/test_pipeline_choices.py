"""What a run decides for the user, what the user may decide instead, and how either is told."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from pipeline_samples import Log, Pictures, conv_net, ids, image_of, pictures, rows, snapshot, vit
from torch import Tensor, nn

import seewhy
from seewhy.pipeline.settings import Settings, class_indices
from seewhy.values import ConfigError, SeewhyError
from toys import GapLinear

OFF = {"generate_embeddings": False, "generate_attention": False}


def batch(names: list[str]) -> Tensor:
    return torch.stack([image_of(name) for name in names])


def classes_drawn(root: Path, name: str) -> set[str]:
    return {file.rpartition("/")[2] for file in pictures(root) if file.startswith(f"gradcam/{name}/")}


def undecided(classes: int) -> GapLinear:
    """A model without a bias, whose best class differs from record to record."""
    torch.manual_seed(0)
    model = GapLinear(classes=classes)
    model.conv.bias.data.zero_()
    model.fc.bias.data.zero_()
    return model


class Headless(nn.Module):
    """Features of the stem; no classes."""

    num_classes = 0

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(2, 5, 3, padding=1)

    def forward(self, image: Tensor) -> Tensor:
        return self.conv(image).mean(dim=(2, 3))


def test_up_to_twenty_classes_every_class_is_explained(tmp_path: Path) -> None:
    torch.manual_seed(0)
    summary = seewhy.run(GapLinear(classes=20), Pictures(["a"]), tmp_path / "run", **OFF)
    assert classes_drawn(tmp_path / "run", "a") == {f"class_{index}.png" for index in range(20)}
    assert "classes" not in summary.choices


def test_above_twenty_classes_the_five_highest_of_each_record_are_explained_and_the_summary_says_so(
    tmp_path: Path,
) -> None:
    torch.manual_seed(0)
    model, names = undecided(classes=21), ids(4)
    summary = seewhy.run(model, Pictures(names), tmp_path / "run", **OFF)
    with torch.no_grad():
        best = model(batch(names)).topk(5, dim=1).indices.tolist()
    assert len({frozenset(indices) for indices in best}) > 1
    for name, indices in zip(names, best, strict=True):
        assert classes_drawn(tmp_path / "run", name) == {f"class_{index}.png" for index in indices}
    assert summary.choices["classes"].startswith("the 5 highest of 21 for each record")
    assert "target_classes=all" in summary.choices["classes"]


def test_all_means_all_also_above_twenty(tmp_path: Path) -> None:
    seewhy.run(GapLinear(classes=21), Pictures(["a"]), tmp_path / "run", target_classes="all", **OFF)
    assert len(classes_drawn(tmp_path / "run", "a")) == 21


def test_predicted_explains_the_predicted_class_of_each_record(tmp_path: Path) -> None:
    model, names = undecided(classes=8), ids(6)
    seewhy.run(model, Pictures(names), tmp_path / "run", target_classes="predicted", **OFF)
    with torch.no_grad():
        predicted = model(batch(names)).argmax(dim=1).tolist()
    assert len(set(predicted)) > 1
    for name, index in zip(names, predicted, strict=True):
        assert classes_drawn(tmp_path / "run", name) == {f"class_{index}.png"}


def named(names: list[str], class_names: list[str]) -> Pictures:
    data = Pictures(names)
    data.class_names = class_names  # type: ignore[attr-defined]
    return data


@pytest.mark.parametrize("asked", [[2, 0], ["fox", "cat"], ["fox", 0], (0, 2, 2)])
def test_classes_may_be_listed_by_number_and_by_name(tmp_path: Path, asked: Any) -> None:
    data = named(ids(2), ["cat", "dog", "fox"])
    seewhy.run(conv_net(), data, tmp_path / "run", target_classes=asked, **OFF)
    assert classes_drawn(tmp_path / "run", "r00") == {"class_0.png", "class_2.png"}


@pytest.mark.parametrize(("asked", "file"), [("fox", "class_2.png"), (1, "class_1.png")])
def test_one_class_needs_no_list(tmp_path: Path, asked: Any, file: str) -> None:
    seewhy.run(conv_net(), named(["a"], ["cat", "dog", "fox"]), tmp_path / "run", target_classes=asked, **OFF)
    assert classes_drawn(tmp_path / "run", "a") == {file}


@pytest.mark.parametrize(("asked", "near"), [("predictd", "predicted"), ("cot", "cat"), (["dgo"], "dog")])
def test_an_unknown_class_name_is_refused_with_the_nearest(tmp_path: Path, asked: Any, near: str) -> None:
    with pytest.raises(SeewhyError) as refused:
        seewhy.run(conv_net(), named(["a"], ["cat", "dog", "fox"]), tmp_path / "run", target_classes=asked, **OFF)
    assert refused.value.code == "SW-T04"
    assert refused.value.near[0] == near


def test_more_classes_asked_later_are_added_to_the_ones_that_are_there(tmp_path: Path) -> None:
    model, names = GapLinear(classes=4), ids(3)
    seewhy.run(model, Pictures(names), tmp_path / "run", target_classes=[1], **OFF)
    log = Log()
    summary = seewhy.run(model, Pictures(names), tmp_path / "run", target_classes=[0, 1, 3], observer=log, **OFF)
    assert summary.computed == 3
    assert [question.classes for chunk in log.plan.chunks for question in chunk.questions] == [(0, 3)]
    assert sorted(rows(tmp_path / "run")["r00"].answers["gradcam@conv"].classes) == [0, 1, 3]
    assert seewhy.verify(tmp_path / "run") == []


def test_another_target_layer_gets_file_names_of_its_own(tmp_path: Path) -> None:
    model, names = conv_net(), ids(2)
    seewhy.run(model, Pictures(names), tmp_path / "run", target_classes=[0], **OFF)
    before = snapshot(tmp_path / "run")
    summary = seewhy.run(model, Pictures(names), tmp_path / "run", target_classes=[0], target_layer="stem", **OFF)
    assert classes_drawn(tmp_path / "run", "r00") == {"class_0.png", "class_0@stem.png"}
    assert summary.choices["target layer"] == "stem (as asked)"
    for name in names:
        assert snapshot(tmp_path / "run")[f"gradcam/{name}/class_0.png"] == before[f"gradcam/{name}/class_0.png"]
    assert seewhy.verify(tmp_path / "run") == []


def test_the_default_layer_asked_for_by_name_is_the_default(tmp_path: Path) -> None:
    log, model = Log(), conv_net()
    seewhy.run(model, Pictures(["a"]), tmp_path / "run", observer=log, target_classes=[0], **OFF)
    layer = log.found.default_layers["gradcam"]
    summary = seewhy.run(model, Pictures(["a"]), tmp_path / "run", target_layer=layer, target_classes=[0], **OFF)
    assert (summary.computed, summary.reused) == (0, 1)


def test_other_attention_layers_are_added_and_the_rollout_is_kept_once(tmp_path: Path) -> None:
    model, names = vit(), ids(3)
    only = {"generate_embeddings": False, "generate_gradcam": False}
    seewhy.run(model, Pictures(names), tmp_path / "run", **only)
    summary = seewhy.run(model, Pictures(names), tmp_path / "run", attention_layers=[0], **only)
    assert summary.computed == 3
    assert set(rows(tmp_path / "run")["r00"].answers) == {"attention@2", "attention@0", "rollout"}
    assert pictures(tmp_path / "run") == {
        f"attention_maps/{name}_attention{suffix}.png" for name in names for suffix in ("", "@0")
    }
    assert seewhy.verify(tmp_path / "run") == []


def test_a_headless_model_gets_the_norm_of_its_embedding_explained_and_says_so(tmp_path: Path) -> None:
    torch.manual_seed(0)
    model, names = Headless(), ids(3)
    summary = seewhy.run(model, Pictures(names), tmp_path / "run")
    assert pictures(tmp_path / "run") == {f"gradcam/{name}/embedding.png" for name in names}
    assert summary.choices["question"] == "norm of the embedding (the model has no head)"
    with torch.no_grad():
        features = model(batch(names))
    for i, row in enumerate(rows(tmp_path / "run").values()):
        assert (row.predicted, row.probabilities, row.confidence) == (None, None, None)
        assert row.answers["embeddings@outputs"].values == pytest.approx(features[i].numpy(), abs=1e-6)
        # the norm is homogeneous of degree 1, so by Euler's theorem its map sums to the norm itself
        assert row.answers["gradcam@conv"].values.sum() == pytest.approx(float(features[i].norm()), abs=1e-5)
    assert summary.splits["test"].accuracy is None


def test_a_headless_model_asked_for_classes_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SeewhyError, match="without a head") as refused:
        seewhy.run(Headless(), Pictures(["a"]), tmp_path / "run", target_classes=[0])
    assert refused.value.code == "SW-T08"
    assert "model.num_classes" in refused.value.fix


def test_a_cnn_asked_for_attention_is_told_that_it_has_none_and_the_run_goes_on(tmp_path: Path) -> None:
    summary = seewhy.run(conv_net(), Pictures(ids(2)), tmp_path / "run")
    assert list(summary.not_applicable) == ["attention"]
    assert "Grad-CAM suits it" in summary.not_applicable["attention"]
    assert summary.exit_code == 0
    assert not (tmp_path / "run" / "attention_maps").exists()


def test_a_cnn_asked_for_attention_only_computes_nothing_and_claims_nothing(tmp_path: Path) -> None:
    summary = seewhy.run(
        conv_net(), Pictures(ids(2)), tmp_path / "run", generate_embeddings=False, generate_gradcam=False
    )
    assert (summary.computed, summary.reused, summary.exit_code) == (0, 0, 0)
    assert list(summary.not_applicable) == ["attention"]
    assert seewhy.verify(tmp_path / "run") == []


class Flat(nn.Module):
    """A model without any layer that lies on the input."""

    def __init__(self) -> None:
        super().__init__()
        self.fc = nn.Linear(2 * 16 * 16, 3)

    def forward(self, image: Tensor) -> Tensor:
        return self.fc(image.flatten(1))


def test_a_model_without_a_spatial_layer_still_gets_its_embeddings(tmp_path: Path) -> None:
    summary = seewhy.run(Flat(), Pictures(ids(2)), tmp_path / "run")
    assert set(summary.not_applicable) == {"gradcam", "attention"}
    saved = torch.load(tmp_path / "run/embeddings/test_embeddings.pt", weights_only=True)
    assert saved.numpy() == pytest.approx(batch(ids(2)).flatten(1).numpy(), abs=1e-5)


@pytest.mark.parametrize(
    ("asked", "code", "near"),
    [
        ({"splits": ["tets"]}, "SW-F06", "test"),
        ({"record_id": "r0"}, "SW-F07", "r00"),
        ({"target_layer": "stm"}, "SW-L01", "stem"),
        ({"embedding_layer": "hed"}, "SW-L01", "head"),
        ({"target_classes": [7]}, "SW-T01", None),
        ({"target_classes": [-1]}, "SW-T01", None),
        ({"attention_layer": [0]}, "SW-F01", "attention_layers"),
        ({"batch_size": 0}, "SW-F02", None),
        ({"shard_size": 0}, "SW-F02", None),
        ({"num_workers": -1}, "SW-F02", None),
        ({"max_records": 0}, "SW-F02", None),
        ({"batch_size": 2.5}, "SW-F02", None),
        ({"seed": "one"}, "SW-F02", None),
        ({"splits": []}, "SW-F03", None),
        ({"record_id": []}, "SW-F03", None),
        ({"target_classes": []}, "SW-F03", None),
        ({"target_classes": [True]}, "SW-F22", None),
        ({"attention_layers": []}, "SW-F03", None),
        ({"precision": "fp16"}, "SW-F23", "16"),
        ({"generate_embeddings": False, "generate_gradcam": False, "generate_attention": False}, "SW-F04", None),
    ],
)
def test_what_cannot_be_done_is_refused_with_the_nearest_name(
    tmp_path: Path, asked: dict[str, Any], code: str, near: str | None
) -> None:
    with pytest.raises(SeewhyError) as refused:
        seewhy.run(conv_net(), Pictures(ids(3)), tmp_path / "run", **asked)
    assert refused.value.code == code
    assert near is None or near in refused.value.near
    assert refused.value.fix
    assert not (tmp_path / "run").exists()


def test_a_batch_size_that_is_misspelt_is_told_of_the_one_word_it_may_be() -> None:
    with pytest.raises(SeewhyError, match="batch_size must be auto or a whole number of at least 1, got 'Auto'"):
        Settings(batch_size="Auto")  # type: ignore[arg-type]


def test_an_attention_layer_the_model_does_not_have_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SeewhyError, match="the model has 3") as refused:
        seewhy.run(vit(), Pictures(ids(2)), tmp_path / "run", attention_layers=[3])
    assert refused.value.code == "SW-F05"


def test_a_single_attention_layer_needs_no_list() -> None:
    assert Settings.of(attention_layers=-2).attention_layers == (-2,)


def test_one_record_and_one_split_need_no_list() -> None:
    settings = Settings.of(record_id=7, splits="val")
    assert (settings.record_id, settings.splits) == (("7",), ("val",))


def test_the_first_records_of_the_selection_are_taken_with_max_records(tmp_path: Path) -> None:
    data = {"train": Pictures(ids(3, "t")), "test": Pictures(ids(5, "x"))}
    summary = seewhy.run(conv_net(), data, tmp_path / "run", splits="test", max_records=2, **OFF)
    assert summary.selected == 2
    assert list(rows(tmp_path / "run")) == ["x00", "x01"]
    assert seewhy.RunReader(tmp_path / "run").splits == ("test",)


def test_shard_size_is_how_many_records_are_committed_together(tmp_path: Path) -> None:
    log = Log()
    seewhy.run(conv_net(), Pictures(ids(7)), tmp_path / "run", shard_size=3, batch_size=2, observer=log, **OFF)
    assert log.shards == [f"shards/test-0000{number}.parquet" for number in range(3)]
    assert [len(chunk.positions) for chunk in log.plan.chunks] == [3, 3, 1]
    assert [records for records, _ in log.advances] == [2, 1, 2, 1, 1]


def test_labels_of_other_classes_than_the_models_give_no_accuracy(tmp_path: Path) -> None:
    summary = seewhy.run(conv_net(classes=4), named(ids(3), ["cat", "dog"]), tmp_path / "run", **OFF)
    assert summary.splits["test"].accuracy is None
    assert "names 2 classes, the model has 4" in summary.choices["class names"]


def test_class_numbers_come_out_ascending_and_once() -> None:
    assert class_indices(["b", 0, 2, "c"], 3, ["a", "b", "c"]) == (0, 1, 2)


def test_half_precision_answers_are_near_the_full_ones(tmp_path: Path) -> None:
    names = ids(3)
    seewhy.run(conv_net(), Pictures(names), tmp_path / "half", precision="bf16")
    seewhy.run(conv_net(), Pictures(names), tmp_path / "full")
    half, full = rows(tmp_path / "half"), rows(tmp_path / "full")
    for name in names:
        assert half[name].probabilities == pytest.approx(full[name].probabilities, abs=0.02)


class Encoder(torch.nn.Module):
    """Features with nothing behind them: no layer puts out logits."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.conv, self.norm = torch.nn.Conv2d(2, 6, 3), torch.nn.BatchNorm2d(6)
        with torch.no_grad():
            self.norm.bias.fill_(0.5)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        return self.norm(self.conv(image)).relu().mean(dim=(2, 3))


def test_an_encoder_without_a_head_is_seen_to_be_one_and_told(tmp_path: Path) -> None:
    names = ids(3)
    summary = seewhy.run(Encoder(), Pictures(names), tmp_path / "run")
    assert summary.choices["head"].startswith("none found")
    saved = torch.load(tmp_path / "run/embeddings/test_embeddings.pt", weights_only=True)
    with torch.no_grad():
        expected = Encoder().eval()(torch.stack([image_of(name) for name in names]))
    assert torch.allclose(saved, expected, atol=1e-6)
    assert pictures(tmp_path / "run") == {f"gradcam/{name}/embedding.png" for name in names}


def test_outputs_without_a_head_are_classes_if_one_says_so(tmp_path: Path) -> None:
    seewhy.run(Encoder(), Pictures(ids(1)), tmp_path / "run", headless=False, generate_attention=False)
    assert pictures(tmp_path / "run") == {f"gradcam/{ids(1)[0]}/class_{k}.png" for k in range(6)}


class Aside(torch.nn.Module):
    """GAP-linear with a convolution that runs and whose output nobody uses."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.inner, self.aside = GapLinear(), torch.nn.Conv2d(2, 3, 3)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        self.aside(image)
        return self.inner(image)


def test_a_layer_on_which_the_score_has_no_gradient_is_refused_early(tmp_path: Path) -> None:
    with pytest.raises(SeewhyError) as refusal:
        seewhy.run(Aside(), Pictures(ids(2)), tmp_path / "run", target_layer="aside")
    assert refusal.value.code == "SW-L13"
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("runner", ["ray", 3])
def test_what_is_no_runner_is_refused_before_anything_is_written(runner: object, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="SW-F332"):
        seewhy.run(conv_net(), Pictures(ids(1)), tmp_path / "out", runner=runner)  # type: ignore[arg-type]
    assert not (tmp_path / "out").exists()
