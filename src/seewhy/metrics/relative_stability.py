"""How much an explanation changes for each part by which the input, the outputs or the representation change."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from jaxtyping import Bool, Float, Float64
from torch import Tensor

from seewhy.core import Target
from seewhy.metrics.asking import Asking
from seewhy.metrics.grade import Grade, graded
from seewhy.metrics.nearby import NO_MAP, NO_UNIT, Nearby, apart, norm
from seewhy.metrics.settings import real, whole
from seewhy.registry import metric
from seewhy.targets import BinaryLogit

LEAST: float = 1e-6
"""What the change of input, outputs or representation counts at least: the papers' ε_min."""
FLOOR: float = 1e-3
"""What is below this part of the largest value of its record counts as that much where something is divided by it."""
NO_COPY = "no copy within the radius keeps the predicted class"

Ask = Callable[[Float[Tensor, "n c *s"], Sequence[int]], Float64[Tensor, " n"]]
"""How far something went, between these copies and the records with these rows."""


@metric(
    "relative_input_stability",
    family="robustness",
    better="lower",
    range=(0.0, float("inf")),
    cite="Agarwal et al. 2022, arXiv:2203.06877, relative input stability",
    also=("ris",),
)
def relative_input_stability(
    image: Float[Tensor, "b c *s"],
    explain: Asking,
    outputs: Asking,
    target: Target,
    unit: Float[Tensor, "b c"],
    ids: Sequence[str],
    *,
    radius: float = 0.02,
    samples: int = 10,
    seed: int = 0,
) -> Grade:
    """The largest relative change of a map for each relative change of the input, among copies of the same class.

    ``max ‖(φ(x) − φ(x')) / φ(x)‖ / max(‖(x − x') / x‖, 10⁻⁶)``, divided value by value, over those of ``samples``
    copies within ``radius`` (drawn as for :func:`~seewhy.metrics.sensitivity.average_sensitivity`) for which the model
    predicts the same class. The paper divides by values however small; here a value below a thousandth of the largest
    of its record counts as that thousandth, since a dead place would decide alone. ``kept`` in the details is how many
    copies counted. The paper draws logarithms of these values, which span decades.

    NaN where the map is zero everywhere, no copy keeps the class, or the record is constant and its unit unknown.
    Raises ``ConfigError`` SW-F252 for no samples, SW-F253 for the radius.

    Example:
        >>> image = torch.rand(1, 1, 4, 4, dtype=torch.float64) + 1
        >>> proportional = Asking.of(lambda images: 5 * images[:, 0], image)
        >>> same = Asking.of(lambda images: images.new_tensor([[1.0, 0.0]]).expand(len(images), 2), image)
        >>> from seewhy.targets import Logit
        >>> relative_input_stability(image, proportional, same, Logit((0,)), torch.ones(1, 1), ["a"]).values.round(
        ...     decimals=4)
        tensor([1.], dtype=torch.float64)
    """
    nearby = Nearby(image, unit, ids, real("radius", radius, above_zero=True), seed)

    def input_change(images: Float[Tensor, "n c *s"], rows: Sequence[int]) -> Float64[Tensor, " n"]:
        return relative_change(images, image[list(rows)])

    return _stability(nearby, explain, outputs, target, input_change, whole("samples", samples, 1))


@metric(
    "relative_output_stability",
    family="robustness",
    better="lower",
    range=(0.0, float("inf")),
    cite="Agarwal et al. 2022, arXiv:2203.06877, relative output stability",
    also=("ros",),
)
def relative_output_stability(
    image: Float[Tensor, "b c *s"],
    explain: Asking,
    outputs: Asking,
    target: Target,
    unit: Float[Tensor, "b c"],
    ids: Sequence[str],
    *,
    radius: float = 0.02,
    samples: int = 10,
    seed: int = 0,
) -> Grade:
    """The largest relative change of a map for each unit that the logits move, among copies of the same class.

    ``max ‖(φ(x) − φ(x')) / φ(x)‖ / max(‖h(x) − h(x')‖, 10⁻⁶)`` with the model's outputs ``h``. A change of them by less
    than a thousandth of their length counts as that much, since rounding would decide; all else as in
    :func:`relative_input_stability`.

    Example:
        >>> image = torch.rand(1, 1, 1, 4, dtype=torch.float64) + 1
        >>> unmoved = Asking.of(lambda images: images.new_ones((len(images), 4)), image)
        >>> outputs = Asking.of(lambda images: images.flatten(1) + images.new_tensor([9.0, 0, 0, 0]), image)
        >>> from seewhy.targets import Logit
        >>> relative_output_stability(image, unmoved, outputs, Logit((0,)), torch.ones(1, 1), ["a"]).values
        tensor([0.], dtype=torch.float64)
    """
    nearby = Nearby(image, unit, ids, real("radius", radius, above_zero=True), seed)

    def output_change(images: Float[Tensor, "n c *s"], rows: Sequence[int]) -> Float64[Tensor, " n"]:
        clean = outputs.clean[list(rows)]
        return torch.maximum(apart(outputs.ask(images, rows), clean), FLOOR * norm(clean))

    return _stability(nearby, explain, outputs, target, output_change, whole("samples", samples, 1))


