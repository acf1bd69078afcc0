"""Maps against fixations: closed forms, peers, and broken variants that the oracles notice."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter
from scipy.stats import entropy, zscore
from sklearn.metrics import roc_auc_score
from torch import Tensor

from seewhy.metrics.fixations import fixation_counts, fixation_density, has_fixations, usual_sigma
from seewhy.metrics.human_attention import EPSILON, METRICS, auc_judd, kld, nss, sim, undefined
from seewhy.values import ConfigError, DataError

CLOSE = 1e-10


def drawn(seed: int = 0, batch: int = 3, size: tuple[int, int] = (9, 7)) -> tuple[Tensor, Tensor, Tensor]:
    """Signed maps with ties, counts of fixations (several in a cell), and positive densities."""
    draw = np.random.default_rng(seed)
    maps = torch.tensor(draw.normal(size=(batch, *size)).round(1))
    counts = torch.tensor(draw.poisson(0.3, (batch, *size)).astype(float))
    counts[:, 0, 0] = 2.0
    density = torch.tensor(draw.random((batch, *size)))
    return maps, counts, density / density.sum(dim=(1, 2), keepdim=True)


# -- oracles: the largest difference from another implementation


def kld_oracle(metric: Callable[[Tensor, Tensor], Tensor]) -> float:
    maps, _, density = drawn()
    positive = maps.abs() + 0.1
    peers = [entropy(g.flatten(), p.flatten() / p.sum()) for g, p in zip(density, positive, strict=True)]
    return float((metric(positive, density) - torch.tensor(peers)).abs().max())


def sim_oracle(metric: Callable[[Tensor, Tensor], Tensor]) -> float:
    maps, _, density = drawn()
    clamped = np.maximum(maps.numpy(), 0)
    shares = clamped / clamped.sum(axis=(1, 2), keepdims=True)
    overlap = 1 - 0.5 * np.abs(shares - density.numpy()).sum(axis=(1, 2))  # 1 - total variation
    return float((metric(maps, density) - torch.tensor(overlap)).abs().max())


def auc_oracle(metric: Callable[[Tensor, Tensor], Tensor]) -> float:
    maps, counts, _ = drawn()
    peers = [roc_auc_score((c > 0).flatten(), m.flatten()) for m, c in zip(maps, counts, strict=True)]
    return float((metric(maps, counts) - torch.tensor(peers, dtype=torch.float64)).abs().max())


def nss_oracle(metric: Callable[[Tensor, Tensor], Tensor]) -> float:
    maps, counts, _ = drawn()
    peers = [
        np.average(zscore(m.flatten(), ddof=0), weights=c.flatten())
        for m, c in zip(maps.numpy(), counts.numpy(), strict=True)
    ]
    return float((metric(maps, counts) - torch.tensor(np.array(peers))).abs().max())


ORACLES = {"kld": (kld, kld_oracle), "sim": (sim, sim_oracle), "auc": (auc_judd, auc_oracle), "nss": (nss, nss_oracle)}


@pytest.mark.parametrize("name", ORACLES)
def test_metrics_agree_with_peers(name: str) -> None:
    metric, oracle = ORACLES[name]
    assert oracle(metric) < CLOSE


def flat(maps: Tensor) -> Tensor:
    return maps.flatten(1).double()


def share(maps: Tensor, negative: str = "clamp") -> Tensor:
    values = flat(maps)
    values = {"clamp": values.clamp(min=0), "abs": values.abs(), "shift": values - values.amin(1, keepdim=True)}[
        negative
    ]
    return values / values.sum(1, keepdim=True)


def pair_share(maps: Tensor, counts: Tensor, ties: float, positives: str = "cells") -> Tensor:
    """AUC by comparing every positive with every negative."""
    found = []
    for values, looked in zip(flat(maps), flat(counts), strict=True):
        weight = looked[looked > 0] if positives == "points" else torch.ones(int((looked > 0).sum()))
        fixated, others = values[looked > 0][:, None], values[looked == 0]
        won = (fixated > others) + ties * (fixated == others)
        found.append((won.double().mean(1) * weight).sum() / weight.sum())
    return torch.stack(found)


BROKEN: dict[str, tuple[Callable[[Callable[[Tensor, Tensor], Tensor]], float], Callable[[Tensor, Tensor], Tensor]]] = {
    "kld the other way": (kld_oracle, lambda m, g: (share(m) * (share(m) / flat(g)).log()).sum(1)),
    "kld of maps that are not normalised": (kld_oracle, lambda m, g: (flat(g) * (flat(g) / flat(m)).log()).sum(1)),
    "kld in bits": (kld_oracle, lambda m, g: (flat(g) * (flat(g) / share(m)).log2()).sum(1)),
    "sim of magnitudes": (sim_oracle, lambda m, g: torch.minimum(share(m, "abs"), flat(g)).sum(1)),
    "sim of shifted maps": (sim_oracle, lambda m, g: torch.minimum(share(m, "shift"), flat(g)).sum(1)),
    "auc with ties lost": (auc_oracle, lambda m, c: pair_share(m, c, 0.0)),
    "auc with ties won": (auc_oracle, lambda m, c: pair_share(m, c, 1.0)),
    "auc weighted by points": (auc_oracle, lambda m, c: pair_share(m, c, 0.5, "points")),
    "auc of magnitudes": (auc_oracle, lambda m, c: pair_share(m.abs(), c, 0.5)),
    "nss with the sample deviation": (
        nss_oracle,
        lambda m, c: (
            ((flat(m) - flat(m).mean(1, keepdim=True)) / flat(m).std(1, keepdim=True) * flat(c)).sum(1) / flat(c).sum(1)
        ),
    ),
    "nss with each cell once": (nss_oracle, lambda m, c: nss(m, (c > 0).double())),
    "nss over the batch": (
        nss_oracle,
        lambda m, c: (((m - m.mean()) / m.std()) * c).flatten(1).sum(1) / flat(c).sum(1),
    ),
}


@pytest.mark.parametrize("mistake", BROKEN)
def test_broken_variants_are_noticed(mistake: str) -> None:
    oracle, broken = BROKEN[mistake]
    assert oracle(broken) > 1e-3


def test_the_pairwise_oracle_of_the_mutations_is_right_where_it_is_not_broken() -> None:
    assert auc_oracle(lambda m, c: pair_share(m, c, 0.5)) < CLOSE


# -- closed forms


def test_equal_maps_agree_and_disjoint_ones_do_not() -> None:
    _, _, density = drawn()
    assert kld(5 * density, density).tolist() == pytest.approx([0.0] * 3, abs=1e-12)
    assert sim(5 * density, density).tolist() == pytest.approx([1.0] * 3)
    left, right = torch.tensor([[[1.0, 0.0]]]), torch.tensor([[[0.0, 1.0]]])
    assert sim(left, right).item() == 0.0
    assert kld(left, right).item() == pytest.approx(-math.log(EPSILON))  # 36.04: all looks where the map is 0


def test_auc_and_nss_do_not_change_with_scale_and_offset() -> None:
    maps, counts, _ = drawn()
    for metric in (auc_judd, nss):
        assert metric(3 * maps - 7, counts).tolist() == pytest.approx(metric(maps, counts).tolist(), abs=1e-9)
        assert metric(-maps, counts)[0] != pytest.approx(metric(maps, counts)[0].item())
    assert auc_judd(-maps, counts).tolist() == pytest.approx((1 - auc_judd(maps, counts)).tolist())
    assert auc_judd(maps.exp(), counts).tolist() == auc_judd(maps, counts).tolist()


def test_published_auc_judd_is_higher_by_half_a_false_positive_rate_per_fixation() -> None:
    draw = np.random.default_rng(3)
    values, looked = draw.permutation(200) / 200, np.zeros(200)  # no ties
    looked[draw.choice(200, 5, replace=False)] = 1
    thresholds = np.sort(values[looked > 0])[::-1]
    true = np.array([0, *(np.arange(1, 6) / 5), 1])
    false = np.array([0, *(((values >= t).sum() - i) / 195 for i, t in enumerate(thresholds, start=1)), 1])
    published = np.trapezoid(true, false)
    exact = auc_judd(torch.tensor(values).reshape(1, 10, 20), torch.tensor(looked).reshape(1, 10, 20)).item()
    assert published - exact == pytest.approx(false[-2] / (2 * 5))


def test_batch_and_precision_change_nothing() -> None:
    maps, counts, density = drawn()
    for metric, people in ((kld, density), (sim, density), (auc_judd, counts), (nss, counts)):
        alone = torch.cat([metric(maps[row : row + 1], people[row : row + 1]) for row in range(3)])
        assert torch.allclose(metric(maps, people), alone, rtol=0, atol=1e-14)
        assert metric(maps.float(), people.float()).dtype == torch.float64


# -- what is not defined

STRANGE = {
    "constant": (torch.full((2, 3), 0.1), {"nss": "the map is constant"}),
    "negative": (-torch.arange(1.0, 7.0).reshape(2, 3), dict.fromkeys(("kld", "sim"), "the map has no positive value")),
    "nan": (torch.tensor([[1.0, math.nan, 0.0]] * 2), dict.fromkeys(METRICS, "the map holds NaN or infinite values")),
    "infinite": (
        torch.tensor([[1.0, -math.inf, 0]] * 2),
        dict.fromkeys(METRICS, "the map holds NaN or infinite values"),
    ),
    "plain": (torch.arange(6.0).reshape(2, 3), {}),
}


@pytest.mark.parametrize("name", STRANGE)
def test_a_reason_stands_beside_every_nan_and_only_there(name: str) -> None:
    strange, reasons = STRANGE[name]
    points = [[[0.5, 0.5]], [], [[x + 0.5, y + 0.5] for x in range(3) for y in range(2)]]
    maps, counts, density = (
        strange.expand(3, 2, 3),
        fixation_counts(points, (2, 3)),
        fixation_density(points, (2, 3), 1.0),
    )
    values = {
        "kld": kld(maps, density),
        "sim": sim(maps, density),
        "auc_judd": auc_judd(maps, counts),
        "nss": nss(maps, counts),
    }
    for metric in METRICS:
        told = undefined(metric, maps, counts)
        assert [why is not None for why in told] == values[metric].isnan().tolist()
        assert told[0] == reasons.get(metric)
        assert told[1] == "no fixations"
    assert undefined("auc_judd", maps, counts)[2] in ("every cell is fixated", reasons.get("auc_judd"))
    if name == "constant":
        assert auc_judd(maps, counts)[0] == 0.5


def test_rounding_makes_no_deviation_of_a_constant_map() -> None:
    constant = torch.full((1, 1, 3), 0.1, dtype=torch.float64)
    assert constant.std(correction=0) > 0  # which would give an NSS of -1
    assert nss(constant, torch.tensor([[[0.0, 1.0, 0.0]]])).isnan().item()


def test_what_is_no_map_is_refused() -> None:
    maps, counts, density = drawn()
    for metric in (kld, sim, auc_judd, nss):
        for bad in (maps[0], maps[:, :5], maps[:0]):
            with pytest.raises(ConfigError, match="SW-F152"):
                metric(bad, density)
        with pytest.raises(ConfigError, match="SW-F153"):
            metric(maps, -counts)


# -- fixations


def test_a_density_is_the_mean_of_gaussians_each_of_weight_one() -> None:
    one, other, both = fixation_density([[[3.2, 1.1]], [[0.0, 5.0]], [[3.2, 1.1], [0.0, 5.0]]], (5, 8), 1.3)
    assert torch.allclose(both, (one + other) / 2, atol=1e-15)
    assert fixation_density([[[8.0, 5.0]]], (5, 8), 0.01)[0, 4, 7] == pytest.approx(1.0)
    for sigma in (1e-6, 0.7, 3.0, 1e4):
        assert fixation_density([[[2.5, 3.5], [0.0, 0.0]]], (5, 8), sigma).sum().item() == pytest.approx(1.0)


def test_a_density_far_from_the_edges_is_the_blurred_count() -> None:
    points = [[[20.5, 20.5], [20.5, 20.5], [26.5, 18.5]]]
    blurred = gaussian_filter(fixation_counts(points, (41, 45))[0].numpy() / 3, 3.0, mode="constant", truncate=6)
    # a Gaussian summed over cells is a little wider than one read at their centres: deviation sqrt(9 + 1/12)
    assert np.abs(fixation_density(points, (41, 45), math.sqrt(9 - 1 / 12))[0].numpy() - blurred).max() < 2e-6
    assert np.abs(fixation_density(points, (41, 45), 4.0)[0].numpy() - blurred).max() > 1e-3


def test_a_coarser_grid_adds_the_cells_of_a_finer_one() -> None:
    points = [[[3.0, 1.1], [7.9, 4.0]]]
    fine, coarse = (fixation_density(points, (4, 8), 1.5, grid)[0] for grid in ((4, 8), (2, 4)))
    assert torch.allclose(coarse, fine.reshape(2, 2, 4, 2).sum(dim=(1, 3)))
    counts = fixation_counts(points, (4, 8), (2, 4))[0]
    assert counts.tolist() == [[0, 1, 0, 0], [0, 0, 0, 1]]


def test_nobody_looked_is_told_not_made_up() -> None:
    density = fixation_density([[], [[1.0, 1.0]], np.empty((0, 2))], (4, 4))
    assert density.isnan().all(dim=(1, 2)).tolist() == [True, False, True]
    assert has_fixations([[], [[1.0, 1.0]], np.empty((0, 2))]).tolist() == [False, True, False]


@pytest.mark.parametrize(("size", "kernel"), [(28, 5), (224, 33), (384, 55)])
def test_the_usual_blur_is_that_of_a_kernel_of_a_seventh(size: int, kernel: int) -> None:
    assert usual_sigma((size, 2 * size)) == pytest.approx(0.3 * ((kernel - 1) / 2 - 1) + 0.8)


@pytest.mark.parametrize(
    ("points", "code"),
    [([[1.0, 2.0, 3.0]], "D120"), ([[1.0, math.nan]], "D120"), ([["a", "b"]], "D120"), ([[9.0, 1.0]], "D121")],
)
def test_points_that_are_none_are_refused(points: list[list[float]], code: str) -> None:
    with pytest.raises(DataError, match=code):
        fixation_counts([[[0.0, 0.0]], points], (4, 8))


def test_settings_that_are_none_are_refused() -> None:
    for size in ((4,), (0, 4), "ab", 4, (4.0, 4.0)):
        with pytest.raises(ConfigError, match="SW-F150"):
            fixation_counts([[]], size)  # type: ignore[arg-type]
    for sigma in (0, -1.0, math.inf, "1"):
        with pytest.raises(ConfigError, match="SW-F151"):
            fixation_density([[]], (4, 4), sigma)  # type: ignore[arg-type]
