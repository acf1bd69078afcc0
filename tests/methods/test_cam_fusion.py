"""Fusing layers: which layers, one pass for all of them, and what is refused."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from seewhy.capture.probe import Probe
from seewhy.methods.ask import Asked
from seewhy.methods.fusion import fuse, stages
from seewhy.methods.together import ask_together
from seewhy.models.adapter import Adapter
from seewhy.registry import METHODS
from seewhy.targets import Logit
from seewhy.values import ConfigError
from toys import ConvNet, Vit

X = {"image": torch.randn(2, 2, 16, 16, generator=torch.Generator().manual_seed(0))}


def probe_of(model: nn.Module) -> Probe:
    return Probe(Adapter(model, X), [Logit(), Logit(1)])


def pyramid() -> nn.Module:
    torch.manual_seed(0)
    layers = (nn.Conv2d(2, 4, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(4, 5, 3, padding=1), nn.ReLU())
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(5, 3))


def test_the_default_layers_are_the_last_of_each_resolution() -> None:
    assert stages(Adapter(pyramid(), X)) == {"image": ("1", "4")}
    assert stages(Adapter(Vit(), X)) == {"image": (Adapter(Vit(), X).target_layer.layer,)}


def test_layercam_of_two_layers_is_fused_as_in_the_paper() -> None:
    probe = probe_of(pyramid())
    found = Asked("layer_fusion")(probe, X).maps["image"]
    fine, coarse = (Asked("layercam", layer=layer)(probe, X).maps["image"] for layer in ("1", "4"))
    true = torch.zeros_like(found)
    for k in range(2):
        for b in range(2):
            scaled = [torch.tanh(2 * one[k, b] / one[k, b].abs().max()) for one in (fine, coarse)]
            large = F.interpolate(scaled[1][None, None], size=(16, 16), mode="bilinear")[0, 0]
            true[k, b] = torch.maximum(scaled[0], large)
    torch.testing.assert_close(found, true, rtol=0, atol=1e-6)


def test_all_layers_come_from_one_forward_and_the_facts_name_them() -> None:
    model, calls = pyramid(), []
    probe = probe_of(model)
    handle = model[7].register_forward_hook(lambda *_: calls.append(1))
    facts = Asked("layer_fusion", settings={"of": "gradcam", "layers": ["1", "3", "4"]})(probe, X).facts
    handle.remove()
    assert len(calls) == 1
    assert facts["settings"]["layers"] == ["1", "3", "4"]
    assert [part["method"] for part in facts["of"]] == ["gradcam"] * 3


def test_one_layer_fused_by_the_mean_without_scale_is_itself() -> None:
    probe = probe_of(ConvNet())
    fused = fuse([Asked("gradcam")], how="mean", scale="none")(probe, X)
    assert torch.equal(fused.maps["image"], Asked("gradcam")(probe, X).maps["image"])


def test_settings_of_the_method_that_is_fused_are_kept() -> None:
    probe = probe_of(ConvNet())
    of = Asked("gradcam++", settings={"variant": "authors_code"})
    settings = {"of": of, "layers": ["body"], "how": "mean", "scale": "none"}
    fused = Asked("layer_fusion", settings=settings)(probe, X)
    alone = Asked("gradcam++", layer="body", settings={"variant": "authors_code"})(probe, X)
    assert torch.equal(fused.maps["image"], alone.maps["image"])


@pytest.mark.parametrize(
    ("settings", "code"),
    [
        ({"of": "saliency"}, "SW-F66"),
        ({"layers": []}, "SW-F66"),
        ({"how": "sum"}, "SW-F65"),
        ({"scale": "minmax"}, "SW-F65"),
        ({"gamma": 0.0}, "SW-F68"),
    ],
)
def test_what_cannot_be_fused_is_refused(settings: dict[str, object], code: str) -> None:
    with pytest.raises(ConfigError, match=code):
        Asked("layer_fusion", settings=settings)(probe_of(ConvNet()), X)


def test_methods_asked_together_say_what_they_say_alone() -> None:
    """Reading methods of three kinds and one that asks, in the order given."""
    probe = probe_of(Vit())
    names = ("gradcam", "fullgrad", "rollout", "saliency", "eigencam", "layercam")
    together = ask_together([Asked(name) for name in names], probe, X)
    for name, found in zip(names, together, strict=True):
        alone = Asked(name)(probe, X)
        assert found.facts["method"] == name
        torch.testing.assert_close(found.maps["image"], alone.maps["image"], rtol=1e-5, atol=1e-7)
        torch.testing.assert_close(found.scores, alone.scores)


def test_eight_cams_asked_together_cost_one_forward() -> None:
    model, calls = ConvNet(), []
    probe = probe_of(model)
    handle = model.head.register_forward_hook(lambda *_: calls.append(1))
    cams = [name for name, entry in METHODS.items() if "activations" in entry.reads]
    assert len(cams) >= 8
    ask_together([Asked(name) for name in cams], probe, X)
    handle.remove()
    assert len(calls) == 1
