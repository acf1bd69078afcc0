"""Several named pictures, one diagnosis: widths, features and logits are what the backbones alone would give."""

from __future__ import annotations

from typing import Any

import pytest
import timm
import torch
from torch import Tensor, nn
from torchvision import models

from seewhy.models.backbones import build_backbone
from seewhy.models.build import build_model
from seewhy.models.built import Preprocessing
from seewhy.models.load import load_checkpoint
from seewhy.models.multi_branch import MultiBranch
from seewhy.values import ModelError

FOUR = ("mnv", "fluid", "ga", "drusen")
SMALL = [f"efficientnet_b{n}" for n in range(4)]  # the others take seconds to build
LARGE = [pytest.param(f"efficientnet_b{n}", marks=pytest.mark.slow) for n in range(4, 8)]


def model(**settings: Any) -> MultiBranch:
    return MultiBranch(**{"inputs": FOUR, "backbone": "test_efficientnet", "num_classes": 4, **settings}).eval()


def pictures(size: int = 32, channels: int = 1, batch: int = 2) -> list[Tensor]:
    return [torch.rand(batch, channels, size, size, generator=torch.manual_seed(n)) for n in range(4)]


def refusal(**settings: Any) -> ModelError:
    with pytest.raises(ModelError) as caught:
        model(**settings)
    return caught.value


@pytest.mark.parametrize("name", [f"efficientnet_b{n}" for n in range(8)])
def test_the_width_of_every_efficientnet_is_timms(name: str) -> None:
    with torch.device("meta"):
        made = build_backbone(name)
        assert made.width == timm.create_model(name).num_features
        assert made.module.eval()(torch.empty(1, 3, 32, 32)).shape == (1, made.width)


@pytest.mark.parametrize("name", [*SMALL, *LARGE])
def test_every_efficientnet_runs_with_four_inputs(name: str) -> None:
    made = model(backbone=name, hidden=8)
    assert made(*pictures(batch=1)).shape == (1, 4)
    assert made.head[0].in_features == 4 * timm.create_model(name, num_classes=0).num_features


@pytest.mark.parametrize(
    "name",
    ["resnet50", "convnext_tiny", "vit_tiny_patch16_224", "swin_tiny_patch4_window7_224", "test_mambaout", "vgg11"],
)
def test_the_width_of_other_families_is_that_of_their_features(name: str) -> None:
    with torch.device("meta"):
        made = build_backbone(name)
        assert made.module.eval()(torch.empty(1, 3, 224, 224)).shape == (1, made.width)


@pytest.mark.parametrize(
    ("name", "width"),
    [
        ("efficientnet_b7", 2560),  # the architecture's 640 channels times four, by its paper's scaling
        ("resnet18", 512),
        ("convnext_tiny", 768),
        ("vit_b_16", 768),
        ("swin_t", 768),
        ("densenet121", 1024),
        ("squeezenet1_1", 512),
        ("mobilenet_v3_small", 1024),
        ("googlenet", 1024),
        ("inception_v3", 2048),
    ],
)
def test_torchvisions_classifiers_lose_their_head_and_nothing_else(name: str, width: int) -> None:
    with torch.device("meta"):
        made = build_backbone(f"torchvision:{name}")
        side = 299 if name == "inception_v3" else 224
        assert made.width == width
        assert made.module.train()(torch.empty(2, 3, side, side)).shape == (2, width)


def test_torchvisions_features_are_what_its_head_was_given() -> None:
    whole = models.get_model("efficientnet_b0", weights=None).eval()
    made = build_backbone("torchvision:efficientnet_b0")
    made.module.load_state_dict({k: v for k, v in whole.state_dict().items() if not k.startswith("classifier.1.")})
    picture = torch.rand(2, 3, 32, 32)
    assert torch.equal(whole.classifier(made.module.eval()(picture)), whole(picture))


def test_the_logits_are_those_of_the_features_side_by_side() -> None:
    made, given = model(), pictures()
    features = [
        branch(made.to3(x))
        for branch, x in zip((made.backbone1, made.backbone2, made.backbone3, made.backbone4), given, strict=True)
    ]
    first, last = made.head[0], made.head[3]
    by_hand = torch.relu(torch.cat(features, 1) @ first.weight.T + first.bias) @ last.weight.T + last.bias
    torch.testing.assert_close(made(*given), by_hand, rtol=1e-5, atol=1e-6)


def test_the_adapter_is_one_weight_per_colour_shared_by_all_inputs() -> None:
    made, given = model(), pictures()
    weight, bias = made.to3.weight[:, 0, 0, 0], made.to3.bias
    colours = given[2] * weight[:, None, None] + bias[:, None, None]
    torch.testing.assert_close(made.features("ga", given[2]), made.backbone3(colours))
    assert [name for name, _ in made.named_children()] == ["to3", *(f"backbone{n}" for n in range(1, 5)), "head"]


def test_positions_names_lists_and_dicts_mean_the_same() -> None:
    made, given = model(), pictures()
    by_name = dict(zip(FOUR, given, strict=True))
    shuffled = {name: by_name[name] for name in reversed(FOUR)}
    logits = made(*given)
    for again in (
        made(**shuffled),
        made(list(given)),
        made(shuffled),
        made(given[0], **dict(list(by_name.items())[1:])),
    ):
        assert torch.equal(again, logits)
    assert not torch.equal(made(*reversed(given)), logits)