@metric(
    "relative_representation_stability",
    family="robustness",
    better="lower",
    range=(0.0, float("inf")),
    cite="Agarwal et al. 2022, arXiv:2203.06877, relative representation stability",
    also=("rrs",),
)
def relative_representation_stability(
    image: Float[Tensor, "b c *s"],
    explain: Asking,
    outputs: Asking,
    representation: Asking,
    target: Target,
    unit: Float[Tensor, "b c"],
    ids: Sequence[str],
    *,
    radius: float = 0.02,
    samples: int = 10,
    seed: int = 0,
) -> Grade:
    """The largest relative change of a map for each relative change of the embedding, among copies of the same class.

    ``max ‖(φ(x) − φ(x')) / φ(x)‖ / max(‖(L(x) − L(x')) / L(x)‖, 10⁻⁶)`` with the embedding ``L`` before the model's
    head; all else as in :func:`relative_input_stability`.

    Example:
        >>> image = torch.rand(1, 1, 1, 4, dtype=torch.float64) + 1
        >>> value = Asking.of(lambda images: images.flatten(1), image)
        >>> same = Asking.of(lambda images: images.new_tensor([[1.0, 0.0]]).expand(len(images), 2), image)
        >>> from seewhy.targets import Logit
        >>> relative_representation_stability(image, value, same, value, Logit((0,)), torch.ones(1, 1), ["a"]).values
        tensor([1.], dtype=torch.float64)
    """
    nearby = Nearby(image, unit, ids, real("radius", radius, above_zero=True), seed)

    def representation_change(images: Float[Tensor, "n c *s"], rows: Sequence[int]) -> Float64[Tensor, " n"]:
        return relative_change(representation.ask(images, rows), representation.clean[list(rows)])

    return _stability(nearby, explain, outputs, target, representation_change, whole("samples", samples, 1))


def _stability(nearby: Nearby, explain: Asking, outputs: Asking, target: Target, change: Ask, samples: int) -> Grade:
    """The largest ratio of the map's relative change to another change, over the copies that keep the class."""

    def told(images: Float[Tensor, "n c *s"], rows: Sequence[int]) -> Float64[Tensor, "n facts"]:
        chosen = list(rows)
        moved = relative_change(explain.ask(images, rows), explain.clean[chosen])
        kept = same_class(outputs.ask(images, rows), outputs.clean[chosen], target.take(chosen))
        return torch.stack([moved, change(images, rows), kept.double()], dim=1)

    moved, changed, kept = nearby.ask(told, explain, samples).unbind(dim=2)
    ratios = torch.where(kept > 0, moved / changed.clamp(min=LEAST), -torch.inf)
    largest = ratios.amax(dim=1)
    undefined = {NO_MAP: norm(explain.clean) == 0, NO_UNIT: nearby.nowhere, NO_COPY: (kept == 0).all(dim=1)}
    return graded(largest, undefined, kept=kept.sum(dim=1), reach=nearby.reach)


def relative_change(values: Float[Tensor, "n ..."], clean: Float[Tensor, "n ..."]) -> Float64[Tensor, " n"]:
    """The length of the change, each value's change divided by that value.

    >>> relative_change(torch.tensor([[2.0, 4.0]]), torch.tensor([[1.0, 4.0]]))
    tensor([1.], dtype=torch.float64)
    """
    size = clean.flatten(1).double().abs()
    least = FLOOR * size.amax(dim=1, keepdim=True)
    change = values.flatten(1).double() - clean.flatten(1).double()
    return norm(torch.where(change == 0, 0.0, change / torch.maximum(size, least)))


def same_class(outputs: Float[Tensor, "n k"], clean: Float[Tensor, "n k"], target: Target) -> Bool[Tensor, " n"]:
    """Whether the predicted class is the clean record's; a model without classes keeps what it has."""
    if outputs.shape[1] > 1:
        return outputs.argmax(dim=1) == clean.argmax(dim=1)
    if isinstance(target, BinaryLogit):
        return ((outputs > target.boundary) == (clean > target.boundary))[:, 0]
    return torch.ones(len(outputs), dtype=torch.bool, device=outputs.device)
