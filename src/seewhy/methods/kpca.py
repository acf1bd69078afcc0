"""The first non-linear component of a layer's activations."""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from seewhy.methods.cam import Layer, Maps, larger_extreme_positive
from seewhy.registry import method
from seewhy.values import ConfigError, nearest

Places = Float[Tensor, "n c"]
Gram = Float[Tensor, "n n"]
MOST_PLACES = 4096
"""Kernel PCA decomposes a matrix of places × places; beyond this it takes minutes and gigabytes."""

KERNELS: dict[str, Callable[[Places, float], Gram]] = {
    "sigmoid": lambda x, gamma: torch.tanh(gamma * (x @ x.T) + 1),
    "rbf": lambda x, gamma: torch.exp(-gamma * torch.cdist(x, x, compute_mode="donot_use_mm_for_euclid_dist") ** 2),
    "poly": lambda x, gamma: (gamma * (x @ x.T) + 1) ** 3,
    "cosine": lambda x, _: F.normalize(x, dim=1) @ F.normalize(x, dim=1).T,
    "linear": lambda x, _: x @ x.T,
}
"""The usual kernels with their usual constants: coefficient 1, degree 3."""


@method(
    "kpca_cam",
    reads=("activations",),
    signed=True,
    cite="Karmani et al. 2024, arXiv:2410.00267: kernel PCA of centred activations, sign settled by the larger extreme",
    also=("kpcacam", "kpca"),
)
def kpca_cam(activations: Layer, *, kernel: str = "sigmoid", gamma: float | None = None) -> Maps:
    """Activations projected on their first component in the feature space of a kernel; asks about no class.

    ``gamma`` is the kernel's width, one over the number of channels if None. Activations ``(B, C, *S)`` give maps
    ``(B, *S)``. Raises ``ConfigError`` SW-F65 for an unknown kernel, SW-F68 for a ``gamma`` that is not positive,
    SW-F69 for a layer with too many places.

    Example:
        >>> kpca_cam(torch.tensor([[[[-1.0, 0.0, 2.0]]]]), kernel="linear")
        tensor([[[-1.3333, -0.3333,  1.6667]]])
    """
    _check(activations, kernel, gamma)
    width = 1 / activations.shape[1] if gamma is None else gamma
    components = [_first_component(record, kernel, width) for record in activations.flatten(2).transpose(1, 2)]
    return torch.stack(components).to(activations.dtype).reshape(activations.shape[0], *activations.shape[2:])


def _first_component(places: Places, kernel: str, gamma: float) -> Float[Tensor, " n"]:
    """``√λ₁ v₁`` of the Gram matrix, centred in feature space; what is left by rounding counts as nothing."""
    centred = places.double() - places.double().mean(dim=0)
    raw = KERNELS[kernel](centred, gamma)
    gram = raw - raw.mean(dim=0) - raw.mean(dim=1, keepdim=True) + raw.mean()
    eigenvalues, vectors = torch.linalg.eigh(gram)
    noise = len(places) * torch.finfo(raw.dtype).eps * raw.abs().max()
    first = torch.where(eigenvalues[-1] > noise, eigenvalues[-1], 0.0).sqrt()
    return larger_extreme_positive((first * vectors[:, -1]).unsqueeze(0)).squeeze(0)


def _check(activations: Layer, kernel: str, gamma: float | None) -> None:
    if kernel not in KERNELS:
        raise ConfigError(
            "SW-F65",
            f"kernel is one of {', '.join(KERNELS)}, got {kernel!r}",
            near=nearest(str(kernel), KERNELS),
            fix="use one of these",
        )
    if gamma is not None and not gamma > 0:
        raise ConfigError("SW-F68", f"gamma must be positive, got {gamma}", fix="leave it out for 1 / channels")
    places = activations.flatten(2).shape[2]
    if places > MOST_PLACES:
        raise ConfigError(
            "SW-F69",
            f"kernel PCA compares all places with one another: {places} places are more than {MOST_PLACES}",
            fix="choose a deeper layer, or eigencam, which has no such limit",
        )
