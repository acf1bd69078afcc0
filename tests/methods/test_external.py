"""Methods of captum and zennit by name: the same numbers as theirs, and nothing of them left on the user's model."""

from __future__ import annotations

import sys
import warnings
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from borrowed import unchanged
from seewhy.capture.probe import Probe
from seewhy.core import Explanation
from seewhy.methods.ask import Asked
from seewhy.methods.external import available, resolve
from seewhy.models.adapter import Adapter
from seewhy.registry import METHODS
from seewhy.targets import Logit, Probability
from seewhy.values import ConfigError, MissingExtraError, ModelError
from toys import ConvNet, Vit

X = {"image": torch.randn(2, 2, 8, 8, generator=torch.Generator().manual_seed(0))}


@pytest.fixture
def attr() -> Any:
    return pytest.importorskip("captum.attr", reason="captum is not installed")


def asked(model: nn.Module, name: str, *targets: Any, **settings: Any) -> Explanation:
    probe = Probe(Adapter(model, X), targets or (Logit(), Logit(1)))
    return Asked("external", settings={"name": name, **settings})(probe, X)


@pytest.mark.usefixtures("attr")
def test_captums_saliency_is_the_magnitude_of_our_gradient() -> None:
    model = ConvNet()
    found = asked(model, "captum.Saliency")
    ours = Asked("gradient")(Probe(Adapter(model, X), [Logit(), Logit(1)]), X)
    torch.testing.assert_close(found.per_channel["image"], ours.per_channel["image"].abs(), rtol=1e-5, atol=1e-7)
    torch.testing.assert_close(found.scores, ours.scores)


OPTIONS: dict[str, dict[str, Any]] = {
    "InputXGradient": {},
    "IntegratedGradients": {"n_steps": 7},
    "Occlusion": {"sliding_window_shapes": (2, 4, 4), "strides": (2, 4, 4)},
    "FeatureAblation": {"perturbations_per_eval": 5},
    "DeepLift": {},
}


@pytest.mark.parametrize("name", OPTIONS)
def test_the_same_as_captum_asked_directly(attr: Any, name: str) -> None:
    torch.manual_seed(0)
    model = ConvNet().eval()
    for module in model.modules():
        if isinstance(module, nn.ReLU):
            module.inplace = False
    found = asked(model, f"captum:{name}", Logit((2, 0)), options=OPTIONS[name])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        direct = getattr(attr, name)(model).attribute(X["image"].clone(), target=torch.tensor([2, 0]), **OPTIONS[name])
    torch.testing.assert_close(found.per_channel["image"][0], direct.detach(), rtol=1e-4, atol=1e-6)


def test_the_same_as_zennit_asked_directly() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        composites = pytest.importorskip("zennit.composites", reason="zennit is not installed")
        from zennit.attribution import Gradient
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(2, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(4 * 36, 3)).eval()
    found = asked(model, "zennit.EpsilonPlusFlat", Logit(1))
    with Gradient(model, composites.EpsilonPlusFlat()) as attributor:
        output, relevance = attributor(X["image"], lambda scores: scores.detach() * torch.eye(3)[[1, 1]].to(scores))
    torch.testing.assert_close(found.per_channel["image"][0], relevance.detach(), rtol=1e-4, atol=1e-6)
    torch.testing.assert_close(found.scores[0], output[:, 1].detach())


