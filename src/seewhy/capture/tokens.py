"""Which attention a model has: over all tokens of the input (which can be chained), in windows, or none."""

from __future__ import annotations

import weakref
from dataclasses import dataclass
from typing import Literal

import torch

from seewhy.capture.attention import AttentionRecorder, Weights
from seewhy.core import Inputs
from seewhy.models.adapter import Adapter
from seewhy.models.borrow import borrowed
from seewhy.models.dependence import changed, moments_of, same
from seewhy.models.grid import Grid, grid_of

Query = Literal["class token", "mean of tokens"]


@dataclass(frozen=True)
class GlobalAttention:
    """Attention calls over the whole token grid: ``calls`` of them with ``heads`` heads each.

    ``query`` says whose attention a map shows: the class token's, or the mean over patch tokens where there is none.
    ``numbers`` are theirs among all calls that one pass records, in order; all of them by default.
    """

    grid: Grid
    calls: int
    heads: int
    query: Query
    numbers: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        if not self.numbers:
            object.__setattr__(self, "numbers", tuple(range(self.calls)))

    @property
    def tokens(self) -> int:
        """Tokens per record, prefix included."""
        return self.grid.prefix + self.grid.cells


@dataclass(frozen=True)
class NoAttention:
    """Why a model has no attention map, in words for the user, and what to use instead."""

    reason: str


def attention_of(adapter: Adapter) -> GlobalAttention | NoAttention:
    """The attention over the tokens of the first input."""
    found = attentions_of(adapter)
    return found if isinstance(found, NoAttention) else next(iter(found.values()))


def attentions_of(adapter: Adapter) -> dict[str, GlobalAttention] | NoAttention:
    """The attention over the tokens of every input that has some, found on the inputs the model was traced with, once
    per adapter; or why there is none."""
    if adapter not in _found:
        _found[adapter] = _find(adapter, adapter.example)
    return _found[adapter]


def find_attention(adapter: Adapter, example: Inputs) -> GlobalAttention | NoAttention:
    """Run two records once with every square attention recorded, and match it with the first input's token grid."""
    found = _find(adapter, example)
    return found if isinstance(found, NoAttention) else next(iter(found.values()))


def _find(adapter: Adapter, example: Inputs) -> dict[str, GlobalAttention] | NoAttention:
    few = {name: tensor[:2].to(adapter.device) for name, tensor in example.items()}
    seen = _seen(adapter, few)
    depends = _dependence(adapter, few, seen)
    found, taken = {}, []
    for name in adapter.spatial_inputs:
        grids = _token_grids(adapter, name)
        matching = [call for call, weights in enumerate(seen.shapes) if weights[-1] in grids and name in depends[call]]
        if matching and not seen.windowed:
            grid = grids[seen.shapes[matching[-1]][-1]]
            chained = [call for call in matching if seen.shapes[call][-1] == grid.prefix + grid.cells]
            found[name] = grid, chained
            taken.append(grid.prefix + grid.cells)
    if found:
        # Calls are numbered among those over any of these numbers of tokens, which are the ones a pass records.
        order = [call for call, shape in enumerate(seen.shapes) if shape[-1] in taken]
        return {
            name: GlobalAttention(
                grid,
                len(calls),
                seen.shapes[calls[-1]][1],
                _query(adapter, name, grid),
                tuple(order.index(call) for call in calls),
            )
            for name, (grid, calls) in found.items()
        }
    if seen.windowed or seen.shapes:
        return NoAttention(
            "attention is computed in windows or over channels, which cannot be chained over the whole image; "
            "Grad-CAM suits this model"
        )
    return NoAttention("the model has no attention layers; Grad-CAM suits it")


@dataclass(frozen=True)
class _Seen:
    """The shapes of all square attention of one run, what tells each from another, and whether windows were seen."""

    shapes: list[tuple[int, ...]]
    moments: list[tuple[float, float]]
    windowed: bool


def _seen(adapter: Adapter, inputs: Inputs) -> _Seen:
    moments: list[tuple[float, float]] = []
    several = len(adapter.spatial_inputs) > 1

    def note(call: int, weights: Weights) -> Weights:
        del call
        if several:
            moments.append(moments_of(weights.square()))
        return weights[:1, :, :1, :1].expand(weights.shape)

    recorder = AttentionRecorder(batch=next(iter(inputs.values())).shape[0], reduce=note)
    with borrowed(adapter.model), torch.no_grad(), recorder:
        adapter.call(inputs)
    return _Seen([tuple(weights.shape) for weights in recorder.weights], moments, recorder.windowed)


def _dependence(adapter: Adapter, inputs: Inputs, seen: _Seen) -> list[tuple[str, ...]]:
    """The only input that each attention call depends on; a call that sees several inputs explains none of them."""
    names = adapter.spatial_inputs
    if len(names) == 1:
        return [names] * len(seen.shapes)
    changes = {name: _seen(adapter, changed(inputs, name)).moments for name in names}
    found = [
        tuple(name for name in names if not same(moments, changes[name][call]))
        for call, moments in enumerate(seen.moments)
    ]
    return [sees if len(sees) == 1 else () for sees in found]


def _query(adapter: Adapter, name: str, grid: Grid) -> Query:
    """Whose attention matters: prefix tokens may be mere registers, so it is what the score reads that tells.

    Where the last output over the tokens has a gradient on patches the answer is read from their mean, else from the
    class token.
    """
    tokens = grid.prefix + grid.cells
    over_tokens = [
        call
        for call in adapter.trace.calls
        if call.on_path and call.grid is not None and call.grid.layout == "tokens" and call.shape[1] == tokens
        and name in call.lies_on
    ]  # fmt: skip
    reads_patches = over_tokens[-1].reaches_target if over_tokens else not grid.prefix
    return "mean of tokens" if reads_patches else "class token"


def _token_grids(adapter: Adapter, name: str) -> dict[int, Grid]:
    """An input's traced token grids by their number of tokens; a stream ``(N, B, D)`` counts, though no layer has its
    grid."""
    calls = [call for call in adapter.trace.calls if call.inputs == (name,) or name in call.lies_on]
    records = next(iter(adapter.example.values())).shape[0]
    sizes = list(dict.fromkeys(call.grid.size for call in calls if call.grid is not None))
    found = {}
    for call in calls:
        if call.grid is None and len(call.shape) == 3 and call.shape[1] == records != call.shape[0]:
            shape = (records, call.shape[0], call.shape[2])
            grid = grid_of(shape, adapter.trace.input_sizes[name], token_grids=sizes, channels="last")
        else:
            grid = call.grid
        if grid is not None and grid.layout == "tokens" and not grid.frames:
            found[grid.prefix + grid.cells] = grid
    return found


_found: weakref.WeakKeyDictionary[Adapter, dict[str, GlobalAttention] | NoAttention] = weakref.WeakKeyDictionary()
