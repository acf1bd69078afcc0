"""``seewhy cluster``: which records lie together, and how far that is what their labels say."""

from __future__ import annotations

import argparse
import dataclasses
from typing import TYPE_CHECKING

from seewhy.cli.embedding_options import (
    about,
    add_metric,
    add_source,
    keeps,
    number,
    open_embeddings,
    plain,
    print_json,
    refuse_unused,
)
from seewhy.cli.layers import aligned
from seewhy.features.embeddings.choices import CLUSTER_METHODS, FEWEST_TRIED, MOST_TRIED
from seewhy.values import EmbeddingError

if TYPE_CHECKING:
    from torch import Tensor

    from seewhy.features.embeddings.clustering import Clusters
    from seewhy.features.embeddings.separation import Separation
    from seewhy.inspection.embeddings import Embeddings
    from seewhy.values import Json

KEY = (
    "silhouette: -1 to 1, high is apart. Davies-Bouldin: from 0, low is apart. Centroid ratio: distance between "
    "centres over distance to the own one, high is apart."
)


def add_cluster(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """The words of the command."""
    parser = commands.add_parser("cluster", help="group the records of a run by their embeddings")
    add_source(parser, writes="clusters_METHOD.parquet")
    add_metric(parser)
    parser.add_argument("--method", choices=CLUSTER_METHODS, default="kmeans", help="default: kmeans")
    parser.add_argument(
        "--count",
        type=int,
        metavar="N",
        help=f"how many clusters (default: the best silhouette of {FEWEST_TRIED} to {MOST_TRIED})",
    )
    parser.add_argument("--seed", type=int, metavar="N", help="of k-means (default: 0)")


def run_cluster(asked: argparse.Namespace) -> int:
    """Print the clusters and how well they and the labels are apart; keep the table; 0."""
    from seewhy.inspection.embedding_results import save_clusters

    if asked.method != "kmeans":
        refuse_unused(f"{asked.method} draws nothing", seed=asked.seed)
    found = open_embeddings(asked)
    clusters = found.cluster(asked.method, asked.count, asked.metric, seed=asked.seed or 0)
    path = save_clusters(found, clusters, asked.output) if keeps(asked, found) else None
    apart = {"clusters": _separation(found, clusters.labels, asked.metric)}
    apart["labels"] = _separation(found, found.labels, asked.metric)
    value = as_json(found, clusters, apart) | {"file": None if path is None else str(path)}
    if asked.json:
        print_json(value)
        return 0
    print(f"{len(clusters.sizes)} clusters by {asked.method} of {about(found)}")
    print("\n".join(as_table(found, clusters)))
    print("\n".join(["", *separations(apart), KEY]))
    told = found.agreement(clusters)
    if told["purity"] == told["purity"]:
        print(f"clusters and labels: adjusted Rand index {told['adjusted_rand']:.3f}, purity {told['purity']:.3f}")
    if clusters.tried:
        print("mean silhouette by number: " + ", ".join(f"{n}: {each:.3f}" for n, each in clusters.tried.items()))
    if path is not None:
        print(path)
    return 0


def as_json(found: Embeddings, clusters: Clusters, apart: dict[str, Separation | None]) -> dict[str, Json]:
    """The clusters as plain values."""
    return {
        "method": clusters.method,
        "metric": clusters.metric,
        "layer": found.layer,
        "sizes": clusters.sizes,
        "in_none": int((clusters.labels < 0).sum()),
        "tried": {str(count): each for count, each in clusters.tried.items()},
        **{name: plain(value) for name, value in found.agreement(clusters).items()},
        "separation": {
            of: None if each is None else {name: plain(value) for name, value in dataclasses.asdict(each).items()}
            for of, each in apart.items()
        },
    }


def as_table(found: Embeddings, clusters: Clusters) -> list[str]:
    """Each cluster with its size and its commonest labels."""
    rows = [("cluster", "records", "commonest labels")]
    for cluster in [*range(len(clusters.sizes)), -1]:
        members = clusters.labels == cluster
        if bool(members.any()):
            name = str(cluster) if cluster >= 0 else "none"
            rows.append((name, str(int(members.sum())), _commonest(found, members)))
    return aligned(rows)


def separations(apart: dict[str, Separation | None]) -> list[str]:
    """How well groups are apart, a line for each grouping."""
    rows = [("apart", "groups", "records", "silhouette", "Davies-Bouldin", "centroid ratio")]
    for of, each in apart.items():
        if each is not None:
            rows.append((
                of, str(each.groups), str(each.records), number(each.silhouette), number(each.davies_bouldin),
                number(each.centroid_ratio),
            ))  # fmt: skip
    return aligned(rows) if len(rows) > 1 else ["fewer than two groups: nothing to be apart"]


def _commonest(found: Embeddings, members: Tensor) -> str:
    import torch

    labels = found.labels[members]
    names, counts = torch.unique(labels[labels >= 0], return_counts=True)
    ranked = counts.argsort(descending=True, stable=True)[:3].tolist()
    return ", ".join(f"{found.label_name(int(names[place]))} ({int(counts[place])})" for place in ranked) or "-"


def _separation(found: Embeddings, groups: Tensor, metric: str) -> Separation | None:
    """None where there are fewer than two groups; of very many records, of every so manieth."""
    from seewhy.features.embeddings.separation import separation
    from seewhy.inspection.embedding_results import LARGEST

    step = -(-len(found) // LARGEST)
    try:
        return separation(found.vectors[::step], groups[::step], metric)
    except EmbeddingError as error:
        if error.code != "SW-E07":
            raise
        return None
