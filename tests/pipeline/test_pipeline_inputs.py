"""Runs over records of several inputs: one pass answers all of them, on one scale, and every name tells which."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from pipeline_inputs import SHAPES, Named, TwoGaps, gap_map, values_of
from pipeline_samples import Log, after, ids, pictures, rows, snapshot, vit
from torch import Tensor, nn

import seewhy
from seewhy.data.custom import CustomDataset
from seewhy.data.records import RecordRef
from seewhy.evidence import common_references, evidence_of, shares_of
from seewhy.render.encode import encode_png
from seewhy.render.heatmap import heatmap
from seewhy.render.inputs_figure import inputs_figure
from seewhy.render.picture import overlay_picture
from seewhy.store.names import safe_name
from seewhy.values import SeewhyError
from toys import Branches, ConvNet

ONLY_GRADCAM: dict[str, Any] = {"generate_embeddings": False, "generate_attention": False}
FIRST, SECOND = "gradcam@first.conv", "gradcam@second.conv"
SHARES = "shares@first.conv,second.conv"


def data(count: int = 4) -> Named:
    return Named(ids(count), SHAPES)


def closed_form(model: TwoGaps, record_id: str) -> dict[str, np.ndarray]:
    """The maps of each input for the three classes, by the formula."""
    inputs = data().inputs(record_id)
    branches = {"mnv": model.first, "fluid": model.second}
    return {
        name: np.stack([gap_map(branch, inputs[name], index).numpy() for index in range(3)])
        for name, branch in branches.items()
    }


def test_each_input_has_its_own_map_in_its_own_shape(tmp_path: Path) -> None:
    model = TwoGaps()
    summary = seewhy.run(model, data(), tmp_path / "run", batch_size=3, **ONLY_GRADCAM)
    assert summary.exit_code == 0
    for name, row in rows(tmp_path / "run").items():
        expected = closed_form(model, name)
        assert set(row.answers) == {FIRST, SECOND, SHARES}
        for key, of in ((FIRST, "mnv"), (SECOND, "fluid")):
            assert row.answers[key].classes == (0, 1, 2)
            assert row.answers[key].values == pytest.approx(expected[of], abs=1e-6)
    assert seewhy.verify(tmp_path / "run") == []


def test_a_row_holds_each_inputs_share_of_the_positive_evidence(tmp_path: Path) -> None:
    model = TwoGaps()
    seewhy.run(model, data(), tmp_path / "run", **ONLY_GRADCAM)
    for name, row in rows(tmp_path / "run").items():
        sums = [maps.clip(min=0).sum(axis=(1, 2)) for maps in closed_form(model, name).values()]
        assert row.answers[SHARES].values == pytest.approx(np.stack(sums, axis=1) / sum(sums)[:, None], abs=1e-5)
        assert row.answers[SHARES].values.sum(axis=1) == pytest.approx(np.ones(3), abs=1e-6)


def test_inputs_without_any_evidence_share_nothing() -> None:
    nothing = {"a": -np.ones((2, 2)), "b": np.zeros(3)}
    assert shares_of(nothing) == {"a": 0, "b": 0}
    assert common_references(nothing) == {"a": 0, "b": 0}
    assert shares_of(nothing, "magnitude") == {"a": 1, "b": 0}


def test_evidence_counts_what_speaks_for_the_class_or_every_magnitude() -> None:
    maps = {"a": np.array([[3.0, -5.0]], np.float32), "b": np.array([1.0], np.float32)}
    assert [evidence_of(maps["a"], scale) for scale in ("positive", "magnitude")] == [3, 8]
    assert shares_of(maps, "positive") == {"a": 3 / 4, "b": 1 / 4}
    assert shares_of(maps, "magnitude") == {"a": 8 / 9, "b": 1 / 9}
    assert common_references(maps, "positive") == {"a": 3, "b": 6}  # 3 in one of two cells weighs as 6 in one of one
    assert common_references(maps, "magnitude") == {"a": 5, "b": 10}
    assert common_references(maps, "magnitude", by="mean") == {"a": 5, "b": 5}


def test_a_value_that_is_not_finite_shows_in_the_shares_and_not_in_the_scale() -> None:
    maps = {"a": np.array([np.nan, 2.0]), "b": np.array([1.0])}
    assert np.isnan(list(shares_of(maps).values())).all()
    assert common_references(maps) == {"a": 2, "b": 4}


def test_two_inputs_and_three_classes_take_one_forward_pass_for_each_batch(tmp_path: Path) -> None:
    calls = []
    for count in (2, 6):
        model = TwoGaps()
        seewhy.run(model, data(count), tmp_path / str(count), batch_size=2, **ONLY_GRADCAM)
        calls.append(model.calls)
    assert calls[1] - calls[0] == 2


def test_every_class_has_a_picture_of_each_input_and_a_page_of_all(tmp_path: Path) -> None:
    seewhy.run(TwoGaps(), data(2), tmp_path / "run", **ONLY_GRADCAM)
    names = {f"{stem}class_{index}" for stem in ("mnv_", "fluid_", "") for index in range(3)}
    assert pictures(tmp_path / "run") == {f"gradcam/{record}/{name}.png" for record in ids(2) for name in names}


def test_pictures_of_one_record_and_class_have_one_scale(tmp_path: Path) -> None:
    model, name = TwoGaps(), ids(2)[1]
    seewhy.run(model, data(2), tmp_path / "run", target_classes=[1], **ONLY_GRADCAM)
    row, shown = rows(tmp_path / "run")[name], CustomDataset(data(2)).pictures(data(2).inputs(name))
    raw = {"mnv": row.answers[FIRST].values[0], "fluid": row.answers[SECOND].values[0]}
    densest = max(float(values.max()) * values.size for values in raw.values())
    caption = f"class 1 · {row.probabilities[1]:.1%}"
    caption += " · predicted" * (row.predicted == 1) + " · true class" * (row.label == 1)
    for of, values in raw.items():
        words = {"title": name, "caption": f"{of} · {caption}"}
        full = densest / values.size
        expected = overlay_picture(shown[of], values, colormap="jet", alpha=0.4, reference=full, **words)
        assert (tmp_path / f"run/gradcam/{name}/{of}_class_1.png").read_bytes() == encode_png(expected)
    heats = {
        of: heatmap(values, shown[of].shape[:2], reference=densest / values.size).values for of, values in raw.items()
    }
    shares = {"": dict(zip(raw, map(float, row.answers[SHARES].values[0]), strict=True))}
    unit = "evidence for this class"
    page = inputs_figure(shown, {"": heats}, shares=shares, title=name, caption=caption, unit=unit)
    assert (tmp_path / f"run/gradcam/{name}/class_1.png").read_bytes() == encode_png(page)


def test_asking_for_more_classes_later_keeps_what_is_there(tmp_path: Path) -> None:
    model = TwoGaps()
    seewhy.run(model, data(), tmp_path / "run", target_classes=[1], **ONLY_GRADCAM)
    more = seewhy.run(model, data(), tmp_path / "run", **ONLY_GRADCAM)
    again = seewhy.run(model, data(), tmp_path / "run", **ONLY_GRADCAM)
    assert (more.computed, again.computed, again.reused) == (4, 0, 4)
    for name, row in rows(tmp_path / "run").items():
        order = list(row.answers[FIRST].classes)
        assert sorted(order) == [0, 1, 2]
        assert row.answers[SHARES].classes == row.answers[SECOND].classes == tuple(order)
        assert row.answers[FIRST].values == pytest.approx(closed_form(model, name)["mnv"][order], abs=1e-6)


@pytest.mark.parametrize(("first", "then"), [("all", "all"), ([1], "all"), ([0, 1], [1, 2]), ("predicted",) * 2])
def test_asking_for_all_inputs_after_one_adds_what_is_missing_and_nothing_twice(
    tmp_path: Path, first: Any, then: Any
) -> None:
    model = TwoGaps()
    seewhy.run(model, data(), tmp_path / "run", target_layer="second", target_classes=first, **ONLY_GRADCAM)
    more = seewhy.run(model, data(), tmp_path / "run", target_classes=then, **ONLY_GRADCAM)
    again = seewhy.run(model, data(), tmp_path / "run", target_layer="first", target_classes=then, **ONLY_GRADCAM)
    assert (more.computed, again.computed) == (4, 0)
    seewhy.run(model, data(), tmp_path / "whole", target_classes=then, **ONLY_GRADCAM)
    for name, row in rows(tmp_path / "run").items():
        for key, whole in rows(tmp_path / "whole")[name].answers.items():
            places = [row.answers[key].classes.index(index) for index in whole.classes]
            assert np.array_equal(row.answers[key].values[places], whole.values)
    assert seewhy.verify(tmp_path / "run") == []


def test_a_stopped_run_goes_on_to_the_same_bytes(tmp_path: Path) -> None:
    asked: dict[str, Any] = {"batch_size": 2, "shard_size": 3}
    seewhy.run(TwoGaps(), data(7), tmp_path / "whole", **asked)
    seewhy.run(TwoGaps(), data(7), tmp_path / "run", stop=after(1), **asked)
    seewhy.run(TwoGaps(), data(7), tmp_path / "run", **asked)
    assert snapshot(tmp_path / "run") == snapshot(tmp_path / "whole")


def test_a_layer_may_be_named_for_each_input(tmp_path: Path) -> None:
    torch.manual_seed(0)
    model = Branches(ConvNet(), ConvNet())
    given = Named(ids(2), {"image": (2, 16, 16), "second": (2, 16, 16)})
    asked: dict[str, Any] = {**ONLY_GRADCAM, "target_classes": [0]}
    seewhy.run(model, given, tmp_path / "run", target_layer=["of_second.stem", "of_image.body"], **asked)
    answers = rows(tmp_path / "run")["r00"].answers
    assert set(answers) == {
        "gradcam@of_image.body", "gradcam@of_second.stem", "shares@of_image.body,of_second.stem"
    }  # fmt: skip
    asked_for = {path.rpartition("/")[2] for path in pictures(tmp_path / "run") if "r00" in path}
    both = f"class_0@{safe_name('of_image.body,of_second.stem')}.png"
    assert asked_for == {"image_class_0.png", "second_class_0@of_second.stem.png", both}  # body is the default


def test_a_branch_stands_for_its_last_spatial_layer_and_explains_its_input_alone(tmp_path: Path) -> None:
    model = TwoGaps()
    seewhy.run(model, data(), tmp_path / "run", target_layer="second", target_classes=[2], **ONLY_GRADCAM)
    for name, row in rows(tmp_path / "run").items():
        assert set(row.answers) == {SECOND}
        assert row.answers[SECOND].values[0] == pytest.approx(closed_form(model, name)["fluid"][2], abs=1e-6)
    names = {path.rpartition("/")[2].partition("@")[0] for path in pictures(tmp_path / "run")}
    assert names == {"fluid_class_2.png", "class_2"}


def test_two_layers_of_one_input_are_refused_before_anything_is_written(tmp_path: Path) -> None:
    model = Branches(ConvNet(), ConvNet())
    given = Named(ids(2), {"image": (2, 16, 16), "second": (2, 16, 16)})
    with pytest.raises(SeewhyError, match="both lie on the input 'image'") as refused:
        seewhy.run(model, given, tmp_path / "run", target_layer=["of_image.stem", "of_image.body"])
    assert refused.value.code == "SW-F136"
    assert not (tmp_path / "run").exists()


def test_records_of_other_shapes_are_explained_as_if_alone(tmp_path: Path) -> None:
    model, mixed = TwoGaps(), Named(ids(5), SHAPES, taller=ids(5)[1::2])
    seewhy.run(model, mixed, tmp_path / "run", batch_size=4, **ONLY_GRADCAM)
    for name, row in rows(tmp_path / "run").items():
        inputs = mixed.inputs(name)
        for key, branch, of in ((FIRST, model.first, "mnv"), (SECOND, model.second, "fluid")):
            expected = np.stack([gap_map(branch, inputs[of], index).numpy() for index in range(3)])
            assert row.answers[key].values == pytest.approx(expected, abs=1e-6)


class Apart(nn.Module):
    """Two transformers, one per input, whose logits are added; ``second`` is turned into fewer, larger patches."""

    def __init__(self) -> None:
        super().__init__()
        self.of_image, self.of_second = vit(), vit()

    def forward(self, image: Tensor, second: Tensor) -> Tensor:
        return self.of_image(image) + self.of_second(second)


def test_attention_is_told_for_each_input_as_that_branch_alone_has_it(tmp_path: Path) -> None:
    model, shapes = Apart(), {"image": (2, 16, 16), "second": (2, 16, 16)}
    only: dict[str, Any] = {"generate_gradcam": False, "generate_embeddings": False, "attention_layers": [0, 2]}
    log = Log()
    seewhy.run(model, Named(ids(3), shapes), tmp_path / "run", observer=log, **only)
    assert pictures(tmp_path / "run") == {
        f"attention_maps/{name}/{of}_attention@{safe_name('0,2')}.png" for name in ids(3) for of in shapes
    }
    for of, branch in (("image", model.of_image), ("second", model.of_second)):
        seewhy.run(branch, Named(ids(3), {of: shapes[of]}), tmp_path / of, **only)
        for name, alone in rows(tmp_path / of).items():
            found = rows(tmp_path / "run")[name].answers
            assert found[f"attention:{of}@0,2"].values == pytest.approx(alone.answers["attention@0,2"].values, abs=1e-6)
            assert found[f"rollout:{of}"].values == pytest.approx(alone.answers["rollout"].values, abs=1e-6)


class Unseen:
    """Two inputs, and a picture of only one of them."""

    class_names = None

    def __init__(self) -> None:
        self.inner = CustomDataset(data())

    def index(self) -> list[RecordRef]:
        return list(self.inner.index())

    def read(self, position: int) -> Any:
        return self.inner.read(position)

    def revision(self, position: int) -> str:
        return self.inner.revision(position)

    def picture(self, inputs: Any) -> Any:
        return self.inner.picture(inputs)

    def fingerprint(self) -> Any:
        return self.inner.fingerprint()


def test_a_data_set_that_cannot_show_its_inputs_apart_is_refused_early(tmp_path: Path) -> None:
    with pytest.raises(SeewhyError, match="records have the inputs mnv, fluid") as refused:
        seewhy.run(TwoGaps(), Unseen(), tmp_path / "run")
    assert refused.value.code == "SW-D100"
    assert not (tmp_path / "run").exists()
    assert seewhy.run(TwoGaps(), Unseen(), tmp_path / "run", generate_gradcam=False).exit_code == 0


def test_one_layer_that_sees_both_inputs_answers_for_both(tmp_path: Path) -> None:
    class Fused(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            torch.manual_seed(0)
            self.conv, self.fc = nn.Conv2d(4, 5, 3, padding=1), nn.Linear(5, 3)

        def forward(self, one: Tensor, two: Tensor) -> Tensor:
            return self.fc(self.conv(torch.cat([one, two], dim=1)).mean(dim=(2, 3)))

    model, given = Fused(), Named(ids(2), {"one": (2, 6, 6), "two": (2, 6, 6)})
    summary = seewhy.run(model, given, tmp_path / "run", target_classes=[0], **ONLY_GRADCAM)
    row = rows(tmp_path / "run")["r00"]
    assert set(row.answers) == {"gradcam@conv"}
    assert summary.choices["shares of the evidence"].startswith("not told: one layer sees several inputs")
    values = torch.cat([values_of(f"{name}/r00", (2, 6, 6)) for name in ("one", "two")])
    assert row.answers["gradcam@conv"].values[0] == pytest.approx(gap_map(model, values, 0).numpy(), abs=1e-6)
    assert {path.rpartition("/")[2] for path in pictures(tmp_path / "run")} == {
        "one_class_0.png", "two_class_0.png", "class_0.png"
    }  # fmt: skip
