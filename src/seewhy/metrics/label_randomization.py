"""Does a map tell a model that learnt something from one that learnt labels at random?"""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor, nn

from seewhy.evidence import Scale
from seewhy.metrics.grade import Grade, graded
from seewhy.metrics.likeness import Similarity, as_read, likeness, possible, undefined
from seewhy.metrics.parameter_randomization import ExplainOn
from seewhy.models.adapter import Adapter
from seewhy.models.borrow import unwrapped
from seewhy.registry import metric
from seewhy.values import ConfigError


@metric(
    "label_randomization",
    family="randomization",
    better="lower",
    range=(-1.0, 1.0),
    cite="Adebayo et al. 2018, arXiv:1810.03292 (data randomization test)",
)
def label_randomization(
    maps: Float[Tensor, "b *s"],
    scale: Scale,
    adapter: Adapter,
    explain_on: ExplainOn,
    *,
    retrained: nn.Module | None = None,
    similarity: Similarity = "spearman",
) -> Grade:
    """How much of a map is left in that of a model trained on permuted labels: 1 for an edge detector.

    ``retrained`` is the same architecture, trained from scratch on the same records with their labels permuted, until
    it knew them by heart (Adebayo: 95 % of the training set). The similarity is that of what a reader sees, as in
    :func:`seewhy.metrics.parameter_randomization.parameter_randomization`.

    Details: ``spearman``, ``spearman_magnitude``, ``ssim``, ``hog`` (of pictures) ``(B,)``. NaN for a constant map, and
    where the other map is not finite; one that is constant counts as changed, 0. Raises ``ConfigError`` SW-F274 without
    ``retrained``, SW-F275 where its parameters have other names or shapes, SW-F276 where they have the same values.

    Example:
        >>> model, other = (nn.Sequential(nn.Conv2d(1, 2, 3), nn.Flatten(), nn.Linear(72, 2)) for _ in range(2))
        >>> edges = torch.rand(2, 1, 8, 8)
        >>> adapter = Adapter(model, {"image": edges})
        >>> found = label_randomization(edges[:, 0], "positive", adapter, lambda model: edges[:, 0], retrained=other)
        >>> [round(value, 6) for value in found.values.tolist()]
        [1.0, 1.0]
    """
    model = _other_weights(adapter, retrained)
    seen = as_read(maps, scale)
    likeness(seen, seen, similarity)  # refused before the model is asked
    other = as_read(explain_on(model), scale)
    found = {str(name): likeness(seen, other, name) for name in dict.fromkeys((*possible(maps), similarity))}
    values = found[similarity]
    return graded(values, undefined(seen, values, similarity), **found)


def _other_weights(adapter: Adapter, retrained: nn.Module | None) -> nn.Module:
    """The retrained model, which must be the same one with other weights."""
    if not isinstance(retrained, nn.Module):
        raise ConfigError(
            "SW-F274",
            "label randomisation compares with a model trained on permuted labels, and none was given",
            fix="give retrained=model; seewhy.demo.label_randomization shows how to train one",
        )
    own, other = (dict(model.named_parameters()) for model in (adapter.model, unwrapped(retrained)))
    differing = [name for name in own.keys() | other.keys() if _shape(own.get(name)) != _shape(other.get(name))]
    if differing:
        raise ConfigError(
            "SW-F275",
            f"the retrained model is another architecture: {len(differing)} parameters differ in name or shape, as "
            f"{min(differing)}",
            fix="train the same architecture, and give it in the same wrapper",
        )
    if all(torch.equal(own[name].detach().cpu(), other[name].detach().cpu()) for name in own):
        raise ConfigError(
            "SW-F276",
            "the retrained model has the very weights of the one explained",
            fix="train it from scratch on permuted labels",
        )
    return retrained


def _shape(tensor: Tensor | None) -> tuple[int, ...] | None:
    return None if tensor is None else tuple(tensor.shape)
