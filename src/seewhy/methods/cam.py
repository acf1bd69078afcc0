"""Class activation maps: activations of a layer, weighted by what the score's gradient says of them.

Every function takes activations (and gradients) ``(B, C, *S)`` of one layer and returns raw maps ``(B, *S)``; the ReLU
that papers put at the end is a decision of rendering.
"""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from seewhy.registry import method
from seewhy.values import ConfigError, nearest

Layer = Float[Tensor, "b c *s"]
Maps = Float[Tensor, "b *s"]


@method(
    "gradcam",
    reads=("activations", "gradients"),
    signed=True,
    linear=True,
    cite="Selvaraju et al. 2017, arXiv:1610.02391, eq. 1-2, before the ReLU",
)
def gradcam(activations: Layer, gradients: Layer, *, local: bool = False) -> Maps:
    """Sum of activation channels, each weighted by its spatially averaged gradient.

    ``local`` averages over, and keeps the map to, the cells where some channel has a gradient: of a score that reads
    one part of the picture (one box of a detector) the others say nothing to first order, and an average over all
    places cannot tell two such scores apart (Zhao et al. 2024, arXiv:2304.06354).

    Example:
        >>> gradcam(torch.ones(1, 2, 3, 3), torch.full((1, 2, 3, 3), 0.5))[0, 0, 0]
        tensor(1.)
    """
    if not local:
        return _weighted(activations, gradients.flatten(2).mean(dim=2))
    read = read_cells(gradients)
    cells = read.flatten(2).sum(dim=2).clamp(min=1)
    return _weighted(activations * read, gradients.flatten(2).sum(dim=2) / cells)


VARIANTS = ("paper", "authors_code")
"""Readings of Grad-CAM++'s place weights."""


@method(
    "gradcam++",
    reads=("activations", "gradients"),
    signed=True,
    cite="Chattopadhay et al. 2018, arXiv:1710.11063, eq. 19, before the ReLU",
    also=("gradcampp", "gradcam_plus_plus", "gradcamplusplus"),
)
def gradcam_plus_plus(activations: Layer, gradients: Layer, *, variant: str = "paper", local: bool = False) -> Maps:
    """Grad-CAM whose channel weights count each place by how much of the class it alone carries.

    The paper's place weight ``g² / (2 g² + g³ ΣA)`` is computed as ``1 / (2 + g ΣA)``, which is the same wherever there
    is a gradient and does not lose ``g²`` to underflow; where there is none, or the denominator is zero, it is zero.
    The paper differentiates ``Y = exp(S)``: the factor ``exp(S)`` cancels in the place weights, and the one factor per
    record that is left outside is left out.

    ``variant="authors_code"`` divides the place weights of each channel by their sum over places with a positive
    gradient, as the authors' program does and their paper does not. Raises ``ConfigError`` SW-F65 for another variant.

    ``local`` leaves out the cells where no channel has a gradient, from ``ΣA`` as from the map.

    Example:
        >>> gradcam_plus_plus(torch.ones(1, 1, 2, 2), torch.ones(1, 1, 2, 2))[0, 0, 0]
        tensor(0.6667)
    """
    if variant not in VARIANTS:
        raise ConfigError(
            "SW-F65",
            f"variant is one of {', '.join(VARIANTS)}, got {variant!r}",
            near=nearest(str(variant), VARIANTS),
            fix="use one of these",
        )
    activations = activations * read_cells(gradients) if local else activations
    total = activations.flatten(2).sum(dim=2).reshape(*activations.shape[:2], *[1] * (activations.ndim - 2))
    denominator = 2 + total * gradients
    defined = (gradients != 0) & (denominator != 0)
    place = torch.where(defined, denominator.where(defined, 1.0).reciprocal(), 0.0)
    weights = (place * gradients.relu()).flatten(2).sum(dim=2)
    if variant == "authors_code":
        norm = torch.where(gradients > 0, place, 0.0).flatten(2).sum(dim=2)
        weights = torch.where(norm != 0, weights / norm.where(norm != 0, 1.0), weights)
    return _weighted(activations, weights)


@method(
    "hirescam",
    reads=("activations", "gradients"),
    signed=True,
    linear=True,
    cite="Draelos and Carin 2020, arXiv:2011.08891, section 3.2",
)
def hirescam(activations: Layer, gradients: Layer) -> Maps:
    """Sum over channels of activation times gradient, place by place, without averaging the gradient.

    Example:
        >>> hirescam(torch.ones(1, 2, 2, 2), torch.arange(8.0).reshape(1, 2, 2, 2))[0]
        tensor([[ 4.,  6.],
                [ 8., 10.]])
    """
    return (activations * gradients).sum(dim=1)


