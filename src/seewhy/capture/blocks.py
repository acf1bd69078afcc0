"""The blocks of a transformer: the layer around each attention call, whose output is the token stream behind it."""

from __future__ import annotations

import threading
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from seewhy.capture.attention import AttentionRecorder, Weights
from seewhy.capture.taps import edits
from seewhy.capture.tokens import GlobalAttention
from seewhy.models.adapter import Adapter
from seewhy.models.borrow import borrowed
from seewhy.models.layers import Layer
from seewhy.models.outputs import sole_tensor
from seewhy.values import ModelError


@dataclass(frozen=True)
class Block:
    """The layer around one attention call; records are along ``batch_axis`` of its output, tokens along the other."""

    layer: Layer
    batch_axis: int


@dataclass
class _Call:
    """A module call while the model runs: what went in and came out, and the attention calls seen inside."""

    layer: Layer
    given: list[Tensor]
    attention: list[int] = field(default_factory=list)
    output: Tensor | None = None


_known: weakref.WeakKeyDictionary[Adapter, tuple[Block, ...]] = weakref.WeakKeyDictionary()


def attention_blocks(adapter: Adapter, found: GlobalAttention) -> tuple[Block, ...]:
    """One block per attention call, in order; none where the model's blocks cannot be told. Asked once per adapter.

    A block is the outermost layer with exactly one attention call inside and one tensor of all tokens as its output.
    Blocks are believed when each takes in what the one before put out, and when what follows the last one reads each
    record for itself, however many there are.
    """
    if adapter not in _known:
        _known[adapter] = _find_blocks(adapter, found)
    return _known[adapter]


def _find_blocks(adapter: Adapter, found: GlobalAttention) -> tuple[Block, ...]:
    batch = next(iter(adapter.example.values())).shape[0]
    calls = _calls(adapter, found, batch)
    around = [_outermost(calls, attention, (batch, found.tokens)) for attention in range(found.calls)]
    blocks = [call for call in around if call is not None]
    chained = all(any(_same(one.output, given) for given in other.given) for one, other in pairwise(blocks))
    if len(blocks) < found.calls or not chained:
        return ()
    told = tuple(Block(call.layer, _batch_axis(call.output, (batch, found.tokens))) for call in blocks)
    return told if _reads_records_apart(adapter, told[-1], batch) else ()


def _reads_records_apart(adapter: Adapter, last: Block, batch: int) -> bool:
    """Whether the layers behind the last block, given every record twice, answer twice."""

    def twice(tokens: Tensor) -> Tensor:
        return torch.cat([tokens, tokens], dim=last.batch_axis)

    try:
        with borrowed(adapter.model), edits(adapter.model, {last.layer: twice}):
            outputs = adapter.outputs(adapter.call(adapter.example), batch=2 * batch)
    except (RuntimeError, ValueError, ModelError):
        # Models that shape by the number of records they were called with fail in ways of their own.
        return False
    return bool(torch.allclose(outputs[:batch], outputs[batch:], rtol=1e-3, atol=1e-5))


def _calls(adapter: Adapter, found: GlobalAttention, batch: int) -> list[_Call]:
    """Every module call of one run over the example, a parent before its children."""
    calls: list[_Call] = []
    running: list[_Call] = []

    def note(attention: int, weights: Weights) -> Float[Tensor, "_ h n n"]:
        for call in running:
            call.attention.append(attention)
        return weights[:0]

    recorder = AttentionRecorder(batch=batch, tokens=found.tokens, reduce=note)
    with borrowed(adapter.model), _watched(adapter.model, calls, running), recorder:
        adapter.call(adapter.example)
    return calls


@contextmanager
def _watched(model: nn.Module, calls: list[_Call], running: list[_Call]) -> Iterator[None]:
    counts: dict[str, int] = {}
    names = {module: name for name, module in model.named_modules() if name}
    ours = threading.get_ident()

    def enter(module: nn.Module, args: Any, kwargs: dict[str, Any]) -> None:
        if threading.get_ident() != ours:
            return
        name = names[module]
        given = [value for value in (*args, *kwargs.values()) if isinstance(value, Tensor)]
        call = _Call(Layer(name, counts.get(name, 0)), given)
        counts[name] = call.layer.call + 1
        calls.append(call)
        running.append(call)

    def leave(module: nn.Module, args: Any, output: Any) -> None:
        del module, args
        if threading.get_ident() == ours:
            running.pop().output = sole_tensor(output)

    handles = []
    try:
        for module in names:
            handles.append(module.register_forward_pre_hook(enter, with_kwargs=True))
            handles.append(module.register_forward_hook(leave))
        yield
    finally:
        for handle in handles:
            handle.remove()


def _outermost(calls: list[_Call], attention: int, batch_and_tokens: tuple[int, int]) -> _Call | None:
    alone = (call for call in calls if call.attention == [attention])
    return next((call for call in alone if _is_stream(call.output, batch_and_tokens)), None)


def _is_stream(output: Tensor | None, batch_and_tokens: tuple[int, int]) -> bool:
    return output is not None and output.ndim == 3 and sorted(output.shape[:2]) == sorted(batch_and_tokens)


def _batch_axis(output: Tensor | None, batch_and_tokens: tuple[int, int]) -> int:
    return 0 if output is not None and tuple(output.shape[:2]) == batch_and_tokens else 1


def _same(output: Tensor | None, tensor: Tensor) -> bool:
    """Whether it is the tensor itself or a view of all of it, as an identity or a dropout at rest hands on."""
    return output is not None and output.data_ptr() == tensor.data_ptr() and output.shape == tensor.shape
