"""Law 5: "the predicted class" is settled on the clean input; every perturbed pass is asked about that class."""

from __future__ import annotations

import torch

from seewhy.capture.probe import Probe
from seewhy.core import Wants
from seewhy.models.adapter import Adapter
from seewhy.targets import Logit, Probability
from toys import GapLinear


def test_a_bound_target_keeps_the_clean_inputs_class_when_the_prediction_flips() -> None:
    model = GapLinear(classes=5)
    clean = {"image": torch.randn(8, 2, 9, 9)}
    perturbed = {"image": clean["image"] * -30}  # the model is linear: what was highest becomes lowest
    adapter = Adapter(model, clean)
    free = Probe(adapter, [Logit(), Logit(rank=1), Probability()])
    capture = free.capture(clean, Wants())
    after = free.capture(perturbed, Wants())
    order = capture.outputs.argsort(dim=1, descending=True)
    assert (after.outputs.argmax(dim=1) != order[:, 0]).any()

    best, second, probability = Probe(adapter, capture.targets).score(perturbed)
    records = torch.arange(8)
    torch.testing.assert_close(best, after.outputs[records, order[:, 0]])
    torch.testing.assert_close(second, after.outputs[records, order[:, 1]])
    torch.testing.assert_close(probability, after.outputs.softmax(dim=1)[records, order[:, 0]])


def test_binding_twice_changes_nothing() -> None:
    clean, other = torch.tensor([[1.0, 3.0, 2.0]]), torch.tensor([[9.0, 0.0, 0.0]])
    bound = Logit().bind(clean)
    assert bound.bind(other) == bound
    assert bound(other).item() == 0.0
