"""Does a map stay as it is when all inputs are shifted and the model takes the shift off again."""

from __future__ import annotations

from collections.abc import Callable

from jaxtyping import Float
from torch import Tensor

from seewhy.metrics.grade import Grade, graded
from seewhy.metrics.nearby import NO_MAP, NO_UNIT, apart, norm
from seewhy.metrics.settings import real
from seewhy.registry import metric


@metric(
    "input_invariance",
    family="axioms",
    better="lower",
    range=(0.0, float("inf")),
    cite="Kindermans et al. 2017, arXiv:1711.00867",
)
def input_invariance(
    maps: Float[Tensor, "b *s"],
    image: Float[Tensor, "b c *s"],
    unit: Float[Tensor, "b c"],
    explain_shifted: Callable[[Float[Tensor, "b c *s"]], Float[Tensor, "b *s"]],
    *,
    shift: float = 0.5,
) -> Grade:
    """How far a map moves, of its length, when a constant is added to the input that the model takes off first.

    Both models say the same of every record, so nothing that explains the answer can differ. The paper puts the shift
    into the bias of the first layer; here it is taken off before the first layer, which is the same function also
    where that layer pads its input with zeros. ``shift`` counts pixels' 0 to 1 or, where nobody knows how the values
    came from pixels, the record's standard deviation. ``raw`` in the details is the distance itself.

    NaN where the map is zero everywhere, or where the record is constant and its unit unknown. Raises ``ConfigError``
    SW-F253 for a shift that is not above 0.

    Example:
        >>> import torch
        >>> image = torch.ones(1, 1, 2)
        >>> input_x_gradient = lambda by: (image + by)[:, 0] * 3
        >>> input_invariance(image[:, 0] * 3, image, torch.ones(1, 1), input_x_gradient).values
        tensor([0.5000], dtype=torch.float64)
    """
    by = real("shift", shift, above_zero=True) * unit.reshape(*unit.shape, *[1] * (image.ndim - 2))
    moved, length = apart(explain_shifted(by), maps), norm(maps)
    return graded(moved / length, {NO_MAP: length == 0, NO_UNIT: (unit <= 0).any(dim=1)}, raw=moved)
