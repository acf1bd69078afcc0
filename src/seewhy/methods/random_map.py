"""A map that knows nothing of the model: what an explanation must be better than."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from seewhy import ops
from seewhy.capture.probe import Probe
from seewhy.core import Explanation, Inputs
from seewhy.registry import method


@method(
    "random",
    asks=True,
    signed=False,
    asks_about_class=False,
    cite="Adebayo et al. 2018, arXiv:1810.03292: the control that any explanation must be told apart from",
    also=("random_map",),
)
def random_control(probe: Probe, inputs: Inputs, *, seed: int = 0, at: str | None = None) -> Explanation:
    """Uniform noise in [0, 1), the same for every record and question.

    ``at`` is whose size the map has: a layer's, ``"input"``, or the default target layer's if None.
    """
    if at == "input":
        sizes = {name: tuple(inputs[name].shape[2:]) for name in probe.adapter.spatial_inputs}
    else:
        sizes = {name: probe.adapter.grid(layer).size for name, layer in probe.adapter.layers_for(at).items()}
    scores = probe.score(inputs)
    noise = {name: random_map(size, seed).to(scores) for name, size in sizes.items()}
    return Explanation({name: values.expand(*scores.shape, *values.shape) for name, values in noise.items()}, scores)


def random_map(size: Sequence[int], seed: int, *, signed: bool = False) -> Float[Tensor, "*s"]:
    """Uniform noise of this size in [0, 1), or in [-1, 1) where ``signed``; the same numbers for the same seed.

    Example:
        >>> bool((random_map((2, 3), seed=1) == random_map((2, 3), seed=1)).all())
        True
    """
    noise = torch.rand(math.prod(size), generator=ops.generator(seed, "random")).reshape(tuple(size))
    return 2 * noise - 1 if signed else noise
