"""Models of every kind are built from settings alone, and know how to be fed."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
import torch

from seewhy.models.build import build_model
from seewhy.models.built import Preprocessing
from seewhy.models.load import load_checkpoint
from seewhy.values import CheckpointError, ModelError

TINY_VIT = {"name": "vit_tiny_patch16_224", "kwargs": {"img_size": 32, "depth": 1, "embed_dim": 12, "num_heads": 2}}
TINY_MAE = {"img_size": 32, "kwargs": {"depth": 1, "embed_dim": 12, "num_heads": 2}}


def refusal(kind: str, **settings: object) -> ModelError:
    with pytest.raises(ModelError) as caught:
        build_model(kind, **settings)
    return caught.value


def test_timm_models_come_with_timms_own_preprocessing() -> None:
    built = build_model("timm", **TINY_VIT, num_classes=4)
    assert built.module(torch.zeros(1, 3, 32, 32)).shape == (1, 4)
    assert (built.headless, built.class_names) == (False, None)
    assert built.preprocessing == Preprocessing(
        size=(32, 32), crop=0.9, mean=(0.5, 0.5, 0.5), std=(0.5, 0.5, 0.5), interpolation="bicubic"
    )


def test_timm_settings_change_the_size_and_drop_normalisation_for_other_channels() -> None:
    built = build_model("timm", **{**TINY_VIT, "kwargs": {**TINY_VIT["kwargs"], "in_chans": 1}}, num_classes=2)
    assert built.preprocessing is not None
    assert built.preprocessing.size == (32, 32)
    assert (built.preprocessing.mean, built.preprocessing.std) == (None, None)


def test_a_timm_model_without_classes_is_headless_and_needs_no_head() -> None:
    built = build_model("timm", **TINY_VIT, num_classes=0)
    assert built.module(torch.zeros(1, 3, 32, 32)).shape == (1, 12)
    assert (built.headless, built.require) == (True, ())


def test_default_classes_carry_the_librarys_names() -> None:
    timm_names = build_model("timm", name="resnet10t").class_names
    torchvision_names = build_model("torchvision", name="squeezenet1_1").class_names
    assert timm_names is not None
    assert torchvision_names is not None
    assert len(timm_names) == len(torchvision_names) == 1000
    assert timm_names[1].startswith("goldfish")
    assert torchvision_names[1] == "goldfish"


@pytest.mark.parametrize(
    ("name", "head"),
    [("resnet18", "fc.*"), ("squeezenet1_1", "classifier.1.*"), ("mobilenet_v3_small", "classifier.3.*")],
)
def test_torchvision_models_come_with_their_presets(name: str, head: str) -> None:
    built = build_model("torchvision", name=name, num_classes=5)
    assert built.module.eval()(torch.zeros(1, 3, 64, 64)).shape == (1, 5)
    assert built.facts["num_classes"] == 5
    assert built.require == (head,)
    assert built.preprocessing is not None
    assert built.preprocessing.size == (224, 224)
    assert built.preprocessing.crop == 224 / 256
    assert built.preprocessing.std == (0.229, 0.224, 0.225)


def test_a_classifier_refuses_a_checkpoint_without_a_head(tmp_path: Path) -> None:
    weights = build_model("torchvision", name="resnet18", num_classes=2).module.state_dict()
    torch.save({name: tensor for name, tensor in weights.items() if not name.startswith("fc.")}, tmp_path / "a.pt")
    built = build_model("torchvision", name="resnet18", num_classes=2)
    with pytest.raises(CheckpointError, match=r"SW-C22.*lacks fc\.weight, fc\.bias"):
        load_checkpoint(built.module, tmp_path / "a.pt", drop=built.drop, require=built.require)


@pytest.mark.parametrize(
    ("kind", "name", "near"),
    [
        ("timm", "resnet5O", "resnet50"),
        ("timm", "vit_base_patch16", "vit_base_patch16_224"),
        ("torchvision", "resnet19", "resnet18"),
    ],
)
def test_an_unknown_name_names_its_neighbours(kind: str, name: str, near: str) -> None:
    error = refusal(kind, name=name)
    assert error.code == "SW-M52"
    assert near in error.near


def test_an_unknown_variant_of_a_timm_model_names_the_known_ones() -> None:
    error = refusal("timm", name="vit_base_patch16_224.may")
    assert error.code == "SW-M52"
    assert "mae" in error.near


@pytest.mark.parametrize("name", ["hf-hub:timm/resnet18", "hf_hub:a/b", "local-dir:/tmp/x", "timm/resnet18"])
def test_names_that_would_reach_for_the_network_or_disk_are_refused(name: str) -> None:
    assert refusal("timm", name=name).code == "SW-M56"


@pytest.mark.parametrize(
    ("kind", "settings", "code", "said"),
    [
        ("tim", {"name": "resnet18"}, "SW-M50", "no kind of model 'tim'"),
        ("timm", {}, "SW-M51", "needs model.name"),
        ("timm", {"name": "resnet18", "num_clases": 3}, "SW-M51", "no setting 'num_clases'"),
        ("timm", {"name": "resnet18", "kwargs": {"foo": 1}}, "SW-M53", "foo=1"),
        ("timm", {"name": "resnet18", "kwargs": {"pretrained": True}}, "SW-M54", "kwargs.pretrained"),
        ("timm", {"name": "resnet18", "kwargs": {"checkpoint_path": "a"}}, "SW-M54", "kwargs.checkpoint_path"),
        ("torchvision", {"name": "resnet18", "kwargs": {"weights": "DEFAULT"}}, "SW-M54", "kwargs.weights"),
        ("torchvision", {"name": "resnet18", "kwargs": {"foo": 1}}, "SW-M53", "foo=1"),
        ("torchvision", {"name": "resnet18", "num_classes": 0}, "SW-M55", "from 1 on, not 0"),
        ("timm", {"name": "resnet18", "num_classes": -1}, "SW-M55", "not -1"),
        ("timm", {"name": "resnet18", "num_classes": True}, "SW-M55", "not True"),
        ("mae_vit", {"backbone": "vit_bass_patch16"}, "SW-M57", "vit_bass_patch16"),
        ("custom", {"target": "a.B"}, "SW-M51", "needs _target_"),
    ],
)
def test_settings_that_do_not_work_are_refused(kind: str, settings: dict[str, object], code: str, said: str) -> None:
    error = refusal(kind, **settings)
    assert error.code == code
    assert said in error.message
    assert error.fix


@pytest.mark.parametrize(
    ("backbone", "name"),
    [
        ("vit_base_patch16", "vit_base_patch16_224"),
        ("vit_huge_patch14", "vit_huge_patch14_224"),
        ("mae_vit_large_patch16", "vit_large_patch16_224"),
        ("mae_vit_base_patch16_dec512d8b", "vit_base_patch16_224"),
        ("vit_small_patch16_384", "vit_small_patch16_384"),
    ],
)
def test_backbones_named_by_the_authors_are_found_in_timm(backbone: str, name: str) -> None:
    from seewhy.models.mae import timm_backbone

    assert timm_backbone(backbone) == name


def mae_checkpoint(path: Path, **extra: torch.Tensor) -> Path:
    encoder = build_model("mae_vit", **TINY_MAE).module.state_dict()
    shapes = {"mask_token": (1, 1, 8), "decoder_embed.weight": (8, 12), "decoder_pos_embed": (1, 5, 8)}
    decoder = {name: torch.zeros(shape) for name, shape in shapes.items()}
    torch.save({"model": {**encoder, **decoder, **extra}}, path)
    return path


def test_a_masked_autoencoder_keeps_its_encoder_and_drops_its_decoder(tmp_path: Path) -> None:
    path = mae_checkpoint(tmp_path / "mae.pth")
    built = build_model("mae_vit", **TINY_MAE)
    report = load_checkpoint(built.module, path, drop=built.drop, require=built.require)
    assert built.headless
    assert report.coverage.fraction == 1.0
    assert report.coverage.unexpected == ()
    assert report.coverage.dropped == ("decoder_embed.weight", "decoder_pos_embed", "mask_token")
    assert built.preprocessing is not None
    assert (built.preprocessing.size, built.preprocessing.mean) == ((32, 32), (0.485, 0.456, 0.406))


def test_a_fine_tuned_autoencoder_keeps_its_head_when_classes_are_given(tmp_path: Path) -> None:
    head = {"head.weight": torch.ones(4, 12), "head.bias": torch.arange(4.0)}
    path = mae_checkpoint(tmp_path / "mae.pth", **head)
    built = build_model("mae_vit", **TINY_MAE, num_classes=4)
    load_checkpoint(built.module, path, drop=built.drop, require=built.require)
    assert built.module.head.bias.tolist() == [0.0, 1.0, 2.0, 3.0]
    assert not built.headless


def test_an_autoencoder_without_a_head_makes_no_classifier(tmp_path: Path) -> None:
    path = mae_checkpoint(tmp_path / "mae.pth")
    built = build_model("mae_vit", **TINY_MAE, num_classes=4)
    with pytest.raises(CheckpointError, match=r"head\.weight"):
        load_checkpoint(built.module, path, drop=built.drop, require=built.require, min_coverage=0.5)


def test_an_autoencoder_of_another_input_size_is_told_so(tmp_path: Path) -> None:
    path = mae_checkpoint(tmp_path / "mae.pth")
    built = build_model("mae_vit", **{**TINY_MAE, "img_size": 64})
    with pytest.raises(CheckpointError, match="5 positions, the model has 17"):
        load_checkpoint(built.module, path, drop=built.drop, require=built.require)


@pytest.mark.parametrize(
    ("kind", "settings"),
    [("timm", {**TINY_VIT, "num_classes": 2}), ("torchvision", {"name": "squeezenet1_1"}), ("mae_vit", TINY_MAE)],
)
def test_the_facts_are_plain_json(kind: str, settings: dict[str, object]) -> None:
    facts = build_model(kind, **settings).facts
    assert json.loads(json.dumps(facts)) == facts
    assert facts["kind"] == kind


def test_building_never_reads_the_environment_for_weights(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise OSError("the network was asked for")

    monkeypatch.setattr("socket.socket.connect", refuse)
    monkeypatch.setitem(os.environ, "HF_HUB_OFFLINE", "0")
    assert build_model("timm", name="resnet10t", num_classes=2).facts["num_classes"] == 2
    assert build_model("torchvision", name="resnet18", num_classes=2).facts["num_classes"] == 2
