"""Score-CAM: a channel counts by the score of the input seen through it."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from seewhy import ops
from seewhy.capture.probe import Probe
from seewhy.core import Explanation, Inputs, Wants
from seewhy.methods.variants import AS_ASKED, check_counts, in_probabilities, scores_of_rows
from seewhy.registry import method


@method(
    "scorecam",
    asks=True,
    signed=True,
    cite="Wang et al. 2020, arXiv:1910.01279, eq. 5-9 and algorithm 1, before the ReLU",
    also=("score_cam", "score-cam"),
)
def scorecam(
    probe: Probe,
    inputs: Inputs,
    *,
    layer: str | None = None,
    probability: bool = False,
    chunk_size: int = 16,
) -> Explanation:
    """Sum of activation channels, weighted by a softmax over the scores of the input masked by each channel.

    A channel is enlarged to the input (linearly, cell centres aligned) and then stretched to [0, 1] to make its mask
    ``H``; its weight is ``softmax(f(x ⊙ H))`` over channels. The paper subtracts the score of a baseline input first,
    which a softmax over channels does not see. A channel that is constant over space has no mask: it is not asked
    about, takes no part in the softmax and adds exactly nothing. ``probability`` asks for a class's softmax in place of
    its logit. Of several inputs, those that the layer sees are masked, alike.

    Raises ``ConfigError`` SW-F50 for a ``chunk_size`` below one. ``facts["masks"]`` is the number of masks asked about.

    Example:
        >>> from seewhy.methods.ask import Asked
        >>> from seewhy.models.adapter import Adapter
        >>> from seewhy.targets import Logit
        >>> x = {"image": torch.rand(1, 1, 6, 6)}
        >>> conv = torch.nn.Conv2d(1, 4, 3)
        >>> model = torch.nn.Sequential(conv, torch.nn.AdaptiveAvgPool2d(1), torch.nn.Flatten(), torch.nn.Linear(4, 2))
        >>> found = Asked("scorecam", layer="0")(Probe(Adapter(model, x), [Logit(0)]), x)
        >>> highest, lowest = (conv(x["image"]).detach().amax(dim=1), conv(x["image"]).detach().amin(dim=1))
        >>> bool(((lowest <= found.maps["image"]) & (found.maps["image"] <= highest)).all())  # a mean over channels
        True
    """
    check_counts(chunk_size=chunk_size)
    layer = probe.adapter.target_layer.layer if layer is None else layer
    names = tuple(probe.adapter.layers_for(layer))
    capture = probe.capture(inputs, Wants(activations=(layer,)))
    settled = probe.asking(capture.targets)
    asked, scored = in_probabilities(settled) if probability else (settled, AS_ASKED)
    activations = capture.activations[layer]
    varied = activations.flatten(2).amax(dim=2) > activations.flatten(2).amin(dim=2)
    scores = _masked_scores(asked, inputs, names, activations, varied, chunk_size)
    maps = torch.einsum("kbc,bc...->kb...", channel_weights(scores, varied), activations)
    return Explanation(dict.fromkeys(names, maps), capture.scores, facts={"score": scored, "masks": int(varied.sum())})


def channel_weights(scores: Float[Tensor, "k b c"], varied: Bool[Tensor, "b c"]) -> Float[Tensor, "k b c"]:
    """The softmax over the channels that vary in space; zero for the others.

    Example:
        >>> channel_weights(torch.tensor([[[5.0, 5.0, 9.0]]]), torch.tensor([[True, True, False]]))
        tensor([[[0.5000, 0.5000, 0.0000]]])
    """
    shared = scores.masked_fill(~varied, -torch.inf).softmax(dim=2)
    return torch.where(varied, shared, 0.0)


def channel_masks(channels: Float[Tensor, "r 1 *s"], size: tuple[int, ...]) -> Float[Tensor, "r 1 *t"]:
    """Channels enlarged to the input, then each stretched to [0, 1]."""
    enlarged = ops.resize(channels, size)
    axes = tuple(range(2, enlarged.ndim))
    low, high = enlarged.amin(dim=axes, keepdim=True), enlarged.amax(dim=axes, keepdim=True)
    spread = high - low
    return (enlarged - low) / torch.where(spread > 0, spread, 1.0)


def _masked_scores(
    probe: Probe,
    inputs: Inputs,
    names: Sequence[str],
    activations: Float[Tensor, "b c *s"],
    varied: Bool[Tensor, "b c"],
    chunk_size: int,
) -> Float[Tensor, "k b c"]:
    """The score of every record seen through every channel that varies; zero elsewhere."""
    pictures = {name: inputs[name].to(activations.device) for name in names}
    size = tuple(pictures[names[0]].shape[2:])
    records, channels = varied.nonzero(as_tuple=True)
    scores = activations.new_zeros(len(probe.targets), *varied.shape)
    for chunk in ops.chunks(len(records), chunk_size):
        rows, masked = records[chunk.start : chunk.stop], channels[chunk.start : chunk.stop]
        masks = channel_masks(activations[rows, masked].unsqueeze(1), size)
        seen = {name: masks * picture[rows] for name, picture in pictures.items()}
        scores[:, rows, masked] = scores_of_rows(probe, inputs, seen, rows.tolist()).to(scores)
    return scores
