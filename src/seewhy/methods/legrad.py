"""LeGrad: how sensitive the asked class, read from each layer in turn, is to that layer's attention."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Literal, get_args

import torch
from jaxtyping import Float
from torch import Tensor

from seewhy.capture.attention import AttentionRecorder
from seewhy.capture.backward import partial_backwards
from seewhy.capture.blocks import Block, attention_blocks
from seewhy.capture.probe import Probe
from seewhy.capture.taps import edits
from seewhy.capture.tokens import GlobalAttention, NoAttention, attention_of
from seewhy.core import Explanation, Inputs
from seewhy.models.borrow import borrowed
from seewhy.models.layers import Layer
from seewhy.models.trace import is_in_place_conflict
from seewhy.registry import method
from seewhy.values import ConfigError, ModelError, nearest

Pooling = Literal["mean", "model"]


@method(
    "legrad",
    asks=True,
    reads=("attention_gradients",),
    signed=False,
    cite="Bousselham 2024, arXiv:2404.03214, section 3.2 (explainability map of a layer, then mean over layers)",
)
def legrad(probe: Probe, inputs: Inputs, *, pooling: Pooling = "mean") -> Explanation:
    """Positive gradient of each layer's own score at that layer's attention, averaged over heads, queries and layers.

    ``inputs`` ``(B, ...)`` by name. The score of layer ``l`` is the asked class that the model's own final norm and
    head see in the tokens behind block ``l``: in their mean over all tokens, as in the paper, or by ``pooling="model"``
    in what the model itself reads (the class token). The map of a layer is ``mean over heads and queries of
    (∂sˡ/∂Aˡ)⁺``; the answer is the mean over layers ``(K, B, *S)``, without prefix tokens, not normalised.

    All layers take one forward and one backward per target: blocks are cut from one another, so that each layer's score
    has a gradient in its own block only, and the final layers run once, on the tokens of all layers as one batch.

    Raises ``ConfigError`` SW-F61 for an unknown pooling, ``ModelError`` SW-M10 for a model without attention over all
    tokens, or whose blocks cannot be told.

    Example:
        >>> import timm
        >>> from seewhy.models.adapter import Adapter
        >>> from seewhy.targets import Logit
        >>> x = {"image": torch.randn(2, 3, 32, 32)}
        >>> model = timm.create_model("vit_tiny_patch16_224", img_size=32, depth=2, num_classes=5)
        >>> tuple(legrad(Probe(Adapter(model, x), [Logit(3)]), x).maps["image"].shape)
        (1, 2, 2, 2)
    """
    _check_pooling(pooling)
    found = _attention(probe)
    blocks = _blocks(probe, found)
    relevance, scores = _layer_gradients(probe, inputs, found, blocks, pooling)
    (name, *_) = probe.adapter.spatial_inputs
    return Explanation({name: found.grid.tokens_to_grid(relevance[..., found.grid.prefix :])}, scores)


def _layer_gradients(
    probe: Probe, inputs: Inputs, found: GlobalAttention, blocks: Sequence[Block], pooling: Pooling
) -> tuple[Float[Tensor, "k b n"], Float[Tensor, "k b"]]:
    try:
        return _one_pass(probe, inputs, found, _Layers(blocks, pooling))
    except RuntimeError as error:
        if not is_in_place_conflict(error):
            raise
    return _one_pass(probe, inputs, found, _Layers(blocks, pooling, full_graph=True))


def _one_pass(
    probe: Probe, inputs: Inputs, found: GlobalAttention, layers: _Layers
) -> tuple[Float[Tensor, "k b n"], Float[Tensor, "k b"]]:
    adapter = probe.adapter
    given = {name: tensor.to(adapter.device) for name, tensor in inputs.items()}
    records, count = next(iter(given.values())).shape[0], len(layers.blocks)
    recorder = AttentionRecorder(
        batch=records, tokens=found.tokens, reduce=lambda _, weights: weights[:0], differentiate=True
    )
    with borrowed(adapter.model), edits(adapter.model, layers.changes()):
        with torch.set_grad_enabled(layers.full_graph), recorder:
            raw = adapter.call(given)
        with torch.enable_grad():
            outputs = adapter.outputs(raw, batch=(1 + count) * records)
            clean = outputs[:records].detach()
            targets = probe.bound(clean)
            scores = [target.take(list(range(records)) * count)(outputs[records:]) for target in targets]
            sources = {str(call): source for call, (source, _) in enumerate(recorder.sources)}
            gradients = partial_backwards(scores, sources)
        maps = [_of_layer(gradients[str(call)], to_weights) for call, (_, to_weights) in enumerate(recorder.sources)]
    return torch.stack(maps).mean(dim=0), torch.stack([target(clean) for target in targets])


def _of_layer(gradients: Float[Tensor, "k ..."], to_weights: Callable[[Tensor], Tensor]) -> Float[Tensor, "k b n"]:
    """``mean over heads and queries of (∂s/∂A)⁺``, one target at a time since each holds every head's matrix."""
    return torch.stack([_positive(to_weights(gradient)) for gradient in gradients])


