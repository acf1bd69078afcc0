"""Does a map change when the model's weights are drawn afresh? Block by block, on a copy."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import torch
from jaxtyping import Float, Float64
from torch import Tensor, nn

from seewhy.evidence import Scale
from seewhy.metrics.grade import Grade, graded
from seewhy.metrics.likeness import Similarity, as_read, likeness, possible, undefined
from seewhy.metrics.settings import seeded, whole
from seewhy.models.adapter import Adapter
from seewhy.models.blocks_in_order import MOST, Block, blocks_in_order
from seewhy.models.randomized import Order, randomized
from seewhy.registry import metric
from seewhy.values import ConfigError, nearest

ExplainOn = Callable[[nn.Module], Float[Tensor, "b *s"]]
ORDERS: tuple[Order, ...] = ("cascading", "independent")


@metric(
    "parameter_randomization",
    family="randomization",
    better="lower",
    range=(-1.0, 1.0),
    cite="Adebayo et al. 2018, arXiv:1810.03292 (model parameter randomization test)",
    also=("model_parameter_randomization",),
)
def parameter_randomization(
    maps: Float[Tensor, "b *s"],
    scale: Scale,
    adapter: Adapter,
    explain_on: ExplainOn,
    *,
    order: Order = "cascading",
    similarity: Similarity = "spearman",
    repeats: int = 1,
    blocks: int = MOST,
    seed: int = 0,
) -> Grade:
    """How much of a map is left when the model's weights are drawn afresh: 1 for an edge detector, about 0 for noise.

    Blocks of the model, at most ``blocks``, are drawn afresh by their modules' own schemes, from the outputs to the
    input. ``cascading``: one after the other, and the value is the similarity when nothing trained is left;
    ``independent``: each alone, and the value is the mean over blocks. ``repeats`` draws are averaged. The similarity
    is that of what a reader sees, at the map's own resolution: the map, or its magnitude where a method's sign says
    nothing of the class. A map that became constant counts as changed, 0.

    The model given is only copied, never written to. Weights depend on ``seed`` alone, so that a record's value depends
    on no other record. Details: ``spearman``, ``spearman_magnitude``, ``ssim`` and ``hog`` (of pictures) ``(B,
    stages)``, means over draws, their stages named by :func:`stages_of`; ``draws`` ``(B, repeats)``, the value of
    each. NaN for a constant map, and where the map of a randomised model is not finite.

    Raises ``ConfigError`` SW-F270 for a model that cannot be copied, SW-F271 for an unknown order or similarity,
    SW-F273 for a model without parameters, SW-F252 for a number below 1 or a seed that is none.

    Example:
        >>> model = nn.Sequential(nn.Conv2d(1, 2, 3), nn.ReLU(), nn.Flatten(), nn.Linear(72, 2))
        >>> edges = torch.rand(2, 1, 8, 8)
        >>> adapter = Adapter(model, {"image": edges})
        >>> found = parameter_randomization(edges[:, 0], "positive", adapter, lambda model: edges[:, 0])
        >>> [round(value, 6) for value in found.values.tolist()]
        [1.0, 1.0]
    """
    check_order(order)
    repeats, seed = whole("repeats", repeats, lowest=1), seeded(seed)
    seen = as_read(maps, scale)
    likeness(seen, seen, similarity)  # refused before the model is asked
    cut = _blocks(adapter, blocks)
    names = tuple(dict.fromkeys((*possible(maps), similarity)))
    draws: dict[str, list[Float64[Tensor, "b stages"]]] = {name: [] for name in names}
    for draw in range(repeats):
        stages = _stages(seen, scale, randomized(adapter, cut, order, seed=seed + draw), explain_on, names)
        for name in names:
            draws[name].append(stages[name])
    asked = torch.stack(draws[similarity], dim=1)  # (B, repeats, stages)
    each = asked[..., -1] if order == "cascading" else asked.mean(dim=2)
    means = {str(name): torch.stack(found).mean(dim=0) for name, found in draws.items()}
    return graded(each.mean(dim=1), undefined(seen, each, similarity), draws=each, **means)


def stages_of(adapter: Adapter, blocks: int = MOST) -> tuple[str, ...]:
    """The names of what :func:`parameter_randomization` draws afresh, stage by stage.

    Raises ``ConfigError`` SW-F273 for a model without parameters, SW-F252 for less than one block.

    Example:
        >>> model = nn.Sequential(nn.Conv2d(1, 2, 3), nn.ReLU(), nn.Flatten(), nn.Linear(72, 2))
        >>> stages_of(Adapter(model, {"image": torch.zeros(2, 1, 8, 8)}))
        ('3', '0')
    """
    return tuple(block.name for block in _blocks(adapter, blocks))


def check_order(order: str) -> None:
    """Raise ``ConfigError`` SW-F271 for an order that does not exist."""
    if not isinstance(order, str) or order not in ORDERS:
        raise ConfigError(
            "SW-F271",
            f"weights are drawn afresh in the order {' or '.join(ORDERS)}, got {order!r}",
            near=nearest(str(order), ORDERS),
            fix="use one of these",
        )


def _blocks(adapter: Adapter, most: int) -> tuple[Block, ...]:
    cut = blocks_in_order(adapter, whole("blocks", most, lowest=1))
    if not any(block.tensors for block in cut):
        raise ConfigError(
            "SW-F273",
            "the model has no parameters to draw afresh",
            fix="choose another metric; nothing was learnt here that a map could show",
        )
    return tuple(block for block in cut if block.tensors)


def _stages(
    seen: Float[Tensor, "b *s"],
    scale: Scale,
    models: Iterator[nn.Module],
    explain_on: ExplainOn,
    names: tuple[Similarity, ...],
) -> dict[str, Float64[Tensor, "b stages"]]:
    """What is left of the maps at every stage, by every measure."""
    found: dict[str, list[Float64[Tensor, " b"]]] = {name: [] for name in names}
    for model in models:
        other = as_read(explain_on(model), scale)
        for name in names:
            found[name].append(likeness(seen, other, name))
    return {name: torch.stack(values, dim=1) for name, values in found.items()}
