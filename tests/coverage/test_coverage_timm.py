"""Every family of timm is explained without configuration: one model each, N of N."""

from __future__ import annotations

import gc
from collections.abc import Callable

import pytest
import timm
import torch
from any_model import complaints
from timm_families import SMALLEST, built, smallest_of

FAST = {
    "resnet": 64, "efficientnet": 64, "mobilenetv3": 64, "regnet": 64, "convnext": 64, "densenet": 64,
    "vision_transformer": 64, "deit": 64, "xcit": 64, "pit": 64, "levit": 96, "swin_transformer": 64,
}  # fmt: skip
"""A dozen families for every run, and the size of their pictures."""


@pytest.mark.parametrize("family", FAST)
def test_a_dozen_families_are_explained_without_configuration(family: str) -> None:
    model, pictures = built(smallest_of(family), sizes=(FAST[family],))
    assert complaints(model, pictures) == []


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_every_family_is_explained_without_configuration(record_property: Callable[[str, object], None]) -> None:
    families = timm.list_modules()
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    wrong = {}
    for family in families:
        torch.manual_seed(0)
        found = complaints(*built(smallest_of(family)))
        if found:
            wrong[family] = found
        gc.collect()
    torch.set_num_threads(threads)
    record_property("covered", f"timm: {len(families) - len(wrong)}/{len(families)} families")
    assert wrong == {}


def test_the_table_of_smallest_models_names_models_that_exist() -> None:
    known = set(timm.list_models())
    assert [name for name in SMALLEST.values() if name not in known] == []
