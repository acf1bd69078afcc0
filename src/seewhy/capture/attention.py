"""See attention weights while fused kernels stay on: a function mode recomputes them beside the fused call."""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Collection
from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor
from torch.overrides import TorchFunctionMode

Weights = Float[Tensor, "b h n n"]
Reduce = Callable[[int, Weights], Weights]
FromSource = Callable[[Tensor], Tensor]


class AttentionRecorder(TorchFunctionMode):
    """Collects square attention weights ``(B, heads, N, N)`` in order of execution; ``(B, N, N)`` counts as one head.

    Sees ``F.scaled_dot_product_attention``, ``F.multi_head_attention_forward`` (whose weights it asks for: the mode is
    off inside that composite) and plain ``softmax``. ``tokens`` restricts it to attention over that many tokens, which
    leaves out windows, channels and selective kernels; None takes every square one. ``reduce(call, weights)`` is
    applied as soon as weights are seen, so that what is not needed is not kept. ``windowed`` tells that attention was
    seen whose first dimension is not the batch: windows folded into it. ``tokens`` may be several numbers.

    With ``differentiate`` the first kept call becomes the start of the autograd graph and ``sources`` holds, for each
    kept call, a tensor of that graph and the function that turns the score's gradient there into its gradient at the
    weights ``(B, heads, N, N)``: fused kernels never have the weights themselves, but their output is ``A V``.
    """

    def __init__(
        self,
        *,
        batch: int,
        tokens: int | Collection[int] | None = None,
        reduce: Reduce = lambda _, weights: weights,
        differentiate: bool = False,
    ) -> None:
        super().__init__()
        self.weights: list[Weights] = []
        self.sources: list[tuple[Tensor, FromSource]] = []
        self.windowed = False
        self._batch, self._reduce, self._differentiate = batch, reduce, differentiate
        self._tokens = {tokens} if isinstance(tokens, int) else tokens

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        if func is F.scaled_dot_product_attention:
            return self._fused(func, args, kwargs)
        if func is F.multi_head_attention_forward:
            return self._multi_head(func, args, kwargs)
        result = func(*args, **kwargs)
        if func in _SOFTMAX and _over_last_axis(result, *args[1:], **kwargs):
            kept = self._keep(lambda: result.detach().clone(), tuple(result.shape))
            return self._source(result, lambda gradient: gradient) if kept else result
        return result

    def _fused(self, func: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        given = _SDPA.bind(*args, **kwargs).arguments
        query, key, value = given["query"], given["key"], given["value"]
        kept = self._keep(lambda: scaled_dot_product_weights(*args, **kwargs), _score_shape(query, key))
        mixed = func(*args, **kwargs)
        if not kept:
            return mixed
        values = value.detach().repeat_interleave(query.shape[-3] // value.shape[-3], dim=-3)
        return self._source(mixed, lambda gradient: gradient @ values.transpose(-2, -1))

    def _multi_head(self, func: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        asked = {**kwargs, "need_weights": True, "average_attn_weights": False}
        output, weights = func(*args, **asked)
        if self._keep(lambda: weights.detach(), tuple(weights.shape)):
            output = self._source(output, _through_projection(_MHA.bind(*args, **kwargs).arguments))
        if not kwargs.get("need_weights", True):
            return output, None
        return output, weights.mean(dim=1) if kwargs.get("average_attn_weights", True) else weights

    def _keep(self, weights: Callable[[], Tensor], shape: tuple[int, ...]) -> bool:
        """Whether these are weights to be kept; then they are."""
        square = len(shape) in (3, 4) and shape[-2] == shape[-1] > 1
        self.windowed = self.windowed or (square and shape[0] > self._batch)
        if not (square and shape[0] == self._batch and (self._tokens is None or shape[-1] in self._tokens)):
            return False
        with torch.no_grad():
            seen = _full(weights())
            heads = seen if seen.ndim == 4 else seen.unsqueeze(1)
            self.weights.append(self._reduce(len(self.weights), heads))
        return True

    def _source(self, tensor: Tensor, to_weights: FromSource) -> Tensor:
        """Note a tensor of the graph; the model gets a copy, since what follows may change it in place."""
        if not self._differentiate:
            return tensor
        torch.set_grad_enabled(True)
        source = tensor if tensor.requires_grad else tensor.detach().requires_grad_(True)
        self.sources.append((source, to_weights))
        return source.clone()


def _through_projection(given: dict[str, Any]) -> FromSource:
    """From the gradient at the output ``(N, B, D)`` of multi-head attention, back through its output projection."""
    heads, values = given["num_heads"], _full(_projected_values(given))
    # Outside the model nothing casts: the gradient is in half precision, the weights need not be.
    projection = _full(given["out_proj_weight"].detach())

    def to_weights(gradient: Tensor) -> Tensor:
        mixed = _full(gradient) @ projection
        return _per_head(mixed, heads) @ _per_head(values, heads).transpose(-2, -1)

    return to_weights


def _projected_values(given: dict[str, Any]) -> Float[Tensor, "n b d"]:
    value, bias = given["value"].detach(), given["in_proj_bias"]
    width = given["embed_dim_to_check"]
    separate = given.get("use_separate_proj_weight", False)
    weight = given["v_proj_weight"] if separate else given["in_proj_weight"][2 * width :]
    return F.linear(value, weight, None if bias is None else bias[2 * width :]).detach()


def _per_head(tensor: Float[Tensor, "n b d"], heads: int) -> Float[Tensor, "b h n e"]:
    tokens, batch, _ = tensor.shape
    return tensor.reshape(tokens, batch, heads, -1).permute(1, 2, 0, 3)


_SOFTMAX = (torch.softmax, F.softmax, Tensor.softmax)


def _over_last_axis(result: Tensor, dim: int | None = None, *_: Any, **__: Any) -> bool:
    return dim in (-1, result.ndim - 1)


def _full(tensor: Tensor) -> Tensor:
    return tensor.float() if tensor.dtype in (torch.float16, torch.bfloat16) else tensor


def _score_shape(query: Tensor, key: Tensor) -> tuple[int, ...]:
    return (*query.shape[:-1], key.shape[-2])


def scaled_dot_product_weights(
    query: Float[Tensor, "b h n d"],
    key: Float[Tensor, "b g m d"],
    value: Tensor | None = None,
    attn_mask: Tensor | None = None,
    dropout_p: float = 0.0,
    is_causal: bool = False,
    scale: float | None = None,
    enable_gqa: bool = False,
) -> Float[Tensor, "b h n m"]:
    """``softmax(Q Kᵀ · scale + mask)``, the weights inside a fused attention call (Vaswani 2017, eq. 1).

    Takes the arguments of ``F.scaled_dot_product_attention``; ``value`` and dropout have no part in the weights. Half
    precision is computed in float32, as the fused kernels do inside.
    """
    del value, dropout_p
    with torch.autocast(query.device.type, enabled=False):
        return _weights(_full(query), _full(key), attn_mask, is_causal, scale, enable_gqa)


def _weights(
    query: Float[Tensor, "*b h n d"],
    key: Float[Tensor, "*b g m d"],
    attn_mask: Tensor | None,
    is_causal: bool,
    scale: float | None,
    enable_gqa: bool,
) -> Float[Tensor, "*b h n m"]:
    if enable_gqa:
        key = key.repeat_interleave(query.shape[-3] // key.shape[-3], dim=-3)
    # Scaling the queries rather than the scores saves a pass over the (N, N) matrix.
    scores = (query * (query.shape[-1] ** -0.5 if scale is None else scale)) @ key.transpose(-2, -1)
    if is_causal:
        allowed = torch.ones(scores.shape[-2:], dtype=torch.bool, device=scores.device).tril()
        scores = scores.masked_fill(~allowed, -math.inf)
    if attn_mask is not None:
        scores = scores.masked_fill(~attn_mask, -math.inf) if attn_mask.dtype == torch.bool else scores + attn_mask
    return scores.softmax(dim=-1)


# The fused function is a builtin without a signature; ours takes the same arguments.
_SDPA = inspect.signature(scaled_dot_product_weights)
_MHA = inspect.signature(F.multi_head_attention_forward)
