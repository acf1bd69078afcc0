"""Guided backpropagation: a gradient that every ReLU lets through only where it is positive."""

from __future__ import annotations

from dataclasses import replace

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from seewhy import ops
from seewhy.capture.lean import masked, relu_backward
from seewhy.capture.probe import Probe
from seewhy.core import Explanation, Inputs
from seewhy.methods.ask import Asked
from seewhy.registry import method
from seewhy.values import ConfigError

Values = Float[Tensor, "b *s"]


@method(
    "guided_backprop",
    asks=True,
    signed=True,
    share_by="sum",
    contributes=False,
    cite="Springenberg et al. 2014, arXiv:1412.6806, section 3.4",
    also=("guided_backpropagation", "guidedbackprop"),
)
def guided_backprop(probe: Probe, inputs: Inputs) -> Explanation:
    """The gradient, where each ReLU passes on only what is positive and comes from a positive input.

    Works on ReLU modules, functions, reused and in-place ones alike, since calls are seen rather than modules. Raises
    ``ConfigError`` SW-F44 where no ReLU runs: the answer would be the plain gradient under another name.

    Example:
        >>> from seewhy.models.adapter import Adapter
        >>> from seewhy.targets import Logit
        >>> x = {"signal": torch.tensor([[[1.0, 2.0]]])}
        >>> model = torch.nn.Sequential(torch.nn.Conv1d(1, 1, 1), torch.nn.ReLU(), torch.nn.Flatten())
        >>> _ = torch.nn.init.ones_(model[0].weight), torch.nn.init.zeros_(model[0].bias)
        >>> guided_backprop(Probe(Adapter(model, x), [Logit(1)]), x).maps["signal"]
        tensor([[[0., 1.]]])
    """
    with relu_backward(guided) as seen:
        found = Asked("gradient")(probe, inputs)
    if not seen.calls:
        raise ConfigError(
            "SW-F44",
            "guided backpropagation changes what a ReLU passes back, and no ReLU runs in this model",
            fix="use the method 'gradient', which is what it would be here",
        )
    return replace(found, facts={"relus": seen.calls})


@method(
    "guided_gradcam",
    asks=True,
    signed=True,
    contributes=False,
    cite="Selvaraju et al. 2016, arXiv:1610.02391, section 3.2: guided backpropagation times the upsampled Grad-CAM",
    also=("guided_grad_cam", "guidedgradcam"),
)
def guided_gradcam(probe: Probe, inputs: Inputs, *, layer: str | None = None) -> Explanation:
    """Guided backpropagation, weighted by the positive part of Grad-CAM at ``layer`` on the same places.

    The map of Grad-CAM is upsampled linearly. Raises ``ConfigError`` SW-F44 where no ReLU runs.
    """
    back = guided_backprop(probe, inputs)
    cams = Asked("gradcam", layer)(probe, inputs).maps
    per_channel = {
        name: answer * _upsampled(cams[name].relu(), answer.shape[3:]).unsqueeze(2)
        for name, answer in back.per_channel.items()
        if name in cams
    }
    maps = {name: answer.sum(dim=2) for name, answer in per_channel.items()}
    return Explanation(maps, back.scores, per_channel=per_channel, facts=back.facts)


def guided(gradient: Values, is_positive: Bool[Tensor, "b *s"]) -> Values:
    """The positive gradient where the ReLU's input was positive."""
    return masked(gradient.clamp(min=0), is_positive)


def _upsampled(maps: Float[Tensor, "k b *s"], size: torch.Size) -> Float[Tensor, "k b *t"]:
    """Resized with records as the batch and targets as the channels."""
    return ops.resize(maps.transpose(0, 1), size).transpose(0, 1)