def _positive(gradients: Float[Tensor, "b *h n n"]) -> Float[Tensor, "b n"]:
    heads = gradients if gradients.ndim == 4 else gradients.unsqueeze(1)
    return heads.float().relu().mean(dim=(1, 2)) if heads.dtype.itemsize < 4 else heads.relu().mean(dim=(1, 2))


@dataclass
class _Layers:
    """The edits of one forward: cut the blocks from one another, and let the final layers read all of them at once."""

    blocks: Sequence[Block]
    pooling: Pooling
    full_graph: bool = False
    tokens: list[Tensor] = field(default_factory=list)

    def changes(self) -> dict[Layer, Callable[[Tensor], Tensor]]:
        """By layer, what its output becomes."""
        *inner, last = self.blocks
        cut = {block.layer: self._cut for block in inner}
        return {**cut, last.layer: self._all_layers}

    def _cut(self, output: Tensor) -> Tensor:
        """Recording rests until the next attention call, where the next block's graph begins."""
        self.tokens.append(output)
        torch.set_grad_enabled(self.full_graph)
        # A copy, since what follows may change it in place.
        return output.detach().clone()

    def _all_layers(self, output: Tensor) -> Tensor:
        """The clean tokens first, whose score is the model's own, then those of every layer, pooled."""
        axis = self.blocks[-1].batch_axis
        read = [self._pooled(tokens, 1 - axis) for tokens in (*self.tokens, output)]
        return torch.cat([output, *read], dim=axis)

    def _pooled(self, tokens: Tensor, axis: int) -> Tensor:
        """In the place of every token their mean: whatever the model reads, it reads the mean."""
        return tokens.mean(dim=axis, keepdim=True).expand_as(tokens) if self.pooling == "mean" else tokens


def _check_pooling(pooling: str) -> None:
    if pooling not in get_args(Pooling):
        raise ConfigError(
            "SW-F61",
            f"pooling={pooling!r} is no way to read a layer's tokens",
            near=nearest(str(pooling), get_args(Pooling)),
            fix="use mean for the mean of all tokens, or model for what the model itself reads",
        )


def _attention(probe: Probe) -> GlobalAttention:
    found = attention_of(probe.adapter)
    if isinstance(found, NoAttention):
        raise _unsuited(found.reason, "choose a method that needs no attention")
    if len(probe.adapter.spatial_inputs) > 1:
        raise _unsuited("this model has several inputs, whose blocks do not follow one another", "choose rollout")
    return found


def _blocks(probe: Probe, found: GlobalAttention) -> Sequence[Block]:
    blocks = attention_blocks(probe.adapter, found)
    if not blocks:
        raise _unsuited(
            "this model's attention layers are not each in a block of its own, one after the other",
            "choose attention_relevance, which needs no blocks",
        )
    return blocks


def _unsuited(reason: str, fix: str) -> ModelError:
    return ModelError(
        "SW-M10", f"the method 'legrad' needs blocks with attention over all tokens, and {reason}", fix=fix
    )
