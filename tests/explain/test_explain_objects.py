"""One object per method: batches equal single images, threads equal turns, and the model comes back as it was."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import timm
import torch
from friendly_models import PLAIN, Brightness, noise
from torch import nn

import seewhy
from borrowed import unchanged
from seewhy import RISE, AttentionFlow, AttentionRollout, EigenCAM, Explainer, GradCAM, GradCAMPlusPlus, HiResCAM
from seewhy.explain.explainers import NAMES, explainer_class
from seewhy.registry import METHODS
from seewhy.values import ConfigError, DataError, LayerError, SeewhyError, TargetError


@pytest.fixture(scope="module")
def resnet() -> nn.Module:
    torch.manual_seed(0)
    return timm.create_model("test_resnet", num_classes=5).eval()


@pytest.fixture(scope="module")
def vit() -> nn.Module:
    torch.manual_seed(0)
    return timm.create_model("test_vit", num_classes=5, img_size=64).eval()


def test_every_registered_method_has_an_object_of_its_own_under_a_public_name() -> None:
    assert sorted(NAMES.values()) == sorted(METHODS)
    for name, method in NAMES.items():
        kind = getattr(seewhy, name)
        assert issubclass(kind, Explainer)
        assert (kind.method, kind.__name__) == (method, name)
        assert explainer_class(method) is kind
        assert kind.__doc__


def test_an_object_shows_the_settings_of_its_method() -> None:
    import inspect

    shown = inspect.signature(RISE).parameters
    settings = {name: value for name, value in METHODS["rise"].settings.items() if name != "layer"}
    assert {name: shown[name].default for name in settings} == settings


def test_a_batch_of_mixed_sizes_gives_what_each_image_gives_alone(resnet: nn.Module) -> None:
    explainer = HiResCAM(resnet, preprocessing=PLAIN)
    images = [noise(80, 90), torch.randn(3, 48, 72), noise(64, 64, 1), noise(70, 50, 2), torch.randn(3, 48, 72)]
    classes = [1, None, np.int64(3), torch.tensor(0), None]
    together = explainer.explain_batch(images, classes)
    for image, wanted, heat in zip(images, classes, together, strict=True):
        assert np.allclose(heat, explainer.explain(image, wanted), atol=1e-5)


def test_the_batch_size_changes_nothing_but_the_number_of_passes() -> None:
    model = Brightness()
    explainer = GradCAM(model, preprocessing=PLAIN)
    images = [noise(64, 64, seed) for seed in range(4)]
    one_by_one = explainer.explain_batch(images, 0, batch_size=1)
    before = model.calls
    together = explainer.explain_batch(images, 0, batch_size=4)
    assert model.calls - before == 1
    assert np.allclose(one_by_one, together, atol=1e-6)


def test_an_explanation_costs_one_pass_once_the_model_is_known() -> None:
    model = Brightness()
    explainer = GradCAM(model, preprocessing=PLAIN)
    explainer.explain(noise(64, 64))
    before = model.calls
    explainer.explain(noise(80, 70))
    assert model.calls - before == 1


def test_a_model_whose_weights_changed_is_studied_again() -> None:
    model = Brightness()
    explainer = GradCAM(model, preprocessing=PLAIN)
    with torch.no_grad():
        model.head.weight.zero_()
    with pytest.raises(LayerError, match="SW-L04"):
        explainer.explain(noise(64, 64))
    with torch.no_grad():
        model.head.weight.fill_(1.0)
    assert explainer.explain(np.full((64, 64, 3), 255, np.uint8), 0).min() == 1


def test_eight_threads_on_one_object_say_what_one_after_the_other_says(resnet: nn.Module) -> None:
    explainer = GradCAM(resnet, preprocessing=PLAIN)
    images = [noise(60 + seed, 70, seed) for seed in range(24)]
    in_turn = [explainer.explain(image) for image in images]
    fresh = GradCAM(resnet, preprocessing=PLAIN)
    with ThreadPoolExecutor(8) as pool:
        at_once = list(pool.map(fresh.explain, images))
    assert all(np.array_equal(one, other) for one, other in zip(in_turn, at_once, strict=True))


def test_model_and_tensor_come_back_as_they_were_lent(resnet: nn.Module) -> None:
    resnet.train()
    image = torch.randn(3, 64, 64)
    with unchanged(resnet, image):
        explainer = GradCAM(resnet, preprocessing=PLAIN)
        explainer.explain(image)
        explainer.explain_batch([noise(64, 64)] * 3)
        explainer.attribute(image[None])
        with pytest.raises(TargetError):
            explainer.explain(image, 99)
    resnet.eval()


@pytest.mark.parametrize(
    ("wanted", "code"),
    [(5, "T01"), (-1, "T01"), (1.0, "T10"), (True, "T10"), (torch.tensor(1.5), "T10"), ("cat", "T30"), ([0, 1], "T02")],
)
def test_a_class_that_is_none_is_refused(resnet: nn.Module, wanted: object, code: str) -> None:
    with pytest.raises(TargetError) as raised:
        GradCAM(resnet, preprocessing=PLAIN).explain(torch.zeros(3, 64, 64), wanted)
    assert raised.value.code == f"SW-{code}"


def test_a_class_may_be_named_and_a_wrong_name_shows_the_nearest(resnet: nn.Module) -> None:
    names = ["cat", "dog", "horse", "cow", "bird"]
    explainer = GradCAM(resnet, preprocessing=PLAIN, class_names=names)
    image = torch.randn(3, 64, 64)
    assert torch.equal(explainer.attribute(image, "horse").map, explainer.attribute(image, 2).map)
    with pytest.raises(TargetError, match="SW-T04") as raised:
        explainer.explain(image, "hors")
    assert raised.value.near[0] == "horse"
    with pytest.raises(TargetError, match="SW-T32"):
        GradCAM(resnet, preprocessing=PLAIN, class_names=names[:4]).explain(image)


def test_a_layer_by_name_index_or_module_is_the_same_layer(resnet: nn.Module) -> None:
    image = torch.randn(3, 64, 64)
    first = GradCAM(resnet, target_layer="layer2.0", preprocessing=PLAIN)
    others = [GradCAM(resnet, layer, preprocessing=PLAIN) for layer in ("layer2[0]", resnet.layer2[0])]
    assert first.get_target_layer_name() == "layer2.0"
    for other in others:
        assert np.array_equal(first.explain(image), other.explain(image))


def test_the_target_layer_can_be_changed_and_set_back(resnet: nn.Module) -> None:
    explainer = GradCAM(resnet, preprocessing=PLAIN)
    default = explainer.get_target_layer_name()
    explainer.set_target_layer("layer1")
    assert explainer.get_target_layer_name() == "layer1"
    assert explainer.attribute(torch.zeros(1, 3, 64, 64)).facts["layer"] == "layer1"
    explainer.set_target_layer(None)
    assert explainer.get_target_layer_name() == default
    with pytest.raises(LayerError) as raised:
        explainer.set_target_layer("layerr1")
    assert "layer1" in raised.value.near


def test_a_wrong_setting_is_named_before_the_model_is_asked() -> None:
    model = Brightness()
    with pytest.raises(ConfigError, match="SW-F12"):
        GradCAM(model, preprocessing=PLAIN, stepz=3)
    with pytest.raises(ConfigError, match="SW-F13"):
        AttentionRollout(model, target_layer="cells", preprocessing=PLAIN)
    with pytest.raises(ConfigError, match="SW-F75"):
        GradCAM(model, preprocessing=PLAIN).explain_batch([noise(64, 64)], batch_size=0)
    assert model.calls == 0


def test_a_wrong_setting_is_not_proposed_instead_of_itself() -> None:
    with pytest.raises(ConfigError, match="no setting 'normalize'") as refused:
        GradCAM(Brightness(), preprocessing=PLAIN).explained(noise(64, 64), normalize=True)
    assert "normalize" not in refused.value.near


def test_several_images_where_one_is_explained_are_refused(resnet: nn.Module) -> None:
    explainer = GradCAM(resnet, preprocessing=PLAIN)
    for images in (torch.zeros(2, 3, 64, 64), np.zeros((2, 64, 64, 3), np.uint8), [noise(64, 64)]):
        with pytest.raises(DataError, match="SW-D52"):
            explainer.explain(images)
    with pytest.raises(DataError, match="SW-D53"):
        explainer.explain_batch([])


@pytest.mark.parametrize(
    ("tensor", "code"),
    [
        (torch.zeros(3, 64, 64, dtype=torch.uint8), "SW-D51"),
        (torch.zeros(64, 64), "SW-D51"),
        (torch.full((3, 64, 64), torch.nan), "SW-D49"),
    ],
)
def test_a_tensor_that_is_not_prepared_is_refused(resnet: nn.Module, tensor: torch.Tensor, code: str) -> None:
    with pytest.raises(DataError) as raised:
        GradCAM(resnet, preprocessing=PLAIN).explain(tensor)
    assert raised.value.code == code


def test_a_tensor_of_plain_pixels_is_pointed_out(resnet: nn.Module) -> None:
    found = GradCAM(resnet, preprocessing=PLAIN).explained(torch.rand(3, 64, 64) * 255)
    assert any("look like pixels" in note for note in found.notes)
    assert not any("look like pixels" in note for note in GradCAM(resnet).explained(torch.randn(3, 64, 64)).notes)


def test_raw_maps_of_a_batch_with_one_class_each(resnet: nn.Module) -> None:
    explainer = GradCAM(resnet, preprocessing=PLAIN)
    x = torch.randn(3, 3, 64, 64)
    found = explainer.attribute(x, [0, 4, 2])
    assert found.maps["image"].shape[0] == 3
    for row, wanted in enumerate([0, 4, 2]):
        alone = explainer.attribute(x[row], wanted)
        assert torch.allclose(found.map[row], alone.map[0], atol=1e-5)
        assert alone.score[0] == pytest.approx(float(resnet(x).detach()[row, wanted]), abs=1e-5)


def test_wrapped_models_are_asked_inside_their_wrapper(resnet: nn.Module) -> None:
    image = torch.randn(3, 64, 64)
    plain = GradCAM(resnet, preprocessing=PLAIN).explain(image)
    for wrapped in (nn.DataParallel(resnet), torch.compile(resnet)):
        assert np.array_equal(GradCAM(wrapped, preprocessing=PLAIN).explain(image), plain)


def test_attention_objects_have_the_constructors_people_know(vit: nn.Module) -> None:
    image = noise(80, 96)
    rollout = AttentionRollout(vit, head_fusion="max", discard_ratio=0.1, preprocessing=PLAIN)
    assert np.array_equal(rollout.explain(image, discard_cls_token=True), rollout(image))
    with pytest.raises(ConfigError, match="SW-F77"):
        rollout.explain(image, discard_cls_token=False)
    flow = AttentionFlow(vit, target_patch=3, preprocessing=PLAIN)
    assert np.array_equal(
        flow.explain(image), AttentionFlow(vit, preprocessing=PLAIN).get_attention_flow(image, from_patch=3)
    )
    heat = rollout.explain(image)
    shown = rollout.visualize(heat, image)
    assert np.array_equal(shown, rollout.visualize(image, heat))
    assert np.array_equal(shown, rollout.visualize(image))


def test_calling_an_object_explains() -> None:
    explainer = EigenCAM(Brightness(), preprocessing=PLAIN)
    assert np.array_equal(explainer(noise(64, 64)), explainer.explain(noise(64, 64)))


def test_use_cuda_means_where_the_model_is(resnet: nn.Module) -> None:
    image = torch.randn(3, 64, 64)
    maps = [GradCAMPlusPlus(resnet, use_cuda=wish, preprocessing=PLAIN).explain(image) for wish in (True, False)]
    assert np.array_equal(*maps)


def test_an_object_tells_what_it_is(resnet: nn.Module) -> None:
    assert repr(GradCAM(resnet, "layer2", preprocessing=PLAIN)) == "GradCAM(ResNet, target_layer='layer2')"


def test_an_error_leaves_the_object_usable(resnet: nn.Module) -> None:
    explainer = GradCAM(resnet, preprocessing=PLAIN)
    image = torch.randn(3, 64, 64)
    before = explainer.explain(image)
    for bad in ("no_such_file.png", torch.zeros(5, 64, 64), np.zeros((2, 2))):
        with pytest.raises(SeewhyError):
            explainer.explain(bad)
    assert np.array_equal(explainer.explain(image), before)
