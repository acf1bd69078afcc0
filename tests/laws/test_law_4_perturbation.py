"""The perturbation family against closed forms and NumPy twins written from the papers, in double precision."""

from __future__ import annotations

from functools import partial

import numpy as np
import perturbation_oracles as oracles
import pytest
import torch
from oracles import distance, random
from torch import Tensor

from seewhy import ops
from seewhy.capture import tail
from seewhy.methods import ablationcam as ablation
from seewhy.methods.ablationcam import ablationcam
from seewhy.methods.occlusion import occlusion
from seewhy.methods.rise import random_masks, rise
from seewhy.methods.scorecam import scorecam
from seewhy.methods.superpixels import kernel_shap, lime, shapley_coalitions
from seewhy.methods.surrogate import weighted_fit
from seewhy.superpixels import superpixels
from toys import ConvNet

ADDITIVE = [kernel_shap, partial(lime, ridge=0.0)]


@pytest.mark.parametrize(("window", "stride"), [(1, 1), (2, 2), (3, 2), (4, 3), (5, 5), (9, 9), (3, 1)])
@pytest.mark.parametrize("size", [(7,), (6, 8), (3, 4, 5)])
def test_occlusion_of_a_linear_model_is_the_windows_share(size: tuple[int, ...], window: int, stride: int) -> None:
    assert oracles.occlusion_of_a_linear_model(occlusion, window, stride, size) < 1e-10


def test_occlusion_side_by_side_sums_to_the_score() -> None:
    assert oracles.occlusion_side_by_side_sums_to_the_score(occlusion) < 1e-10


def test_occlusion_is_linear_in_the_question() -> None:
    """Law 3, in double precision: a difference of two scores loses what single precision has."""
    model, x = ConvNet(2).double(), {"image": random(2, 2, 8, 8)}
    zero, one, two = occlusion(oracles.probed(model, x, 0, 1, 2), x).maps["image"]
    sums = torch.tensor([[1.0, -2.0, 0.5]], dtype=torch.float64)
    with torch.no_grad():
        model.head.weight[:1], model.head.bias[:1] = sums @ model.head.weight, sums @ model.head.bias
    (both,) = occlusion(oracles.probed(model, x, 0), x).maps["image"]
    assert distance(both, (zero - 2 * one + 0.5 * two).numpy()) < 1e-12


def test_rise_is_equation_6_on_the_same_masks() -> None:
    assert oracles.rise_with_the_same_masks(rise) < 1e-10


def test_rise_has_the_expectation_of_its_masks() -> None:
    assert oracles.rise_expectation(rise) == 0


def test_rise_masks_are_grids_interpolated_and_shifted() -> None:
    """Every mask is, for one of the shifts, exactly the interpolation of some grid of zeros and ones."""
    masks = random_masks(20, (7, 10), cells=3, keep=0.5, generator=ops.generator("masks")).double().numpy()
    rows, columns = oracles.interpolation(3, 12), oracles.interpolation(3, 16)
    grids = ((np.arange(512)[:, None] >> np.arange(9)) & 1).reshape(-1, 3, 3)
    seen = set()
    for mask in masks:
        misfit = {}
        for down in range(3):
            for right in range(4):
                enlarged = np.einsum("ia,nab,jb->nij", rows[down : down + 7], grids, columns[right : right + 10])
                misfit[down, right] = np.abs(enlarged - mask).max(axis=(1, 2)).min()
        assert min(misfit.values()) < 1e-6
        seen.add(min(misfit, key=misfit.__getitem__))
    assert len(seen) > 5


def test_the_standard_error_of_rise_is_the_spread_between_seeds() -> None:
    model, x = ConvNet(2).double(), {"image": 3 * random(1, 2, 8, 8)}
    probe = oracles.probed(model, x, 0)
    found = [rise(probe, x, num_masks=60, seed=seed, cells=4) for seed in range(40)]
    spread = torch.stack([each.maps["image"][0, 0] for each in found]).var(dim=0).mean().sqrt()
    told = torch.stack([each.measured["standard_error"][0, 0] for each in found]).square().mean().sqrt()
    assert 0.85 < float(told / spread) < 1.15


def test_scorecam_is_algorithm_1() -> None:
    assert oracles.scorecam_by_the_paper(scorecam) < 1e-10


