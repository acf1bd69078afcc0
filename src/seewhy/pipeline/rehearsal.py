"""Methods and metrics tried before a run, so that what cannot work is told before any record is read."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from seewhy.capture.probe import Edit, Probe
from seewhy.core import Attribution, Capture, Explanation, Inputs, Wants
from seewhy.methods.ask import Asked
from seewhy.metrics.case import Case
from seewhy.metrics.grading import grade
from seewhy.models.adapter import Adapter
from seewhy.pipeline.subjects import MetricAsked
from seewhy.targets import Logit
from seewhy.values import ConfigError, LayerError, SeewhyError


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


def why_no_metric(adapter: Adapter, input_name: str, asked: MetricAsked) -> str:
    """Why a metric cannot be asked of this model, in words; empty where it can.

    The metric runs on one record whose maps are noise, and on a model that always says zero.

    Raises ``ConfigError``: the metric's own, and SW-F285 for what it stumbles over, where settings were given for it.
    """
    try:
        grade(asked.name, _noise(adapter, input_name), **asked.settings)
    except ConfigError as error:
        if asked.settings:
            raise
        return error.message
    except SeewhyError as error:
        return error.message
    except (TypeError, ValueError, RuntimeError) as error:
        if not asked.settings:
            raise
        given = ", ".join(f"{name}={value!r}" for name, value in asked.settings.items())
        raise ConfigError(
            "SW-F285", f"the metric {asked.name!r} cannot be asked with {given}: {error}",
            fix="correct the settings; docs/metrics.md lists them with their defaults",
        ) from error  # fmt: skip
    return ""


def why_no_method(adapter: Adapter, asked: Asked, *, layer_named: bool) -> str:
    """Why a method cannot explain this model, in words; empty where nothing speaks against it yet.

    A method with settings of the user's is asked about one record, since only that shows whether they can be.

    Raises ``ConfigError`` for settings that cannot be, and ``LayerError`` for a layer that the user named.
    """
    one = {name: tensor[:1] for name, tensor in adapter.example.items()}
    probe = Probe(adapter, [Logit((0,))])
    try:
        asked.layers_of(probe)
        if asked.method.needs_attention:
            asked.attention(probe)
        if asked.settings:
            asked(probe, one)
    except (ConfigError, LayerError) as error:
        if isinstance(error, ConfigError) or layer_named:
            raise
        return error.message
    except SeewhyError as error:
        return error.message
    return ""


def _noise(adapter: Adapter, name: str) -> Case:
    one = {key: tensor[:1] for key, tensor in adapter.example.items()}
    size = one[name].shape[2:]
    maps = torch.rand(1, *size, generator=torch.Generator().manual_seed(0)).to(adapter.device)
    mask = torch.zeros(1, *size, dtype=torch.bool)
    mask.view(-1)[: mask.numel() // 2] = True

    def explain(probe: Probe, inputs: Inputs) -> Explanation:
        scores = probe.score(inputs)
        return Explanation({name: maps.expand(*scores.shape, *size)}, scores)

    attribution = Attribution({name: maps}, torch.zeros(1))
    return Case(SilentProbe(adapter, [Logit((0,))]), one, attribution, explain, name=name, keys=("",), mask_given=mask)


def _records(inputs: Inputs) -> int:
    return next(iter(inputs.values())).shape[0]
