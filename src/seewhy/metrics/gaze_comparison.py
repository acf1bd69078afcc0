"""Maps against the points where people looked, record by record, beside what knows nothing of the picture."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import torch
from jaxtyping import Float, Float64
from torch import Tensor

from seewhy.metrics.centre import SPREAD, centred_bell
from seewhy.metrics.fixations import (
    Points,
    check_size,
    check_spread,
    fixation_counts,
    fixation_density,
    has_fixations,
)
from seewhy.metrics.human_attention import METRICS, auc_judd, kld, nss, sim, undefined
from seewhy.metrics.settings import seeded
from seewhy.ops import generator, resize
from seewhy.values import ConfigError

EVAL_SIZE: Final = (28, 28)
"""The grid on which maps and fixations are compared where none is said."""
OF_DENSITY: Final[Mapping[str, Callable[[Tensor, Tensor], Tensor]]] = {"kld": kld, "sim": sim}
OF_COUNTS: Final[Mapping[str, Callable[[Tensor, Tensor], Tensor]]] = {"auc_judd": auc_judd, "nss": nss}


@dataclass(frozen=True)
class Score:
    """The mean of ``n`` of ``of`` records with its standard error (sample deviation over the root of ``n``).

    NaN where there are too few: no record for the mean, one for the error.
    """

    mean: float
    standard_error: float
    n: int
    of: int


@dataclass(frozen=True)
class GazeComparison:
    """What :func:`compare_with_gaze` found.

    ``scores[who][metric]``: ``who`` is ``model``, ``centre``, ``uniform`` or ``chance``, ``metric`` one of
    :data:`seewhy.metrics.human_attention.METRICS`. ``records[who][metric]`` ``(B,)`` are the values behind it, and
    ``undefined[who][metric]`` counts the records without one by the reason.
    """

    scores: Mapping[str, Mapping[str, Score]]
    records: Mapping[str, Mapping[str, Float64[Tensor, " b"]]]
    undefined: Mapping[str, Mapping[str, Mapping[str, int]]]

    def rows(self) -> list[dict[str, str | float | int]]:
        """One row per kind of map and metric, for a table."""
        return [
            {
                "maps": who,
                "metric": metric,
                "mean": score.mean,
                "standard_error": score.standard_error,
                "n": score.n,
                "of": score.of,
            }
            for who, scores in self.scores.items()
            for metric, score in scores.items()
        ]

    def __str__(self) -> str:
        """A table: mean ± standard error (n/N)."""
        lines = [["", *METRICS]]
        lines += [[who, *(_told(scores[metric]) for metric in METRICS)] for who, scores in self.scores.items()]
        widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
        rows = [[cell.ljust(width) for cell, width in zip(line, widths, strict=True)] for line in lines]
        return "\n".join("  ".join(row).rstrip() for row in rows)


def compare_with_gaze(
    maps: Float[Tensor, "b h w"],
    points: Points,
    size: Sequence[int],
    *,
    sigma: float | None = None,
    eval_size: Sequence[int] | None = EVAL_SIZE,
    seed: int = 0,
) -> GazeComparison:
    """Compare maps with the points where people looked, and with baselines that have not seen the picture.

    Args:
        maps: one raw, signed map per record, at any resolution; frames of clips are records of their own.
        points: for each record ``(n, 2)`` as ``(x, y)`` in pixels of ``size``, as a data set's ``gaze`` gives them.
        size: ``(height, width)`` of the input in pixels.
        sigma: the deviation of the Gaussian around each point in pixels of ``size``, by default
            :func:`seewhy.metrics.fixations.usual_sigma`.
        eval_size: the grid on which all is compared; maps are resized to it bilinearly. None is the maps' own.
        seed: decides which other record's fixations stand for chance.

    ``centre`` is one Gaussian in the middle, ``uniform`` is equal everywhere (its NSS is not defined, its AUC is 0.5),
    ``chance`` are the maps against the fixations of another record each: what is gained by knowing where people look in
    any picture. Records without fixations are counted out of every mean, and of ``n``.

    Raises ``ConfigError``: SW-F150 a size, SW-F151 sigma, SW-F152 maps that are not ``(B, H, W)``, SW-F154 as many maps
    as sets of points are needed; ``DataError`` SW-D120 and SW-D121 for points.
    """
    frame = check_size("size", size)
    if maps.ndim != 3 or not maps.numel():
        raise ConfigError("SW-F152", f"maps must be (B, H, W); got {tuple(maps.shape)}", fix="flatten frames into B")
    if len(points) != len(maps):
        raise ConfigError(
            "SW-F154",
            f"{len(maps)} maps, and points of {len(points)} records",
            fix="pass one set of points per map, an empty one where nobody looked",
        )
    grid = check_size("eval_size", tuple(maps.shape[1:]) if eval_size is None else eval_size)
    shown = resize(maps.detach().cpu().double()[:, None], grid)[:, 0]
    others = shuffled_fixations(points, seed)
    candidates = {
        "model": (shown, points),
        "centre": (centre_baseline(grid).expand_as(shown), points),
        "uniform": (uniform_baseline(grid).expand_as(shown), points),
        "chance": (shown, others),
    }
    records, reasons = {}, {}
    for who, (each, looked) in candidates.items():
        counts, density = fixation_counts(looked, frame, grid), fixation_density(looked, frame, sigma, grid)
        records[who] = {
            **{name: metric(each, density) for name, metric in OF_DENSITY.items()},
            **{name: metric(each, counts) for name, metric in OF_COUNTS.items()},
        }
        reasons[who] = {name: _counted(undefined(name, each, counts)) for name in METRICS}
    scores = {who: {name: _score(values) for name, values in found.items()} for who, found in records.items()}
    return GazeComparison(scores, records, reasons)


def centre_baseline(size: Sequence[int], spread: float = SPREAD) -> Float64[Tensor, "h w"]:
    """A Gaussian in the middle of ``(height, width)`` cells, summing to 1: people look there whatever is shown.

    ``spread`` is its deviation along each axis as a share of that axis. Raises ``ConfigError`` SW-F150 and SW-F151.
    """
    return centred_bell(check_size("size", size), check_spread("spread", spread))


def uniform_baseline(size: Sequence[int]) -> Float64[Tensor, "h w"]:
    """Equal everywhere, summing to 1. Raises ``ConfigError`` SW-F150."""
    height, width = check_size("size", size)
    return torch.full((height, width), 1 / (height * width), dtype=torch.float64)


def shuffled_fixations(points: Points, seed: int = 0) -> list[Tensor]:
    """For each record that has fixations those of another one, for the rest none; all empty where there is one alone.

    The records are joined to one random cycle, so that none keeps its own. Raises ``ConfigError`` SW-F252 for a seed
    that is no whole number.
    """
    number = seeded(seed)
    pool = torch.nonzero(has_fixations(points))[:, 0].tolist()
    taken = [torch.empty(0, 2, dtype=torch.float64) for _ in points]
    if len(pool) < 2:
        return taken
    drawn = generator(number, "shuffled fixations")
    cycle = [pool[place] for place in torch.randperm(len(pool), generator=drawn).tolist()]
    for record, other in zip(cycle, [*cycle[1:], cycle[0]], strict=True):
        taken[record] = torch.as_tensor(points[other], dtype=torch.float64)
    return taken


def _score(values: Float64[Tensor, " b"]) -> Score:
    known = values[~values.isnan()]
    n = len(known)
    mean = float(known.mean()) if n else math.nan
    error = float(known.std(correction=1)) / math.sqrt(n) if n > 1 else math.nan
    return Score(mean, error, n, len(values))


def _counted(reasons: Sequence[str | None]) -> dict[str, int]:
    return dict(Counter(reason for reason in reasons if reason is not None))


def _told(score: Score) -> str:
    return f"{score.mean:.3f} ± {score.standard_error:.3f} ({score.n}/{score.of})"
