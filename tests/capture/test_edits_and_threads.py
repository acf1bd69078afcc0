"""Replacing a layer's output, and sharing one model between threads."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch
from asking import BODY, Shared, assert_same, pictures

from borrowed import unchanged
from seewhy.capture.probe import Probe
from seewhy.core import Wants
from seewhy.models.adapter import Adapter
from seewhy.models.borrow import borrowed
from seewhy.targets import Logit
from seewhy.values import LayerError
from toys import ConvNet


def test_an_edit_replaces_a_layers_output() -> None:
    model, inputs = ConvNet().eval(), pictures()
    probe = Probe(Adapter(model, inputs), [Logit(2)])
    with torch.no_grad():
        ablated = model.head(torch.zeros(3, 6))[:, 2]
        doubled = model.head(2 * model.body(model.stem(inputs["image"])).flatten(2).mean(dim=2))[:, 2]
    assert torch.equal(probe.score(inputs, edit={"body": torch.zeros_like})[0], ablated)
    torch.testing.assert_close(probe.score(inputs, edit={"body": lambda x: 2 * x})[0], doubled, rtol=0, atol=1e-6)
    capture = probe.capture(inputs, Wants(activations=("body",), gradients=("body",)), edit={"body": torch.zeros_like})
    assert not capture.activations["body"].any()
    assert torch.equal(capture.scores[0], ablated)


def test_an_edit_changes_the_call_it_names_only() -> None:
    model, inputs = Shared().eval(), pictures()
    probe = Probe(Adapter(model, inputs), [Logit(0)])
    with torch.no_grad():
        second = model.second(model.first(inputs["image"]).relu()).relu() + 1
        expected = model.fc(second.flatten(2).mean(dim=2))[:, 0]
    torch.testing.assert_close(probe.score(inputs, edit={"relu#1": lambda x: x + 1})[0], expected, rtol=0, atol=1e-6)


def test_an_edit_that_cannot_take_effect_is_an_error() -> None:
    inputs = pictures()
    probe = Probe(Adapter(Shared(), inputs), [Logit(0)])
    for name, code in (("unused", "SW-L07"), ("relu#2", "SW-L07"), ("fc.input", "SW-L14"), ("fcc", "SW-L01")):
        with pytest.raises(LayerError, match=code):
            probe.score(inputs, edit={name: torch.zeros_like})


def test_two_threads_on_one_model_equal_one_after_the_other() -> None:
    model = ConvNet().train()
    batches = [pictures(1) for _ in range(40)]
    probe = Probe(Adapter(model, batches[0]), [Logit(), Logit(0)])
    serial = [probe.capture(batch, BODY) for batch in batches]
    with unchanged(model), ThreadPoolExecutor(2) as threads:
        parallel = list(threads.map(lambda batch: probe.capture(batch, BODY), batches))
    for one, other in zip(serial, parallel, strict=True):
        assert_same(one, other)


def test_a_second_borrower_waits_for_the_first() -> None:
    model, order = ConvNet(), []

    def borrow_as_second() -> None:
        with borrowed(model):
            order.append("second")

    second = threading.Thread(target=borrow_as_second)
    with borrowed(model), borrowed(model):
        second.start()
        second.join(0.2)
        order.append("first")
    second.join()
    assert order == ["first", "second"]


def test_a_call_from_another_thread_during_the_pass_is_not_taken_for_ours() -> None:
    model, inputs = ConvNet().eval(), pictures()
    probe = Probe(Adapter(model, inputs), [Logit(0)])
    expected = probe.capture(inputs, BODY)
    owner = threading.get_ident()

    def call_from_another_thread(*_: object) -> None:
        if threading.get_ident() == owner:
            with ThreadPoolExecutor(1) as other:
                other.submit(model, torch.zeros(1, 2, 16, 16)).result()

    handle = model.stem.register_forward_hook(call_from_another_thread)
    disturbed = probe.capture(inputs, BODY)
    ablated = probe.score(inputs, edit={"body": torch.zeros_like})
    handle.remove()
    assert_same(expected, disturbed)
    assert torch.equal(ablated, probe.score(inputs, edit={"body": torch.zeros_like}))
