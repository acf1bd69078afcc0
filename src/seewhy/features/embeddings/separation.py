"""How well groups of vectors are apart: silhouette, Davies-Bouldin index and the ratio of centroid distances."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import torch
from jaxtyping import Float64, Int64, Num
from torch import Tensor

from seewhy.features.embeddings.grouping import centroids, grouped_rows, require_groups
from seewhy.features.embeddings.neighbours import squared_distances
from seewhy.features.embeddings.usable import require_distance

CHUNK_NUMBERS: Final = 1 << 22
"""Distances in memory at once."""


@dataclass(frozen=True)
class Separation:
    """``silhouette`` is the mean over records (-1 … 1, high is apart), ``davies_bouldin`` from 0 up (low is apart).

    ``centroid_ratio`` is the mean distance between centroids over the mean distance of records from their own (high is
    apart). NaN where not defined: each group a single point, or centroids that coincide. ``records`` were compared.
    """

    silhouette: float
    davies_bouldin: float
    centroid_ratio: float
    groups: int
    records: int


def separation(vectors: Num[Tensor, "n d"], groups: Int64[Tensor, " n"], metric: str = "cosine") -> Separation:
    """The three measures of how well groups are apart; rows of group -1 and rows without a distance are left out.

    With ``metric="cosine"`` vectors are divided by their lengths first, and the last two are Euclidean between those.

    Raises:
        EmbeddingError: ``SW-E01``, ``SW-E02``, or ``SW-E07`` with fewer than two groups.

    Example:
        >>> table = torch.tensor([[0.0], [1.0], [10.0], [11.0]])
        >>> found = separation(table, torch.tensor([0, 0, 1, 1]), "l2")
        >>> round(found.davies_bouldin, 6), round(found.centroid_ratio, 6)
        (0.1, 20.0)
    """
    each = silhouettes(vectors, groups, metric)
    _, rows, places, names = grouped_rows(vectors, groups, require_distance(metric))
    return Separation(
        silhouette=float(each.nanmean()),
        davies_bouldin=_davies_bouldin(rows, places, len(names)),
        centroid_ratio=_centroid_ratio(rows, places, len(names)),
        groups=len(names),
        records=len(rows),
    )


def silhouettes(
    vectors: Num[Tensor, "n d"], groups: Int64[Tensor, " n"], metric: str = "cosine"
) -> Float64[Tensor, " n"]:
    """Each record's silhouette: ``(b - a) / max(a, b)``, with ``a`` the mean distance to its own group's others.

    ``b`` is the mean distance to the nearest other group; 0 for the only member of a group, and where both are 0;
    NaN for rows without group or distance. Rousseeuw 1987 (doi:10.1016/0377-0427(87)90125-7).

    Raises:
        EmbeddingError: as :func:`separation`.

    Example:
        >>> table = torch.tensor([[0.0], [1.0], [10.0], [11.0]])
        >>> silhouettes(table, torch.tensor([0, 0, 1, 1]), "l2").round(decimals=4).tolist()
        [0.9048, 0.8947, 0.8947, 0.9048]
    """
    distance = require_distance(metric)
    require_groups(vectors, groups)
    kept, rows, places, names = grouped_rows(vectors, groups, distance)
    sizes = torch.bincount(places, minlength=len(names))
    member = torch.nn.functional.one_hot(places, len(names)).double()
    found = torch.full((len(vectors),), float("nan"), dtype=torch.float64)
    for part in torch.split(torch.arange(len(rows)), max(1, CHUNK_NUMBERS // len(rows))):
        apart = squared_distances(rows[part], rows)
        apart = apart / 2 if distance == "cosine" else apart.sqrt()
        apart[torch.arange(len(part)), part] = 0.0  # a record is at no distance from itself, not at one of rounding
        sums, own = apart @ member, places[part][:, None]
        alone = sizes[places[part]] == 1
        inner = sums.gather(1, own)[:, 0] / (sizes[places[part]] - 1).clamp(min=1)
        outer = (sums / sizes).scatter(1, own, torch.inf).amin(dim=1)
        larger = torch.maximum(inner, outer)
        score = torch.where((larger > 0) & ~alone, (outer - inner) / larger, 0.0)
        found[kept[part]] = score
    return found


def davies_bouldin(vectors: Num[Tensor, "n d"], groups: Int64[Tensor, " n"]) -> float:
    """The Davies-Bouldin index, Euclidean: the mean over groups of the worst ``(s_i + s_j) / d_ij``; low is apart.

    ``s`` is the mean distance of a group's members from their centroid, ``d`` the distance of two centroids. Davies and
    Bouldin 1979 (doi:10.1109/TPAMI.1979.4766909). NaN where two centroids coincide.

    Raises:
        EmbeddingError: as :func:`separation`.
    """
    require_groups(vectors, groups)
    _, rows, places, names = grouped_rows(vectors, groups, "l2")
    return _davies_bouldin(rows, places, len(names))


def _davies_bouldin(rows: Float64[Tensor, "m d"], places: Int64[Tensor, " m"], count: int) -> float:
    middles = centroids(rows, places, count)
    spread = _spread(rows, places, middles)
    apart = _apart(middles)
    ratio = (spread[:, None] + spread[None]) / apart
    ratio.fill_diagonal_(-torch.inf)
    return float(ratio.amax(dim=1).mean()) if bool((apart + torch.eye(count)).gt(0).all()) else float("nan")


def _centroid_ratio(rows: Float64[Tensor, "m d"], places: Int64[Tensor, " m"], count: int) -> float:
    middles = centroids(rows, places, count)
    within = float(torch.linalg.vector_norm(rows - middles[places], dim=1).mean())
    between = float(_apart(middles).sum()) / (count * (count - 1))
    return between / within if within > 0 else float("nan")


def _spread(
    rows: Float64[Tensor, "m d"], places: Int64[Tensor, " m"], middles: Float64[Tensor, "c d"]
) -> Float64[Tensor, " c"]:
    away = torch.linalg.vector_norm(rows - middles[places], dim=1)
    sums: Tensor = away.new_zeros(len(middles)).index_add_(0, places, away)
    return sums / torch.bincount(places, minlength=len(middles))


def _apart(middles: Float64[Tensor, "c d"]) -> Float64[Tensor, "c c"]:
    return torch.cdist(middles, middles, compute_mode="donot_use_mm_for_euclid_dist")
