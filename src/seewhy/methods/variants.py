"""Many variants of one input put to a model: the part that perturbation methods share."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from numbers import Integral, Real

import torch
from jaxtyping import Float, Shaped
from torch import Tensor

from seewhy.capture.probe import Probe
from seewhy.core import Inputs, Target
from seewhy.methods.baselines import Baseline, baselines
from seewhy.methods.passes import floating_spatial_inputs
from seewhy.targets import Logit, Probability
from seewhy.values import ConfigError


def scores_of_rows(
    probe: Probe, inputs: Inputs, variants: Mapping[str, Float[Tensor, "r c ..."]], rows: Sequence[int]
) -> Float[Tensor, "k r"]:
    """The scores ``(K, R)`` of variants of inputs by name, each of the record in ``rows``, other inputs as they were.

    The probe's questions must be settled.
    """
    index = torch.tensor(rows)
    given = {name: variants.get(name, tensor[index.to(tensor.device)]) for name, tensor in inputs.items()}
    return probe.take(rows).score(given)


def scores_of_variants(
    probe: Probe, inputs: Inputs, name: str, variants: Float[Tensor, "n b c *s"]
) -> Float[Tensor, "k n b"]:
    """The scores ``(K, N, B)`` of ``N`` variants of every record."""
    count, records = variants.shape[:2]
    scores = scores_of_rows(probe, inputs, {name: variants.flatten(0, 1)}, list(range(records)) * count)
    return scores.reshape(-1, count, records)


def spread_over(scores: Float[Tensor, "k n b"], masks: Shaped[Tensor, "n *s"]) -> Float[Tensor, "k b *s"]:
    """The sum over masks of score times mask, for all targets and records in one matrix product."""
    total: Tensor = torch.tensordot(scores.transpose(1, 2), masks.to(scores), dims=1)
    return total


def masks_at_once(chunk_size: int, records: int) -> int:
    """How many masks go through the model together, so that a pass holds at most ``chunk_size`` pictures.

    One mask is always put to all records.
    """
    return max(1, chunk_size // records)


def in_probabilities(probe: Probe) -> tuple[Probe, str]:
    """Settled questions about the probability of a class in place of its logit, and what is scored, in words.

    Any other question is asked as it stands; so is a logit of a model with one output, whose softmax is always 1.
    """
    if probe.adapter.trace.outputs == 1:
        return probe, AS_ASKED
    targets = tuple(_probability(target) for target in probe.targets)
    return probe.asking(targets), "probability" if targets != probe.targets else AS_ASKED


AS_ASKED = "as asked"


def _probability(target: Target) -> Target:
    return Probability(target.index) if isinstance(target, Logit) else target


Value = float | Baseline
"""What hidden places become: a number in the model's own values, or a baseline."""


def fillings(probe: Probe, inputs: Inputs, value: Value) -> Inputs:
    """What hidden places of every input become, in the shape of the input.

    Raises ``ConfigError`` SW-F55 for a number that is not finite, and what :func:`~seewhy.methods.baselines.baselines`
    raises.
    """
    number = float(value) if isinstance(value, Real) and not isinstance(value, bool) else value
    if not isinstance(number, int | float):
        return baselines(probe, inputs, number)
    if isinstance(number, bool) or not math.isfinite(number):
        raise ConfigError(
            "SW-F55",
            f"hidden places become a finite number or a named baseline, got {value!r}",
            fix="give value=0.0 (the mean colour of a normalised picture) or the name of a baseline",
        )
    names = floating_spatial_inputs(probe, inputs)
    return {name: inputs[name].new_full((1,) * inputs[name].ndim, number).expand_as(inputs[name]) for name in names}


def check_counts(**settings: int) -> None:
    """Raise ``ConfigError`` SW-F50 for a setting that is no whole number of at least one."""
    for name, value in settings.items():
        if isinstance(value, bool) or not isinstance(value, Integral) or value < 1:
            raise ConfigError(
                "SW-F50", f"{name} must be a whole number of at least 1, got {value!r}", fix=f"give {name}=1 or more"
            )


def check_between(low: float, high: float, **settings: float) -> None:
    """Raise ``ConfigError`` SW-F51 for a setting that is not strictly between ``low`` and ``high``."""
    for name, value in settings.items():
        if isinstance(value, bool) or not isinstance(value, Real) or not low < value < high:
            limits = f"above {low:g}" if math.isinf(high) else f"between {low:g} and {high:g}"
            raise ConfigError("SW-F51", f"{name} must be a number {limits}, got {value!r}", fix="choose one in between")
