"""What may be asked of embeddings, and the limits that are told; without torch, for the command line."""

from __future__ import annotations

from typing import Final, Literal, get_args

Distance = Literal["cosine", "l2"]
ClusterMethod = Literal["kmeans", "agglomerative", "hdbscan"]
IndexKind = Literal["flat", "hnsw"]

DISTANCES: Final[tuple[Distance, ...]] = get_args(Distance)
CLUSTER_METHODS: Final[tuple[str, ...]] = get_args(ClusterMethod)
INDEX_KINDS: Final[tuple[str, ...]] = get_args(IndexKind)
INDEXES: Final = ("exact", *INDEX_KINDS)
PROJECTIONS: Final = ("pca", "umap")
PROBES: Final = ("linear", "knn")

FEWEST_TRIED: Final = 2
MOST_TRIED: Final = 10
"""Numbers of clusters that are tried where none is given."""
CLOSE: Final = 1e-3
"""1 - cosine of two vectors at 2.6 degrees."""
FAR: Final = 3.5
"""Beyond this robust z-score a value is an outlier: Iglewicz and Hoaglin 1993, How to Detect and Handle Outliers."""
ROUNDS: Final = 1000
"""Of a linear probe's fit."""
