"""Law 2: a record's answer depends neither on the other records, nor on their order, nor on the memory layout."""

from __future__ import annotations

import pytest
import torch
from law_sweep import CASES, Case, named

from seewhy.targets import Logit

QUESTIONS = (Logit(), Logit(1))


@pytest.mark.parametrize("case", CASES, ids=named)
def test_a_batch_equals_its_records_one_by_one(case: Case) -> None:
    model, inputs = case.subject.model(), case.subject.inputs()
    batch = case.explain(model, inputs, QUESTIONS)
    for record in range(3):
        alone = case.explain(model, {name: tensor[record : record + 1] for name, tensor in inputs.items()}, QUESTIONS)
        torch.testing.assert_close(alone[:, 0], batch[:, record], rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("case", CASES, ids=named)
def test_reordering_records_reorders_answers(case: Case) -> None:
    model, inputs = case.subject.model(), case.subject.inputs()
    order = torch.tensor([2, 0, 1])
    straight = case.explain(model, inputs, QUESTIONS)
    shuffled = case.explain(model, {name: tensor[order] for name, tensor in inputs.items()}, QUESTIONS)
    torch.testing.assert_close(shuffled, straight[:, order], rtol=1e-5, atol=1e-7)


PICTURES = [case for case in CASES if len(case.subject.size) == 2 and len(case.subject.second) in (0, 3)]


@pytest.mark.parametrize("case", PICTURES, ids=named)
def test_memory_format_changes_nothing(case: Case) -> None:
    model, inputs = case.subject.model(), case.subject.inputs()
    plain = case.explain(model, inputs, QUESTIONS)
    strided = {name: tensor.to(memory_format=torch.channels_last) for name, tensor in inputs.items()}
    torch.testing.assert_close(case.explain(model, strided, QUESTIONS), plain, rtol=1e-4, atol=1e-6)
