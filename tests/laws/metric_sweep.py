"""What the laws of metrics are swept over: every registered metric on small models of several ranks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import torch
from law_sweep import SUBJECTS, Subject
from torch import Tensor

import seewhy.metrics  # noqa: F401  (importing the room registers every metric)
from seewhy.capture.probe import Probe
from seewhy.methods.ask import Asked
from seewhy.metrics.case import Case
from seewhy.metrics.grade import Grade
from seewhy.metrics.grading import grade
from seewhy.registry import METRICS
from seewhy.targets import Logit

QUICK = {"steps": 5, "samples": 4, "subsets": 6, "repeats": 1, "draws": 2, "n_samples": 4}
"""Few steps and samples: the laws hold for any number."""

BY_NAME = {subject.name: subject for subject in SUBJECTS}
PICTURE = BY_NAME["2-D convolutions"]
RANKS = (
    "1-D convolutions",
    "non-square odd picture",
    "3-D convolutions",
    "two inputs of convolutions",
    "frames of a clip",
    "tokens",
)
"""One model of every kind of input."""


def settings_of(name: str, subject: Subject) -> dict[str, Any]:
    """Few samples, and whatever has no default."""
    known = METRICS[name].settings
    found = {key: value for key, value in QUICK.items() if key in known}
    if "retrained" in known:
        torch.manual_seed(5)
        found["retrained"] = subject.build()
    return found


def case_on(
    subject: Subject, inputs: dict[str, Tensor], *, method: str = "gradcam", ids: Sequence[str] = (), **others: Any
) -> Case:
    """What a method says about the first input of these records, with an object in a corner and one rival."""
    model = subject.model()
    adapter = subject.adapter(model, inputs)
    probe, _ = Probe(adapter, [Logit()]).settled(inputs)
    asked = Asked(method)
    found = asked(probe, inputs).target()
    image = inputs["image"]
    mask = torch.zeros(len(image), *image.shape[2:], dtype=torch.bool)
    mask[(slice(None), *(slice(0, max(length // 2, 1)) for length in image.shape[2:]))] = True
    rivals = {"saliency": Asked("saliency")(probe, inputs).target().maps["image"]}
    return Case(probe, inputs, found, asked, keys=tuple(ids), mask_given=mask, rivals=rivals, **others)


def row_of(case: Case, subject: Subject, row: int) -> Case:
    """One record of a case, graded alone on a model of its own."""
    inputs = {name: tensor[row : row + 1] for name, tensor in case.inputs.items()}
    attribution = replace(
        case.attribution,
        maps={name: maps[row : row + 1] for name, maps in case.attribution.maps.items()},
        per_channel={name: values[row : row + 1] for name, values in case.attribution.per_channel.items()},
        score=case.attribution.score[row : row + 1],
    )
    given = None if case.mask_given is None else case.mask_given[row : row + 1]
    keys = tuple(case.keys[row : row + 1])
    rivals = {name: maps[row : row + 1] for name, maps in case.rivals.items()}
    return replace(
        case,
        probe=case.probe.take([row]),
        inputs=inputs,
        attribution=attribution,
        mask_given=given,
        keys=keys,
        rivals=rivals,
    )


def graded_on(name: str, subject: Subject, case: Case) -> Grade:
    """What a metric says of a case, quickly."""
    return grade(name, case, **settings_of(name, subject))
