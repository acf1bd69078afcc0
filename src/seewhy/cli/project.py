"""``seewhy project``: every record's place in a plane, for a picture of the embeddings."""

from __future__ import annotations

import argparse
from typing import Any

from seewhy.cli.embedding_options import about, add_metric, add_source, open_embeddings, print_json

METHODS = ("pca", "umap")


def add_project(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """The words of the command."""
    parser = commands.add_parser("project", help="lay the embeddings of a run out in a plane: PCA or UMAP")
    add_source(parser, writes="projection_METHOD.parquet")
    parser.add_argument("--method", choices=METHODS, default="umap", help="default: umap (every run has its PCA)")
    add_metric(parser)
    parser.add_argument("--neighbors", type=int, default=15, metavar="N", help="of UMAP (default: 15)")
    parser.add_argument("--min-dist", type=float, default=0.1, metavar="X", help="of UMAP, 0 to 1 (default: 0.1)")
    parser.add_argument("--seed", type=int, default=42, help="of UMAP (default: 42)")


def run_project(asked: argparse.Namespace) -> int:
    """Write the table of places; 0."""
    from seewhy.inspection.embedding_results import save_projection

    found = open_embeddings(asked)
    settings: dict[str, Any] = {}
    if asked.method == "umap":
        settings = {
            "metric": asked.metric, "n_neighbors": asked.neighbors, "min_dist": asked.min_dist,
            "random_state": asked.seed,
        }  # fmt: skip
    projection = found.project(asked.method, **settings)
    path = save_projection(found, projection, asked.output)
    left_out = int((~projection.places.isfinite().all(dim=1)).sum())
    if asked.json:
        told = {"method": asked.method, "axes": list(projection.axes), "settings": settings, "records": len(found)}
        print_json({**told, "left_out": left_out, "file": str(path)})
        return 0
    print(f"{asked.method} of {about(found)}: {' and '.join(projection.axes)}")
    if left_out:
        print(f"{left_out} records have no place: their embeddings are not finite, or all zero")
    print(path)
    return 0
