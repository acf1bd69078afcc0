"""The commands that put questions to the embeddings of a run."""

from __future__ import annotations

import argparse
from collections.abc import Callable

from seewhy.cli.audit import add_audit, run_duplicates, run_outliers
from seewhy.cli.cluster import add_cluster, run_cluster
from seewhy.cli.probe import add_probe, run_probe
from seewhy.cli.project import add_project, run_project
from seewhy.cli.similar import add_similar, run_neighbours, run_similar

EMBEDDING_COMMANDS: dict[str, Callable[[argparse.Namespace], int]] = {
    "similar": run_similar,
    "neighbours": run_neighbours,
    "cluster": run_cluster,
    "probe": run_probe,
    "project": run_project,
    "duplicates": run_duplicates,
    "outliers": run_outliers,
}


def add_embedding_commands(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """The words of all of them."""
    add_similar(commands)
    add_cluster(commands)
    add_probe(commands)
    add_project(commands)
    add_audit(commands)
