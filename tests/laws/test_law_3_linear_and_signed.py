"""Law 3: linear methods are linear in the target, and raw answers keep scale and sign."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pytest
import torch
from law_sweep import LINEAR, Case, named
from torch import Tensor

from seewhy.core import Target
from seewhy.targets import Logit


@dataclass(frozen=True)
class Weighted:
    """``first`` times class 0 plus ``second`` times class 2."""

    first: float
    second: float

    def bind(self, outputs: Tensor) -> Target:
        return self

    def __call__(self, outputs: Tensor) -> Tensor:
        return self.first * outputs[:, 0] + self.second * outputs[:, 2]

    def take(self, rows: Sequence[int]) -> Target:
        return self


@pytest.mark.parametrize("case", LINEAR, ids=named)
def test_the_map_of_a_sum_is_the_sum_of_maps(case: Case) -> None:
    model, inputs = case.subject.model(), case.subject.inputs()
    zero, two, both = case.explain(model, inputs, [Logit(0), Logit(2), Weighted(3.0, -0.5)])
    scale = both.abs().max().item()
    torch.testing.assert_close(both, 3.0 * zero - 0.5 * two, rtol=0, atol=1e-5 * scale)


@pytest.mark.parametrize("case", LINEAR, ids=named)
def test_the_map_of_the_opposite_question_is_the_opposite_map(case: Case) -> None:
    model, inputs = case.subject.model(), case.subject.inputs()
    straight, opposite = case.explain(model, inputs, [Weighted(1.0, 0.0), Weighted(-1.0, 0.0)])
    assert straight.abs().max() > 0
    torch.testing.assert_close(opposite, -straight, rtol=0, atol=0)


@pytest.mark.parametrize("case", [case for case in LINEAR if case.method.signed], ids=named)
def test_a_constant_added_to_every_logit_changes_nothing(case: Case) -> None:
    model, inputs = case.subject.model(), case.subject.inputs()
    before = case.explain(model, inputs, [Logit(1)])
    with torch.no_grad():
        model.head.bias.add_(7.0)
    torch.testing.assert_close(case.explain(model, inputs, [Logit(1)]), before, rtol=0, atol=0)
