"""Means over records, with what knows nothing of the picture beside them."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from seewhy.metrics.fixations import fixation_counts, fixation_density
from seewhy.metrics.gaze_comparison import (
    centre_baseline,
    compare_with_gaze,
    shuffled_fixations,
    uniform_baseline,
)
from seewhy.metrics.human_attention import METRICS, auc_judd, kld, nss, sim
from seewhy.values import ConfigError

SIZE = (40, 60)


def looked(count: int = 12, seed: int = 0) -> list[np.ndarray]:
    """Each record is looked at around a place of its own; the last one not at all."""
    draw = np.random.default_rng(seed)
    places = draw.uniform((8, 8), (52, 32), (count, 1, 2))
    return [*(places + draw.normal(0, 1, (count, 5, 2))), np.empty((0, 2))]


def test_means_are_those_of_the_records_that_were_looked_at() -> None:
    points = looked()
    maps = torch.tensor(np.random.default_rng(1).normal(size=(13, 20, 30)))
    found = compare_with_gaze(maps, points, SIZE, sigma=2.0, eval_size=None)
    counts, density = fixation_counts(points, SIZE, (20, 30)), fixation_density(points, SIZE, 2.0, (20, 30))
    by_hand = {
        "kld": kld(maps, density),
        "sim": sim(maps, density),
        "auc_judd": auc_judd(maps, counts),
        "nss": nss(maps, counts),
    }
    for metric in METRICS:
        values = by_hand[metric][:12].numpy()
        score = found.scores["model"][metric]
        assert (score.n, score.of) == (12, 13)
        assert (score.mean, score.standard_error) == pytest.approx((values.mean(), values.std(ddof=1) / math.sqrt(12)))
    assert found.undefined["model"]["auc_judd"] == {"no fixations": 1}


def test_a_map_that_knows_beats_every_baseline_on_every_metric() -> None:
    points = looked()
    maps = fixation_density(points, SIZE, 3.0).nan_to_num(0.5)
    scores = compare_with_gaze(maps, points, SIZE).scores
    for who in ("centre", "uniform", "chance"):
        assert scores["model"]["kld"].mean < scores[who]["kld"].mean
        assert scores["model"]["sim"].mean > scores[who]["sim"].mean
        assert scores["model"]["auc_judd"].mean > scores[who]["auc_judd"].mean
    assert scores["model"]["nss"].mean > max(scores["centre"]["nss"].mean, scores["chance"]["nss"].mean)


def test_the_uniform_baseline_is_known_beforehand() -> None:
    points = looked()
    found = compare_with_gaze(torch.rand(13, 7, 7), points, SIZE, sigma=2.0)
    density = fixation_density(points, SIZE, 2.0, (28, 28))[:12].flatten(1)
    entropy = -torch.xlogy(density, density).sum(dim=1)
    assert found.records["uniform"]["kld"][:12].tolist() == pytest.approx((math.log(28 * 28) - entropy).tolist())
    assert found.scores["uniform"]["auc_judd"].mean == 0.5
    assert (found.scores["uniform"]["nss"].n, math.isnan(found.scores["uniform"]["nss"].mean)) == (0, True)
    assert found.undefined["uniform"]["nss"] == {"no fixations": 1, "the map is constant": 12}


def test_maps_are_resized_to_the_grid_of_the_evaluation() -> None:
    points = [[[15.0, 10.0]], [[45.0, 30.0]]]
    maps = torch.zeros(2, 2, 2)
    maps[0, 0, 0] = maps[1, 1, 1] = 1.0  # the quarter that was looked at
    found = compare_with_gaze(maps, points, SIZE, eval_size=(2, 2))
    assert found.records["model"]["auc_judd"].tolist() == [1.0, 1.0]
    assert found.records["model"]["nss"].tolist() == pytest.approx([math.sqrt(3)] * 2)  # 0.75 over sqrt(3) / 4
    assert found.records["chance"]["auc_judd"].tolist() == pytest.approx([1 / 3] * 2)  # ties with two of three


def test_the_centre_baseline_is_a_bell_in_the_middle() -> None:
    bell = centre_baseline((4, 6), 0.25)
    assert bell.sum().item() == pytest.approx(1.0)
    assert torch.allclose(bell, bell.flip(0, 1))
    # one cell further along the width is 1/6 of it: places 1/12 and 3/12 from the middle
    assert (bell[1, 3] / bell[1, 4]).item() == pytest.approx(math.exp(0.5 * ((3 / 12) ** 2 - (1 / 12) ** 2) / 0.25**2))
    assert uniform_baseline((4, 6)).unique().tolist() == [1 / 24]


def test_chance_are_the_fixations_of_others_by_seed() -> None:
    points = [[[float(record), 0.0]] if record != 3 else [] for record in range(9)]
    drawn = shuffled_fixations(points, 0)
    owners = [int(found[0, 0]) if len(found) else None for found in drawn]
    assert sorted(owner for owner in owners if owner is not None) == [0, 1, 2, 4, 5, 6, 7, 8]
    assert all(owner != record for record, owner in enumerate(owners))
    assert owners[3] is None
    again, other = shuffled_fixations(points, 0), shuffled_fixations(points, 1)
    assert all(torch.equal(one, two) for one, two in zip(drawn, again, strict=True))
    assert [found.tolist() for found in other] != [found.tolist() for found in drawn]
    assert [len(found) for found in shuffled_fixations([[], [[1.0, 1.0]]])] == [0, 0]


def test_one_record_has_a_mean_and_no_error_and_no_chance() -> None:
    found = compare_with_gaze(torch.rand(1, 4, 4), [[[1.0, 1.0]]], SIZE)
    score = found.scores["model"]["auc_judd"]
    assert (score.n, math.isnan(score.standard_error), math.isnan(score.mean)) == (1, True, False)
    assert found.scores["chance"]["auc_judd"].n == 0


def test_the_table_says_mean_error_and_how_many() -> None:
    found = compare_with_gaze(torch.rand(13, 4, 4), looked(), SIZE)
    score = found.scores["centre"]["sim"]
    lines = str(found).splitlines()
    assert lines[0].split() == list(METRICS)
    assert f"{score.mean:.3f} ± {score.standard_error:.3f} (12/13)" in lines[2]
    assert len(found.rows()) == 4 * len(METRICS)
    assert found.rows()[5]["mean"] == score.mean


def test_requests_that_cannot_be_met_are_refused() -> None:
    with pytest.raises(ConfigError, match="SW-F152"):
        compare_with_gaze(torch.rand(4, 4), [[]], SIZE)
    with pytest.raises(ConfigError, match="SW-F154"):
        compare_with_gaze(torch.rand(2, 4, 4), [[]], SIZE)
    with pytest.raises(ConfigError, match="SW-F150"):
        compare_with_gaze(torch.rand(1, 4, 4), [[]], SIZE, eval_size=(28,))
