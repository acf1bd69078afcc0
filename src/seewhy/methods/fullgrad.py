"""FullGrad: a score taken apart into what the input and every bias of the network contribute to it."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

import torch
from jaxtyping import Float
from torch import Tensor

from seewhy import ops
from seewhy.capture.bias_terms import bias_terms
from seewhy.capture.probe import Probe
from seewhy.core import Explanation, Inputs, Wants
from seewhy.methods.combine import check_choice
from seewhy.models.borrow import borrowed
from seewhy.models.grid import Grid
from seewhy.models.layers import Layer
from seewhy.models.trace import Trace
from seewhy.registry import method
from seewhy.values import ModelError

Term = Float[Tensor, "b c *s"]
Map = Float[Tensor, "b *s"]


@method(
    "fullgrad",
    asks=True,
    signed=True,
    linear=True,
    share_by="sum",
    cite="Srinivas and Fleuret 2019, arXiv:1905.00780, eq. 3; psi='signed' is before the post-processing of eq. 4",
    also=("full_gradient",),
)
def fullgrad(probe: Probe, inputs: Inputs, *, psi: str = "signed") -> Explanation:
    """The input's and every bias's contribution to the score, each where it lies, added up at the input's size.

    ``psi`` is what is done to each layer's contributions ``(B, C, *S)`` before they are added: ``"signed"`` sums
    channels and spreads each cell over the pixels it covers, so that a map sums to the score, less what has no place;
    ``"absolute"`` sums magnitudes, interpolated; ``"rescaled"`` also stretches the magnitudes of each layer to 0..1
    first, as the authors' program does.

    ``measured["completeness_residual"]`` is the sum of all contributions minus the score: zero, up to rounding, where
    every bias belongs to a module (networks of convolutions, linear layers, norms, pooling and activation modules).
    Biases that no module has, products of two streams and attention show up in it. ``measured["without_place"]`` is
    what biases behind the last grid (the head's), on prefix tokens and on layers that see several inputs contribute,
    which no map shows.

    Raises ``ConfigError`` SW-F65 for an unknown ``psi``, ``ModelError`` SW-M21 for a layer whose output does not hold
    the records on its first axis (windows of attention, transformers that want the sequence first).

    Example:
        >>> from seewhy.models.adapter import Adapter
        >>> from seewhy.targets import Logit
        >>> layers = torch.nn.Conv2d(3, 4, 3), torch.nn.ReLU(), torch.nn.Flatten(), torch.nn.Linear(4 * 6 * 6, 2)
        >>> x = {"image": torch.randn(2, 3, 8, 8)}
        >>> found = fullgrad(Probe(Adapter(torch.nn.Sequential(*layers), x), [Logit(1)]), x)
        >>> bool(found.measured["completeness_residual"].abs().max() < 1e-5)
        True
    """
    check_choice("psi", psi, tuple(PSI))
    adapter = probe.adapter
    sums = _Sums(_places(adapter.trace), PSI[psi], len(probe.targets), _records(inputs), _rows(adapter.trace))
    with borrowed(adapter.model), bias_terms(adapter.model, sums.add):
        capture = probe.capture(inputs, Wants(input_gradients=True))
    terms = {name: inputs[name].to(gradient) * gradient for name, gradient in capture.input_gradients.items()}
    of_inputs = torch.stack([term.flatten(2).sum(dim=2) for term in terms.values()]).sum(dim=0)
    maps = {name: torch.stack([PSI[psi](term) for term in terms[name]]) for name in adapter.spatial_inputs}
    maps = {name: of_input + sums.at_size(name, of_input, spread=psi == "signed") for name, of_input in maps.items()}
    of_biases, placed = sums.totals(like=of_inputs)
    measured = {
        "completeness_residual": of_inputs + of_biases - capture.scores,
        "without_place": of_biases - placed,
    }
    return Explanation(maps, capture.scores, measured=measured)


def _places(trace: Trace) -> dict[Layer, tuple[str, Grid]]:
    """The input and the grid of every layer that lies on one input."""
    return {
        Layer(call.name, call.call): (call.inputs[0], call.grid)
        for call in trace.calls
        if call.grid is not None and call.grid.cells > 1 and len(call.inputs) == 1
    }


def _records(inputs: Inputs) -> int:
    return next(iter(inputs.values())).shape[0]


def _rows(trace: Trace) -> dict[Layer, int]:
    """How many rows of its output each layer had for a record in the trace: one, or one for each frame of a clip; only
    layers that had either, for the first axis of others may have such a length by chance elsewhere."""
    traced = trace.logits.shape[0]
    frames = {1, *(call.grid.frames for call in trace.calls if call.grid and call.grid.frames)}
    return {
        Layer(call.name, call.call): call.shape[0] // traced
        for call in trace.calls
        if call.shape and call.shape[0] % traced == 0 and call.shape[0] // traced in frames
    }


def _magnitude(term: Term) -> Map:
    return term.abs().sum(dim=1)


def _rescaled(term: Term) -> Map:
    """Magnitudes stretched to 0..1 over all channels and places of a record, then summed over channels."""
    size = term.abs()
    low, high = (extreme.reshape(-1, *[1] * (term.ndim - 2)) for extreme in size.flatten(1).aminmax(dim=1))
    stretch = torch.where(high > low, high - low, 1.0)
    return (size.sum(dim=1) - term.shape[1] * low) / stretch


PSI: Mapping[str, Callable[[Term], Map]] = {
    "signed": lambda term: term.sum(dim=1),
    "absolute": _magnitude,
    "rescaled": _rescaled,
}


class _Sums:
    """Contributions of biases, added up as they arrive: a map per question, input and grid size, and totals."""

    def __init__(
        self,
        places: Mapping[Layer, tuple[str, Grid]],
        psi: Callable[[Term], Map],
        questions: int,
        records: int,
        rows: Mapping[Layer, int],
    ) -> None:
        self._places, self._psi, self._questions = places, psi, questions
        self._records, self._rows = records, rows
        self._maps: dict[tuple[str, tuple[int, ...]], dict[int, Map]] = {}
        self._all: dict[int, Tensor] = {}
        self._placed: dict[int, Tensor] = {}

    def add(self, layer: Layer, question: int, term: Float[Tensor, "b ..."]) -> None:
        """One layer's bias × gradient."""
        term = term.detach()
        if layer not in self._rows or term.shape[0] != self._records * self._rows[layer]:
            raise _records_elsewhere(layer, tuple(term.shape), self._records)
        _add_to(self._all, question, term.reshape(self._records, -1).sum(dim=1))
        if layer not in self._places:
            return
        name, grid = self._places[layer]
        on_grid = grid.apply(term)
        _add_to(self._placed, question, on_grid.flatten(1).sum(dim=1))
        _add_to(self._maps.setdefault((name, grid.size), {}), question, self._psi(on_grid))

    def totals(self, like: Float[Tensor, "k b"]) -> tuple[Float[Tensor, "k b"], Float[Tensor, "k b"]]:
        """What all biases contribute, and the part of it that lies somewhere."""
        found = (self._all, self._placed)
        every, placed = (torch.stack([total.get(k, like[k] * 0) for k in range(self._questions)]) for total in found)
        return every.to(like), placed.to(like)

    def at_size(self, name: str, like: Float[Tensor, "k b *s"], *, spread: bool) -> Float[Tensor, "k b *s"]:
        """All maps on an input at the size of ``like``, one resize per grid size; ``spread`` keeps sums, not values."""
        size, total = tuple(like.shape[2:]), torch.zeros_like(like)
        for (of_input, grid), maps in self._maps.items():
            if of_input != name:
                continue
            share = math.prod(grid) / math.prod(size) if spread else 1.0
            total += share * ops.resize(torch.stack([maps[k] for k in range(self._questions)]).to(like), size)
        return total


def _records_elsewhere(layer: Layer, shape: tuple[int, ...], records: int) -> ModelError:
    return ModelError(
        "SW-M21",
        f"layer {layer} puts out {shape} for {records} records: its output does not hold the records on its first "
        "axis, so its biases cannot be told apart by record",
        fix="use integrated_gradients or gradcam",
    )


def _add_to(sums: dict[int, Tensor], question: int, value: Tensor) -> None:
    sums[question] = sums[question] + value if question in sums else value
