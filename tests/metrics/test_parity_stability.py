"""Infidelity, sensitivity and stability beside captum and quantus: equal where they are right, told where not."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from seewhy.metrics.asking import Asking
from seewhy.metrics.grade import Grade
from seewhy.metrics.infidelity import infidelity
from seewhy.metrics.nearby import Nearby
from seewhy.metrics.relative_stability import (
    relative_input_stability,
    relative_output_stability,
)
from seewhy.metrics.sensitivity import average_sensitivity, local_lipschitz, max_sensitivity
from seewhy.targets import Logit

CLOSE = 1e-5
UNIT = torch.ones(1, 2)
RADIUS, SAMPLES = 0.05, 8
Array = NDArray[np.float64]


@pytest.fixture(scope="module")
def _quantus() -> None:
    """Imported before the surroundings of a test are looked at: OpenCV, which comes along, sets variables."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        pytest.importorskip("quantus", reason="quantus is not installed")


def net() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(2, 5, 3), nn.Tanh(), nn.Flatten(), nn.Linear(5 * 6 * 8, 3)).double().eval()


def picture() -> Tensor:
    return torch.rand(1, 2, 8, 10, dtype=torch.float64, generator=torch.Generator().manual_seed(1)) + 0.1


def gradient(model: nn.Module, images: Tensor, target: int = 1) -> Tensor:
    leaf = images.clone().requires_grad_(True)
    with torch.enable_grad():
        return torch.autograd.grad(model(leaf)[:, target].sum(), leaf)[0].detach()


def copies() -> Tensor:
    """Those that the metrics of stability ask about."""
    return Nearby(picture(), UNIT, ("a",), RADIUS, 0).copies(0, range(SAMPLES))


def score(model: nn.Module) -> Asking:
    with torch.no_grad():
        return Asking.of(lambda images: model(images).detach()[:, 1], picture())


def ours(metric: Callable[..., Grade], explain: Callable[[Tensor], Tensor], *more: Any) -> float:
    found = metric(picture(), Asking.of(explain, picture()), *more, UNIT, ("a",), radius=RADIUS, samples=SAMPLES)
    return float(found.values)


@pytest.mark.parametrize("perturbation", ["noise", "square"])
def test_infidelity_is_captums_for_the_same_perturbations(perturbation: str) -> None:
    from captum.metrics import infidelity as peer

    model, image, base = net(), picture(), torch.zeros(1, 2, 8, 10, dtype=torch.float64)
    slopes, asked = gradient(model, image), []

    def watched(images: Tensor) -> Tensor:
        asked.append(images)
        return model(images).detach()[:, 1]

    found = infidelity(
        image,
        Asking(lambda images, rows: watched(images), watched(image)),
        lambda base: (slopes * (image - base)).sum(dim=1),
        lambda fill: base,
        slopes,
        False,
        UNIT,
        ("a",),
        perturbation=perturbation,
        samples=SAMPLES,
    )
    changed = torch.cat(asked[1:])

    def perturb(inputs: Tensor, baselines: object = None) -> tuple[Tensor, Tensor]:
        return inputs - changed, changed

    given = {"n_perturb_samples": SAMPLES, "target": 1}
    plain, scaled = (peer(model, perturb, image, slopes, normalize=one, **given) for one in (False, True))
    assert found.values.item() == pytest.approx(plain.item(), abs=CLOSE * plain.item())
    assert found.details["scaled"].item() == pytest.approx(scaled.item(), abs=CLOSE * scaled.item())


def captums(explain: Callable[[Tensor], Tensor]) -> float:
    """Its maximum over the copies that our metrics ask about."""
    from captum.metrics import sensitivity_max

    def told(inputs: tuple[Tensor, ...] | Tensor) -> tuple[Tensor]:
        return (explain(inputs[0] if isinstance(inputs, tuple) else inputs),)

    found = sensitivity_max(told, picture(), perturb_func=lambda inputs: copies(), n_perturb_samples=SAMPLES)
    return float(found)


def test_max_sensitivity_is_captums_for_the_same_copies() -> None:
    model = net()

    def explain(inputs: Tensor) -> Tensor:
        return gradient(model, inputs)

    assert ours(max_sensitivity, explain) == pytest.approx(captums(explain), rel=CLOSE)


def test_captum_divides_by_1_where_the_map_is_zero() -> None:
    def explain(inputs: Tensor) -> Tensor:
        """Zero on the picture, one on every other."""
        return torch.ones_like(inputs) * (inputs != picture()).any().double()

    assert captums(explain) == pytest.approx((2 * 8 * 10) ** 0.5)
    assert np.isnan(ours(max_sensitivity, explain))


# -- quantus, which takes 10 seconds and more to import


def at_copies() -> Callable[..., Array]:
    """A perturbation of quantus that gives the copies our metrics ask about, one after the other."""
    left = list(copies())
    return lambda arr, **kwargs: left.pop(0).numpy().reshape(arr.shape)


def peers(name: str, explain: Callable[[Tensor], Tensor], **settings: Any) -> float:
    import quantus

    settings = {"perturb_func": at_copies(), "nr_samples": SAMPLES, **settings}
    metric = getattr(quantus, name)(
        abs=False, normalise=False, disable_warnings=True, return_aggregate=False, **settings
    )

    def asked(model: nn.Module, inputs: Array, targets: Array, **kwargs: Any) -> Array:
        return explain(torch.as_tensor(np.asarray(inputs), dtype=torch.float64)).numpy()

    image = picture().numpy()
    attributed = asked(net(), image, np.array([1]))
    (found,) = metric(
        model=net().float(),
        x_batch=image,
        y_batch=np.array([1]),
        a_batch=attributed,
        explain_func=asked,
        softmax=False,
    )
    return float(found)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
