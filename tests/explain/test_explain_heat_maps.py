"""Heat maps land on the right pixels of the original, on a scale one can compute, and never paint what is not there."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from friendly_models import PLAIN, Brightness, black_with_square, noise
from torch import nn

from seewhy import GradCAM, InputXGradient, Saliency
from seewhy.explain.explained import scale_of
from seewhy.registry import METHODS
from seewhy.values import TargetError


def centre_of(heat: np.ndarray) -> tuple[float, float]:
    """The middle of the places where the map is highest, as (row, column)."""
    rows, columns = np.nonzero(heat > 0.9 * heat.max())
    return float(rows.mean()), float(columns.mean())


@pytest.mark.parametrize(("height", "width"), [(300, 400), (400, 300), (90, 260)])
@pytest.mark.parametrize("crop", ["center", "none"])
def test_a_bright_square_is_found_where_it_is_on_the_original(height: int, width: int, crop: str) -> None:
    top, left = height // 2 - 30, width // 2 + 10
    explainer = GradCAM(Brightness(), preprocessing={**PLAIN, "mean": [0.0] * 3, "std": [1.0] * 3, "crop": crop})
    heat = explainer.explain(black_with_square(height, width, top, left), target_class=0)
    assert heat.shape == (height, width)
    cell = 8 * max(height, width) / 64 if crop == "none" else 8 * min(height, width) / 64
    row, column = centre_of(heat)
    assert abs(row - (top + 12)) <= cell
    assert abs(column - (left + 12)) <= cell


def test_outside_a_centre_crop_the_map_is_zero_and_said_not_to_be_seen() -> None:
    found = GradCAM(Brightness(), preprocessing=PLAIN).explained(np.full((64, 128, 3), 255, np.uint8), 0)
    assert (found.heat[:, :32] == 0).all()
    assert (found.heat[:, 96:] == 0).all()
    assert (found.heat[:, 32:96] == 1).all()
    assert np.array_equal(found.valid[0], np.repeat([False, True, True, False], 32))


def test_a_tensor_counts_as_prepared_and_its_map_has_its_own_size() -> None:
    image = torch.full((3, 40, 56), -1.0)
    image[:, 16:24, 32:40] = 1.0
    heat = GradCAM(Brightness(), preprocessing=PLAIN).explain(image, 0)
    assert heat.shape == (40, 56)
    assert heat.dtype == np.float32
    assert heat[19:21, 35:37].min() > 0.8
    assert heat[:8].max() == 0


def test_a_class_activation_map_shows_what_speaks_for_the_class_and_not_what_speaks_against_it() -> None:
    picture = black_with_square(64, 64, 16, 32, side=8)
    explainer = GradCAM(Brightness(), preprocessing=PLAIN)
    for_it, against_it = explainer.explain(picture, 0), explainer.explain(picture, 1)
    assert for_it[20, 36] == pytest.approx((1 - 0.5 / 8) ** 2, abs=1e-6)
    assert for_it[60, 4] == 0
    assert against_it[20, 36] == pytest.approx(1 - (1 - 0.5 / 8) ** 2, abs=1e-6)
    assert against_it[20, 36] + for_it[20, 36] == pytest.approx(1)
    assert against_it[60, 4] == 1


def test_a_signed_pixel_map_shows_magnitudes() -> None:
    weight = torch.linspace(-1, 0.5, 3 * 8 * 8).reshape(3, 8, 8)

    class Linear(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv = nn.Conv2d(3, 2, 8, bias=False)
            with torch.no_grad():
                self.conv.weight.copy_(torch.stack([weight, -weight]))

        def forward(self, image: torch.Tensor) -> torch.Tensor:
            return self.conv(image).flatten(1)

    image = torch.randn(3, 8, 8)
    heat = InputXGradient(Linear(), preprocessing=PLAIN).explain(image, 0)
    expected = (image * weight).sum(dim=0).abs()
    assert np.allclose(heat, expected / expected.max(), atol=1e-6)


def test_a_map_without_positive_evidence_is_zeros_and_says_so() -> None:
    explainer = GradCAM(Brightness(), preprocessing=PLAIN)
    found = explainer.explained(np.zeros((64, 64, 3), np.uint8), 0)
    assert not found.heat.any()
    assert any("all evidence is negative" in note for note in found.notes)
    with pytest.warns(UserWarning, match="all evidence is negative") as told:
        explainer.explain(np.zeros((64, 64, 3), np.uint8), 0)
    assert told[0].filename == __file__
    assert "flat: every pixel has the same value" in found.notes


def test_a_map_that_is_not_finite_is_refused() -> None:
    class Broken(Brightness):
        def forward(self, image: torch.Tensor) -> torch.Tensor:
            cells = self.cells(image)
            return self.head((cells + 2).sqrt().flatten(2).mean(dim=2))

    explainer = GradCAM(Broken(), target_layer="cells", preprocessing=PLAIN)
    assert explainer.explain(torch.ones(3, 64, 64), 0).max() == 1
    with pytest.raises(TargetError, match="SW-T33"):
        explainer.explain(torch.full((3, 64, 64), -3.0), 0)


def test_the_scale_is_settled_by_the_family() -> None:
    positive = ("gradcam", "layercam", "rollout", "rise", "occlusion", "saliency", "scorecam")
    magnitude = ("input_x_gradient", "gradient", "deeplift")
    assert {scale_of(METHODS[name]) for name in positive} == {"positive"}
    assert {scale_of(METHODS[name]) for name in magnitude} == {"magnitude"}


def test_a_larger_copy_of_a_picture_has_a_larger_copy_of_its_map() -> None:
    small = noise(64, 96)
    large = np.repeat(np.repeat(small, 4, axis=0), 4, axis=1)
    explainer = Saliency(Brightness(), preprocessing={**PLAIN, "interpolation": "box"})
    one, other = explainer.explain(small, 0), explainer.explain(large, 0)
    assert np.allclose(other.reshape(64, 4, 96, 4).mean(axis=(1, 3))[:, 20:76], one[:, 20:76], atol=1e-4)
