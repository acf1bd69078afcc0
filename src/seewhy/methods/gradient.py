"""Gradients at the input: what a small change of each value would do to the score."""

from __future__ import annotations

from jaxtyping import Float
from torch import Tensor

from seewhy.registry import method

Values = Float[Tensor, "b c *s"]


@method(
    "saliency",
    reads=("input_gradients",),
    signed=False,
    channels="largest",
    contributes=False,
    cite="Simonyan et al. 2013, arXiv:1312.6034, section 3.1: the largest magnitude over channels",
    also=("vanilla_gradient",),
)
def saliency(input_gradients: Values) -> Values:
    """How strongly the score would react to a small change of each value; the map takes the strongest channel.

    Per channel the gradient keeps its sign.
    """
    return input_gradients


@method(
    "gradient",
    reads=("input_gradients",),
    signed=True,
    linear=True,
    contributes=False,
    cite="Baehrens et al. 2010, arXiv:0912.1128, eq. 3; summed over channels with its sign",
)
def gradient(input_gradients: Values) -> Values:
    """The score's derivative with respect to each value of the input."""
    return input_gradients


@method(
    "input_x_gradient",
    reads=("inputs", "input_gradients"),
    signed=True,
    linear=True,
    cite="Shrikumar et al. 2016, arXiv:1605.01713, section 3",
    also=("inputxgradient", "gradient_x_input", "input*gradient"),
)
def input_x_gradient(inputs: Values, input_gradients: Values) -> Values:
    """Each value times the score's derivative there: its share of the score, were the model linear.

    Example:
        >>> import torch
        >>> input_x_gradient(torch.tensor([[[2.0, 3.0]]]), torch.tensor([[[0.5, -1.0]]]))
        tensor([[[ 1., -3.]]])
    """
    return inputs * input_gradients
