"""Closed forms and NumPy twins of the metrics that compare what a map claims with what the model does.

Each takes the metric under test and returns how far it is from the truth. A twin does not know which copies a metric
draws: it watches what the model is asked, and computes the value by its definition from that.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from oracles import random
from scipy.stats import spearmanr
from torch import Tensor

from seewhy.metrics.asking import Asking
from seewhy.metrics.grade import Grade

Array = NDArray[np.float64]
Metric = Callable[..., Grade]
IDS = ("one", "two")
FAR = float("inf")


def watched(function: Callable[[Tensor], Tensor], image: Tensor) -> tuple[Asking, dict[int, list[Array]]]:
    """Asks a function, and all copies of each record that it was asked about."""
    seen: dict[int, list[Array]] = defaultdict(list)

    def ask(images: Tensor, rows: Sequence[int]) -> Tensor:
        for copy, row in zip(images, rows, strict=True):
            seen[row].append(copy.numpy().copy())
        return function(images)

    return Asking(ask, function(image), chunk_size=5), seen


def curved(images: Tensor) -> Tensor:
    """A score that no map explains exactly."""
    flat = images.flatten(1)
    weights = torch.linspace(-1, 1, flat.shape[1], dtype=images.dtype)
    return (flat * weights).sum(dim=1) + (flat[:, ::3].sum(dim=1)).sin()


class Setting:
    """Two records of two channels on 5 × 6 places, their baselines, and a map of random claims for each place."""

    def __init__(self) -> None:
        self.image, self.base = random(2, 2, 5, 6, seed=1), random(2, 2, 5, 6, seed=2)
        self.weights = random(2, 5, 6, seed=3)
        self.claims = random(2, 5, 6, seed=4)
        self.sensitivities = random(2, 2, 5, 6, seed=5)

    def linear(self, images: Tensor) -> Tensor:
        return (images * self.weights).flatten(1).sum(dim=1)

    def true_parts(self, base: Tensor) -> Tensor:
        return ((self.image - base) * self.weights).sum(dim=1)

    def baseline(self, fill: object) -> Tensor:
        return self.base


def off(found: Tensor, true: Sequence[float] | Array | float) -> float:
    """The largest difference; NaN is infinitely far."""
    apart = np.abs(found.numpy() - np.asarray(true, dtype=np.float64))
    return FAR if np.isnan(apart).any() else float(apart.max())


# Infidelity ----------------------------------------------------------------------------------------------------------


def infidelity_of_a_linear_model(infidelity: Metric) -> float:
    """``wᵀx`` is explained without any infidelity by w, and by ``w ⊙ (x − b)`` where ``b`` replaces."""
    s = Setting()
    asking, _ = watched(s.linear, s.image)
    weights, unit = s.weights.expand_as(s.image), torch.ones(2, 2)

    def claimed_by_sensitivities(base: Tensor) -> Tensor:
        return (weights * (s.image - base)).sum(dim=1)

    parts = infidelity(s.image, asking, s.true_parts, s.baseline, weights, True, unit, IDS, patch=4)
    slopes = infidelity(s.image, asking, claimed_by_sensitivities, s.baseline, weights, False, unit, IDS)
    noise = infidelity(s.image, asking, s.true_parts, s.baseline, weights, False, unit, IDS, perturbation="noise")
    return max(off(one.values, 0.0) for one in (parts, slopes, noise))


def infidelity_of_squares(infidelity: Metric) -> float:
    """The mean of ``(Σ_replaced φ − (f(x) − f(x')))²``; each copy has one square of 3 × 3 replaced, on its own."""
    s = Setting()
    asking, seen = watched(curved, s.image)
    args = (s.sensitivities, True, torch.ones(2, 2), IDS)
    found = infidelity(s.image, asking, lambda base: s.claims, s.baseline, *args, patch=3, samples=12)
    true, scaled = [], []
    for row in range(2):
        clean, claims = s.image[row].numpy(), s.claims[row].numpy()
        where = [(copy != clean).any(axis=0) for copy in seen[row]]
        if len(where) != 12 or any(one.sum() != 9 for one in where):
            return FAR
        claimed = np.array([claims[one].sum() for one in where])
        drops = np.array([float(curved(s.image[[row]]) - curved(torch.tensor(copy)[None])) for copy in seen[row]])
        best = (claimed @ drops) / (claimed @ claimed)
        true.append(((claimed - drops) ** 2).mean())
        scaled.append(((best * claimed - drops) ** 2).mean())
    return max(off(found.values, true), off(found.details["scaled"], scaled))


def infidelity_of_noise(infidelity: Metric) -> float:
    """The mean of ``(Iᵀφ − (f(x) − f(x − I)))²``, with ``I`` of the deviation asked for."""
    s = Setting()
    asking, seen = watched(curved, s.image)
    unit = torch.tensor([[1.0, 3.0]]).expand(2, 2)
    args = (s.image, asking, lambda base: s.claims, s.baseline, s.sensitivities, False, unit, IDS)
    found = infidelity(*args, perturbation="noise", sigma=0.2, samples=40)
    true = []
    for row in range(2):
        taken = s.image[row].numpy() - np.array(seen[row])
        spread = taken.std(axis=(0, 2, 3))
        if not np.allclose(spread, [0.2, 0.6], rtol=0.1):
            return FAR
        claimed = (taken * s.sensitivities[row].numpy()).sum(axis=(1, 2, 3))
        drops = np.array([float(curved(s.image[[row]]) - curved(torch.tensor(copy)[None])) for copy in seen[row]])
        true.append(((claimed - drops) ** 2).mean())
    return off(found.values, true)


# Sets of patches -----------------------------------------------------------------------------------------------------


def correlation_of_a_linear_model(sensitivity_n: Metric) -> float:
    """Removing a set takes from ``wᵀx`` what its parts claim: correlation 1, and −1 for the opposite claims."""
    s = Setting()
    asking, _ = watched(s.linear, s.image)
    right = sensitivity_n(s.image, asking, s.true_parts, s.baseline, IDS, patch=1)
    wrong = sensitivity_n(s.image, asking, lambda base: -s.true_parts(base), s.baseline, IDS)
    return max(off(right.values, 1.0), off(wrong.values, -1.0))


def correlation_by_definition(sensitivity_n: Metric) -> float:
    """Pearson's over the sets that were replaced: 4 of the 9 patches of 2 × 2 (the last of a row 1 wide)."""
    s = Setting()
    asking, seen = watched(curved, s.image)
    amount = {"n": 4} if "n" in (sensitivity_n.__kwdefaults__ or {}) else {"size": 4}
    args = (s.image, asking, lambda base: s.claims, s.baseline, IDS)
    found = sensitivity_n(*args, **amount, patch=2, samples=20)
    true = []
    for row in range(2):
        clean, claims = s.image[row].numpy(), s.claims[row].numpy()
        where = [(copy != clean).all(axis=0) for copy in seen[row]]
        patches = {sum(bool(one[2 * y, 2 * x]) for y in range(3) for x in range(3)) for one in where}
        if patches != {4} or len({one.tobytes() for one in where}) < 10:
            return FAR
        drops = [float(curved(s.image[[row]]) - curved(torch.tensor(copy)[None])) for copy in seen[row]]
        true.append(np.corrcoef([claims[one].sum() for one in where], drops)[0, 1])
    return off(found.values, true)


# One patch after another ---------------------------------------------------------------------------------------------

PATCHES = [(slice(y, y + 2), slice(x, x + 2)) for y in range(0, 5, 2) for x in range(0, 6, 2)]


def estimate_by_definition(faithfulness_estimate: Metric) -> float:
    """Pearson's between each patch's claim and how far the probability falls when it alone is replaced."""
    s = Setting()
    asking, _ = watched(curved, s.image)
    found = faithfulness_estimate(s.image, asking, lambda base: s.claims, s.baseline, patch=2)
    true = []
    for row in range(2):
        claimed, drops = [], []
        for y, x in PATCHES:
            copy = s.image[row].clone()
            copy[:, y, x] = s.base[row][:, y, x]
            claimed.append(float(s.claims[row, y, x].sum()))
            drops.append(float(curved(s.image[[row]]) - curved(copy[None])))
        true.append(np.corrcoef(claimed, drops)[0, 1])
    return off(found.values, true)


def monotonicity_by_definition(monotonicity: Metric) -> float:
    """From the baseline, patches come back by rising claim; a step agrees that goes where the claim's sign says."""
    s = Setting()
    asking, _ = watched(curved, s.image)
    found = monotonicity(s.image, asking, lambda base: s.claims, s.baseline, patch=2)
    true = []
    for row in range(2):
        copy, agrees = s.base[row].clone(), 0
        for y, x in sorted(PATCHES, key=lambda place: float(s.claims[row][place].sum())):
            before = float(curved(copy[None]))
            copy[:, y, x] = s.image[row][:, y, x]
            step = float(curved(copy[None])) - before
            agrees += (step >= 0) == bool(s.claims[row, y, x].sum() >= 0)
        true.append(agrees / len(PATCHES))
    return off(found.values, true)


def rank_correlation_by_definition(monotonicity_correlation: Metric) -> float:
    """Spearman's between magnitudes and mean squared changes; a patch shows what the record shows elsewhere."""
    s = Setting()
    asking, seen = watched(curved, s.image)
    found = monotonicity_correlation(s.image, asking, lambda base: s.claims, s.baseline, IDS, patch=2, samples=5)
    true = []
    for row in range(2):
        clean, known = s.image[row].numpy(), {tuple(place) for place in s.image[row].flatten(1).T.tolist()}
        effect = np.zeros(len(PATCHES))
        for number, copy in enumerate(seen[row]):
            y, x = PATCHES[number // 5]
            same = copy == clean
            same[:, y, x] = True
            if not same.all() or not {tuple(place) for place in copy[:, y, x].reshape(2, -1).T.tolist()} <= known:
                return FAR
            effect[number // 5] += float(curved(s.image[[row]]) - curved(torch.tensor(copy)[None])) ** 2 / 5
        claimed = [abs(float(s.claims[row, y, x].sum())) for y, x in PATCHES]
        true.append(spearmanr(claimed, effect).statistic)
    return off(found.values, true)
