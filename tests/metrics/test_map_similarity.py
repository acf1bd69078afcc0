"""Similarities of maps: against SciPy and scikit-image, and identities nobody needs a peer for."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor

from seewhy.metrics.ranks import average_ranks
from seewhy.metrics.similarity import correlation, histograms, hog_similarity, spearman, ssim
from seewhy.values import ConfigError

Similarity = Callable[[Tensor, Tensor], Tensor]
ALL: tuple[Similarity, ...] = (spearman, ssim, hog_similarity)


def pictures(count: int = 3, size: tuple[int, ...] = (33, 40), seed: int = 0) -> Tensor:
    return torch.randn(count, *size, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def test_ranks_of_equal_values_are_the_mean_over_their_orders() -> None:
    values = torch.tensor([[3.0, 1.0, 3.0, 3.0, -0.0, 0.0], [1.0] * 6])
    assert average_ranks(values).tolist() == [[5.0, 3.0, 5.0, 5.0, 1.5, 1.5], [3.5] * 6]
    assert average_ranks(torch.tensor([[7.0]])).tolist() == [[1.0]]


def test_rank_correlation_is_that_of_scipy_with_ties() -> None:
    stats = pytest.importorskip("scipy.stats", reason="scipy is not installed")
    a, b = pictures().mul(2).round(), pictures(seed=1).mul(2).round()
    b[0] += a[0]
    true = [stats.spearmanr(one.ravel(), other.ravel()).statistic for one, other in zip(a, b, strict=True)]
    np.testing.assert_allclose(spearman(a, b), true, atol=1e-12)


@pytest.mark.parametrize("signed", [True, False])
@pytest.mark.parametrize("size", [(33, 40), (11, 12), (14, 12, 13), (50,)])
def test_structural_similarity_is_that_of_scikit_image(size: tuple[int, ...], signed: bool) -> None:
    metrics = pytest.importorskip("skimage.metrics", reason="scikit-image is not installed")
    a = pictures(size=size) if signed else pictures(size=size).abs()
    b = a + 0.3 * pictures(size=size, seed=1).abs()
    for one, other, found in zip(a, b, ssim(a, b), strict=True):
        scaled = [(each / each.abs().max()).numpy() for each in (one, other)]
        true = metrics.structural_similarity(
            *scaled, gaussian_weights=True, use_sample_covariance=False, data_range=2.0 if signed else 1.0
        )
        assert found.item() == pytest.approx(true, abs=1e-10)


def test_histograms_of_gradients_are_those_of_scikit_image() -> None:
    feature = pytest.importorskip("skimage.feature", reason="scikit-image is not installed")
    for picture, found in zip(pictures(), histograms(pictures()), strict=True):
        true = feature.hog(picture.numpy(), orientations=9, pixels_per_cell=(8, 8), cells_per_block=(2, 2))
        np.testing.assert_allclose(found, true, atol=1e-6)  # it adds up in single precision


@pytest.mark.parametrize("similarity", ALL)
def test_a_map_is_like_itself_at_any_scale_and_unlike_noise(similarity: Similarity) -> None:
    maps = pictures()
    assert similarity(maps, 1e-12 * maps).tolist() == pytest.approx([1.0] * 3)
    assert (similarity(maps, pictures(seed=1)).abs() < 0.25).all()


def test_rank_correlation_and_structure_turn_with_the_sign() -> None:
    maps = pictures()
    assert spearman(maps, -maps).tolist() == pytest.approx([-1.0] * 3)
    board = (torch.arange(20)[:, None] + torch.arange(22)).remainder(2).mul(2.0).sub(1)[None].double()  # ±1, mean 0
    assert ssim(board, -board).item() == pytest.approx((-2 + 0.06**2) / (2 + 0.06**2), abs=1e-6)
    assert hog_similarity(maps, -maps).tolist() == pytest.approx([1.0] * 3)  # orientations have no sign


@pytest.mark.parametrize("similarity", ALL)
def test_a_constant_or_broken_map_has_no_similarity_and_its_neighbours_have_theirs(similarity: Similarity) -> None:
    a, b = pictures(4), pictures(4, seed=1)
    alone = similarity(a[3:], b[3:])
    a[0], b[1], a[2, 0, 0] = 0.3, 0.0, math.nan
    found = similarity(a, b)
    assert found.isnan().tolist() == [True, True, True, False]
    assert found[3].item() == pytest.approx(alone.item(), abs=1e-12)


@pytest.mark.parametrize("similarity", ALL)
def test_similarities_are_symmetric_and_leave_their_maps_alone(similarity: Similarity) -> None:
    a, b = pictures(), pictures(seed=1)
    before = a.clone(), b.clone()
    torch.testing.assert_close(similarity(a, b), similarity(b, a), rtol=0, atol=1e-12)
    assert torch.equal(a, before[0])
    assert torch.equal(b, before[1])


def test_single_precision_and_small_maps_have_similarities() -> None:
    maps = pictures(size=(7, 7)).float()
    for similarity in ALL:
        assert similarity(maps, maps).tolist() == pytest.approx([1.0] * 3)


def test_a_constant_row_has_no_correlation() -> None:
    rows = torch.tensor([[0.1, 0.1, 0.1], [1.0, 2.0, 4.0]])
    assert correlation(rows, rows.flip(1)).isnan().tolist() == [True, False]


@pytest.mark.parametrize("similarity", ALL)
def test_maps_of_different_shapes_are_refused(similarity: Similarity) -> None:
    with pytest.raises(ConfigError, match="SW-F260"):
        similarity(pictures(), pictures(2))


def test_oriented_gradients_are_of_pictures() -> None:
    with pytest.raises(ConfigError, match="SW-F261"):
        hog_similarity(pictures(size=(9,)), pictures(size=(9,)))
