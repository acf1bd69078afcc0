"""On the demonstration's digits: no method is localized better than the digit itself, and none worse than noise."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import pytest
import torch

import seewhy.metrics  # noqa: F401  (importing the room registers every metric)
from metrics.cases import case_of
from seewhy.core import Attribution
from seewhy.data.cluttered_digits import ClutteredDigits
from seewhy.demo.models import load
from seewhy.methods.scale import scale_of
from seewhy.metrics.case import Case
from seewhy.metrics.controls import CONTROLS, controlled
from seewhy.metrics.grading import grade
from seewhy.metrics.max_box import max_box_accuracy
from seewhy.registry import METHODS, METRICS

METHODS_TRIED = ("gradcam", "layercam", "eigencam", "gradient", "input_x_gradient", "smoothgrad")
LOCALIZATION = ("relevance_mass_accuracy", "relevance_rank_accuracy", "iou", "localization_auc", "kld", "sim", "nss")
BY_PLACE = ("max_box_acc_v2", "pointing_game")
"""Coarse: noise, with its many small parts, may have a box that fits where a Gaussian in the middle has none."""
RECORDS = 32


@cache
def cases() -> dict[str, Case]:
    """Every method's case, and those of the digit's own mask and the controls."""
    digits = ClutteredDigits(counts={"test": RECORDS})
    records = [digits.read(position) for position in range(RECORDS)]
    images = torch.stack([record.inputs["image"] for record in records])
    masks = torch.stack([torch.from_numpy(record.mask) for record in records])
    model, ids = load("cnn"), tuple(map(str, range(RECORDS)))
    found = {
        name: case_of(model, {"image": images}, name, mask_given=masks, keys=ids, scale=scale_of(METHODS[name]))
        for name in METHODS_TRIED
    }
    any_ = found["gradcam"]
    truth = Attribution({"image": masks.float()}, any_.attribution.score)
    controls = {name: controlled(any_, name) for name in CONTROLS}
    return {**found, "truth": replace(any_, attribution=truth, scale="positive"), **controls}


@pytest.mark.slow
def test_the_digits_mask_is_the_best_map_and_noise_the_worst() -> None:
    by_name = cases()
    for metric in (*LOCALIZATION, *BY_PLACE):
        sign = -1 if METRICS[metric].better == "lower" else 1
        means = {name: sign * grade(metric, case).values.nanmean().item() for name, case in by_name.items()}
        methods = [means[name] for name in METHODS_TRIED]
        assert means["truth"] >= max(means.values()), (metric, means)
        assert means["random"] < min(methods), (metric, means)
        if metric in LOCALIZATION:
            assert means["random"] == min(means.values()), (metric, means)


@pytest.mark.slow
def test_boxes_with_one_threshold_for_all_records_tell_noise_from_methods_too() -> None:
    by_name = cases()
    found = {name: max_box_accuracy(grade("max_box_acc_v2", case).details["box_iou"]) for name, case in by_name.items()}
    means = {name: grade("max_box_acc_v2", case).values.nanmean().item() for name, case in by_name.items()}
    assert all(found[name] <= means[name] for name in found)  # a threshold for each record is at least as good
    assert found["truth"] >= max(found.values())
    assert found["random"] < min(found[name] for name in METHODS_TRIED)
