"""Does a map of one class differ from that of another?"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Literal

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from seewhy import ops
from seewhy.evidence import Scale
from seewhy.metrics.asking import Asking
from seewhy.metrics.grade import Grade, graded
from seewhy.metrics.likeness import Similarity, as_read, likeness, undefined
from seewhy.metrics.settings import seeded, whole
from seewhy.registry import metric
from seewhy.values import ConfigError, nearest

Against = Literal["random", "least_likely", "all"]
AGAINST: tuple[Against, ...] = ("random", "least_likely", "all")
ONE_OUTPUT = "one output decides between two classes, so the map's magnitude is the same for both"
ExplainClass = Callable[[Sequence[int]], Float[Tensor, "b *s"]]


@metric(
    "class_sensitivity",
    family="randomization",
    better="lower",
    range=(-1.0, 1.0),
    cite="Sixt et al. 2020, arXiv:1912.09818 (random logit test)",
    also=("random_logit", "data_randomization"),
)
def class_sensitivity(
    maps: Float[Tensor, "b *s"],
    scale: Scale,
    classes: Sequence[int],
    class_count: int,
    outputs: Asking,
    explain_class: ExplainClass,
    ids: Sequence[str],
    *,
    against: Against = "random",
    samples: int = 1,
    similarity: Similarity = "spearman",
    seed: int = 0,
) -> Grade:
    """How much the map of the class asked about is like that of other classes: 1 for one that is blind to the class.

    ``against``: ``samples`` other classes at random (all of them where there are no more), the ``least_likely`` other
    class by the model's outputs, or ``all`` others; the value is the mean over them. Which classes are drawn depends on
    ``seed`` and the record's id alone. The similarity is that of what a reader sees, as in
    :func:`seewhy.metrics.parameter_randomization.parameter_randomization`. Below 0 is the opposite map, which two
    classes that exclude each other have by right. The seed of this project called it data randomisation; that is
    another thing (:func:`seewhy.metrics.label_randomization.label_randomization`).

    Details: ``others`` ``(B, n)`` the classes, ``similarities`` ``(B, n)``. NaN for a constant map, where another
    class's map is not finite, and for magnitudes where one output decides between two classes, which have the same one.
    A map that is constant for another class counts as different, 0. Raises ``ConfigError`` SW-F271 for an unknown
    ``against`` or similarity, SW-F252 for less than one sample or a seed that is none, SW-F277 for a model of one
    class, SW-F225 for a question about none.

    Example:
        >>> maps = torch.tensor([[1.0, 2.0, 3.0]])
        >>> outputs = Asking.of(lambda images: torch.tensor([[0.0, 1.0]]), maps[:, None])
        >>> found = class_sensitivity(maps, "positive", [0], 2, outputs, lambda others: -maps, ["a"])
        >>> round(found.values.item(), 6)
        -1.0
    """
    _check(against, class_count)
    samples, seed = whole("samples", samples, lowest=1), seeded(seed)
    seen = as_read(maps, scale)
    likeness(seen, seen, similarity)  # refused before the model is asked
    others = _others(against, samples, classes, class_count, outputs, ids, seed)
    one_output = outputs.clean.shape[1] == 1 and scale == "magnitude"
    found = torch.stack(
        [likeness(seen, as_read(explain_class(one.tolist()), scale), similarity) for one in others.unbind(dim=1)], dim=1
    )
    without = {ONE_OUTPUT: torch.full((len(found),), one_output)} | undefined(seen, found, similarity)
    return graded(found.mean(dim=1), without, similarities=found, others=others)


def _others(
    against: Against,
    samples: int,
    classes: Sequence[int],
    class_count: int,
    outputs: Asking,
    ids: Sequence[str],
    seed: int,
) -> Int64[Tensor, "b n"]:
    """The classes to compare with, none of which is the one asked about."""
    asked = torch.tensor(list(classes))
    if against == "least_likely" and outputs.clean.shape[1] == class_count:
        scores = outputs.clean.detach().cpu().double().scatter(1, asked.unsqueeze(1), torch.inf)
        return scores.argmin(dim=1, keepdim=True)
    count = class_count - 1 if against == "all" else min(samples, class_count - 1)
    rows = []
    for one, record in zip(classes, ids, strict=True):
        order = torch.arange(class_count - 1)
        if against == "random":
            order = torch.randperm(class_count - 1, generator=ops.generator(seed, "class_sensitivity", record))
        chosen = order[:count]
        rows.append(chosen + (chosen >= one))
    return torch.stack(rows)


def _check(against: str, class_count: int) -> None:
    if not isinstance(against, str) or against not in AGAINST:
        raise ConfigError(
            "SW-F271",
            f"a class is compared against {', '.join(AGAINST)}, got {against!r}",
            near=nearest(str(against), AGAINST),
            fix="use one of these",
        )
    if class_count < 2:
        raise ConfigError(
            "SW-F277",
            "the model tells no two classes apart, so that there is none to compare with",
            fix="choose another metric, or say task='binary' for one output that decides between two classes",
        )
