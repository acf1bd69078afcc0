"""How the rows of a layer's output stand for records and time steps, and its values as ``(rows, C, *S)``."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any, Literal

import torch
from jaxtyping import Num
from torch import Tensor, nn

from seewhy.capture.reading import LayerOutput, reading
from seewhy.features.given_batch import GivenBatch, as_floats
from seewhy.models.grid import Grid
from seewhy.models.layer_calls import InputPlaces, channels_of
from seewhy.models.layers import Layer
from seewhy.models.outputs import sole_tensor
from seewhy.models.trace import watchable
from seewhy.ops import generator

Order = Literal["records", "folded", "folded by time", "sequence", "sequence by time"]


@dataclass(frozen=True)
class Lying:
    """How an output lies: its ``order``, and the ``grid`` of each row (of each frame, where rows are frames)."""

    order: Order
    grid: Grid | None
    channels_last: bool

    @property
    def per_step(self) -> bool:
        """Whether there is a row for each time step of each record, record by record."""
        return self.order != "records"

    @property
    def layout(self) -> str:
        """The word for how the module itself lays its values out."""
        if self.grid is not None:
            return self.grid.layout
        return "channels_last" if self.channels_last else "vector"

    def rows(self, tensor: Tensor, records: int) -> Num[Tensor, "rows c *s"]:
        """The values row by row, records in their order and in each the time steps in theirs; a view if possible."""
        if self.order == "sequence by time":
            tensor = tensor.transpose(0, 1)
        if self.order in ("sequence", "sequence by time"):
            return tensor.flatten(0, 1)
        if self.order == "folded by time":
            by_time = tensor.reshape(-1, records, *tensor.shape[1:])
            tensor = by_time.transpose(0, 1).flatten(0, 1)
        if self.grid is not None:
            return self.grid.apply(tensor)
        return tensor.movedim(-1, 1) if self.channels_last and tensor.ndim > 2 else tensor


class Places:
    """Where outputs lie on a batch, learnt call by call while the model runs.

    ``by_time`` are the layers whose folded rows were found to run through the records first, ``(T · B)``.
    """

    def __init__(self, given: GivenBatch, by_time: frozenset[str] = frozenset()) -> None:
        self._given, self._by_time = given, by_time
        self._whole = [InputPlaces(size) for size in given.sizes.values()]
        self._frames = [InputPlaces(size[1:]) for size in given.sizes.values() if len(size) == 3]
        self._grids: dict[tuple[str, tuple[int, ...]], Grid | None] = {}

    @contextmanager
    def learning(self, model: nn.Module) -> Iterator[None]:
        """While open, every call of every layer teaches where outputs of its shape lie."""
        handles = []
        try:
            for name, module in watchable(model).items():
                handles.append(module.register_forward_hook(self._hook(name)))
            yield
        finally:
            for handle in handles:
                handle.remove()

    def _hook(self, name: str) -> Any:
        def learn(module: nn.Module, args: Any, output: Any) -> None:
            del args
            tensor = sole_tensor(output)
            if tensor is not None:
                shape = tuple(tensor.shape)
                self._grids[name, shape] = self._grid(module, shape, order_of(shape, self._given, module))

        return learn

    def lying(self, layer: Layer, output: LayerOutput) -> Lying | None:
        """How an output lies; None where its rows are neither records nor their time steps."""
        shape = tuple(output.tensor.shape)
        order = order_of(shape, self._given, output.module)
        if order is None:
            return None
        place = (layer.name, shape)
        grid = self._grids[place] if place in self._grids else self._grid(output.module, shape, order)
        if order == "folded" and output.layer in self._by_time:
            order = "folded by time"
        told = channels_of(output.module)
        last = told == "last" or (told is None and len(shape) == 3 and any(len(p.size) > 1 for p in self._whole))
        return Lying(order, grid, channels_last=grid is None and last)

    def _grid(self, module: nn.Module, shape: tuple[int, ...], order: Order | None) -> Grid | None:
        if order is None or order.startswith("sequence") or len(shape) < 3:
            return None
        batch = shape[0]
        if order == "folded":
            return _first_grid(self._frames, module, shape, batch)
        # a model of pictures may be called once for each frame
        return _first_grid(self._whole, module, shape, batch) or _first_grid(self._frames, module, shape, batch)


def _first_grid(places: list[InputPlaces], module: nn.Module, shape: tuple[int, ...], batch: int) -> Grid | None:
    return next((grid for place in places if (grid := place.grid(module, shape, batch)) is not None), None)


def order_of(shape: tuple[int, ...], given: GivenBatch, module: nn.Module) -> Order | None:
    """What the first axes of an output are; None where they are neither records nor time steps.

    Where there are as many records as steps, ``(B, T, D)`` and ``(T, B, D)`` are told apart by the module's
    ``batch_first``.
    """
    records, steps = given.records, given.steps
    if not shape:
        return None
    if steps > 1 and shape[0] == records * steps:
        return "folded"
    sequence = steps > 1 and len(shape) == 3
    if sequence and shape[:2] == (steps, records) and (steps != records or _batch_second(module)):
        return "sequence by time"
    if shape[0] != records:
        return None
    return "sequence" if sequence and shape[1] == steps and given.is_clip else "records"


def _batch_second(module: nn.Module) -> bool:
    inner = getattr(module, "self_attn", module)
    return getattr(inner, "batch_first", None) is False


def frame_calls(count: int, steps: int, per_step: bool) -> int:
    """How often a module runs for each time step; 0 where it does not run once or several times for each.

    Example:
        >>> frame_calls(8, 8, False), frame_calls(16, 8, False), frame_calls(1, 8, True), frame_calls(3, 1, False)
        (1, 2, 0, 0)
    """
    return 0 if per_step or steps < 2 or count < steps or count % steps else count // steps


def folded_by_time(model: nn.Module, given: GivenBatch, layers: Mapping[str, Layer]) -> frozenset[str]:
    """The layers with one row per frame whose rows run through the records first: found by changing one record.

    Two forwards of two records; with one record or one frame there is nothing to tell apart.
    """
    two = given.first(2)
    records, steps = two.records, two.steps
    if records < 2 or steps < 2:
        return frozenset()
    noise = generator("row order")
    changed = {name: tensor.clone() for name, tensor in two.inputs.items()}
    for tensor in changed.values():
        if tensor.is_floating_point():
            tensor[0] += torch.randn(tensor[0].shape, generator=noise).to(tensor) * (tensor[0].std() + 1e-3)
    before, after = (_row_sums(model, one, layers) for one in (two, replace(two, inputs=changed)))
    by_time = [row % records == 0 for row in range(records * steps)]
    return frozenset(
        name
        for name, sums in before.items()
        if len(sums) == records * steps and [bool(row) for row in sums != after[name]] == by_time
    )


def _row_sums(model: nn.Module, given: GivenBatch, layers: Mapping[str, Layer]) -> dict[str, Tensor]:
    found: dict[str, Tensor] = {}

    def take(output: LayerOutput) -> None:
        if output.tensor.ndim >= 2:
            found[output.layer] = as_floats(output.tensor).flatten(1).double().sum(dim=1).cpu()

    with reading(model, layers, take, required=False):
        given.run(model)
    return found
