"""Closed forms of tests that a map ought to fail when a model forgets; each returns how far an implementation is off.

They take the metric under test as an argument so that law 9 can show that a broken one is noticed.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from seewhy.metrics.asking import Asking
from seewhy.metrics.grade import Grade
from seewhy.models.adapter import Adapter

Metric = Callable[..., Grade]

SIDE = 48
CHANCE = 5 / math.sqrt(SIDE * SIDE)
"""Five standard deviations of the rank correlation of two independent maps of this size."""


def beyond(value: Tensor, target: float, allowed: float = 0.0) -> float:
    """How far the farthest value is outside of what is allowed about the target."""
    return float(((value - target).abs() - allowed).clamp(min=0).max())


def two_layers(seed: int = 0) -> nn.Module:
    """A 1 × 1 convolution of one channel, and a linear layer on all its pixels: the gradient is ``a · w``."""
    torch.manual_seed(seed)
    model = nn.Sequential(nn.Conv2d(1, 1, 1, bias=False), nn.Flatten(), nn.Linear(SIDE * SIDE, 2))
    with torch.no_grad():
        model[0].weight.fill_(0.5)
    return model.eval()


def records(count: int = 2) -> Tensor:
    return torch.randn(count, 1, SIDE, SIDE, generator=torch.Generator().manual_seed(1))


def gradient(model: nn.Module) -> Tensor:
    """The gradient of class 0 at the input, the same for every record ``(2, *S)``."""
    return (model[0].weight.detach().squeeze() * model[2].weight[0].detach()).reshape(1, SIDE, SIDE).expand(2, -1, -1)


def upper_layer(model: nn.Module) -> Tensor:
    """What a map of the upper layer alone shows."""
    return model[2].weight[0].detach().reshape(1, SIDE, SIDE).expand(2, -1, -1)


def edges(images: Tensor) -> Tensor:
    """A map that no model has a part in."""
    return (images[:, 0] - images[:, 0].roll(1, dims=-1)).abs()


def graded(metric: Metric, explain: Callable[[nn.Module], Tensor], **settings: object) -> Grade:
    model = two_layers()
    adapter = Adapter(model, {"image": records()})
    return metric(explain(model), "positive", adapter, explain, **settings)


def an_edge_detector_stays(metric: Metric) -> float:
    """What ignores the model is all left, at every stage and by every measure."""
    images = records()
    found = graded(metric, lambda model: edges(images))
    stages = [found.details[name] for name in ("spearman", "spearman_magnitude", "ssim", "hog")]
    return max(beyond(found.values, 1), *(beyond(one, 1) for one in stages))


def a_gradient_goes(metric: Metric) -> float:
    """Fresh weights have nothing to do with the old ones, from the first stage on: the upper layer is the gradient."""
    found = graded(metric, gradient, repeats=2)
    return max(beyond(found.values, 0, CHANCE), beyond(found.details["spearman"], 0, CHANCE))


def the_last_stage_counts(metric: Metric) -> float:
    """A map that looks at the lower layer alone survives the first stage, and not the last, which the value is."""
    images = records()

    def lower(model: nn.Module) -> Tensor:
        return images[:, 0] if model[0].weight.item() == 0.5 else images[:, 0].flip(-1)

    found = graded(metric, lower)
    return max(beyond(found.details["spearman"][:, 0], 1), beyond(found.values, 0, CHANCE))


def stages_add_up(metric: Metric) -> float:
    """In a cascade the upper layer stays forgotten when the lower one is drawn too."""
    found = graded(metric, upper_layer)
    return beyond(found.details["spearman"], 0, CHANCE)


def each_block_alone(metric: Metric) -> float:
    """The lower layer alone scales the gradient: its order, or its opposite, is all left; the value is the mean."""
    found = graded(metric, gradient, order="independent")
    upper, lower = found.details["spearman_magnitude"].T
    signed = found.details["spearman"]
    return max(
        beyond(upper, 0, CHANCE),
        beyond(lower, 1),
        beyond(signed[:, 1].abs(), 1),
        beyond(found.values - signed.mean(dim=1), 0),
    )


def draws_are_averaged(metric: Metric) -> float:
    """Several draws are those of the seeds one after the other; the value is their mean."""
    together = graded(metric, gradient, repeats=3)
    alone = torch.stack([graded(metric, gradient, seed=seed).values for seed in range(3)], dim=1)
    apart = 0.0 if len(alone[0].unique()) == 3 else 1.0
    return max(beyond(together.details["draws"] - alone, 0), beyond(together.values - alone.mean(dim=1), 0), apart)


PARAMETER_ORACLES = (
    an_edge_detector_stays,
    a_gradient_goes,
    the_last_stage_counts,
    stages_add_up,
    each_block_alone,
    draws_are_averaged,
)

# Classes -------------------------------------------------------------------------------------------------------------


def of_classes(metric: Metric, weights: Tensor, asked: Sequence[int], **settings: object) -> Grade:
    """A linear model's gradients: the map of class ``k`` is ``weights[k]``, and class 1 the least likely, then 0."""
    maps = weights[list(asked)]
    scores = torch.linspace(1, 2, len(weights)).repeat(len(asked), 1)
    scores[:, 1], scores[:, 0] = -2.0, -1.0
    outputs = Asking.of(lambda images: scores[: len(images)], maps[:, None])
    ids = [f"record {row}" for row in range(len(asked))]
    return metric(maps, "positive", asked, len(weights), outputs, lambda others: weights[list(others)], ids, **settings)


def independent_maps(count: int) -> Tensor:
    return torch.randn(count, SIDE, SIDE, generator=torch.Generator().manual_seed(2))


def what_is_blind_to_the_class_is_one(metric: Metric) -> float:
    weights = independent_maps(1).expand(5, -1, -1)
    return max(beyond(of_classes(metric, weights, (0, 4, 2), against=how).values, 1) for how in ("random", "all"))


def opposite_classes_are_minus_one(metric: Metric) -> float:
    weights = independent_maps(1)
    return beyond(of_classes(metric, torch.cat([weights, -weights]), (0, 1)).values, -1)


def other_classes_have_other_maps(metric: Metric) -> float:
    """Never the class asked about, however many are drawn: one map in common would show as 1."""
    found = of_classes(metric, independent_maps(4), (0, 1, 2, 3), samples=9)
    expected = torch.tensor([[1, 2, 3], [0, 2, 3], [0, 1, 3], [0, 1, 2]]).double()
    apart = beyond(found.details["others"].sort(dim=1).values - expected, 0)
    return max(apart, beyond(found.details["similarities"], 0, CHANCE))


def the_least_likely_class(metric: Metric) -> float:
    found = of_classes(metric, independent_maps(4), (0, 1, 2), against="least_likely")
    return beyond(found.details["others"][:, 0] - torch.tensor([1.0, 0.0, 1.0]), 0)


def a_record_draws_by_its_id(metric: Metric) -> float:
    """The second of two records gets the class it gets as the second of three; over many, every class is drawn."""
    weights = independent_maps(6)
    few, many = (of_classes(metric, weights, [2] * count).details["others"] for count in (2, 60))
    missing = {0.0, 1.0, 3.0, 4.0, 5.0} ^ set(many.flatten().tolist())
    return max(beyond(few - many[:2], 0), float(len(missing)))


CLASS_ORACLES = (
    what_is_blind_to_the_class_is_one,
    opposite_classes_are_minus_one,
    other_classes_have_other_maps,
    the_least_likely_class,
    a_record_draws_by_its_id,
)
