"""``seewhy project``: every record's place in a plane, for a picture of the embeddings."""

from __future__ import annotations

import argparse
import shlex
from typing import Any

from seewhy.cli.embedding_options import (
    about,
    add_metric,
    add_source,
    open_embeddings,
    print_json,
    refuse_unused,
)
from seewhy.features.embeddings.choices import PROJECTIONS


def add_project(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """The words of the command."""
    parser = commands.add_parser("project", help="lay the embeddings of a run out in a plane: PCA or UMAP")
    add_source(parser, writes="projection_METHOD.parquet")
    parser.add_argument("--method", choices=PROJECTIONS, default="umap", help="default: umap (every run has its PCA)")
    add_metric(parser, of=" of UMAP")
    parser.add_argument("--neighbors", type=int, metavar="N", help="of UMAP (default: 15)")
    parser.add_argument("--min-dist", type=float, metavar="X", help="of UMAP, 0 to 1 (default: 0.1)")
    parser.add_argument("--seed", type=int, metavar="N", help="of UMAP (default: 42)")


def run_project(asked: argparse.Namespace) -> int:
    """Write the table of places; 0."""
    from seewhy.inspection.embedding_results import save_projection

    settings = _settings(asked)
    found = open_embeddings(asked)
    projection = found.project(asked.method, **settings)
    path = save_projection(found, projection, asked.output)
    left_out = int((~projection.places.isfinite().all(dim=1)).sum())
    if asked.json:
        told = {
            "method": asked.method,
            "axes": list(projection.axes),
            "settings": projection.settings,
            "records": len(found),
        }
        print_json({**told, "settings": projection.settings, "left_out": left_out, "file": str(path)})
        return 0
    print(f"{asked.method} of {about(found)}: {' and '.join(projection.axes)}")
    if left_out:
        print(f"{left_out} records have no place: their embeddings are not finite, or all zero")
    print(path)
    if asked.output is None:
        print(f"seewhy report {shlex.quote(str(asked.run_dir))} shows it in the report; seewhy serve shows it at once")
    return 0


def _settings(asked: argparse.Namespace) -> dict[str, Any]:
    """Those of UMAP that were given; PCA has none."""
    if asked.method == "pca":
        refuse_unused(
            "pca has none", metric=asked.metric, neighbors=asked.neighbors, min_dist=asked.min_dist, seed=asked.seed
        )
        return {}
    given = {
        "metric": asked.metric, "n_neighbors": asked.neighbors, "min_dist": asked.min_dist, "random_state": asked.seed,
    }  # fmt: skip
    return {name: value for name, value in given.items() if value is not None}
