"""Pictures explained while a network learns: the learning is not changed, and the pictures are the right ones."""

from __future__ import annotations

import logging
import pickle
import random
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from seewhy.explain import study
from seewhy.explain.drawing import Look, overlay_on
from seewhy.explain.explainers import GradCAM, make_explainer
from seewhy.training import InterpretationCallback
from seewhy.training.callback_base import is_compiled
from seewhy.training.sample_pictures import Given
from seewhy.values import ConfigError, DataError, LayerError, SeewhyError, TargetError
from training.watched import (
    CLASSES,
    NAMESPACES,
    RECORDS,
    loader,
    module_of,
    network,
    own_process_group,
    pictures,
    quiet,
    train,
)  # fmt: skip

IMAGES, LABELS = pictures()
PLAIN = {"size": 8, "mean": [0.5] * 3, "std": [0.5] * 3}


class EveryMoment(InterpretationCallback):
    """Explains after every batch, in the middle of accumulated gradients, and inside validation."""

    def on_train_batch_end(self, trainer: Any, pl_module: Any, *others: Any) -> None:
        self.explain_now(trainer, pl_module)

    def on_before_optimizer_step(self, trainer: Any, pl_module: Any, optimizer: Any) -> None:
        self.explain_now(trainer, pl_module)

    def on_validation_batch_end(self, trainer: Any, pl_module: Any, *others: Any) -> None:
        if not trainer.sanity_checking:
            self.explain_now(trainer, pl_module)


@pytest.mark.parametrize("namespace", NAMESPACES)
@pytest.mark.parametrize("precision", ["32-true", "bf16-mixed"])
def test_a_watched_training_ends_bit_for_bit_as_an_unwatched_one(
    namespace: str, precision: str, tmp_path: Path
) -> None:
    settings: Any = {"namespace": namespace, "precision": precision, "accumulate_grad_batches": 4}
    callback = EveryMoment(IMAGES, LABELS, num_samples=2)
    plain, watched = train(tmp_path, **settings), train(tmp_path, [callback], **settings)
    assert watched.differences(plain) == []
    assert watched.facts["modes"] == [True] * 12
    batches, steps, validated = 2 * 6, 2 * 2, 2 * 6
    assert (callback.report().events, callback.report().failures) == (batches + steps + validated, 0)


@pytest.mark.parametrize("method", ["integrated_gradients", "smoothgrad", "rise", "scorecam"])
def test_methods_that_draw_and_ask_again_change_nothing_either(method: str, tmp_path: Path) -> None:
    few = {"rise": {"num_masks": 8}, "integrated_gradients": {"steps": 4}, "smoothgrad": {"n_samples": 2}}
    callback = EveryMoment(IMAGES[:1], method=method, **few.get(method, {}))
    plain, watched = (train(tmp_path, given, max_epochs=1, accumulate_grad_batches=4) for given in ([], [callback]))
    assert watched.differences(plain) == []
    assert callback.report().failures == 0, callback.report().problems


class Careless(InterpretationCallback):
    """What a callback may do wrong, one at a time."""

    fault = ""

    def explain_now(self, trainer: Any, pl_module: Any) -> None:
        if self.fault == "mode":
            pl_module.eval()
        if self.fault == "gradients":
            pl_module(IMAGES[:1]).sum().backward()
        if self.fault == "statistics":
            with torch.no_grad():
                pl_module(IMAGES[:1])
        if self.fault == "random":
            random.random()


@pytest.mark.parametrize("fault", ["mode", "gradients", "statistics", "random"])
def test_the_comparison_notices_a_careless_callback(fault: str, tmp_path: Path) -> None:
    callback = Careless(IMAGES, log_every_n_steps=1)
    callback.fault = fault
    settings: Any = {"max_epochs": 1, "accumulate_grad_batches": 4}
    assert train(tmp_path, [callback], **settings).differences(train(tmp_path, **settings))


