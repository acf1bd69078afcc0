"""Whatever changes an answer changes its key: no change to model, method, image or process is answered from before."""

from __future__ import annotations

import copy
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import cached_models
import numpy as np
import pytest
import torch
from cached_models import PLAIN, SQUARE, Scaled, explainer_of, is_hit
from friendly_models import Brightness
from PIL import Image
from torch import nn

from seewhy import ExplanationCache, GradCAM, IntegratedGradients, SmoothGrad
from seewhy.explain.cache_weights import check_sum, weights_of
from seewhy.models.fingerprint import weights_fingerprint


def through_data(model: Scaled) -> None:
    model.steps.data[4321] += 1


def through_numpy(model: Scaled) -> None:
    model.steps.detach().numpy()[9999] += 1


def by_exchange_behind_torch(model: Scaled) -> None:
    values = model.steps.detach().numpy()
    values[[0, 5000]] = values[[5000, 0]]


def by_loading(model: Scaled) -> None:
    model.load_state_dict({**model.state_dict(), "offset": torch.ones(1)})


def in_place(model: Scaled) -> None:
    with torch.no_grad():
        model.cells.weight[0, 0, 0, 0] += 1


def by_assignment(model: Scaled) -> None:
    model.steps = nn.Parameter(model.steps.detach().clone() * 2)


def by_value(model: Scaled) -> None:
    model.temperature = 3.0


def by_setting_of_a_part(model: Scaled) -> None:
    model.cells.padding = (8, 8)


def by_training_mode(model: Scaled) -> None:
    model.train(False)


CHANGES = (
    through_data, through_numpy, by_exchange_behind_torch, by_loading, in_place, by_assignment, by_value,
    by_setting_of_a_part, by_training_mode,
)  # fmt: skip


@pytest.mark.parametrize("change", CHANGES, ids=lambda change: change.__name__)
def test_a_changed_model_is_asked_again(cache: ExplanationCache, change: Callable[[Scaled], None]) -> None:
    model = Scaled()
    explainer = explainer_of(cache, model)
    assert [is_hit(cache, explainer) for _ in range(2)] == [False, True]
    change(model)
    assert [is_hit(cache, explainer) for _ in range(2)] == [False, True]
    plain = GradCAM(model, "cells", preprocessing=PLAIN).explained(SQUARE)
    assert np.array_equal(explainer.explained(SQUARE).outputs, plain.outputs)


def test_code_and_values_outside_the_class_are_seen(cache: ExplanationCache, monkeypatch: pytest.MonkeyPatch) -> None:
    explainer = explainer_of(cache, Scaled())
    assert [is_hit(cache, explainer) for _ in range(2)] == [False, True]
    monkeypatch.setattr(cached_models, "SCALE", 5.0)
    assert not is_hit(cache, explainer)
    monkeypatch.setattr(cached_models, "scaled", lambda values, by: values - by)
    assert not is_hit(cache, explainer)
    monkeypatch.setattr(Scaled, "forward", lambda self, image: self.cells(image).flatten(1)[:, :2])
    assert not is_hit(cache, explainer)
    monkeypatch.undo()
    assert is_hit(cache, explainer)


def test_every_word_of_large_tensors_counts() -> None:
    """Small whole numbers have nothing in their upper 40 bits, which alone the second sums see."""
    values = torch.arange(30_000, dtype=torch.int64)
    before = check_sum([values])
    for first, second, seen in ((0, 1021, False), (0, 1020, True), (7, 29_999, True), (29_000, 29_990, True)):
        other = values.clone()
        other[[first, second]] = other[[second, first]]
        assert (check_sum([other]) != before) == seen


def test_the_fingerprint_is_computed_once_and_keeps_no_model_alive(monkeypatch: pytest.MonkeyPatch) -> None:
    calls = []

    def counted(model: nn.Module) -> str:
        calls.append(model)
        return weights_fingerprint(model)

    monkeypatch.setattr("seewhy.explain.cache_weights.weights_fingerprint", counted)
    model = Scaled()
    assert len({weights_of(model) for _ in range(3)}) == 1
    assert weights_of(copy.deepcopy(model)) == weights_of(model)
    assert [one is model for one in calls] == [True, False]


def test_layer_class_method_and_settings_are_in_the_key(cache: ExplanationCache) -> None:
    model = Brightness(3)
    asked = [
        lambda: is_hit(cache, explainer_of(cache, model)),
        lambda: is_hit(cache, explainer_of(cache, model), target_class=1),
        lambda: is_hit(cache, explainer_of(cache, model), target_class=np.int64(2)),
        lambda: is_hit(cache, explainer_of(cache, model, target_layer=None)),
        lambda: is_hit(cache, explainer_of(cache, model, task="multilabel"), target_class=1),
        lambda: is_hit(cache, explainer_of(cache, model, preprocessing={**PLAIN, "std": [0.25] * 3})),
        lambda: is_hit(cache, explainer_of(cache, model, preprocessing={**PLAIN, "size": 32})),
        lambda: is_hit(cache, IntegratedGradients(model, steps=3, preprocessing=PLAIN, cache=cache)),
        lambda: is_hit(cache, IntegratedGradients(model, steps=4, preprocessing=PLAIN, cache=cache)),
        lambda: is_hit(
            cache, IntegratedGradients(model, torch.ones(1, 3, 64, 64), steps=3, preprocessing=PLAIN, cache=cache)
        ),
        lambda: is_hit(cache, SmoothGrad(explainer_of(cache, model), num_samples=2)),
        lambda: is_hit(cache, SmoothGrad(explainer_of(cache, model), num_samples=2), seed=1),
        lambda: is_hit(cache, SmoothGrad(explainer_of(cache, model, target_layer=None), num_samples=2)),
    ]
    assert not any(one() for one in asked)
    assert all(one() for one in asked)


