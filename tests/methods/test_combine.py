"""Combinators: identities of means, of augmentation, and of the difference to noise; the random control."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
import torch
from torch import Tensor, nn

from seewhy.capture.probe import Probe
from seewhy.core import Explanation
from seewhy.methods.ask import Asked
from seewhy.methods.combine import mean, minus_random
from seewhy.methods.random_map import random_map
from seewhy.methods.tta import tta, views_of
from seewhy.models.adapter import Adapter
from seewhy.pixels import Normalisation
from seewhy.targets import Logit
from seewhy.values import ConfigError
from toys import ConvNet

Inputs = dict[str, Tensor]
X = {"image": torch.randn(3, 2, 16, 16, generator=torch.Generator().manual_seed(0))}


def probe_of(model: nn.Module, **settings: object) -> Probe:
    return Probe(Adapter(model, X, **settings), [Logit(), Logit(1)])  # type: ignore[arg-type]


def close(found: Tensor, true: Tensor) -> None:
    torch.testing.assert_close(found, true, rtol=0, atol=1e-6 * float(true.abs().max()))


def test_the_mean_of_a_method_with_itself_is_the_method_at_its_peak() -> None:
    probe = probe_of(ConvNet())
    alone = Asked("gradcam")(probe, X).maps["image"]
    peak = alone.flatten(2).abs().amax(dim=2)[..., None, None]
    close(mean([Asked("gradcam")] * 2)(probe, X).maps["image"], alone / peak)
    close(mean([Asked("gradcam")] * 2, scale="none")(probe, X).maps["image"], alone)


def test_the_size_of_a_method_does_not_matter_in_a_mean() -> None:
    probe = probe_of(ConvNet())

    def loud(probe: Probe, inputs: Inputs) -> Explanation:
        found = Asked("gradcam")(probe, inputs)
        return Explanation({"image": 1e6 * found.maps["image"]}, found.scores)

    quiet = mean([Asked("gradcam"), Asked("layercam")])(probe, X).maps["image"]
    close(mean([loud, Asked("layercam")])(probe, X).maps["image"], quiet)


def test_named_combinations_equal_the_combinators() -> None:
    probe = probe_of(ConvNet())
    two = ["gradcam", "saliency"]
    pairs = (
        (Asked("mean_of_methods", settings={"of": two}), mean([Asked(name) for name in two])),
        (Asked("tta", settings={"of": "layercam"}), tta(Asked("layercam"))),
        (Asked("minus_random", settings={"of": "eigencam", "seed": 4}), minus_random(Asked("eigencam"), seed=4)),
    )
    for named, made in pairs:
        assert torch.equal(named(probe, X).maps["image"], made(probe, X).maps["image"])


def test_one_view_that_changes_nothing_is_the_method_itself() -> None:
    probe = probe_of(ConvNet())
    alone = Asked("gradcam")(probe, X)
    found = tta(Asked("gradcam"), flips=(), brightness=(1.0,))(probe, X)
    assert torch.equal(found.maps["image"], alone.maps["image"])
    assert torch.equal(found.scores, alone.scores)


def symmetric() -> nn.Module:
    """A network that sees no difference between left and right: its kernels are symmetric, its stride one."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(2, 4, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 3))
    with torch.no_grad():
        model[0].weight.add_(model[0].weight.flip(-1))
    return model


def test_flipping_changes_nothing_for_a_network_that_knows_no_side() -> None:
    probe = probe_of(symmetric())
    close(tta(Asked("gradcam"), brightness=(1.0,))(probe, X).maps["image"], Asked("gradcam")(probe, X).maps["image"])


@pytest.mark.parametrize("chunk_size", [1, 3, 7, 100])
def test_views_in_parts_are_the_views_at_once(chunk_size: int) -> None:
    probe = probe_of(ConvNet())
    whole = tta(Asked("input_x_gradient"))(probe, X)
    parts = tta(Asked("input_x_gradient"), chunk_size=chunk_size)(probe, X)
    close(parts.maps["image"], whole.maps["image"])
    close(parts.per_channel["image"], whole.per_channel["image"])