@pytest.mark.parametrize(
    ("settings", "accumulate", "moments"),
    [
        ({"log_every_n_epochs": 2}, 1, [("epoch_1", 12), ("epoch_3", 24)]),
        ({"log_every_n_epochs": 3}, 2, [("epoch_2", 9)]),
        ({"log_every_n_steps": 5}, 1, [("step_5", 5), ("step_10", 10), ("step_15", 15), ("step_20", 20)]),
        ({"log_every_n_steps": 4, "log_every_n_epochs": 1}, 2, [("step_4", 4), ("step_8", 8), ("step_12", 12)]),
    ],
)
def test_it_logs_at_just_the_epochs_or_steps_asked_for(
    settings: dict[str, Any], accumulate: int, moments: list[Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[Any] = []

    def note(trainer: Any, event: Any, guard: Any) -> int:
        seen.append((event.when, event.step))
        return 0

    monkeypatch.setattr("seewhy.training.interpretation_callback.deliver", note)
    callback = InterpretationCallback(IMAGES[:1], **settings)
    train(tmp_path, [callback], max_epochs=4, accumulate_grad_batches=accumulate, validation=False)
    assert seen == moments


def test_the_picture_is_the_heat_map_of_the_network_as_it_was_then(tmp_path: Path) -> None:
    callback = InterpretationCallback(IMAGES[:2], log_every_n_epochs=2, colormap="magma", alpha=0.6)
    left = train(tmp_path, [callback], validation=False)
    explainer = make_explainer("gradcam", left.module.eval())
    for number, found in enumerate(explainer.explain_each(list(IMAGES[:2]))):
        look = Look("magma", 0.6)
        expected = overlay_on(found.prepared.draw(), found.drawn, look)
        with Image.open(tmp_path / f"interpretation/epoch_1/sample_{number}.png") as file:
            page = np.asarray(file.convert("RGB"))
        right = page[-look.panel - 13 : -13, -look.panel - 13 : -13]
        shown = np.asarray(Image.fromarray(expected).resize((look.panel, look.panel), Image.Resampling.BILINEAR))
        assert np.abs(right.astype(int) - shown).max() <= 1


def given_as(form: str, folder: Path) -> Any:
    pixels = [np.full((20, 20, 3), 40 * (place + 1), np.uint8) for place in range(3)]
    for place, one in enumerate(pixels):
        one[4:9, 6:16] = (250, 30 * place, 10)
        Image.fromarray(one).save(folder / f"{place}.png")
    return {
        "paths": [str(folder / f"{place}.png") for place in range(3)],
        "pictures": [Image.fromarray(one) for one in pixels],
        "arrays": pixels,
        "array": np.stack(pixels),
        "tensors": [torch.from_numpy(one / 255.0 - 0.5).permute(2, 0, 1).float() for one in pixels],
        "batch": torch.from_numpy(np.stack(pixels) / 255.0 - 0.5).permute(0, 3, 1, 2).float(),
    }[form]


HALF = {"size": 20, "crop": 1.0, "mean": [0.5] * 3, "std": [1.0] * 3}


@pytest.mark.parametrize("form", ["paths", "pictures", "arrays", "array", "tensors", "batch"])
def test_images_come_in_any_form(form: str, tmp_path: Path) -> None:
    net = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 3))
    explainer = GradCAM(net, preprocessing=HALF)
    samples = Given.of(given_as(form, tmp_path), None, 8).prepared(explainer)
    expected = given_as("batch", tmp_path)
    assert len(samples) == 3
    for sample, pixels in zip(samples, expected, strict=True):
        torch.testing.assert_close(sample.pixels, pixels, atol=1e-6, rtol=0)


def test_of_many_images_the_seed_chooses_always_the_same() -> None:
    chosen = Given.of(IMAGES, LABELS, 4, seed=1).chosen
    state = random.getstate()
    assert chosen == Given.of(IMAGES, LABELS, 4, seed=1).chosen != Given.of(IMAGES, LABELS, 4, seed=2).chosen
    assert random.getstate() == state
    assert len(set(chosen)) == 4
    assert chosen == sorted(chosen)
    assert set(chosen) <= set(range(RECORDS))


def test_samples_keep_nothing_of_the_originals() -> None:
    images = IMAGES.clone()
    sample, *_ = Given.of(images, None, 1).prepared(make_explainer("gradcam", network()))
    before = sample.pixels.clone()
    images.zero_()
    assert torch.equal(sample.pixels, before)
    assert sample.pixels.untyped_storage().nbytes() == before.nbytes


def logged(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, *given: Any, **settings: Any) -> list[Any]:
    seen: list[Any] = []
    place = "seewhy.training.interpretation_callback.deliver"
    monkeypatch.setattr(place, lambda trainer, event, guard: seen.append(event) or 0)
    train(tmp_path, [InterpretationCallback(*given, log_every_n_epochs=1, **settings)], max_epochs=1)
    return seen[0].pictures


