"""Ablation-CAM: a channel counts by what the score loses without it."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor, nn

from seewhy import ops
from seewhy.capture.probe import Probe
from seewhy.capture.tail import SAME, Vary, record_of, score_by_repeating, score_by_tail, tail_can_grow
from seewhy.core import Capture, Explanation, Inputs, Wants
from seewhy.methods.variants import check_counts
from seewhy.models.adapter import Adapter
from seewhy.models.grid import Grid
from seewhy.registry import method
from seewhy.values import ConfigError

CHUNK_VALUES = 2**24
"""How many values of the layer a chunk of ablated copies holds by default: 64 MiB in single precision."""
WHOLE_AT_ONCE = 32
"""How many copies go through the whole model at once by default."""


@method(
    "ablationcam",
    asks=True,
    signed=True,
    cite="Desai and Ramaswamy 2020, WACV, Ablation-CAM, eq. 3-4, before the ReLU",
    also=("ablation_cam", "ablation-cam"),
)
def ablationcam(
    probe: Probe,
    inputs: Inputs,
    *,
    layer: str | None = None,
    relative: bool = True,
    chunk_size: int | None = None,
) -> Explanation:
    """Sum of activation channels, each weighted by the share of the score that is lost when it is set to zero.

    ``w = (y - y_without) / y``. The paper divides by the score: where it is negative all signs turn round, where it is
    small the map is large; ``relative=False`` leaves the drop as it is. Prefix tokens are no part of a channel's map
    and are not set to zero. ``chunk_size`` is the number of ablated copies in one pass, by default as many as make 64
    MiB at the layer.

    Only what lies behind the layer is run for each channel: where the layer's means over space go into the linear layer
    that puts out the logits, its weights say at once what is lost; else the copies begin at the layer; where a model
    cannot be run so, they go through all of it. Each shortcut is first compared with whole forwards; ``facts["tail"]``
    says which it was, ``"closed form"``, ``"layer to output"`` or ``"whole model"``.

    Raises ``ConfigError`` SW-F50 for a ``chunk_size`` below one, SW-F54 for a score of exactly zero, which has no
    share.

    Example:
        >>> from seewhy.methods.ask import Asked
        >>> from seewhy.models.adapter import Adapter
        >>> from seewhy.targets import Logit
        >>> x = {"image": torch.rand(1, 1, 6, 6)}
        >>> conv, head = torch.nn.Conv2d(1, 4, 3), torch.nn.Linear(4, 2)
        >>> model = torch.nn.Sequential(conv, torch.nn.AdaptiveAvgPool2d(1), torch.nn.Flatten(), head)
        >>> probe = Probe(Adapter(model, x), [Logit(0)])
        >>> found = Asked("ablationcam", layer="0", settings={"relative": False})(probe, x)
        >>> activations = conv(x["image"])[0]
        >>> lost = head.weight[0] * activations.mean(dim=(1, 2))
        >>> bool(torch.allclose(found.maps["image"][0, 0], torch.einsum("c,chw->hw", lost, activations), atol=1e-6))
        True
    """
    if chunk_size is not None:
        check_counts(chunk_size=chunk_size)
    layer = probe.adapter.target_layer.layer if layer is None else layer
    head = _linear_head(probe.adapter)
    capture = probe.capture(inputs, Wants(activations=(layer,), embedding=f"{head}.input" if head else None))
    settled = probe.asking(capture.targets)
    if relative:
        _check_scores(capture.scores)
    if head and _reads_the_means(settled, inputs, layer, head, capture):
        tail, lost = "closed form", _lost_by_weights(capture, layer, _weight(probe.adapter, head))
    else:
        tail, lost = _lost_by_asking(settled, inputs, layer, capture.activations[layer], chunk_size)
    weights = lost / capture.scores.unsqueeze(2) if relative else lost
    maps = torch.einsum("kbc,bc...->kb...", weights, capture.activations[layer])
    return Explanation(dict.fromkeys(probe.adapter.layers_for(layer), maps), capture.scores, facts={"tail": tail})


def _check_scores(scores: Float[Tensor, "k b"]) -> None:
    zero = (scores == 0).nonzero()
    if len(zero):
        target, record = zero[0].tolist()
        raise ConfigError(
            "SW-F54",
            f"Ablation-CAM divides by the score, and that of target {target} for record {record} of the batch is 0",
            fix="ask with relative=False for the drop itself",
        )


# Every channel asked about ------------------------------------------------------------------------------------------


def _lost_by_asking(
    probe: Probe, inputs: Inputs, layer: str, activations: Float[Tensor, "b c *s"], chunk_size: int | None
) -> tuple[str, Float[Tensor, "k b c"]]:
    """What the scores lose without each channel, and how it was found; a channel that is zero anyway loses nothing."""
    grid = probe.adapter.grid(layer)
    grows = tail_can_grow(probe.take([0]), record_of(inputs, 0), layer)
    by_default = max(1, CHUNK_VALUES // activations[0].numel()) if grows else WHOLE_AT_ONCE
    lost = activations.new_zeros(len(probe.targets), *activations.shape[:2])
    for record, alive in enumerate(activations.flatten(2).any(dim=2)):
        asked, one = probe.take([record]), record_of(inputs, record)
        channels = alive.nonzero().flatten().tolist()
        for chunk in ops.chunks(len(channels), chunk_size or by_default):
            some = channels[chunk.start : chunk.stop]
            vary = without_each(grid, some)
            scores = (
                score_by_tail(asked, one, layer, vary)
                if grows
                else score_by_repeating(asked, one, layer, vary, 1 + len(some))
            )
            lost[:, record, some] = (scores[:, :1] - scores[:, 1:]).to(lost)
    return "layer to output" if grows else "whole model", lost


def without_each(grid: Grid, channels: Sequence[int]) -> Vary:
    """A layer's output as it is, then with each of the channels set to zero on the grid.

    The first is what the others are compared with: a pass of its own would round differently.
    """

    def vary(output: Tensor) -> Tensor:
        copies = output.repeat(1 + len(channels), *[1] * (output.ndim - 1))
        on_grid = grid.apply(copies)
        on_grid[torch.arange(1, 1 + len(channels)), torch.tensor(channels)] = 0
        return copies

    return vary


# The closed form ----------------------------------------------------------------------------------------------------


def _linear_head(adapter: Adapter) -> str | None:
    """The layer seen to put out the logits themselves, if it is linear."""
    name = adapter.trace.output_layer
    return name if name and isinstance(adapter.model.get_submodule(adapter.layer(name).name), nn.Linear) else None


def _weight(adapter: Adapter, head: str) -> Float[Tensor, "classes c"]:
    weight: Tensor = adapter.model.get_submodule(adapter.layer(head).name).get_parameter("weight")
    return weight.detach()


def _reads_the_means(probe: Probe, inputs: Inputs, layer: str, head: str, capture: Capture) -> bool:
    """Whether the head's input is the layer's means over space, and half the channels are worth what weights say."""
    activations, features = capture.activations[layer], capture.embedding
    means = activations.flatten(2).mean(dim=2)
    if features is None or features.shape != means.shape or not _same(features, means):
        return False
    grid, half = probe.adapter.grid(layer), range(0, means.shape[1], 2)

    def vary(output: Tensor) -> Tensor:
        copy = output.clone()
        grid.apply(copy)[:, half] = 0
        return copy

    first = probe.take([0])
    found = score_by_repeating(first, record_of(inputs, 0), layer, vary, 1)
    outputs = capture.outputs[:1] - means[:1, half] @ _weight(probe.adapter, head).to(means)[:, half].T
    return _same(found, torch.stack([target(outputs) for target in first.targets]))


def _same(found: Tensor, true: Tensor) -> bool:
    return bool((found - true).abs().max() <= SAME * true.abs().max())


def _lost_by_weights(capture: Capture, layer: str, weight: Float[Tensor, "classes c"]) -> Float[Tensor, "k b c"]:
    """Without channel ``c`` the outputs lack its mean times its weights; any question is put to what is left."""
    activations, outputs = capture.activations[layer], capture.outputs.double()
    records, channels = activations.shape[:2]
    shares = activations.flatten(2).double().mean(dim=2)
    lost = activations.new_zeros(len(capture.targets), records, channels)
    for record in range(records):
        for chunk in ops.chunks(channels, max(1, CHUNK_VALUES // outputs.shape[1])):
            some = slice(chunk.start, chunk.stop)
            missing = shares[record, some, None] * weight.to(shares).T[some]
            rows = torch.cat([outputs[record : record + 1], outputs[record] - missing])
            for index, target in enumerate(capture.targets):
                scores = target.take([record] * len(rows))(rows)
                lost[index, record, some] = (scores[:1] - scores[1:]).to(lost)
    return lost
