"""Closed forms and NumPy twins of FullGrad, KPCA-CAM, layer fusion, test-time augmentation and DeepLIFT.

Each takes the implementation under test and returns how far it is from the truth, so that law 9 can break it.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray
from oracles import distance, random
from torch import Tensor, nn

from seewhy.capture.probe import Probe
from seewhy.core import Explanation
from seewhy.models.adapter import Adapter
from seewhy.pixels import Normalisation
from seewhy.targets import Logit
from toys import ConvNet

Inputs = dict[str, Tensor]
Explain = Callable[[Probe, Inputs], Explanation]
Array = NDArray[np.float64]


# FullGrad ------------------------------------------------------------------------------------------------------------


class PlaceByPlace(nn.Module):
    """1×1 convolution → batch norm → activation → mean → linear: every place has a share of its own."""

    def __init__(self, activation: nn.Module) -> None:
        super().__init__()
        self.conv, self.norm = nn.Conv2d(2, 5, 1), nn.BatchNorm2d(5)
        self.activation, self.head = activation, nn.Linear(5, 3)
        self.norm.running_mean.normal_()
        self.norm.running_var.uniform_(0.5, 2)
        nn.init.normal_(self.norm.weight)
        nn.init.normal_(self.norm.bias)

    def forward(self, image: Tensor) -> Tensor:
        return self.head(self.activation(self.norm(self.conv(image))).mean(dim=(2, 3)))


def fullgrad_place_by_place(explain: Explain, activation: nn.Module | None = None) -> float:
    """The map is ``Σ_c w_c a_c / Z`` at each place, whatever the activation; the head's bias has no place."""
    torch.manual_seed(0)
    model = PlaceByPlace(activation or nn.ReLU()).double().eval()
    inputs = {"image": random(2, 2, 6, 4)}
    found = explain(Probe(Adapter(model, inputs), [Logit(0), Logit(2)]), inputs)
    with torch.no_grad():
        active = model.activation(model.norm(model.conv(inputs["image"])))
        weights, bias = model.head.weight[[0, 2]], model.head.bias[[0, 2]]
    true = torch.einsum("kc,bchw->kbhw", weights, active).detach() / (6 * 4)
    return max(
        distance(found.maps["image"], true),
        distance(found.measured["without_place"], bias.detach().unsqueeze(1).expand(2, 2)),
    )


def fullgrad_adds_up(explain: Explain) -> float:
    """On convolutions with stride 2, batch norm and ReLU in place: the map and what has no place sum to the score."""
    torch.manual_seed(0)
    model = ConvNet(2).double().eval()
    inputs = {"image": random(2, 2, 12, 16)}
    found = explain(Probe(Adapter(model, inputs), [Logit(0), Logit(2)]), inputs)
    total = found.maps["image"].flatten(2).sum(dim=2) + found.measured["without_place"]
    return max(distance(total, found.scores), distance(found.measured["completeness_residual"], np.zeros((2, 2))))


FULLGRAD_ORACLES: tuple[Callable[[Explain], float], ...] = (fullgrad_place_by_place, fullgrad_adds_up)


# KPCA-CAM ------------------------------------------------------------------------------------------------------------


def kernel_of(name: str, a: Array, b: Array, gamma: float) -> float:
    """One entry of a Gram matrix, by its definition."""
    if name == "rbf":
        return float(np.exp(-gamma * ((a - b) ** 2).sum()))
    product = float((a * b).sum())
    cosine = product / float(np.sqrt((a * a).sum() * (b * b).sum()))
    forms = {"sigmoid": np.tanh(gamma * product + 1), "poly": (gamma * product + 1) ** 3, "linear": product}
    return float(forms.get(name, cosine))


def kpca_by_definition(activations: Array, kernel: str, gamma: float) -> Array:
    """Schölkopf's projections on the first component, entry by entry; the larger extreme positive."""
    maps = []
    for record in activations:
        places = record.reshape(record.shape[0], -1).T
        places = places - places.mean(axis=0)
        count = len(places)
        gram = np.array([[kernel_of(kernel, a, b, gamma) for b in places] for a in places])
        centring = np.eye(count) - np.ones((count, count)) / count
        values, vectors = np.linalg.eig(centring @ gram @ centring)
        first = int(np.argmax(values.real))
        projection = vectors[:, first].real * np.sqrt(values[first].real) / np.linalg.norm(vectors[:, first].real)
        projection *= -1 if abs(projection.min()) > abs(projection.max()) else 1
        maps.append(projection.reshape(record.shape[1:]))
    return np.array(maps)


def kpca_against_definition(kpca: Callable[..., Tensor], kernel: str) -> float:
    activations = random(2, 4, 3, 5, seed=3)
    found = kpca(activations, kernel=kernel, gamma=0.3)
    return distance(found, kpca_by_definition(activations.numpy(), kernel, 0.3))


# Fusion --------------------------------------------------------------------------------------------------------------


def said(*maps: Tensor) -> list[Explain]:
    """Explanations that say these maps whatever they are asked."""
    return [lambda probe, inputs, one=one: Explanation({"image": one}, one.flatten(2).sum(dim=2)) for one in maps]  # type: ignore[misc]


