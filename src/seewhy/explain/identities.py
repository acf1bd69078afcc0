"""Identities that hold for some methods on some models: closed forms, and answers that add up to the score."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from seewhy.core import Wants
from seewhy.explain.axioms import OK, SAME, Combined, Outcome, Trial, distance
from seewhy.models.layers import find_layer

WEIGHTED_BY_THE_HEAD = ("gradcam", "hirescam")
"""Methods that, behind a mean over space and a linear head, weigh each channel by its weight in the head."""

RESIDUAL = "completeness_residual"
"""Under which a method measures what its answer leaves unexplained."""

SAMPLING = frozenset({"samples", "n_samples", "num_samples"})
"""Settings of methods whose answer is a mean over random draws."""

UNEXPLAINED = 0.05
"""Share of a map's absolute sum that may be unexplained: path methods are tried with few steps."""


def closed_form(trial: Trial) -> Outcome:
    """Where a linear head reads the layer's mean over space, the map is the head applied at each place, as a share."""
    if trial.method.name not in WEIGHTED_BY_THE_HEAD:
        return Outcome("not applicable", "it has no closed form")
    layer, features_of = next(iter(trial.asked.layers_of(trial.probe).values())), trial.adapter.embedding_layer.layer
    head = _linear_head(trial.adapter.model, features_of)
    capture = trial.probe.asking(()).capture(trial.inputs, Wants(activations=(layer,), embedding=features_of))
    activations, features = capture.activations[layer], capture.embedding
    cells = activations.flatten(2).shape[2]
    if head is None or features is None or distance(_applied(head, features), capture.outputs) > SAME:
        return Outcome("not applicable", "the outputs are not those of one linear layer")
    if distance(activations.flatten(2).mean(dim=2), features) > SAME:
        return Outcome("not applicable", f"the head does not read the mean of {layer} over space")
    (found,) = trial.again(targets=(Combined(((0, 1.0),)),)).maps.values()
    with torch.no_grad():
        expected = torch.einsum("c,bc...->b...", head.weight[0].flatten(), activations) / cells
    apart = distance(found[0], expected)
    return OK if apart <= SAME else Outcome("FAILED", f"differs from its closed form by {apart:.1e} of its size")


def _linear_head(model: nn.Module, features_of: str) -> nn.Linear | nn.Conv2d | None:
    """The linear layer, or convolution of one pixel, whose input the features are."""
    if not features_of.endswith(".input"):
        return None
    head = model.get_submodule(find_layer(model, features_of).name)
    if isinstance(head, nn.Conv2d) and head.weight[0, 0].numel() == 1 and head.groups == 1:
        return head
    return head if isinstance(head, nn.Linear) else None


@torch.no_grad()
def _applied(head: nn.Linear | nn.Conv2d, features: Float[Tensor, "b d"]) -> Float[Tensor, "b c"]:
    return F.linear(features, head.weight.flatten(1), head.bias)


def complete(trial: Trial) -> Outcome:
    """What an answer that adds up to a change of the score leaves unexplained is a small share of the score's size."""
    residual = trial.first.measured.get(RESIDUAL)
    if residual is None:
        return Outcome("not applicable", "it does not claim to add up to the score")
    if not SAMPLING.isdisjoint(trial.method.settings):
        return Outcome("not applicable", "it adds up on average only, over more samples than are tried here")
    size = torch.stack([maps.flatten(2).abs().sum(dim=2) for maps in trial.first.maps.values()]).sum(dim=0)
    share = float((residual.abs() / size.clamp(min=torch.finfo(size.dtype).tiny)).max())
    return OK if share <= UNEXPLAINED else Outcome("FAILED", f"{share:.1%} of the map's size is unexplained")
