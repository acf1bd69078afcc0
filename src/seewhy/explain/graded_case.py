"""What an explainer says of some pictures or inputs, ready to be graded."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from jaxtyping import Bool
from torch import Tensor

from seewhy.capture.counting import CountingProbe
from seewhy.core import Inputs, Target
from seewhy.explain.answering import Ready
from seewhy.explain.explainer import Explainer
from seewhy.explain.given_inputs import stacked
from seewhy.explain.head import head_of
from seewhy.explain.prepared import Prepared
from seewhy.methods.scale import contributes_of, scale_of
from seewhy.metrics.case import Case
from seewhy.metrics.rehearsal import FIRST, why_no_metric
from seewhy.values import ConfigError, TargetError


def ready_for(explainer: Explainer, prepared: Sequence[Prepared], classes: Sequence[Any]) -> Ready:
    """A method about to be asked of pictures of one prepared size."""
    inputs = stacked([one.pixels for one in prepared])
    adapter = explainer.study.adapter(inputs)
    return Ready(adapter, head_of(adapter, explainer.reading), explainer.asked({}), classes, inputs)


def case_for(
    ready: Ready,
    name: str | None = None,
    *,
    mask: Bool[Tensor, "b *s"] | None = None,
    ids: Sequence[str] = (),
    chunk_size: int | None = None,
) -> tuple[Case, float]:
    """The case of one input, and how many passes a record cost; ``name`` may be left out where there is one input.

    Records without ``ids`` are told apart by their values, so that noise depends on nothing else of the batch.
    """
    probe = CountingProbe(ready.adapter, (ready.head.question(ready.classes),))
    settled, _ = probe.settled(ready.inputs)
    counted = CountingProbe(ready.adapter, settled.targets)
    found = ready.asked(counted, ready.inputs)
    records = len(next(iter(ready.inputs.values())))
    case = Case(
        settled,
        ready.inputs,
        found.target(),
        ready.asked,
        name=next(iter(found.maps)) if name is None else name,
        scale=scale_of(ready.asked.method, ready.asked.settings),
        contributes=contributes_of(ready.asked.method, ready.asked.settings),
        task=ready.head.task,
        keys=tuple(ids) or ids_of(ready.inputs),
        mask_given=mask,
        chunk_size=chunk_size,
    )
    return case, counted.passes / records


def rehearsed(ready: Ready, metrics: Mapping[str, Mapping[str, Any]], *, strict: bool) -> dict[str, str]:
    """Why some of these metrics cannot be asked of this model, by metric; nothing goes through the model for it.

    Raises the metric's error where it has settings of its own, or ``strict``: where it was asked for by name.
    """
    target = _settled_on_zeros(ready)
    name = ready.adapter.spatial_inputs[0]
    refused = {}
    for metric, settings in metrics.items():
        why = why_no_metric(ready.adapter, name, metric, settings, target=target, task=ready.head.task)
        if why and strict:
            raise ConfigError(
                "SW-F233", f"the metric {metric!r} cannot be asked here: {why}", fix="choose another metric"
            )
        if why:
            refused[metric] = why
    return refused


def _settled_on_zeros(ready: Ready) -> Target:
    """A question of the kind that is asked, about the first record."""
    try:
        question = ready.head.question(list(ready.classes)[:1])
        return question.bind(torch.zeros(1, ready.adapter.trace.outputs))
    except TargetError:
        return FIRST


def ids_of(inputs: Inputs) -> tuple[str, ...]:
    """A name for each record that depends on its values alone.

    >>> len(set(ids_of({"image": torch.tensor([[0.0], [1.0], [0.0]])})))
    2
    """
    records = len(next(iter(inputs.values())))
    return tuple(_digest([tensor[record] for tensor in inputs.values()]) for record in range(records))


def _digest(tensors: Sequence[Tensor]) -> str:
    found = hashlib.blake2b(digest_size=8)
    for tensor in tensors:
        found.update(tensor.detach().cpu().contiguous().view(torch.uint8).numpy().tobytes())
    return found.hexdigest()
