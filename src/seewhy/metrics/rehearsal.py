"""A metric tried before long work begins, on a model that always answers zero: can it be asked, with these settings?"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from seewhy.capture.probe import Edit, Probe
from seewhy.core import Attribution, Capture, Explanation, Inputs, Target, Wants
from seewhy.metrics.case import Case
from seewhy.metrics.grading import grade
from seewhy.models.adapter import Adapter
from seewhy.models.heads import Task
from seewhy.targets import Logit
from seewhy.values import ConfigError, SeewhyError

FIRST = Logit((0,))
"""The question that is put where it does not matter which."""


class SilentProbe(Probe):
    """A probe whose every answer is zero, without a pass through the model."""

    def score(self, inputs: Inputs, edit: Edit | None = None) -> Float[Tensor, "k b"]:
        """Zeros."""
        del edit
        return torch.zeros(len(self.targets), _records(inputs), device=self.adapter.device)

    def capture(self, inputs: Inputs, wants: Wants, edit: Edit | None = None) -> Capture:
        """Outputs of zeros, and an embedding of zeros where one is wanted."""
        del edit
        outputs = torch.zeros(_records(inputs), self.adapter.trace.outputs, device=self.adapter.device)
        return Capture(outputs, self.score(inputs), self.targets, embedding=outputs if wants.embedding else None)


def why_no_metric(
    adapter: Adapter,
    input_name: str,
    metric: str,
    settings: Mapping[str, Any],
    *,
    target: Target = FIRST,
    task: Task | None = None,
) -> str:
    """Why a metric cannot be asked of this model, in words; empty where it can.

    The metric runs on one record whose maps are noise, and on a model that always says zero; ``target`` is a settled
    question of the kind that will be asked.

    Raises ``ConfigError``: the metric's own, and SW-F285 for what it stumbles over, where settings were given for it.
    """
    try:
        grade(metric, _noise(adapter, input_name, target, task), **settings)
    except ConfigError as error:
        if settings:
            raise
        return error.message
    except SeewhyError as error:
        return error.message
    except (TypeError, ValueError, RuntimeError, AttributeError) as error:
        if not settings:
            raise
        given = ", ".join(f"{name}={value!r}" for name, value in settings.items())
        raise ConfigError(
            "SW-F285", f"the metric {metric!r} cannot be asked with {given}: {error}",
            fix="correct the settings; docs/metrics.md lists them with their defaults",
        ) from error  # fmt: skip
    return ""


def _noise(adapter: Adapter, name: str, target: Target, task: Task | None) -> Case:
    one = {key: tensor[:1] for key, tensor in adapter.example.items()}
    size = one[name].shape[2:]
    maps = torch.rand(1, *size, generator=torch.Generator().manual_seed(0)).to(adapter.device)
    mask = torch.zeros(1, *size, dtype=torch.bool)
    mask.view(-1)[: mask.numel() // 2] = True

    def explain(probe: Probe, inputs: Inputs) -> Explanation:
        scores = probe.score(inputs)
        return Explanation({name: maps.expand(*scores.shape, *size)}, scores)

    attribution = Attribution({name: maps}, torch.zeros(1))
    return Case(
        SilentProbe(adapter, [target]),
        one,
        attribution,
        explain,
        name=name,
        task=task,
        keys=("",),
        mask_given=mask,
        rivals={"another": maps},
    )


def _records(inputs: Inputs) -> int:
    return next(iter(inputs.values())).shape[0]