def fusion_against_definition(fuse: Callable[..., Explain]) -> float:
    """LayerCAM: ``max over layers of tanh(2 L / max|L|)``, each layer enlarged linearly to the finest grid."""
    doubled = np.array([[1, 0], [0.75, 0.25], [0.25, 0.75], [0, 1]])
    coarse, fine = random(2, 3, 2, 2, seed=1), 100 * random(2, 3, 4, 4, seed=2)
    found = fuse(said(coarse, fine))(None, {}).maps["image"]
    true = np.zeros((2, 3, 4, 4))
    for k, b in np.ndindex(2, 3):
        low, high = coarse[k, b].numpy(), fine[k, b].numpy()
        low, high = (np.tanh(2 * one / np.abs(one).max()) for one in (low, high))
        true[k, b] = np.maximum(doubled @ low @ doubled.T, high)
    return distance(found, true)


def mean_against_definition(mean: Callable[..., Explain]) -> float:
    """Each map over its largest magnitude, then averaged; a map of zeros stays one."""
    one, other = random(2, 3, 4, 5, seed=1), 100 * random(2, 3, 4, 5, seed=2)
    other[1, 2] = 0
    found = mean(said(one, other))(None, {}).maps["image"]
    true = np.zeros((2, 3, 4, 5))
    for k, b in np.ndindex(2, 3):
        for maps in (one, other):
            size = maps[k, b].abs().max().item()
            true[k, b] += maps[k, b].numpy() / (size or 1) / 2
    return distance(found, true)


# Test-time augmentation ----------------------------------------------------------------------------------------------


class Pixelwise(nn.Module):
    """A score that is a known function of every pixel; what it says of a pixel can be said of the flipped picture."""

    def __init__(self) -> None:
        super().__init__()
        self.same = nn.Conv2d(2, 2, 1, bias=False)

    def forward(self, image: Tensor) -> Tensor:
        weights = torch.linspace(0.5, 2.0, image.shape[-1], dtype=image.dtype)
        squares = self.same(image) ** 2
        return (squares * weights).sum(dim=(2, 3))


PIXELS = Normalisation((0.4, 0.5), (0.2, 0.3))


def tta_against_definition(tta: Callable[..., Explain], explain: Explain) -> float:
    """The mean of the explanations of pictures flipped and brightened by hand, flipped back by hand."""
    torch.manual_seed(0)
    model, image = Pixelwise().double(), random(2, 2, 3, 6)
    probe = Probe(Adapter(model, {"image": image}, normalisation=PIXELS), [Logit()])
    found = tta(explain, flips=(-1,), brightness=(0.5, 1.0))(probe, {"image": image}).maps["image"]
    clean = model(image).argmax(dim=1)
    frozen = probe.asking([Logit(tuple(clean.tolist()))])
    mean, std = (torch.tensor(values, dtype=torch.float64).reshape(1, 2, 1, 1) for values in (PIXELS.mean, PIXELS.std))
    true = torch.zeros_like(found)
    for flipped in (False, True):
        for factor in (0.5, 1.0):
            seen = ((image * std + mean) * factor - mean) / std
            view = torch.from_numpy(np.flip(seen.numpy(), axis=-1).copy()) if flipped else seen
            answer = explain(frozen, {"image": view}).maps["image"].numpy()
            true += torch.from_numpy((np.flip(answer, axis=-1) if flipped else answer).copy()) / 4
    return distance(found, true)


# DeepLIFT ------------------------------------------------------------------------------------------------------------


class OneHiddenLayer(nn.Module):
    """Values → linear → ReLU → linear, on a picture: the Rescale rule has a closed form."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.act, self.head = nn.Conv2d(2, 4, 1), nn.ReLU(inplace=True), nn.Conv2d(4, 3, 1)

    def forward(self, image: Tensor) -> Tensor:
        return self.head(self.act(self.conv(image))).mean(dim=(2, 3))


def deeplift_against_definition(explain: Callable[..., Explanation]) -> float:
    """``C = Σ_h v_h (Δa_h / Δz_h) w_h Δx / Z`` with the slope of ReLU between baseline and input, by loops."""
    torch.manual_seed(0)
    model = OneHiddenLayer().double()
    image, start = random(2, 2, 3, 4, seed=1), random(2, 3, 4, seed=2)
    found = explain(Probe(Adapter(model, {"image": image}), [Logit(1)]), {"image": image}, baseline=start)
    weight, bias = model.conv.weight.detach().numpy()[:, :, 0, 0], model.conv.bias.detach().numpy()
    out = model.head.weight.detach().numpy()[1, :, 0, 0]
    true = np.zeros((1, *image.shape))
    for b, y, x in np.ndindex(2, 3, 4):
        value, reference = image[b, :, y, x].numpy(), start[:, y, x].numpy()
        z, z0 = weight @ value + bias, weight @ reference + bias
        slope = (np.maximum(z, 0) - np.maximum(z0, 0)) / (z - z0)
        true[0, b, :, y, x] = ((out * slope) @ weight) * (value - reference) / 12
    return distance(found.per_channel["image"], true)
