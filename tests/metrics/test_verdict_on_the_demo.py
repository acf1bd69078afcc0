"""The verdict on the shipped model: its first choice beats the best control, and both kinds of cheats are caught."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from cases import case_of

from seewhy.capture.probe import Probe
from seewhy.core import Attribution, Explanation, Inputs
from seewhy.data.cluttered_digits import ClutteredDigits
from seewhy.demo.models import load
from seewhy.metrics.case import Case
from seewhy.metrics.controls import CONTROLS, controlled
from seewhy.metrics.gradebook import Gradebook
from seewhy.metrics.grading import grade
from seewhy.metrics.verdict import Verdict, verdict

RECORDS = 24
FAITHFULNESS = ("deletion", "insertion")
METRICS = (*FAITHFULNESS, "parameter_randomization", "class_sensitivity", "relevance_mass_accuracy")
METHODS = ("gradcam", "saliency", "guided_backprop", "eigencam")


def graded(case: Case) -> dict[str, np.ndarray]:
    settings = {metric: {"steps": 16} for metric in FAITHFULNESS}
    return {metric: grade(metric, case, **settings.get(metric, {})).values.numpy() for metric in METRICS}


def handed_over(case: Case) -> Case:
    """The true place of the digit as a map, which is right whatever the model does."""
    maps = {"image": case.mask.to(case.image)}

    def explain(probe: Probe, inputs: Inputs) -> Explanation:
        scores = probe.score(inputs)
        return Explanation({"image": maps["image"].expand(len(scores), *maps["image"].shape)}, scores)

    return replace(case, attribution=Attribution(maps, case.attribution.score), explain_with=explain)


@pytest.fixture(scope="module")
def found() -> Verdict:
    digits = ClutteredDigits(counts={"test": RECORDS})
    records = [digits.read(place) for place in range(RECORDS)]
    inputs = {"image": torch.stack([one.inputs["image"] for one in records])}
    mask = torch.from_numpy(np.stack([one.mask for one in records]))
    ids = tuple(one.record_id for one in records)
    model = load("cnn")
    cases = {
        method: case_of(model, inputs, method, normalisation=digits.normalisation, keys=ids, mask_given=mask)
        for method in METHODS
    }
    one = cases["gradcam"]
    cases |= {"dressed_edges": controlled(one, "edges"), "true_mask": handed_over(one)}
    cases |= {name: controlled(one, name) for name in CONTROLS}
    return verdict(Gradebook(ids, {who: graded(case) for who, case in cases.items()}))


@pytest.mark.slow
def test_the_first_choice_beats_the_best_control(found: Verdict) -> None:
    assert found.use == "gradcam"
    above = found.ranking[0].evidence.above
    assert all(above[metric].better and above[metric].p < 0.01 for metric in FAITHFULNESS)


@pytest.mark.slow
def test_maps_that_ignore_the_model_are_rejected_whether_wrong_or_right(found: Verdict) -> None:
    for cheat in ("dressed_edges", "true_mask"):
        assert found.avoid[cheat].startswith("its maps do not change when the weights are randomised (magnitude of the")
    (mask,) = [row.evidence for row in found.ranking if row.method == "true_mask"]
    assert mask.values["relevance_mass_accuracy"].mean == 1.0
    assert mask.above["relevance_mass_accuracy"].better


@pytest.mark.slow
def test_maps_that_are_the_same_for_every_class_are_rejected_for_that(found: Verdict) -> None:
    assert found.avoid["eigencam"].startswith("its maps are much the same whatever class is asked about")
    assert {"saliency", "eigencam"}.isdisjoint({found.use})