@method(
    "gradcam_elementwise",
    reads=("activations", "gradients"),
    signed=False,
    cite="pytorch-grad-cam (Gildenblat and contributors, software), GradCAMElementWise",
)
def gradcam_elementwise(activations: Layer, gradients: Layer) -> Maps:
    """Sum over channels of the positive part of activation times gradient.

    Example:
        >>> gradcam_elementwise(torch.tensor([[[[1.0]], [[-1.0]]]]), torch.ones(1, 2, 1, 1))
        tensor([[[1.]]])
    """
    return (activations * gradients).relu().sum(dim=1)


@method(
    "layercam",
    reads=("activations", "gradients"),
    signed=True,
    cite="Jiang et al. 2021, IEEE TIP 30, LayerCAM, eq. 6-7, before the ReLU",
)
def layercam(activations: Layer, gradients: Layer) -> Maps:
    """Sum over channels of each activation times the positive part of its own gradient.

    Example:
        >>> layercam(torch.ones(1, 2, 1, 1), torch.tensor([[[[2.0]], [[-3.0]]]]))
        tensor([[[2.]]])
    """
    return (activations * gradients.relu()).sum(dim=1)


SMALLEST_SHARE = 1e-6
"""A channel whose activations cancel to less than this share of their size has no mean to divide by."""


@method(
    "xgradcam",
    reads=("activations", "gradients"),
    signed=True,
    linear=True,
    cite="Fu et al. 2020, arXiv:2008.02312, eq. 8, before the ReLU",
)
def xgradcam(activations: Layer, gradients: Layer) -> Maps:
    """Grad-CAM whose channel weight is the gradient averaged in proportion to the activation.

    A channel whose activations sum to (nearly) zero gets weight zero: there the average is not defined.

    Example:
        >>> xgradcam(torch.ones(1, 1, 2, 2), torch.arange(4.0).reshape(1, 1, 2, 2))[0, 0, 0]
        tensor(1.5000)
    """
    total = activations.flatten(2).sum(dim=2)
    defined = total.abs() > SMALLEST_SHARE * activations.flatten(2).abs().sum(dim=2)
    weighted = (gradients * activations).flatten(2).sum(dim=2)
    return _weighted(activations, torch.where(defined, weighted / total.where(defined, 1.0), 0.0))


@method(
    "eigencam",
    reads=("activations",),
    signed=True,
    cite="Muhammad and Yeasin 2020, arXiv:2008.00299, eq. 3-4, sign settled by the larger extreme",
)
def eigencam(activations: Layer) -> Maps:
    """Activations projected on their first right singular vector; asks about no class.

    Example:
        >>> eigencam(torch.ones(1, 4, 2, 2))[0, 0, 0]
        tensor(2.)
    """
    return _first_component(activations)


@method(
    "eigengradcam",
    reads=("activations", "gradients"),
    signed=True,
    share_by="nothing",
    cite="pytorch-grad-cam (Gildenblat and contributors, software), EigenGradCAM, without centring",
)
def eigengradcam(activations: Layer, gradients: Layer) -> Maps:
    """Activation times gradient, projected on its first right singular vector.

    Example:
        >>> eigengradcam(torch.ones(1, 4, 2, 2), torch.full((1, 4, 2, 2), 0.5))[0, 0, 0]
        tensor(1.)
    """
    return _first_component(activations * gradients)


def read_cells(gradients: Layer) -> Bool[Tensor, "b 1 *s"]:
    """The cells that the score reads: those where some channel has a gradient.

    Example:
        >>> read_cells(torch.tensor([[[[1.0, 0.0]], [[0.0, 0.0]]]])).tolist()
        [[[[True, False]]]]
    """
    return (gradients != 0).any(dim=1, keepdim=True)


def _weighted(activations: Layer, weights: Float[Tensor, "b c"]) -> Maps:
    return torch.einsum("bc,bc...->b...", weights, activations)


def _first_component(values: Layer) -> Maps:
    """``A v₁`` of ``A = U Σ Vᵀ`` ``(places, channels)``, through the smaller Gram matrix.

    ``A v₁ = σ₁ u₁``: with places × places the eigenvector is ``u₁`` itself.
    """
    places = values.flatten(2).transpose(1, 2).double()
    if places.shape[1] <= places.shape[2]:
        eigenvalues, vectors = torch.linalg.eigh(places @ places.transpose(1, 2))
        component = vectors[..., -1] * eigenvalues[..., -1:].clamp(min=0).sqrt()
    else:
        _, vectors = torch.linalg.eigh(places.transpose(1, 2) @ places)
        component = (places @ vectors[..., -1:]).squeeze(-1)
    signed = larger_extreme_positive(component)
    return signed.to(values.dtype).reshape(values.shape[0], *values.shape[2:])


def larger_extreme_positive(components: Float[Tensor, "b n"]) -> Float[Tensor, "b n"]:
    """Components, which have no sign of their own, with the one that makes the extreme of larger magnitude positive."""
    flip = components.amin(dim=1).abs() > components.amax(dim=1).abs()
    return torch.where(flip.unsqueeze(1), -components, components)