@pytest.mark.usefixtures("_quantus")
@pytest.mark.parametrize(
    ("name", "metric"),
    [
        ("MaxSensitivity", max_sensitivity),
        ("AvgSensitivity", average_sensitivity),
        ("LocalLipschitzEstimate", local_lipschitz),
    ],
)
def test_sensitivity_is_that_of_quantus_for_the_same_copies(name: str, metric: Callable[..., Grade]) -> None:
    model = net()
    explain = lambda images: gradient(model, images)  # noqa: E731
    assert ours(metric, explain) == pytest.approx(peers(name, explain), rel=CLOSE)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
@pytest.mark.usefixtures("_quantus")
@pytest.mark.parametrize(
    ("name", "metric"),
    [
        ("RelativeInputStability", relative_input_stability),
        ("RelativeOutputStability", relative_output_stability),
    ],
)
def test_relative_stability_is_that_of_quantus_where_no_value_is_small(name: str, metric: Callable[..., Grade]) -> None:
    model = net()
    explain = lambda images: images**3  # noqa: E731
    with torch.no_grad():
        outputs = Asking.of(lambda images: model(images).detach(), picture())
        assert len(model(copies()).argmax(dim=1).unique()) == 1
    assert ours(metric, explain, outputs, Logit((1,))) == pytest.approx(peers(name, explain), rel=1e-3)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
@pytest.mark.usefixtures("_quantus")
def test_quantus_divides_by_zero_where_the_map_is_zero() -> None:
    import quantus

    images = np.random.default_rng(0).random((2, 1, 8, 8)) + 0.1
    clean = images * np.array([0.0, 1.0])[:, None, None, None]
    metric = quantus.MaxSensitivity(abs=False, normalise=False, disable_warnings=True, nr_samples=1)
    moved: Callable[..., Array] = lambda model, inputs, targets, **kwargs: np.asarray(inputs)  # noqa: E731
    found = metric(Total().eval(), images, np.array([0, 0]), clean, explain_func=moved, softmax=False)
    assert np.isfinite(found).tolist() == [False, True]


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
@pytest.mark.usefixtures("_quantus")
def test_quantus_has_no_stability_where_one_copy_of_many_changes_the_class() -> None:
    model = net()
    last = copies()[-1]

    class Turned(nn.Module):
        """Another class for the last copy alone."""

        def forward(self, image: Tensor) -> Tensor:
            is_last = (image.double() - last).abs().flatten(1).amax(dim=1) < 1e-6
            return torch.stack([is_last.double(), torch.full_like(is_last, 0.5, dtype=torch.float64)], dim=1) + 0 * (
                model.double()(image.double()).sum(dim=1, keepdim=True)
            )

    import quantus

    metric = quantus.RelativeInputStability(
        abs=False, normalise=False, disable_warnings=True, nr_samples=SAMPLES, perturb_func=at_copies()
    )
    cube: Callable[..., Array] = lambda model, inputs, targets, **kwargs: np.asarray(inputs) ** 3  # noqa: E731
    image = picture().numpy()
    (peer,) = metric(Turned().eval(), image, np.array([1]), a_batch=image**3, explain_func=cube)
    outputs = Asking.of(lambda images: Turned()(images).detach(), picture())
    assert np.isnan(peer)
    found = relative_input_stability(
        picture(), Asking.of(lambda images: images**3, picture()), outputs, Logit((1,)), UNIT, ("a",),
        radius=RADIUS, samples=SAMPLES,
    )  # fmt: skip
    assert found.details["kept"].tolist() == [SAMPLES - 1]
    assert np.isfinite(float(found.values))


class Total(nn.Module):
    """The sum of a picture as a logit."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(1))

    def forward(self, image: Tensor) -> Tensor:
        return (image.double() * self.weight.double()).flatten(1).sum(dim=1, keepdim=True)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
@pytest.mark.usefixtures("_quantus")
def test_the_perturbations_of_quantus_add_up_and_its_patches_must_divide_the_picture() -> None:
    import quantus

    asked: list[int] = []
    image = np.random.default_rng(0).random((1, 1, 8, 8), dtype=np.float32) + 0.1
    clean = torch.tensor(image)

    class Watched(Total):
        def forward(self, image: Tensor) -> Tensor:
            asked.extend((image != clean).sum(dim=(1, 2, 3)).tolist())
            return super().forward(image)

    given = {
        "perturb_baseline": "mean",
        "abs": False,
        "normalise": False,
        "disable_warnings": True,
        "n_perturb_samples": 1,
    }
    quantus.Infidelity(perturb_patch_sizes=[4], **given)(Watched().eval(), image, np.array([0]), image)
    assert asked[-4:] == [16, 32, 48, 64]  # ours takes one square of 16 each time: law 9 counts the places
    with pytest.raises(ValueError, match="reshape"):
        quantus.Infidelity(perturb_patch_sizes=[3], **given)(Total().eval(), image, np.array([0]), image)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
@pytest.mark.usefixtures("_quantus")
def test_quantus_asks_for_completeness_to_the_last_bit() -> None:
    import quantus

    image = np.random.default_rng(0).random((1, 1, 8, 8))
    nearly = image * (1 + 1e-7)
    metric = quantus.Completeness(abs=False, normalise=False, disable_warnings=True)
    (peer,) = metric(Total().eval(), image, np.array([0]), nearly, softmax=False)
    assert not peer
