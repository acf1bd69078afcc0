"""Closed forms for the gradient family: each oracle takes an explainer and returns how far it is from the truth."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor, nn

from seewhy.capture.probe import Probe
from seewhy.core import Explanation
from seewhy.models.adapter import Adapter
from seewhy.pixels import Normalisation
from seewhy.targets import Logit

Explain = Callable[[Probe, dict[str, Tensor]], Explanation]
PIXELS = Normalisation((0.4, 0.5), (0.2, 0.3))
SIZE = (2, 5, 4)


def random(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def distance(found: Tensor, true: Tensor | np.ndarray) -> float:
    return float(np.abs(found.numpy() - np.asarray(true)).max())


class Polynomial(nn.Module):
    """``F_k(x) = Σ_i w_ki x_i^power``: its gradient is ``power · w · x^(power-1)``, value by value."""

    def __init__(self, power: int) -> None:
        super().__init__()
        self.power = power
        self.weight = nn.Parameter(random(3, int(np.prod(SIZE)), seed=7))

    def forward(self, image: Tensor) -> Tensor:
        return image.flatten(1).pow(self.power) @ self.weight.T

    def weights(self, k: int) -> Tensor:
        return self.weight[k].detach().reshape(SIZE)


class Cosines(nn.Module):
    """``F_k(x) = Σ_i w_ki cos(f_i x_i)``: smooth, its gradient is ``-w f sin(f x)``."""

    def __init__(self, frequency: float = 1.0) -> None:
        super().__init__()
        self.frequency = frequency
        self.weight = nn.Parameter(random(3, int(np.prod(SIZE)), seed=8))

    def forward(self, image: Tensor) -> Tensor:
        return (self.frequency * image.flatten(1)).cos() @ self.weight.T


def asked(
    explain: Explain, model: nn.Module, x: Tensor, targets: int = 3, normalisation: Normalisation | None = PIXELS
) -> Explanation:
    adapter = Adapter(model.double(), {"image": x}, normalisation=normalisation)
    return explain(Probe(adapter, [Logit(k) for k in range(targets)]), {"image": x})


def stacked(model: Polynomial, of: Callable[[Tensor], Tensor]) -> Tensor:
    return torch.stack([of(model.weights(k)) for k in range(3)])


def black() -> Tensor:
    """Pixels of 0 in model space: ``-mean / std``."""
    return torch.tensor([-0.4 / 0.2, -0.5 / 0.3], dtype=torch.float64).reshape(2, 1, 1)


# Integrated Gradients (explain: black baseline) ----------------------------------------------------------------------


def integrated_linear(explain: Explain) -> float:
    """On a linear model each value's share is ``w (x - x')``."""
    model, x = Polynomial(1), random(2, *SIZE)
    return distance(asked(explain, model, x).per_channel["image"], stacked(model, lambda w: w * (x - black())))


def integrated_quadratic(explain: Explain) -> float:
    """``(x - x') ∫ 2 w (x' + α (x - x')) dα = w (x² - x'²)``."""
    model, x = Polynomial(2), random(2, *SIZE)
    true = stacked(model, lambda w: w * (x.square() - black().square()))
    return distance(asked(explain, model, x).per_channel["image"], true)


def integrated_completeness(explain: Explain) -> float:
    """On a smooth model the map sums to ``F(x) - F(x')``."""
    model, x = Cosines().double(), random(2, *SIZE)
    found = asked(explain, model, x)
    with torch.no_grad():
        gap = (model(x) - model(black().expand(2, *SIZE))).T
    return distance(found.maps["image"].flatten(2).sum(dim=2), gap)


# SmoothGrad and VarGrad (explain: noise_level=0.5, 2000 samples, seed 0) ---------------------------------------------

SAMPLES, LEVEL = 2000, 0.5


def smooth_quadratic(explain: Explain) -> float:
    """``E[2 w (x + ε)] = 2 w x``, in units of five standard errors ``2 |w| σ / √n``; at most 1 is right."""
    model, x = Polynomial(2), random(2, *SIZE)
    deviation = LEVEL * (x.flatten(1).amax(1) - x.flatten(1).amin(1)).reshape(2, 1, 1, 1)
    found = asked(explain, model, x).per_channel["image"]
    error = stacked(model, lambda w: 2 * w.abs() * deviation / SAMPLES**0.5)
    return float(((found - stacked(model, lambda w: 2 * w * x)).abs() / error).max()) / 5


def variance_quadratic(explain: Explain) -> float:
    """``Var[2 w (x + ε)] = 4 w² σ²``, relative, in units of five standard errors ``√(2/n)``; at most 1 is right."""
    model, x = Polynomial(2), random(2, *SIZE)
    deviation = LEVEL * (x.flatten(1).amax(1) - x.flatten(1).amin(1)).reshape(2, 1, 1, 1)
    found = asked(explain, model, x).per_channel["image"]
    true = stacked(model, lambda w: 4 * w.square() * deviation.square())
    return float((found / true - 1).abs().max()) / (5 * (2 / SAMPLES) ** 0.5)


# GradientSHAP (explain: the distribution ``rows``, many samples) -----------------------------------------------------


def rows() -> Tensor:
    return random(3, *SIZE, seed=5)


def expected_linear(explain: Explain) -> float:
    """On a linear model each sample's share is ``w (x - x')``: with one baseline row that is the answer, exactly."""
    model, x = Polynomial(1), random(2, *SIZE)
    return distance(asked(explain, model, x).per_channel["image"], stacked(model, lambda w: w * (x - rows()[0])))


INTEGRATED = (integrated_linear, integrated_quadratic, integrated_completeness)
