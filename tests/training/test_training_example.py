"""The packaged example, trained whole: it grades nearly every eye, and by the input that holds the evidence."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from seewhy.demo.retina import INPUTS, MadeRetina
from seewhy.training import DataModule, NetModule, read_config
from seewhy.training.example import Training, train

pytestmark = pytest.mark.slow


def shares_of_evidence(module: NetModule, eye: list[Tensor]) -> tuple[int, list[float]]:
    """The predicted class, and each input's part of the sum of all Grad-CAM maps at the backbones' last features.

    Grad-CAM with its four derivatives written out (Selvaraju 2017, equations 1 and 2): a branch ends in the mean over
    places, so that a channel's weight is the head's derivative by its pooled feature, over the number of places.
    """
    colours = [module.out.to3(picture) for picture in eye]
    features = [module.out.branch(name).forward_features(x) for name, x in zip(INPUTS, colours, strict=True)]
    pooled = torch.cat([one.mean((2, 3)) for one in features], dim=1).detach().requires_grad_()
    logits = module.out.head(pooled)
    predicted = int(logits.argmax())
    weights = torch.autograd.grad(logits[0, predicted], pooled)[0].split(list(module.out.widths.values()), dim=1)
    maps = [torch.relu((w[..., None, None] * one).sum(1)) for w, one in zip(weights, features, strict=True)]
    total = sum(float(one.detach().sum()) for one in maps)
    return predicted, [float(one.detach().sum()) / total for one in maps]


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    example = read_config()
    example["NetModule"]["log_dir"] = str(tmp_path_factory.mktemp("logs"))
    return example


@pytest.fixture(scope="module")
def training(config: dict[str, Any]) -> Training:
    return train(config)


@pytest.fixture
def module(training: Training) -> NetModule:
    return NetModule.load_from_checkpoint(training.checkpoint).eval()


def test_it_grades_nearly_every_eye_by_the_input_that_holds_the_evidence(
    config: dict[str, Any], training: Training, module: NetModule
) -> None:
    assert training.accuracy >= 0.95
    made = DataModule(config).records
    assert isinstance(made, MadeRetina)
    checked, right = 0, 0
    for position, ref in enumerate(made.index()):
        where = [name for name, mask in made.evidence(position).items() if mask.any()]
        if ref.split != "test" or not where:
            continue
        eye = [picture[None] for picture in made.read(position).inputs.values()]
        predicted, shares = shares_of_evidence(module, eye)
        if predicted == ref.label:
            checked += 1
            right += shares.index(max(shares)) == INPUTS.index(where[0])
    assert checked >= 60
    assert right / checked >= 0.9


def test_the_shares_it_tells_of_itself_are_those_derived_by_hand(module: NetModule) -> None:
    made = MadeRetina(counts={"test": 4})
    for position in range(4):
        eye = [picture[None] for picture in made.read(position).inputs.values()]
        predicted, shares = shares_of_evidence(module, eye)
        told = module.analyze_prediction_with_gradcam(*eye)
        assert told["predicted_class"] == module.predict(eye)["predicted_class"] == predicted
        assert list(told["shares"].values()) == pytest.approx(shares, rel=1e-3, abs=1e-5)
