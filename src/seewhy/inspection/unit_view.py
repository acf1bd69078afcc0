"""The receptive field of a unit by one way or both, and the page that shows it over the picture."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

import numpy as np
from jaxtyping import Float, UInt8
from torch import Tensor

from seewhy.baselines import check_name, named
from seewhy.features.receptive_field import covering, gradient_field, occlusion_field
from seewhy.features.unit import Unit
from seewhy.pixels import Normalisation
from seewhy.render.receptive_field_figure import receptive_field_figure
from seewhy.render.value_scale import short_number

Method: TypeAlias = Literal["occlusion", "gradient", "both"]
METHODS: Final = ("occlusion", "gradient", "both")
Baseline: TypeAlias = float | str | Tensor
Sizes: TypeAlias = int | Sequence[int]


@dataclass(frozen=True)
class Field:
    """A field ``(H, W)``, raw and signed, and what to know of how it came about."""

    map: Float[np.ndarray, "height width"]
    note: str


def fields_of(
    unit: Unit,
    method: Method,
    normalisation: Normalisation,
    patch: Sizes,
    stride: Sizes,
    baseline: Baseline,
    batch_size: int | None = None,
) -> dict[str, Field]:
    """The fields that ``method`` means, the occlusion first; settings that cannot be are said before long work.

    Raises:
        ConfigError: ``SW-F204`` to ``SW-F206``, and ``SW-F40``, ``SW-F41`` of a baseline.
    """
    found = {}
    if method in ("occlusion", "both"):
        windows = len(list(covering(unit.input.shape[2:], patch, stride)))
        filling = _filling(baseline, unit, normalisation)
        covered = occlusion_field(unit, patch=patch, stride=stride, filling=filling, batch_size=batch_size)
        into = (
            baseline if isinstance(baseline, str) else "a tensor" if isinstance(baseline, Tensor) else f"{baseline:g}"
        )
        found["occlusion"] = Field(
            covered.numpy(),
            f"occlusion: the activation lost when a window of {_size(patch)} pixels becomes {into}, "
            f"averaged over the windows at a pixel ({windows} windows)",
        )
    if method in ("gradient", "both"):
        slope, seen = gradient_field(unit)
        where = (
            "zero everywhere"
            if seen is None
            else "not zero in rows {}, columns {}".format(*(f"{first} to {last - 1}" for first, last in seen))
        )
        found["gradient"] = Field(slope.numpy(), f"gradient at the pixels, summed over colours: {where}")
    return found


def unit_page(
    unit: Unit, picture: UInt8[np.ndarray, "h w 3"], fields: Mapping[str, Field]
) -> UInt8[np.ndarray, "height width 3"]:
    """The picture with each field over it, and the unit's place; a unit without one is marked in the middle."""
    height, width = picture.shape[:2]
    placed = len(unit.size) == 2
    cells = zip(unit.position, unit.size, (height, width), strict=True) if placed else ()
    at = tuple((cell + 0.5) * side / length for cell, length, side in cells) if placed else (height / 2, width / 2)
    where = f"cell {unit.position} of {_size(unit.size)}" if unit.size else "no place: it sees the whole picture"
    page: np.ndarray = receptive_field_figure(
        picture,
        {name: field.map for name, field in fields.items()},
        position=(at[0], at[1]),
        heading=f"{unit.layer}, channel {unit.channel}, {where}",
        caption=" · ".join([f"activation {short_number(unit.value)}", *(field.note for field in fields.values())]),
    )
    return page


def _filling(baseline: Baseline, unit: Unit, normalisation: Normalisation) -> float | Tensor:
    if not isinstance(baseline, str):
        return baseline
    check_name(baseline)
    return named(baseline, unit.input, normalisation)[0]


def _size(lengths: Sizes) -> str:
    several = list(lengths) if isinstance(lengths, Sequence) else [lengths, lengths]
    return " × ".join(map(str, several))