class Plain(nn.Module):
    """Layers that every package has a rule for."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.act, self.head = nn.Conv2d(2, 4, 3), nn.ReLU(inplace=True), nn.Linear(4, 3)

    def forward(self, image: Tensor) -> Tensor:
        return self.head(self.act(self.conv(image)).mean(dim=(2, 3)))


@pytest.mark.parametrize("name", ["captum.GuidedBackprop", "captum.DeepLift", "captum.LRP", "zennit.EpsilonPlus"])
def test_packages_that_change_models_change_a_copy(name: str) -> None:
    pytest.importorskip(name.partition(".")[0], reason="the package is not installed")
    torch.manual_seed(0)
    model = Plain().train()
    with unchanged(model, X["image"]):
        asked(model, name)


@pytest.mark.usefixtures("attr")
def test_any_question_can_be_asked() -> None:
    model = ConvNet()
    found = asked(model, "captum.Saliency", Probability(2), options={"abs": False})
    ours = Asked("gradient")(Probe(Adapter(model, X), [Probability(2)]), X)
    torch.testing.assert_close(found.per_channel["image"], ours.per_channel["image"], rtol=1e-5, atol=1e-7)


@pytest.mark.usefixtures("attr")
def test_what_a_package_draws_is_fixed_by_the_seed_and_the_same_for_every_record() -> None:
    same = {"image": X["image"][:1].expand(2, -1, -1, -1)}
    probe = Probe(Adapter(ConvNet(), same), [Logit(1)])

    def noisy(seed: int) -> Tensor:
        settings = {"name": "captum.GradientShap", "options": {"baselines": torch.zeros(1, 2, 8, 8)}, "seed": seed}
        return Asked("external", settings=settings)(probe, same).maps["image"]

    first = noisy(0)
    assert torch.equal(first, noisy(0))
    assert torch.equal(first[:, 0], first[:, 1])
    assert not torch.equal(first, noisy(1))


@pytest.mark.usefixtures("attr")
@pytest.mark.parametrize(
    ("name", "options", "near"),
    [
        ("", {}, ""),
        ("Saliency", {}, ""),
        ("captun.Saliency", {}, "captum"),
        ("captum.Salience", {}, "captum.Saliency"),
        ("captum.LayerGradCam", {}, ""),
        ("captum.NoiseTunnel", {}, ""),
        ("captum.IntegratedGradients", {"steps": 3}, "n_steps"),
    ],
)
def test_an_unknown_name_or_option_is_refused_with_the_nearest(name: str, options: Any, near: str) -> None:
    with pytest.raises(ConfigError, match="SW-F67") as caught:
        resolve(name, options)
    assert near in (*caught.value.near, "")


def test_only_attributions_of_whole_inputs_are_listed(attr: Any) -> None:
    listed = available("captum")
    assert {"Saliency", "DeepLiftShap", "Deconvolution", "KernelShap", "Occlusion"} <= set(listed)
    assert not any(name.startswith(("Layer", "Neuron")) for name in listed)
    assert all(getattr(attr, name) is kind for name, kind in listed.items())


@pytest.mark.parametrize(("package", "extra"), [("captum", "captum"), ("zennit", "parity")])
def test_a_missing_package_is_named_with_how_to_install_it(
    package: str, extra: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in [name for name in sys.modules if name.partition(".")[0] == package] + [package]:
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(MissingExtraError, match=rf"pip install 'seewhy\[{extra}\]'"):
        resolve(f"{package}.Saliency", {})


@pytest.mark.usefixtures("attr")
def test_a_package_that_fails_says_on_what() -> None:
    inputs = {"image": torch.randn(2, 2, 16, 16)}
    probe = Probe(Adapter(Vit(), inputs), [Logit()])
    with pytest.raises(ModelError, match="SW-M17"):
        Asked("external", settings={"name": "captum.LRP"})(probe, inputs)


@pytest.mark.usefixtures("attr")
def test_a_model_that_cannot_be_copied_is_refused() -> None:
    class Unique(ConvNet):
        def __deepcopy__(self, memo: dict[int, object]) -> ConvNet:
            raise TypeError("there is only one of me")

    with pytest.raises(ModelError, match="SW-M15"):
        asked(Unique(), "captum.Saliency")


@pytest.mark.parametrize("name", ["captum.InputXGradient", "captum:InputXGradient"])
def test_a_librarys_name_is_a_methods_name(name: str) -> None:
    torch.manual_seed(0)
    model, inputs = ConvNet().eval(), {"image": torch.randn(2, 2, 8, 8)}
    probe = Probe(Adapter(model, inputs), [Logit(1)])
    found = Asked(name)(probe, inputs)
    torch.testing.assert_close(found.maps["image"], Asked("input_x_gradient")(probe, inputs).maps["image"])
    assert found.facts["method"] == name
    assert name in METHODS
    assert name not in list(METHODS)


def test_an_unknown_name_of_a_library_lists_the_nearest() -> None:
    model, inputs = ConvNet().eval(), {"image": torch.randn(1, 2, 8, 8)}
    with pytest.raises(ConfigError) as caught:
        Asked("captum.Salency")(Probe(Adapter(model, inputs), [Logit(1)]), inputs)
    assert caught.value.code == "SW-F67"
    assert "Saliency" in str(caught.value)