def test_captions_tell_what_it_is_and_what_it_is_taken_for(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    names = ["cat", "dog", "eel"]
    found = logged(monkeypatch, tmp_path, IMAGES[:3], ["eel", 0, torch.tensor(1)], class_names=names)
    assert [picture.number for picture in found] == [0, 1, 2]
    for place, (picture, true) in enumerate(zip(found, ["eel", "cat", "dog"], strict=True)):
        words = picture.caption.split(", ")
        assert words[:2] == [f"image {place}", f"true {true}"]
        predicted, share = words[2].removeprefix("predicted ").removesuffix(" %").split(" ")
        assert 100 / CLASSES <= float(share) <= 100
        assert words[3].startswith(f"gradcam: {predicted}")


def test_the_true_class_or_a_named_one_is_explained_if_asked_for(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    labels = [2, 0, 1]
    of_labels = logged(monkeypatch, tmp_path, IMAGES[:3], labels, explain_labels=True)
    assert [picture.caption.rpartition("gradcam: class ")[2][0] for picture in of_labels] == ["2", "0", "1"]
    of_one = logged(monkeypatch, tmp_path, IMAGES[:3], target_class=1)
    assert {picture.caption.rpartition("gradcam: class ")[2][0] for picture in of_one} == {"1"}


def test_a_function_may_give_the_images_and_another_the_explainer(tmp_path: Path) -> None:
    asked: list[Any] = []

    def images(module: Any) -> Any:
        asked.append(module.training)
        return IMAGES[:1], LABELS[:1]

    callback = InterpretationCallback(
        images,
        explain_labels=True,
        log_every_n_epochs=1,
        explainer_factory=lambda module: make_explainer("hirescam", module),
    )
    train(tmp_path, [callback])
    assert asked == [False] * 3  # once before the training, once in each epoch, in evaluation mode
    assert callback.report().problems == ()
    assert callback.report().pictures == 2


@pytest.mark.parametrize(
    ("given", "code"),
    [
        ({"log_every_n_epochs": 0}, "SW-F181"),
        ({"log_every_n_steps": 2.5}, "SW-F181"),
        ({"num_samples": True}, "SW-F181"),
        ({"prefix": "../up"}, "SW-F180"),
        ({"prefix": ""}, "SW-F180"),
        ({"sample_labels": [1]}, "SW-F182"),
        ({"explain_labels": True}, "SW-F183"),
        ({"explain_labels": True, "target_class": 1, "sample_labels": LABELS}, "SW-F183"),
        ({"method": "gradcamm"}, "SW-F10"),
        ({"log_every_n_epoch": 3}, "SW-F12"),
        ({"colormap": "viridiss"}, "SW-R01"),
        ({"sample_images": []}, "SW-D53"),
    ],
)
def test_what_cannot_work_is_refused_when_it_is_made(given: dict[str, Any], code: str) -> None:
    with pytest.raises(SeewhyError) as caught:
        InterpretationCallback(**{"sample_images": IMAGES, **given})
    assert caught.value.code == code


@pytest.mark.parametrize(
    ("given", "error"),
    [
        ({"sample_images": ["nowhere.png"], "preprocessing": PLAIN}, DataError),
        ({"sample_images": torch.full((1, 2, 8, 8), torch.nan)}, DataError),
        ({"target_layer": "layer4"}, LayerError),
        ({"target_class": 7}, TargetError),
        ({"sample_labels": ["cat"] * RECORDS}, TargetError),
    ],
)
def test_what_does_not_suit_the_network_is_an_error_before_the_first_step(
    given: dict[str, Any], error: type[Exception], tmp_path: Path
) -> None:
    callback = InterpretationCallback(**{"sample_images": IMAGES, **given})
    channels = 3 if "preprocessing" in given else 2
    net = network(channels)
    before = {name: value.clone() for name, value in net.state_dict().items()}
    with pytest.raises(error):
        train(tmp_path, [callback], net=net, validation=False)
    assert all(torch.equal(before[name], value) for name, value in net.state_dict().items())


def test_divided_weights_are_refused_and_other_processes_do_nothing() -> None:
    module = module_of(NAMESPACES[0], network())
    sharded = type("OwnStrategy", (type("FSDPStrategy", (), {}),), {})()
    with pytest.raises(ConfigError, match="SW-F184"):
        InterpretationCallback(IMAGES).on_fit_start(SimpleNamespace(global_step=0, strategy=sharded), module)
    second: Any = SimpleNamespace(global_step=0, strategy=None, is_global_zero=False, current_epoch=4)
    callback = InterpretationCallback(["nowhere.png"])
    callback.on_fit_start(second, module)
    callback.on_train_epoch_end(second, module)
    callback.on_fit_end(second, module)
    assert (callback.report().events, callback.report().failures, callback.report().seconds) == (0, 0, 0)


def test_a_network_that_breaks_while_learning_goes_on_learning(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    class Breaking(InterpretationCallback):
        def on_train_epoch_start(self, trainer: Any, pl_module: Any) -> None:
            nn.init.constant_(pl_module.net[0].weight, torch.nan)

    callback = Breaking(IMAGES[:1], log_every_n_epochs=1)
    with caplog.at_level(logging.WARNING, "seewhy.training"):
        left = train(tmp_path, [callback], max_epochs=3)
    assert len(left.module.losses) == 18
    assert (callback.report().events, callback.report().failures) == (0, 3)
    assert [record.message.count("not finite") for record in caplog.records] == [1]


def test_a_training_too_short_to_log_is_told(tmp_path: Path) -> None:
    callback = InterpretationCallback(IMAGES[:1])
    train(tmp_path, [callback])
    assert callback.report().problems == (
        "logging pictures: the training ended before there were 5 epochs; set log_every_n_epochs lower",
    )


def test_one_trace_serves_the_whole_fit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    traced: list[Any] = []
    adapter = study.Adapter
    monkeypatch.setattr(study, "Adapter", lambda *given, **named: traced.append(1) or adapter(*given, **named))
    callback = InterpretationCallback(IMAGES[:1], log_every_n_steps=1)
    train(tmp_path, [callback])
    assert (callback.report().events, len(traced)) == (12, 1)


def test_the_layer_stays_that_of_the_start(tmp_path: Path) -> None:
    layers: list[Any] = []

    class Noting(InterpretationCallback):
        def on_train_epoch_start(self, trainer: Any, pl_module: Any) -> None:
            nn.init.zeros_(pl_module.net[5].weight)  # the default layer's gradient is zero from here on
            layers.append(self._explainer.get_target_layer_name())

    train(tmp_path, [Noting(IMAGES[:1], log_every_n_epochs=1)])
    assert layers == ["net.6", "net.6"]


@pytest.mark.slow
def test_compiled_networks_are_watched_and_learn_the_same(tmp_path: Path) -> None:
    callback = EveryMoment(IMAGES[:1])
    settings: Any = {"compiled": True, "max_epochs": 1, "accumulate_grad_batches": 4}
    plain, watched = train(tmp_path, **settings), train(tmp_path, [callback], **settings)
    assert is_compiled(watched.module)
    assert watched.differences(plain) == []
    assert (callback.report().events, callback.report().problems) == (6 + 2 + 6, ())


def test_it_works_inside_inference_mode(tmp_path: Path) -> None:
    modes: list[bool] = []

    class Inside(InterpretationCallback):
        def on_validation_batch_end(self, trainer: Any, pl_module: Any, *others: Any) -> None:
            modes.append(torch.is_inference_mode_enabled())
            self.explain_now(trainer, pl_module)

    callback = Inside(IMAGES[:1])
    left = train(tmp_path, [], validation=False, max_epochs=1)
    left.trainer.callbacks.append(callback)
    with quiet():
        left.trainer.validate(left.module, loader(shuffle=False), verbose=False)
    assert modes == [True] * 6
    assert (callback.report().events, callback.report().problems) == (6, ())


@pytest.mark.slow
def test_wrapped_networks_are_watched_and_learn_the_same(tmp_path: Path) -> None:
    callback = EveryMoment(IMAGES[:1])
    settings: Any = {"strategy": "ddp", "max_epochs": 1, "accumulate_grad_batches": 4}
    wrapped: list[type] = []
    callback.on_train_end = lambda trainer, module: wrapped.append(type(trainer.strategy.model))  # type: ignore
    with own_process_group():
        plain, watched = train(tmp_path, **settings), train(tmp_path, [callback], **settings)
    assert wrapped == [nn.parallel.DistributedDataParallel]
    assert watched.differences(plain) == []
    assert callback.report().problems == ()


def test_a_copy_for_another_process_holds_no_network() -> None:
    callback = InterpretationCallback(IMAGES[:1])
    first: Any = SimpleNamespace(global_step=0, strategy=None, is_global_zero=True)
    callback.on_fit_start(first, module_of(NAMESPACES[0], network()))
    copied = pickle.loads(pickle.dumps(callback))
    assert (len(callback._samples), copied._explainer, copied._samples) == (1, None, [])


def test_the_report_tells_the_callbacks_own_time(tmp_path: Path) -> None:
    callback = InterpretationCallback(IMAGES[:1], log_every_n_epochs=1)
    train(tmp_path, [callback])
    found = callback.report()
    assert 0 < found.seconds < found.fit_seconds
    assert found.share == found.seconds / found.fit_seconds
    assert str(found).endswith("logged 2 times, 2 pictures")
    assert callback.report() == found  # the clock stands still after the fit
