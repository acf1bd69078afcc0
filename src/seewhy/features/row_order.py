"""How the rows of a layer's output stand for records and time steps, and its values as ``(rows, C, *S)``."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final, Literal

from jaxtyping import Num
from torch import Tensor, nn

from seewhy.capture.reading import LayerOutput
from seewhy.features.clip_survey import ClipSurvey
from seewhy.features.given_batch import GivenBatch
from seewhy.models.grid import Channels, Grid
from seewhy.models.layer_calls import InputPlaces, channels_of
from seewhy.models.layers import Layer
from seewhy.models.outputs import sole_tensor
from seewhy.models.trace import watchable

Order = Literal["records", "records second", "folded", "folded by time", "sequence", "sequence by time", "single"]
MOST_PREFIX: Final = 5
"""Tokens that may stand before those of the time steps, such as a class token."""


@dataclass(frozen=True)
class Lying:
    """How an output lies: its ``order``, and the ``grid`` of each row (of each frame, where rows are frames).

    ``prefix`` tokens stand before a sequence's time steps. ``time_axis`` is the length of an axis of time inside a
    row, its first behind the channels, and 0 without one. A ``single`` row is one step of one record, called for each;
    ``by_time`` says that those calls run through the records first.
    """

    order: Order
    grid: Grid | None
    channels_last: bool
    prefix: int = 0
    time_axis: int = 0
    by_time: bool = False

    @property
    def per_step(self) -> bool:
        """Whether there is a row for each time step of each record, record by record."""
        return self.order.startswith(("folded", "sequence"))

    @property
    def layout(self) -> str:
        """The word for how the module itself lays its values out."""
        if self.grid is not None:
            return self.grid.layout
        return "channels_last" if self.channels_last else "vector"

    def rows(self, tensor: Tensor, records: int) -> Num[Tensor, "rows c *s"]:
        """The values row by row, records in their order and in each the time steps in theirs; a view if possible."""
        if self.order in ("sequence by time", "records second"):
            tensor = tensor.transpose(0, 1)
        if self.order.startswith("sequence"):
            return tensor[:, self.prefix :].flatten(0, 1)
        if self.order == "folded by time":
            by_time = tensor.reshape(-1, records, *tensor.shape[1:])
            tensor = by_time.transpose(0, 1).flatten(0, 1)
        if self.grid is not None:
            return self.grid.apply(tensor)
        return tensor.movedim(-1, 1) if self.channels_last and tensor.ndim > 2 else tensor

    def calls_between(self, count: int, given: GivenBatch) -> int:
        """How many calls lie between those for two time steps (or records and steps); 0 where one call has them all."""
        if self.order == "single":
            return count // (given.records * given.steps)
        return frame_calls(count, given.steps, self.per_step or self.time_axis > 0)

    def call_of(self, pair: tuple[int, int], between: int, given: GivenBatch) -> int:
        """Which call, from the first, holds a record and time step; ``between`` is :meth:`calls_between`."""
        record, step = pair
        if self.order != "single":
            return step * between
        return (step * given.records + record if self.by_time else record * given.steps + step) * between


class Places:
    """Where outputs lie on a batch, learnt call by call while the model runs, with what a survey of clips showed."""

    def __init__(self, given: GivenBatch, survey: ClipSurvey | None = None) -> None:
        self._given, self._survey = given, survey or ClipSurvey()
        self._whole = [InputPlaces(size) for size in given.sizes.values()]
        self._frames = [InputPlaces(size[1:]) for size in given.sizes.values() if len(size) == 3]
        self._grids: dict[tuple[str, tuple[int, ...]], Grid | None] = {}
        self._told: dict[tuple[int, ...], Channels | None] = {}

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
                self._grids[name, shape] = self._grid(name, module, shape)

        return learn

    def lying(self, layer: Layer, output: LayerOutput) -> Lying | None:
        """How an output lies; None where its rows are neither records nor their time steps."""
        shape, module = tuple(output.tensor.shape), output.module
        order, prefix = self._order(layer.name, module, shape)
        if order is None:
            return None
        place = (layer.name, shape)
        grid = self._grids[place] if place in self._grids else self._grid(layer.name, module, shape)
        time_axis = self._time_axis(layer.name, module, shape, order, grid)
        by_time = layer.name in self._survey.by_time
        if order == "folded" and by_time:
            order = "folded by time"
        told = self._channels(module, shape)
        last = told == "last" or (told is None and len(shape) == 3 and any(len(p.size) > 1 for p in self._whole))
        return Lying(order, grid, grid is None and last and not time_axis, prefix, time_axis, by_time)

    def _channels(self, module: nn.Module, shape: tuple[int, ...]) -> Channels | None:
        """Where the channels are: as the kind of layer tells, else as the last layer of this shape told."""
        recurrent = isinstance(module, nn.RNNBase | nn.MultiheadAttention)
        self._told[shape] = "last" if recurrent else channels_of(module) or self._told.get(shape)
        return self._told[shape]

    def _order(self, name: str, module: nn.Module, shape: tuple[int, ...]) -> tuple[Order | None, int]:
        """What the first axes of an output are, and the tokens before a sequence's steps."""
        given, channels = self._given, self._channels(module, shape)
        records, steps = given.records, given.steps
        if not shape:
            return None, 0
        along = given.is_clip and len(shape) == 3 and channels != "first" and not self._per_frame(name)
        if along and shape[:2] == (steps, records) and (steps != records or _batch_second(module)):
            return "sequence by time", 0
        if steps > 1 and shape[0] == records * steps:
            return "folded", 0
        if not along and len(shape) == 3 and shape[1] == records and _batch_second(module):
            return "records second", 0
        if shape[0] == records:
            prefix = shape[1] - steps if along else -1
            return ("sequence", prefix) if 0 <= prefix <= MOST_PREFIX else ("records", 0)
        single = shape[0] == 1 and len(shape) > 1 and self._survey.is_single(name, records, steps)
        return ("single", 0) if single else (None, 0)

    def _per_frame(self, name: str) -> bool:
        """Whether a layer runs once or several times for each frame of a clip."""
        return frame_calls(self._survey.counts.get(name, 0), self._given.steps, False) > 0

    def _grid(self, name: str, module: nn.Module, shape: tuple[int, ...]) -> Grid | None:
        order, _ = self._order(name, module, shape)
        if order is None or order.startswith("sequence") or len(shape) < 3 or isinstance(module, nn.RNNBase):
            return None
        if order in ("folded", "single"):
            return _first_grid(self._frames, module, shape, shape[0])
        if (whole := _first_grid(self._whole, module, shape, shape[0])) is not None:
            return whole
        # a model of pictures that is called once for each frame
        return _first_grid(self._frames, module, shape, shape[0]) if self._per_frame(name) else None

    def _time_axis(self, name: str, module: nn.Module, shape: tuple[int, ...], order: Order, grid: Grid | None) -> int:
        """The length of the axis of time inside a row of a clip: the first of a grid, or what a layer over time has."""
        if not self._given.is_clip or order != "records":
            return 0
        if grid is not None:
            return grid.size[0] if len(grid.size) == 3 else 0
        over_time = len(shape) == 3 and self._channels(module, shape) == "first" and not self._per_frame(name)
        return shape[2] if over_time else 0


def _first_grid(places: list[InputPlaces], module: nn.Module, shape: tuple[int, ...], batch: int) -> Grid | None:
    return next((grid for place in places if (grid := place.grid(module, shape, batch)) is not None), None)


def _batch_second(module: nn.Module) -> bool:
    """Whether a layer over a sequence has it first and the records second."""
    inner = getattr(module, "self_attn", module)
    return getattr(inner, "batch_first", None) is False


def frame_calls(count: int, steps: int, has_time: bool) -> int:
    """How often a module runs for each time step; 0 where it does not run once or several times for each.

    ``has_time`` says that one call holds all steps, as rows or along an axis.

    Example:
        >>> frame_calls(8, 8, False), frame_calls(16, 8, False), frame_calls(1, 8, True), frame_calls(3, 1, False)
        (1, 2, 0, 0)
    """
    return 0 if has_time or steps < 2 or count < steps or count % steps else count // steps