@pytest.mark.parametrize("chunk_size", [None, 1, 3])
@pytest.mark.parametrize("oracle", oracles.ABLATIONCAM_ORACLES, ids=lambda oracle: oracle.__name__)
def test_ablationcam_is_what_the_score_loses(oracle: object, chunk_size: int | None) -> None:
    assert oracle(partial(ablationcam, chunk_size=chunk_size)) < 1e-10  # type: ignore[operator]


@pytest.mark.parametrize("oracle", oracles.ABLATIONCAM_ORACLES, ids=lambda oracle: oracle.__name__)
def test_ablationcam_without_its_closed_form_is_the_same(oracle: object, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ablation, "_linear_head", lambda adapter: None)
    assert oracle(ablationcam) < 1e-10  # type: ignore[operator]
    monkeypatch.setattr(ablation, "tail_can_grow", lambda *_: False)
    assert oracle(ablationcam) < 1e-10  # type: ignore[operator]


@pytest.mark.parametrize("explain", ADDITIVE, ids=["kernel_shap", "lime"])
def test_superpixels_of_an_additive_score_are_worth_their_share(explain: oracles.Asks) -> None:
    assert oracles.surrogate_of_an_additive_score(explain) < 1e-7


def test_the_squares_of_a_patchwork_are_its_superpixels() -> None:
    for picture in oracles.patchwork(2):
        segments = superpixels(picture, segments=12)
        assert segments.unique().tolist() == list(range(12))
        assert all(len(square.unique()) == 1 for square in segments.unfold(0, 4, 4).unfold(1, 4, 4).flatten(0, 1))


def test_kernel_shap_gives_shapley_values_where_superpixels_act_in_twos() -> None:
    assert oracles.shapley_values_of_interacting_superpixels(kernel_shap) < 1e-5


def test_kernel_shap_values_add_up_to_the_score() -> None:
    assert oracles.shapley_values_add_up(kernel_shap) < 1e-4


def test_shapley_coalitions_have_the_kernels_sizes() -> None:
    draws = shapley_coalitions(6, ops.generator("coalitions"))
    rows = torch.cat([next(draws) for _ in range(4002)])
    assert rows[:2].tolist() == [[1] * 6, [0] * 6]
    sizes = rows[2:].sum(dim=1).bincount(minlength=7).double()[1:6] / 4000
    kernel = torch.tensor([5 / (s * (6 - s)) for s in range(1, 6)], dtype=torch.float64)
    torch.testing.assert_close(sizes, kernel / kernel.sum(), rtol=0, atol=0.03)
    assert (rows[2:].double().mean(dim=0) - 0.5).abs().max() < 0.03


@pytest.mark.parametrize("ridge", [0.0, 2.5])
def test_the_surrogate_is_the_solution_of_the_normal_equations(ridge: float) -> None:
    shown, scores = (random(40, 5) > 0).double(), random(3, 40, seed=1)
    weights: Tensor = random(40, seed=2).abs()
    found, explained = weighted_fit(shown, scores, weights, ridge)
    design = np.concatenate([np.ones((40, 1)), shown.numpy()], axis=1)
    penalty = ridge * np.diag([0.0] + [1.0] * 5)
    left = design.T @ (weights.numpy()[:, None] * design) + penalty
    solution = np.linalg.solve(left, design.T @ (weights.numpy()[:, None] * scores.numpy().T)).T
    assert distance(found, solution[:, 1:]) < 1e-10
    assert ((explained > 0) & (explained < 1)).all()


def test_a_tail_that_is_not_what_it_seems_is_not_taken_for_one() -> None:
    """A model that reshapes by the batch it began with answers wrongly, without an error, when the batch grows."""

    class ByItsBatch(ConvNet):
        def forward(self, image: Tensor) -> Tensor:
            features = self.body(self.stem(image)).flatten(2).mean(dim=2)
            first = features.reshape(len(image), -1, 6)[:, :1].mean(dim=1)
            return self.head(features * 0 + first)

    model, x = ByItsBatch(2).double().eval(), {"image": random(1, 2, 8, 8)}
    probe = oracles.probed(model, x, 0)
    assert not tail.tail_can_grow(probe, x, "stem")
    assert tail.tail_can_grow(oracles.probed(ConvNet(2).double(), x, 0), x, "stem")
    assert ablationcam(probe, x, layer="stem").facts["tail"] == "whole model"
