"""How sure a model is of each place, in absolute units."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from seewhy.explain.label_map import UNSEEN, label_map
from seewhy.explain.uncertainty import entropy, largest_uncertainty, margin, uncertainty
from seewhy.values import ConfigError, Geometry

Measure = Callable[[Tensor], Tensor]


@pytest.mark.parametrize("classes", [2, 3, 21, 300])
def test_the_entropy_of_even_odds_is_log_c(classes: int) -> None:
    logits = torch.full((1, classes, 2, 2), 4.5, dtype=torch.float64)
    assert torch.allclose(entropy(logits), torch.tensor(math.log(classes), dtype=torch.float64), rtol=1e-14)
    assert largest_uncertainty(classes, "entropy") == pytest.approx(math.log(classes), rel=1e-15)


def test_a_tie_has_margin_one_and_a_sure_place_none() -> None:
    logits = torch.tensor([[[7.0, 50.0], [7.0, 0.0], [-800.0, 0.0]]], dtype=torch.float64)
    found = margin(logits)[0]
    assert found[0] == 1.0
    assert float(found[1]) == pytest.approx(3 * math.exp(-50), rel=1e-12)
    assert largest_uncertainty(3, "margin") == 1.0


def shannon(p: np.ndarray) -> float:
    return float(-sum(x * math.log(x) for x in p if x > 0))


def lead(p: np.ndarray) -> float:
    second, first = sorted(p)[-2:]
    return float(1 - (first - second))


DEFINITIONS: dict[Measure, Callable[[np.ndarray], float]] = {entropy: shannon, margin: lead}


def away_from_definition(measure: Measure, definition: Callable[[np.ndarray], float]) -> float:
    """The largest difference to the definition, written out for each place."""
    draws = torch.Generator().manual_seed(1)
    logits = 3 * torch.randn(2, 5, 3, 4, dtype=torch.float64, generator=draws)
    found, p = measure(logits), logits.softmax(dim=1).numpy()
    places = [(b, y, x) for b in range(2) for y in range(3) for x in range(4)]
    return max(abs(float(found[b, y, x]) - definition(p[b, :, y, x])) for b, y, x in places)


@pytest.mark.parametrize("measure", DEFINITIONS, ids=lambda measure: measure.__name__)
def test_it_is_its_definition(measure: Measure) -> None:
    assert away_from_definition(measure, DEFINITIONS[measure]) < 1e-12


@pytest.mark.parametrize("measure", DEFINITIONS, ids=lambda measure: measure.__name__)
def test_one_channel_is_two_classes(measure: Measure) -> None:
    logit = torch.linspace(-40, 40, 33, dtype=torch.float64).reshape(1, 1, 33)
    both = torch.cat([torch.zeros_like(logit), logit], dim=1)
    assert torch.allclose(measure(logit), measure(both), rtol=1e-9, atol=1e-15)


@pytest.mark.parametrize("measure", DEFINITIONS, ids=lambda measure: measure.__name__)
def test_a_constant_added_to_all_logits_changes_nothing_and_large_ones_do_no_harm(measure: Measure) -> None:
    logits = torch.randn(1, 4, 6, dtype=torch.float64)
    assert torch.allclose(measure(logits + 700.0), measure(logits), atol=1e-10)
    assert measure(1e4 * logits).isfinite().all()
    assert float(measure(torch.tensor([[[0.0], [-math.inf], [0.0]]]))) == pytest.approx(
        math.log(2) if measure is entropy else 1.0
    )


def test_what_is_elsewhere_in_the_picture_does_not_change_a_place() -> None:
    logits = torch.randn(1, 3, 4, 4)
    for kind in ("entropy", "margin"):
        whole = uncertainty(logits, kind)
        assert torch.allclose(whole[..., :1, :2], uncertainty(logits[..., :1, :2], kind), atol=1e-6)


BROKEN: dict[str, tuple[Measure, Measure]] = {
    "bits": (entropy, lambda z: entropy(z) / math.log(2)),
    "share of the largest": (entropy, lambda z: entropy(z) / math.log(z.shape[1])),
    "min-max per picture": (entropy, lambda z: (entropy(z) - entropy(z).min()) / entropy(z).max()),
    "sign forgotten": (entropy, lambda z: (z.log_softmax(1) * z.softmax(1)).sum(1)),
    "sigmoid per class": (entropy, lambda z: -(z.sigmoid() * F.logsigmoid(z)).sum(1)),
    "records mixed": (entropy, lambda z: entropy(z).flip(0)),
    "the lead itself": (margin, lambda z: 1 - margin(z)),
    "least confidence": (margin, lambda z: 1 - z.softmax(1).amax(1)),
    "lead of logits": (margin, lambda z: 1 - z.topk(2, dim=1).values.diff(dim=1).neg().squeeze(1)),
    "lead over the last": (margin, lambda z: 1 - (z.softmax(1).amax(1) - z.softmax(1).amin(1))),
}


@pytest.mark.parametrize("broken", BROKEN)
def test_a_broken_formula_is_noticed(broken: str) -> None:
    measure, wrong = BROKEN[broken]
    assert away_from_definition(wrong, DEFINITIONS[measure]) > 1e-3


def test_another_measure_is_refused_with_the_nearest() -> None:
    with pytest.raises(ConfigError, match="SW-F115") as caught:
        uncertainty(torch.zeros(1, 2, 1), "entrpy")
    assert caught.value.near == ("entropy",)


def test_labels_and_uncertainty_on_the_original_are_those_of_logits_read_between_cells() -> None:
    """As in torchvision and Hugging Face: logits are enlarged linearly, then the best class is taken."""
    logits = torch.randn(5, 6, 8)
    found = label_map(logits, Geometry.identity((24, 40)), "entropy")
    enlarged = F.interpolate(logits[None], (24, 40), mode="bilinear", align_corners=False)
    assert np.array_equal(found.labels, enlarged.argmax(dim=1)[0].numpy())
    assert np.abs(found.uncertainty - entropy(enlarged)[0].numpy()).max() < 1e-5
    assert sum(found.shares().values()) == pytest.approx(1.0)


def test_pixels_outside_a_centre_crop_have_no_class_and_no_uncertainty() -> None:
    geometry = Geometry(original=(4, 8), input=(4, 4), scale=(1.0, 1.0), offset=(0.0, 2.0))
    logits = torch.zeros(300, 4, 4)
    logits[299] = 1.0
    found = label_map(logits, geometry, "margin")
    assert (found.labels[:, 2:6] == 299).all()
    assert (found.labels[:, :2] == UNSEEN).all()
    assert (found.labels[:, 6:] == UNSEEN).all()
    assert np.isnan(found.uncertainty[:, :2]).all()
    assert np.isfinite(found.uncertainty[:, 2:6]).all()
    assert found.shares() == {299: 1.0}
