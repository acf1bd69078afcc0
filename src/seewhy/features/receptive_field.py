"""What one unit of a layer sees: its gradient at the input, and how its activation changes when a window is covered."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import product
from typing import Final

import torch
from jaxtyping import Float
from torch import Tensor

from seewhy.capture.partway import ending_at, gradient_at_inputs
from seewhy.features.unit import Unit
from seewhy.memory import is_out_of_memory, release
from seewhy.models.borrow import borrowed
from seewhy.ops import chunks
from seewhy.values import ConfigError, LayerError, ModelError

Sizes = int | Sequence[int]
Window = tuple[slice, ...]
Extent = tuple[tuple[int, int], ...]
AT_ONCE_ON_CPU: Final = 8
"""Pictures in a forward: beyond it a network's activations leave the processor's cache (measured on a ResNet-18)."""
AT_ONCE: Final = 64


def gradient_field(unit: Unit) -> tuple[Float[Tensor, "*s"], Extent | None]:
    """The gradient of the unit's activation at the input, summed over the input's channels, and where it is not zero.

    The sum is what the activation changes by, to first order, when every channel of a place grows by one; it is signed,
    per unit of the model's own values. The second part says from where to where the gradient of any channel is not
    zero, ``(first, last + 1)`` by axis, None if nowhere: of linear layers their theoretical receptive field, of
    rectified ones what of it counts on this picture.

    Raises:
        LayerError: ``SW-L31``, no gradient path.
        ModelError: ``SW-M07``, an operation in place defeats differentiation.

    Example:
        >>> from seewhy.features.unit import unit_at
        >>> mean = torch.nn.Sequential(torch.nn.AvgPool1d(2))
        >>> gradient_field(unit_at(mean, torch.zeros(1, 6), "0", channel=0, position=[1]))
        (tensor([0.0000, 0.0000, 0.5000, 0.5000, 0.0000, 0.0000], dtype=torch.float64), ((2, 4),))
    """
    (name,) = unit.given.inputs
    found = gradient_at_inputs(
        unit.model,
        unit.layer,
        unit.given.inputs,
        lambda inputs: replace(unit.given, inputs=inputs).run(unit.model),
        unit.of,
    )
    gradient = found[name][0].double().cpu()
    return gradient.sum(dim=0), _extent(gradient.abs().amax(dim=0))


def _extent(strength: Float[Tensor, "*s"]) -> Extent | None:
    places = strength.nonzero()
    if not len(places):
        return None
    low, high = places.amin(dim=0).tolist(), places.amax(dim=0).tolist()
    return tuple((first, last + 1) for first, last in zip(low, high, strict=True))


def occlusion_field(
    unit: Unit,
    *,
    patch: Sizes = 16,
    stride: Sizes = 8,
    filling: float | Tensor = 0.0,
    batch_size: int | None = None,
) -> Float[Tensor, "*s"]:
    """The unit's activation less what is left of it when a window is covered, averaged over the windows at a place.

    Signed: positive where covering lowers the activation (Zeiler and Fergus 2013, arXiv:1311.2901, section 4.2). Every
    place lies in a window; the last of an axis is cut off at the border. Each forward ends at the layer. Out of memory,
    half as many windows are tried together, down to one; how many does not change the result beyond rounding.

    Args:
        unit: as :func:`seewhy.features.unit.unit_at` finds it.
        patch: a window's size in the input's cells, one number or one per axis.
        stride: from a window to the next.
        filling: what covered places become, in the model's own values: a number, or ``(C, *S)`` or what broadcasts.
        batch_size: windows in a forward; what suits the device if None.

    Raises:
        ConfigError: ``SW-F204`` a patch or stride that cannot be, ``SW-F205`` a filling that does not fit,
            ``SW-F206`` a batch size that is none.
        ModelError: ``SW-M24``, a single window does not fit into memory.
        LayerError: ``SW-L34``, the layer does not put out a row for each record.

    Example:
        >>> from seewhy.features.unit import unit_at
        >>> total = torch.nn.Sequential(torch.nn.Conv1d(1, 1, 5, bias=False))
        >>> _ = torch.nn.init.ones_(total[0].weight)
        >>> unit = unit_at(total, torch.tensor([[1.0, 2.0, 4.0, 8.0, 16.0]]), "0", channel=0)
        >>> occlusion_field(unit, patch=2, stride=2).tolist()
        [3.0, 3.0, 12.0, 12.0, 16.0]
    """
    size = tuple(unit.input.shape[2:])
    windows = list(covering(size, patch, stride))
    hidden = _hidden(filling, unit.input)
    values = _in_fitting_batches(unit, windows, hidden, _batch_size(batch_size, unit.input.device.type))
    total, times = torch.zeros(2, *size, dtype=torch.float64)
    for window, drop in zip(windows, (values[0] - values[1:]).tolist(), strict=True):
        total[window] += drop
        times[window] += 1
    found: Tensor = total / times
    return found


def covering(size: Sequence[int], patch: Sizes, stride: Sizes) -> Iterator[Window]:
    """Windows that cover every place of a picture of any rank, the last axis fastest; raises SW-F204.

    Example:
        >>> [(rows.start, rows.stop) for (rows,) in covering([9], 4, 3)]
        [(0, 4), (3, 7), (6, 9)]
    """
    lengths, steps = _per_axis("patch", patch, size), _per_axis("stride", stride, size)
    if any(step > length for step, length in zip(steps, lengths, strict=True)):
        raise ConfigError(
            "SW-F204",
            f"a stride of {stride} with a patch of {patch} leaves places that no window covers",
            fix="make the stride no longer than the patch",
        )
    corners = [
        range(0, max(side - length, 0) + step, step) for side, length, step in zip(size, lengths, steps, strict=True)
    ]
    for corner in product(*corners):
        ends = (min(start + length, side) for start, length, side in zip(corner, lengths, size, strict=True))
        yield tuple(map(slice, corner, ends))


def _in_fitting_batches(unit: Unit, windows: Sequence[Window], hidden: Tensor, batch_size: int) -> Float[Tensor, " n"]:
    size = min(batch_size, len(windows) + 1)
    while True:
        try:
            return _activations(unit, windows, hidden, size)
        except (RuntimeError, MemoryError) as error:
            if not is_out_of_memory(error):
                raise
            if size == 1:
                raise ModelError(
                    "SW-M24",
                    f"one forward to {unit.layer} does not fit into memory: {error}".partition("\n")[0],
                    fix="use a smaller input or a device with more memory",
                ) from error
        size //= 2
        release()


def _activations(unit: Unit, windows: Sequence[Window], hidden: Tensor, size: int) -> Float[Tensor, " n"]:
    """The unit's activation with nothing covered, then with each window covered.

    All batches are filled up to one size: a processor rounds alike in them, so that a window the unit does not see
    leaves a difference of zero.
    """
    covers: list[Window | None] = [None, *windows]
    covers += [None] * (math.ceil(len(covers) / size) * size - len(covers))
    batch = unit.input.repeat(size, *[1] * (unit.input.ndim - 1))
    given = replace(unit.given, inputs=dict.fromkeys(unit.given.inputs, batch))
    found = []
    with borrowed(unit.model):
        for few in chunks(len(covers), size):
            batch.copy_(unit.input.expand_as(batch))
            for row, number in enumerate(few):
                if (window := covers[number]) is not None:
                    place = (slice(None), *window)
                    batch[row][place] = hidden[place]
            with ending_at(unit.model, unit.layer) as reached:
                given.run(unit.model)
            if len(reached.output) != size:
                raise LayerError(
                    "SW-L34",
                    f"{unit.layer} puts out {len(reached.output)} rows for {size} records",
                    fix="choose a layer that depends on the input",
                )
            found.append(unit.of(reached.output).double().cpu())
    return torch.cat(found)[: 1 + len(windows)]


def _hidden(filling: float | Tensor, picture: Float[Tensor, "1 c *s"]) -> Float[Tensor, "c *s"]:
    given = torch.as_tensor(filling, dtype=picture.dtype, device=picture.device)
    shape = picture.shape[1:]
    fits = given.ndim <= len(shape) and all(
        ours in (1, length) for ours, length in zip(reversed(given.shape), reversed(shape), strict=False)
    )
    if not fits or not bool(given.isfinite().all()):
        raise ConfigError(
            "SW-F205",
            f"covered places become a finite number or a tensor that fits {tuple(shape)}, got "
            f"{tuple(given.shape) if given.ndim else filling}",
            fix="give 0.0 (the mean colour of a normalised picture), or a tensor (C, 1, 1)",
        )
    return given.expand(shape)


def _batch_size(given: int | None, device: str) -> int:
    if given is None:
        return AT_ONCE_ON_CPU if device == "cpu" else AT_ONCE
    if not _is_count(given):
        raise ConfigError("SW-F206", f"batch_size must be a whole number from 1 on, got {given!r}", fix="leave it out")
    return int(given)


def _per_axis(name: str, given: Sizes, size: Sequence[int]) -> list[int]:
    lengths = list(given) if isinstance(given, Sequence) else [given] * len(size)
    if len(lengths) != len(size) or not all(map(_is_count, lengths)):
        raise ConfigError(
            "SW-F204",
            f"{name} must be a whole number from 1 on, or one for each of {len(size)} axes, got {given!r}",
            fix=f"write {name}=16, or {name}={[16] * len(size)}",
        )
    return [int(length) for length in lengths]


def _is_count(number: object) -> bool:
    return hasattr(number, "__index__") and not isinstance(number, bool) and number.__index__() >= 1