def test_a_branch_is_found_by_the_name_of_its_input() -> None:
    made = model()
    assert made.branch("ga") is made.get_submodule("backbone3")
    with pytest.raises(ModelError, match=r"SW-M67(?s:.*)nearest: drusen"):
        made.branch("druse")


def test_each_input_may_have_its_own_backbone_channels_and_size() -> None:
    made = MultiBranch(
        ["photo", "scan"],
        {"scan": "test_vit", "photo": "test_resnet"},
        3,
        channels={"photo": 3, "scan": 1},
        channel_adapter="none",
        img_size={"photo": None, "scan": 64},
        hidden=8,
    ).eval()
    assert (made.widths, made.to3) == ({"photo": 96, "scan": 64}, None)
    photo, scan = torch.rand(1, 3, 48, 40), torch.rand(1, 1, 64, 64)
    expected = made.head(torch.cat([made.backbone1(photo), made.backbone2(scan)], 1))
    assert torch.equal(made(scan=scan, photo=photo), expected)


@pytest.mark.parametrize(
    ("settings", "code", "part"),
    [
        ({"inputs": []}, "SW-M62", "different names"),
        ({"inputs": ["a", "a"]}, "SW-M62", "different names"),
        ({"inputs": "mnv"}, "SW-M62", "'mnv'"),
        ({"backbone": "efficientnet_bO"}, "SW-M63", "efficientnet_b0"),
        ({"backbone": "keras:resnet"}, "SW-M63", "keras:resnet"),
        ({"backbone": "torchvision:resnet19"}, "SW-M52", "resnet18"),
        ({"backbone": "hf-hub/some/model"}, "SW-M56", "network"),
        ({"backbone": {"mnv": "resnet18"}}, "SW-M64", "mnv, fluid, ga, drusen"),
        ({"channels": {"mnw": 1, "fluid": 1, "ga": 1, "drusen": 1}}, "SW-M64", "nearest: mnv"),
        ({"channels": {"mnv": 1, "fluid": 3, "ga": 1, "drusen": 1}}, "SW-M65", "1 and 3 channels"),
        ({"channel_adapter": "to4"}, "SW-M65", "nearest: to3"),
        ({"backbone": "torchvision:resnet18", "channel_adapter": "none"}, "SW-M66", "not 1"),
        ({"channels": 0}, "SW-M69", "channels of mnv=0"),
        ({"hidden": 1.5}, "SW-M69", "hidden=1.5"),
        ({"dropout": 1}, "SW-M69", "dropout=1"),
        ({"num_classes": 0}, "SW-M55", "from 1 on"),
        ({"kwargs": {"in_chans": 1}}, "SW-M54", "channel_adapter"),
    ],
)
def test_settings_that_do_not_work_are_named(settings: dict[str, Any], code: str, part: str) -> None:
    error = refusal(**settings)
    assert (error.code, part in str(error)) == (code, True), str(error)


@pytest.mark.parametrize(
    ("given", "named", "part"),
    [
        (3, {}, "missing: drusen"),
        (5, {}, "too many: 5 in order"),
        (4, {"mnv": 0}, "given twice: mnv"),
        (3, {"druse": 0}, "unknown: druse"),
    ],
)
def test_inputs_that_do_not_fit_are_named(given: int, named: dict[str, int], part: str) -> None:
    five = [*pictures(), pictures()[0]]
    with pytest.raises(ModelError, match="SW-M67") as caught:
        model()(*five[:given], **{name: five[i] for name, i in named.items()})
    assert part in str(caught.value)


def test_a_picture_of_other_channels_is_named() -> None:
    rgb = torch.rand(2, 3, 32, 32)
    with pytest.raises(ModelError, match=r"SW-M68.*'ga' must be \(B, 1, H, W\), got \(2, 3, 32, 32\)"):
        model()(*pictures()[:2], rgb, rgb)


def test_a_checkpoint_of_a_module_that_holds_the_model_fits_the_configured_one(tmp_path: Any) -> None:
    settings = {"inputs": list(FOUR), "backbone": "test_efficientnet", "num_classes": 4, "hidden": 8}
    trained = nn.Module()
    trained.out = MultiBranch(**settings)  # type: ignore[arg-type]
    torch.save({"state_dict": trained.state_dict()}, tmp_path / "epoch=1-step=2.ckpt")
    built = build_model("multi_branch", **settings)
    load_checkpoint(built.module, tmp_path / "epoch=1-step=2.ckpt", min_coverage=1.0, require=built.require)
    given = pictures()
    assert torch.equal(built.module.eval()(*given), trained.out.eval()(*given))


def test_the_configured_model_says_how_it_was_built_and_fed() -> None:
    built = build_model("multi_branch", inputs=["a", "b"], backbone="test_vit", num_classes=2, img_size=[64, 64])
    assert built.facts["backbone"] == {"a": "timm:test_vit", "b": "timm:test_vit"}
    assert built.preprocessing is not None
    assert (built.preprocessing.size, built.preprocessing.mean) == ((64, 64), None)
    rgb = build_model(
        "multi_branch", inputs=["a"], backbone="test_resnet", num_classes=2, channels=3, channel_adapter="none"
    )
    assert isinstance(rgb.preprocessing, Preprocessing)
    assert rgb.preprocessing.mean == timm.get_pretrained_cfg("test_resnet").mean  # type: ignore[union-attr]
