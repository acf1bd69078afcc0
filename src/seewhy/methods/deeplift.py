"""DeepLIFT: each activation's change from a baseline, handed back to the inputs that changed it."""

from __future__ import annotations

import importlib
from typing import Any, Literal

import torch
from jaxtyping import Float
from torch import Tensor

from seewhy import ops
from seewhy.capture.probe import Probe
from seewhy.core import Explanation, Inputs, Target
from seewhy.methods.baselines import Baseline, baselines
from seewhy.methods.deeplift_model import MIXES_RECORDS, made_ready, without_rule
from seewhy.methods.external import FrozenScore, as_guest, private_copy
from seewhy.methods.passes import floating_spatial_inputs
from seewhy.models.adapter import Adapter
from seewhy.registry import method
from seewhy.values import ConfigError, MissingExtraError, ModelError

ROUNDING = 1e-5
"""What rounding alone may do to a sum of contributions, as a share of the scores."""


MOST_NAMED = 5


@method(
    "deeplift",
    asks=True,
    signed=True,
    share_by="sum",
    cite="Shrikumar et al. 2017, arXiv:1704.02685, Rescale rule, as in captum; answers that do not add up are refused",
    also=("deep_lift",),
)
def deeplift(
    probe: Probe,
    inputs: Inputs,
    *,
    baseline: Baseline | Literal["zero"] = "zero",
    tolerance: float = 1e-3,
    chunk_size: int = 16,
) -> Explanation:
    """Each value's share of the change of the score from the baseline's, by the Rescale rule.

    The rule needs every non-linear step to be a module it knows (ReLU, ELU, leaky ReLU, sigmoid, tanh, softplus, max
    pooling). It runs on a private copy of the model, whose in-place modules work out of place and whose modules that
    run several times are one module per call. Then the contributions add up to ``f(x) - f(baseline)``;
    ``measured["completeness_residual"]`` is what is missing. ``baseline`` is ``"zero"``, the model's own zero, or what
    :func:`seewhy.methods.baselines.baselines` takes: a colour, a tensor or a dict.

    Raises ``ModelError`` SW-M16, naming the steps without a rule, where the residual is above ``tolerance`` of the
    change (and above rounding); SW-M15 for a model that cannot be copied, SW-M17 where captum fails; ``ConfigError``
    SW-F68 for settings out of range, SW-F40 to SW-F42 for the baseline; ``MissingExtraError`` without captum.
    """
    if not tolerance > 0 or chunk_size < 1:
        raise ConfigError(
            "SW-F68",
            f"tolerance must be positive and chunk_size at least 1, got {tolerance} and {chunk_size}",
            fix="leave them out",
        )
    rule = _deep_lift()
    start = _baselines(inputs, probe, baseline)
    settled, scores = probe.settled(inputs)
    change = scores - settled.score({**inputs, **start})
    adapter = made_ready(private_copy(probe.adapter))
    alone = any(isinstance(module, MIXES_RECORDS) for module in adapter.model.modules())
    parts = list(ops.chunks(scores.shape[1], 1 if alone else chunk_size))
    per_target = [
        [_of_rows(rule, adapter, target, inputs, start, part) for part in parts] for target in settled.targets
    ]
    per_channel = {
        name: torch.stack([torch.cat([part[name] for part in found]) for found in per_target]) for name in start
    }
    total = torch.stack([answer.flatten(2).sum(dim=2) for answer in per_channel.values()]).sum(dim=0)
    residual = total - change
    allowed = tolerance * change.abs() + ROUNDING * (scores.abs() + (scores - change).abs())
    if bool((residual.abs() > allowed).any()):
        raise _does_not_add_up(residual, change, without_rule(adapter, inputs))
    maps = {name: answer.sum(dim=2) for name, answer in per_channel.items()}
    return Explanation(maps, scores, per_channel=per_channel, measured={"completeness_residual": residual})


def _of_rows(
    rule: Any, adapter: Adapter, target: Target, inputs: Inputs, start: Inputs, rows: range
) -> dict[str, Float[Tensor, "b c *s"]]:
    """The contributions of some records."""
    others = tuple(name for name in inputs if name not in start)
    score = FrozenScore(adapter, target, (*start, *others), rows)

    def taken(source: Inputs, names: tuple[str, ...]) -> tuple[Tensor, ...]:
        return tuple(source[name][rows.start : rows.stop].detach().clone().to(adapter.device) for name in names)

    names = tuple(start)
    with as_guest(adapter.model):
        try:
            found = rule(score).attribute(
                taken(inputs, names), taken(start, names), additional_forward_args=taken(inputs, others) or None
            )
        except (RuntimeError, AssertionError, TypeError, AttributeError) as error:
            raise ModelError(
                "SW-M17",
                f"captum's DeepLift failed on this model: {type(error).__name__}: {error}",
                fix="choose integrated_gradients, which works on any differentiable model",
            ) from error
    return {name: answer.detach() for name, answer in zip(names, found, strict=True)}


def _deep_lift() -> Any:
    try:
        return importlib.import_module("captum.attr").DeepLift
    except ImportError as error:
        raise MissingExtraError("captum", "captum") from error


def _baselines(inputs: Inputs, probe: Probe, baseline: Baseline | Literal["zero"]) -> Inputs:
    if isinstance(baseline, str) and baseline == "zero":
        return {name: torch.zeros_like(inputs[name]) for name in floating_spatial_inputs(probe, inputs)}
    return baselines(probe, inputs, baseline)


def _does_not_add_up(residual: Float[Tensor, "k b"], change: Float[Tensor, "k b"], steps: list[str]) -> ModelError:
    worst = int(residual.abs().argmax())
    more = f" and {len(steps) - MOST_NAMED} more" if len(steps) > MOST_NAMED else ""
    named = f"; steps without a rule: {', '.join(steps[:MOST_NAMED])}{more}" if steps else ""
    return ModelError(
        "SW-M16",
        f"DeepLIFT's contributions miss the change of the score, {float(change.flatten()[worst]):.4g}, "
        f"by {float(residual.flatten()[worst]):.4g}{named}",
        fix="make each activation a module of its own, such as nn.ReLU(), or choose integrated_gradients",
    )