def test_all_views_are_asked_about_the_class_of_the_clean_input() -> None:
    """In darker pictures this model sees another class; the views must not."""

    class Brightest(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv = nn.Conv2d(2, 2, 1)

        def forward(self, image: Tensor) -> Tensor:
            level = self.conv(image).abs().mean(dim=(1, 2, 3))
            return torch.stack([level**2, level], dim=1)

    inputs = {"image": X["image"] / Brightest().conv(X["image"]).abs().mean() * 3}
    model = Brightest()
    with torch.no_grad():
        level = model(inputs["image"])[:, 1]
        model.conv.weight.mul_(1.05 / level.min())
        model.conv.bias.mul_(1.05 / level.min())
        scores = model(inputs["image"])
        assert bool((scores[:, 0] > scores[:, 1]).all())
        assert bool((model(0.5 * inputs["image"]).argmax(dim=1) == 1).any())
    adapter = Adapter(model, inputs)
    views = {"flips": (), "brightness": (0.5,)}
    free = tta(Asked("gradient"), **views)(Probe(adapter, [Logit()]), inputs)  # type: ignore[arg-type]
    fixed = tta(Asked("gradient"), **views)(Probe(adapter, [Logit(0)]), inputs)  # type: ignore[arg-type]
    assert torch.equal(free.maps["image"], fixed.maps["image"])


def test_brightness_is_that_of_pixels() -> None:
    """Twice as bright: p → 2p in [0, 1] units, whatever mean and std the values were made with."""
    normalisation = Normalisation((0.4, 0.5), (0.2, 0.25))
    pixels = torch.rand(3, 2, 4, 4)
    seen: list[Tensor] = []

    def spy(probe: Probe, inputs: Inputs) -> Explanation:
        seen.append(inputs["image"])
        return Asked("gradient")(probe, inputs)

    inputs = {"image": torch.stack([normalisation.apply(one) for one in pixels])}
    model = nn.Sequential(nn.Conv2d(2, 3, 1), nn.Flatten(), nn.Linear(48, 3))
    adapter = Adapter(model, inputs, normalisation=normalisation)
    tta(spy, flips=(), brightness=(2.0,))(Probe(adapter, [Logit()]), inputs)
    close(seen[0], torch.stack([normalisation.apply(2 * one) for one in pixels]))


def test_the_difference_to_noise_is_the_map_less_noise_of_its_size() -> None:
    probe = probe_of(ConvNet())
    alone = Asked("gradcam")(probe, X).maps["image"]
    found = Asked("minus_random", settings={"seed": 3})(probe, X).maps["image"]
    noise = random_map((8, 8), 3, signed=True)
    for k in range(2):
        for b in range(3):
            close(found[k, b], alone[k, b] - alone[k, b].abs().max() * noise / noise.abs().max())


def test_the_difference_of_nothing_to_noise_is_nothing() -> None:
    nothing = Explanation({"image": torch.zeros(1, 2, 3, 3)}, torch.zeros(1, 2))
    found = minus_random(lambda probe, inputs: nothing)(None, {})  # type: ignore[arg-type]
    assert not found.maps["image"].any()


def test_the_random_control_is_uniform_and_fixed_by_its_seed() -> None:
    noise = random_map((200, 200), 0)
    assert 0 <= float(noise.min()) < 0.01
    assert 0.99 < float(noise.max()) < 1
    assert abs(float(noise.mean()) - 0.5) < 4 * (1 / 12) ** 0.5 / 200
    signed = random_map((200, 200), 0, signed=True)
    assert torch.equal(signed, 2 * noise - 1)
    assert not torch.equal(noise, random_map((200, 200), 1))


@pytest.mark.parametrize(("at", "size"), [(None, (8, 8)), ("input", (16, 16)), ("stem", (8, 8))])
def test_the_random_control_has_the_size_asked_for(at: str | None, size: tuple[int, ...]) -> None:
    maps = Asked("random", settings={"at": at, "seed": 2})(probe_of(ConvNet()), X).maps["image"]
    assert torch.equal(maps, random_map(size, 2).expand(2, 3, *size))


@pytest.mark.parametrize(
    ("name", "settings", "code"),
    [
        ("mean_of_methods", {"of": []}, "SW-F66"),
        ("mean_of_methods", {"scale": "sum"}, "SW-F65"),
        ("mean_of_methods", {"of": ["gradcamm"]}, "SW-F10"),
        ("tta", {"of": 3}, "SW-F66"),
        ("tta", {"flips": (1,)}, "SW-F68"),
        ("tta", {"flips": (-3,)}, "SW-F68"),
        ("tta", {"flips": (-1, -1)}, "SW-F68"),
        ("tta", {"brightness": ()}, "SW-F68"),
        ("tta", {"brightness": (0.0,)}, "SW-F68"),
        ("tta", {"chunk_size": 0}, "SW-F68"),
    ],
)
def test_settings_that_make_no_sense_are_refused(name: str, settings: dict[str, object], code: str) -> None:
    model, calls = ConvNet(), []
    probe = probe_of(model)
    handle = model.head.register_forward_hook(lambda *_: calls.append(1))
    with pytest.raises(ConfigError, match=code):
        Asked(name, settings=settings)(probe, X)
    handle.remove()
    assert not calls


def test_two_axes_make_four_views_for_each_brightness() -> None:
    flips: Sequence[tuple[int, ...]] = [view.flips for view in views_of((-1, -2), (0.5, 1.0))]
    assert flips == [(), (), (-1,), (-1,), (-2,), (-2,), (-1, -2), (-1, -2)]
