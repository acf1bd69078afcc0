"""What a user said of a model and of a call is what is asked, everywhere; what cannot be is said with a code."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import timm
import torch
from PIL import Image
from torch import Tensor, nn

import seewhy
from seewhy.values import SeewhyError
from toys import GapLinear, Vit


@pytest.fixture(scope="module")
def four() -> nn.Module:
    torch.manual_seed(0)
    return timm.create_model("test_resnet", num_classes=4).eval()


@pytest.fixture(scope="module")
def x() -> Tensor:
    return torch.randn(2, 3, 64, 64, generator=torch.Generator().manual_seed(1))


class Named(nn.Module):
    """Two heads in a mapping, neither under a known name."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, image: Tensor) -> dict[str, Tensor]:
        outputs = self.model(image)
        return {"first": outputs, "second": 2 * outputs}


@pytest.mark.parametrize(
    ("wrap", "reading"),
    [
        (lambda model: model, {"task": "multilabel", "threshold": 0.01}),
        (Named, {"output_selector": "second"}),
    ],
)
def test_smoothing_without_noise_asks_what_the_base_asks(
    four: nn.Module, x: Tensor, wrap: Callable[[nn.Module], nn.Module], reading: dict[str, Any]
) -> None:
    base = seewhy.GradCAM(wrap(four), **reading)
    smooth = seewhy.SmoothGrad(base, noise_level=0.0, num_samples=2)
    alone, smoothed = base.attribute(x[:1]), smooth.attribute(x[:1])
    torch.testing.assert_close(smoothed.score, alone.score)
    torch.testing.assert_close(smoothed.map, alone.map)


def test_some_records_may_leave_their_class_to_the_prediction(four: nn.Module, x: Tensor) -> None:
    with torch.no_grad():
        outputs = four(x)
    named = int(outputs[1].argmin())
    found = seewhy.GradCAM(four).attribute(x, [None, named])
    torch.testing.assert_close(found.score, torch.stack([outputs[0].max(), outputs[1, named]]))


def test_a_raw_map_keeps_sign_and_unit(four: nn.Module, x: Tensor) -> None:
    explainer = seewhy.InputXGradient(four)
    signed = explainer.explain(x[0], 1, normalize=False)
    np.testing.assert_allclose(signed, explainer.attribute(x[:1], 1).map[0].numpy(), atol=1e-7)
    heat = explainer.explain(x[0], 1)
    np.testing.assert_allclose(heat, np.abs(signed) / np.abs(signed).max(), atol=1e-6)


def test_a_heat_map_that_lost_its_sign_makes_no_polarity(four: nn.Module) -> None:
    picture = Image.fromarray(np.random.default_rng(0).integers(0, 255, (80, 100, 3), dtype=np.uint8))
    explainer = seewhy.IntegratedGradients(four, steps=4)
    heat = explainer.explain(picture, target_class=1)
    with pytest.raises(SeewhyError) as caught:
        explainer.visualize_polarity(heat, picture)
    assert caught.value.code == "SW-T37"
    assert len(explainer.visualize_polarity(image=picture, target_class=1).axes) == 4
    assert explainer.get_completeness_score(picture, heat, target_class=1) == pytest.approx(
        explainer.check_completeness(picture, 1)["completeness_score"]
    )


def test_flow_from_another_patch_by_position_and_by_name() -> None:
    torch.manual_seed(0)
    flow = seewhy.AttentionFlow(Vit())
    image = torch.randn(2, 16, 16)
    expected = seewhy.AttentionFlow(flow.model, target_patch=3, layer_idx=0).explain(image)
    assert np.array_equal(flow(image, 3, 0), expected)
    assert np.array_equal(flow.explain(image, from_patch=3, layer_idx=0), expected)
    rolled = seewhy.AttentionRollout(flow.model)
    assert np.array_equal(rolled.explain_batch([image], discard_cls_token=True)[0], rolled.explain(image))


def test_one_outlier_does_not_hide_a_drawn_pixel_map(four: nn.Module) -> None:
    class Spike(GapLinear):
        def forward(self, image: Tensor) -> Tensor:
            return super().forward(image[:, :2]) + 1e4 * image[:, :1, 0, 0]

    torch.manual_seed(0)
    found = seewhy.Gradient(Spike()).explained(torch.rand(3, 40, 40), 0)
    assert np.count_nonzero(found.heat > 0.01) == 1
    assert np.median(found.drawn[:, 1:]) > 100 * np.median(found.heat[:, 1:])


def test_a_result_survives_a_worker_process(four: nn.Module) -> None:
    picture = Image.fromarray(np.full((70, 90, 3), 100, np.uint8))
    result = seewhy.explain_prediction(four, picture, target_class=1, method="gradient", return_heatmap=True)
    again = pickle.loads(pickle.dumps(result))
    assert again["predicted_class"] == result["predicted_class"]
    assert np.array_equal(again["heatmap"], result["heatmap"])


def refusals(model: nn.Module, x: Tensor, folder: Path) -> dict[str, Callable[[], object]]:
    (folder / "file").write_text("")
    return {
        "SW-M20": lambda: seewhy.explain_prediction("resnet18", x[0]),  # type: ignore[arg-type]
        "SW-L20": lambda: seewhy.GradCAM(model, ["layer3", "layer4"]).attribute(x),  # type: ignore[arg-type]
        "SW-F91": lambda: seewhy.explain_prediction(model, x[0], colormap=None),  # type: ignore[arg-type]
        "SW-F75": lambda: seewhy.visualize_batch(model, [x[0]], batch_size=0),
        "SW-F93": lambda: seewhy.visualize_batch(model, [x[0]], output_dir=folder / "file"),
        "SW-F92": lambda: seewhy.compare_methods(model, x[0], figsize=(0, 1), save_path=folder / "a.png"),
        "SW-F90": lambda: seewhy.compare_methods(model, x[0], ["ig"], steps=2),
        "SW-F94": lambda: seewhy.load_model(folder / "file"),
        "SW-D55": lambda: seewhy.GradCAM(model).attribute({"image": np.zeros((1, 3, 64, 64))}),  # type: ignore[dict-item]
        "SW-D49": lambda: seewhy.GradCAM(model).attribute(torch.full((1, 3, 64, 64), torch.nan)),
    }


CODES = ("SW-D49", "SW-D55", "SW-F75", "SW-F90", "SW-F91", "SW-F92", "SW-F93", "SW-F94", "SW-L20", "SW-M20")


@pytest.mark.parametrize("code", CODES)
def test_a_mistake_is_named(code: str, four: nn.Module, x: Tensor, tmp_path: Path) -> None:
    with pytest.raises(SeewhyError) as caught:
        refusals(four, x, tmp_path)[code]()
    assert caught.value.code == code


def test_a_misspelt_argument_is_told_its_neighbour(four: nn.Module, x: Tensor) -> None:
    with pytest.raises(SeewhyError) as caught:
        seewhy.GradCAM(four).explain(x[0], traget_class=1)
    assert "target_class" in str(caught.value)


def test_settings_may_use_another_of_a_methods_names(four: nn.Module, x: Tensor) -> None:
    short = seewhy.compare_methods(four, x[0], ["ig"], settings={"integrated_gradients": {"steps": 3}})
    long = seewhy.IntegratedGradients(four, steps=3).explain(x[0])
    assert np.array_equal(short["ig"]["heatmap"], long)