def test_the_whole_image_is_in_the_key(cache: ExplanationCache, tmp_path: Path) -> None:
    """Values, type, shape and mode; a copy with other strides is the same image."""
    explainer = explainer_of(cache, Brightness())
    assert not is_hit(cache, explainer, np.zeros_like(SQUARE))
    gray = SQUARE[..., 0]
    other = SQUARE.copy()
    other[60, 60, 2] = 1
    given = [
        SQUARE, other, SQUARE / np.float32(255), SQUARE[:, ::-1], SQUARE.transpose(2, 0, 1), gray,
        gray.astype(bool), gray.astype(np.uint16), Image.fromarray(SQUARE), Image.fromarray(gray),
        torch.zeros(3, 64, 64), torch.zeros(3, 64, 32), torch.zeros(3, 64, 64, dtype=torch.float64),
    ]  # fmt: skip
    assert not any(is_hit(cache, explainer, image) for image in given)
    assert is_hit(cache, explainer, np.asfortranarray(SQUARE))
    Image.fromarray(SQUARE).save(tmp_path / "a.png")
    assert not is_hit(cache, explainer, tmp_path / "a.png")
    assert is_hit(cache, explainer, str(tmp_path / "a.png"))
    Image.fromarray(other).save(tmp_path / "a.png")
    assert not is_hit(cache, explainer, tmp_path / "a.png")


def test_precision_and_automatic_precision_are_in_the_key(cache: ExplanationCache) -> None:
    model = Scaled()
    assert not is_hit(cache, explainer_of(cache, model))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert not is_hit(cache, explainer_of(cache, model))
    assert is_hit(cache, explainer_of(cache, model))
    assert not is_hit(cache, explainer_of(cache, copy.deepcopy(model).double()))


def reasons(cache: ExplanationCache, explainer: GradCAM) -> list[str]:
    explainer.explain(SQUARE)
    told = cache.stats()
    assert (told["hits"], told["num_entries"]) == (0, 0)
    return list(told["reasons"])


def test_what_cannot_be_compared_passes_the_cache_by(cache: ExplanationCache) -> None:
    model = Scaled()
    hook = model.cells.register_forward_hook(lambda module, given, output: output * 2)
    assert reasons(cache, explainer_of(cache, model)) == ["cells has hooks of your own"]
    hook.remove()
    selected = explainer_of(cache, model, output_selector=lambda answer: answer)
    assert reasons(cache, selected)[1:] == ["a setting is function, which no value tells apart from another"]
    model.forward = lambda image: Scaled.forward(model, image)  # type: ignore[method-assign]
    assert reasons(cache, explainer_of(cache, model))[2:] == ["the model has a forward of your own"]
    del model.forward
    model.hidden = [nn.Linear(1, 1)]
    assert reasons(cache, explainer_of(cache, model))[3:] == ["the model holds a Linear that is none of its parts"]
    assert cache.stats()["passed_by"] == 4


def test_what_the_model_counts_itself_is_no_change_but_a_change_by_others_is(cache: ExplanationCache) -> None:
    """``Brightness`` counts its calls. A value that something else writes meanwhile keeps the answer out."""
    model = Brightness()
    explainer = explainer_of(cache, model)
    assert not is_hit(cache, explainer)
    asked = model.calls
    assert is_hit(cache, explainer)
    assert model.calls == asked

    class Meddled(Scaled):
        def forward(self, image: torch.Tensor) -> torch.Tensor:
            vars(self)["temper" + "ature"] = 4.0
            return super().forward(image)

    meddled = explainer_of(cache, Meddled())
    before = cache.stats()["num_entries"]
    meddled.explain(SQUARE)
    assert cache.stats()["num_entries"] == before
    assert cache.stats()["reasons"] == {"the model changed while it was asked": 1}


KEYS = """
import sys
import torch
from cached_models import PLAIN, SQUARE, Scaled
from friendly_models import Brightness
from seewhy import GradCAM, SmoothGrad
from seewhy.explain.cache_asking import Asking
from seewhy.explain.prepared import prepare
for model in (Scaled(), Brightness()):
    explainer = SmoothGrad(GradCAM(model, "cells", preprocessing=PLAIN), num_samples=2)
    ready = prepare(SQUARE, explainer.recipe)
    print(Asking.of(explainer, explainer.asked({}), [ready], [1]).keys("answer"))
"""


@pytest.mark.slow
def test_keys_are_the_same_in_every_process() -> None:
    """Python orders sets and hashes texts differently in every process."""
    found = [
        subprocess.run(
            [sys.executable, "-c", KEYS],
            env={**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": str(Path(__file__).parent)},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("1", "2")
    ]
    assert found[0] == found[1]
    assert len(set(found[0].split())) == 2
