"""Closed forms and NumPy twins of the metrics that explain nearby copies of records again, and of the axioms.

Each takes the metric under test and returns how far it is from the truth. A twin watches which copies are explained.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from claim_oracles import FAR, IDS, Array, Metric, off, watched
from oracles import random
from torch import Tensor

from seewhy.core import Attribution
from seewhy.metrics.asking import Asking
from seewhy.targets import Logit

UNIT = torch.tensor([[1.0, 4.0]]).expand(2, 2)
RADIUS = 0.05
TARGET = Logit((0, 0))


def record() -> Tensor:
    return random(2, 2, 9, 10, seed=1)


def curved(images: Tensor) -> Tensor:
    """A map that is no multiple of the picture."""
    return images[:, 0] ** 2 + images[:, 1].sin()


def is_uniform(copies: list[Array], clean: Array) -> bool:
    """Whether every channel moved evenly up and down by at most the radius in its unit."""
    moved = (np.array(copies) - clean) / (RADIUS * np.array([1.0, 4.0]))[:, None, None]
    return bool(
        (np.abs(moved) <= 1 + 1e-9).all()
        and np.allclose(np.abs(moved).max(axis=(0, 2, 3)), 1, atol=0.02)
        and np.allclose(moved.std(axis=(0, 2, 3)), 3**-0.5, atol=0.05)
        and np.allclose(moved.mean(axis=(0, 2, 3)), 0, atol=0.06)
    )


def sensitivity_by_definition(over: Callable[[list[float]], float]) -> Callable[[Metric], float]:
    """``‖φ(x') − φ(x)‖ / ‖φ(x)‖`` of the copies that were explained, their mean or maximum."""

    def oracle(sensitivity: Metric) -> float:
        image = record()
        explain, seen = watched(curved, image)
        found = sensitivity(image, explain, UNIT, IDS, radius=RADIUS, samples=7)
        true, raw = [], []
        for row in range(2):
            if len(seen[row]) != 7 or not is_uniform(seen[row], image[row].numpy()):
                return FAR
            clean = curved(image[[row]]).numpy()
            moved = [
                float(np.sqrt(((curved(torch.tensor(copy)[None]).numpy() - clean) ** 2).sum())) for copy in seen[row]
            ]
            raw.append(over(moved))
            true.append(over(moved) / float(np.sqrt((clean**2).sum())))
        return max(off(found.values, true), off(found.details["raw"], raw))

    return oracle


def without_noise_nothing_moves(sensitivity: Metric) -> float:
    """A radius of 0 gives 0 exactly; one that is hardly more gives hardly more."""
    image = record()
    explain = Asking.of(curved, image)
    still, hardly = (sensitivity(image, explain, UNIT, IDS, radius=radius).values for radius in (0.0, 1e-12))
    return max(off(still, 0.0), off(hardly, 0.0))


def lipschitz_of_a_multiple(local_lipschitz: Metric) -> float:
    """The map ``a x`` of one channel moves a times as far as the picture."""
    image = record()[:, :1]
    found = local_lipschitz(image, Asking.of(lambda images: -2.5 * images[:, 0], image), torch.ones(2, 1), IDS)
    return off(found.values, 2.5)


def lipschitz_by_definition(local_lipschitz: Metric) -> float:
    """The largest ratio of distances over the copies that were explained."""
    image = record()
    explain, seen = watched(curved, image)
    found = local_lipschitz(image, explain, UNIT, IDS, radius=RADIUS, samples=7)
    true = []
    for row in range(2):
        clean = image[row].numpy()
        moved = [float((curved(torch.tensor(copy)[None]) - curved(image[[row]])).norm()) for copy in seen[row]]
        away = [float(np.sqrt(((copy - clean) ** 2).sum())) for copy in seen[row]]
        true.append(max(np.array(moved) / np.array(away)))
    return off(found.values, true)


# Relative stability --------------------------------------------------------------------------------------------------


def logits(images: Tensor) -> Tensor:
    """Two classes; which one is predicted differs among the copies of each record."""
    first = images.flatten(1).mean(dim=1)
    return torch.stack([first, first.detach() * 0 + record().flatten(1).mean(dim=1)[:1]], dim=1)


def all_of_one_class(images: Tensor) -> Tensor:
    return torch.stack([images.flatten(1).sum(dim=1) + 1e3, images.flatten(1)[:, 0]], dim=1)


def input_stability_of_a_multiple(relative_input_stability: Metric) -> float:
    """The map ``a x`` changes by the same part of every value as the picture: 1."""
    image = record()[:, :1]
    explain, outputs = (Asking.of(one, image) for one in (lambda images: 3 * images[:, 0], all_of_one_class))
    found = relative_input_stability(image, explain, outputs, TARGET, torch.ones(2, 1), IDS)
    return off(found.values, 1.0)


def parted(change: Array, of: Array) -> float:
    """The length of a change, each value's by that value, none of which counts as less than 1/1000 of the largest."""
    return float(np.sqrt(((change / np.maximum(np.abs(of), 1e-3 * np.abs(of).max())) ** 2).sum()))


def stability_by_definition(of: str) -> Callable[[Metric], float]:
    """The largest ratio of relative changes among the copies that keep the predicted class, and no others."""

    def oracle(stability: Metric) -> float:
        image = record()
        explain, seen = watched(curved, image)
        outputs = Asking.of(logits, image)
        represented = Asking.of(lambda images: images[:, :, 0].flatten(1) ** 3, image)
        between = (explain, outputs, represented) if of == "representation" else (explain, outputs)
        found = stability(image, *between, TARGET, UNIT, IDS, radius=RADIUS, samples=12)
        true, counts = [], []
        for row in range(2):
            clean, kept = image[[row]], []
            for copy in (torch.tensor(one)[None] for one in seen[row]):
                if logits(copy).argmax() != logits(clean).argmax():
                    continue
                moved = parted((curved(copy) - curved(clean)).numpy(), curved(clean).numpy())
                before, after = (represented.ask(one, [0]).numpy() for one in (clean, copy))
                least = 1e-3 * float(logits(clean).norm())
                kept.append(
                    moved
                    / {
                        "input": parted((copy - clean).numpy(), clean.numpy()),
                        "output": max(float((logits(copy) - logits(clean)).norm()), least),
                        "representation": parted(after - before, before),
                    }[of]
                )
            true.append(max(kept, default=float("nan")))
            counts.append(len(kept))
        if counts[0] in (0, 12):
            return FAR  # the oracle would not notice copies of other classes
        return max(off(found.values, true), off(found.details["kept"], counts))

    return oracle


# Axioms --------------------------------------------------------------------------------------------------------------


def completeness_of_a_linear_model(completeness: Metric) -> float:
    """The parts of ``wᵀx`` sum to the difference; a third of them leaves two thirds; the opposite leaves twice it."""
    image, base, weights = record(), random(2, 2, 9, 10, seed=2), random(2, 9, 10, seed=3)
    score = Asking.of(lambda images: (images * weights).flatten(1).sum(dim=1), image)
    parts = ((image - base) * weights).sum(dim=1)
    found = []
    for factor, true in ((1.0, 0.0), (1 / 3, 2 / 3), (0.0, 1.0), (-1.0, 2.0), (4.0, 0.75)):
        maps = factor * parts
        told = completeness(
            Attribution({"image": maps}, score.clean), maps, image, score, lambda fill: base, True, fill="blur"
        )
        found.append(off(told.values, true))
    return max(found)


def invariance_of_known_maps(input_invariance: Metric) -> float:
    """A gradient stays; ``w x`` becomes ``w (x + m)``, which is ``‖w m‖ / ‖w x‖`` away."""
    image, weights = record(), random(2, 9, 10, seed=3)
    gradient = weights.sum(dim=0).expand(2, 9, 10)
    stays = input_invariance(gradient, image, UNIT, lambda by: gradient)
    product = (image * weights).sum(dim=1)
    moves = input_invariance(product, image, UNIT, lambda by: ((image + by) * weights).sum(dim=1), shift=0.25)
    step = 0.25 * (weights[0] + 4 * weights[1])
    true = [float(step.norm() / one.norm()) for one in product]
    return max(off(stays.values, 0.0), off(moves.values, true))
