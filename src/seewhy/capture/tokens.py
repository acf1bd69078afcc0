"""Which attention a model has: over all tokens of the input (which can be chained), in windows, or none."""

from __future__ import annotations

import weakref
from dataclasses import dataclass
from typing import Literal

from seewhy.capture.attention import AttentionRecorder
from seewhy.core import Inputs
from seewhy.models.adapter import Adapter
from seewhy.models.borrow import borrowed
from seewhy.models.grid import Grid, grid_of

Query = Literal["class token", "mean of tokens"]


@dataclass(frozen=True)
class GlobalAttention:
    """Attention calls over the whole token grid: ``calls`` of them with ``heads`` heads each.

    ``query`` says whose attention a map shows: the class token's, or the mean over patch tokens where there is none.
    """

    grid: Grid
    calls: int
    heads: int
    query: Query

    @property
    def tokens(self) -> int:
        """Tokens per record, prefix included."""
        return self.grid.prefix + self.grid.cells


@dataclass(frozen=True)
class NoAttention:
    """Why a model has no attention map, in words for the user, and what to use instead."""

    reason: str


def _query(adapter: Adapter, grid: Grid) -> Query:
    """Whose attention matters: prefix tokens may be mere registers, so it is what the score reads that tells.

    Where the last output over the tokens has a gradient on patches the answer is read from their mean, else from the
    class token.
    """
    tokens = grid.prefix + grid.cells
    over_tokens = [
        call
        for call in adapter.trace.calls
        if call.on_path and call.grid is not None and call.grid.layout == "tokens" and call.shape[1] == tokens
    ]
    reads_patches = over_tokens[-1].reaches_target if over_tokens else not grid.prefix
    return "mean of tokens" if reads_patches else "class token"


def _token_grids(adapter: Adapter) -> dict[int, Grid]:
    """The traced token grids by their number of tokens; a stream ``(N, B, D)`` counts, though no layer has its grid."""
    calls = adapter.trace.calls
    records = next(iter(adapter.example.values())).shape[0]
    sizes = list(dict.fromkeys(call.grid.size for call in calls if call.grid is not None))
    found = {}
    for call in calls:
        if call.grid is None and len(call.shape) == 3 and call.shape[1] == records != call.shape[0]:
            shape = (records, call.shape[0], call.shape[2])
            grid = grid_of(shape, adapter.trace.input_size, token_grids=sizes, channels="last")
        else:
            grid = call.grid
        if grid is not None and grid.layout == "tokens":
            found[grid.prefix + grid.cells] = grid
    return found


def find_attention(adapter: Adapter, example: Inputs) -> GlobalAttention | NoAttention:
    """Run two records once with every square attention recorded, and match it with the traced token grid."""
    few = {name: tensor[:2].to(adapter.device) for name, tensor in example.items()}
    batch = next(iter(few.values())).shape[0]
    recorder = AttentionRecorder(batch=batch, reduce=lambda _, weights: weights[:1, :, :1, :1].expand(weights.shape))
    with borrowed(adapter.model), recorder:
        adapter.call(few)
    grids = _token_grids(adapter)
    matching = [weights for weights in recorder.weights if weights.shape[-1] in grids]
    if matching and not recorder.windowed:
        tokens = matching[-1].shape[-1]
        chained = [weights for weights in matching if weights.shape[-1] == tokens]
        grid = grids[tokens]
        query = _query(adapter, grid)
        return GlobalAttention(grid, len(chained), chained[-1].shape[1], query)
    if recorder.windowed or recorder.weights:
        return NoAttention(
            "attention is computed in windows or over channels, which cannot be chained over the whole image; "
            "Grad-CAM suits this model"
        )
    return NoAttention("the model has no attention layers; Grad-CAM suits it")


_found: weakref.WeakKeyDictionary[Adapter, GlobalAttention | NoAttention] = weakref.WeakKeyDictionary()


def attention_of(adapter: Adapter) -> GlobalAttention | NoAttention:
    """:func:`find_attention` on the inputs the model was traced with, asked once per adapter."""
    if adapter not in _found:
        _found[adapter] = find_attention(adapter, adapter.example)
    return _found[adapter]
