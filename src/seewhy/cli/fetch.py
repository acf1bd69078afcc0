"""``seewhy fetch``: a copy of a run that lies in a store, to look at, verify or merge on this machine."""

from __future__ import annotations

import argparse
from pathlib import Path


def add_fetch(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """The words of the command."""
    parser = commands.add_parser("fetch", help="copy a run from a store (s3://bucket/run) to this machine")
    parser.add_argument("address", metavar="ADDRESS", help="the output_dir of the run, such as s3://bucket/run")
    parser.add_argument(
        "directory",
        type=Path,
        metavar="DIR",
        help="where to put it: a new directory, or a copy of this run, of which what is there already stays",
    )


def run_fetch(asked: argparse.Namespace) -> int:
    """Fetch, and say how much that was; the exit code."""
    from seewhy.pipeline.remote_output import fetch_run, output_address
    from seewhy.values import StoreError

    address = output_address(asked.address)
    if address is None:
        raise StoreError("SW-S50", f"{asked.address} is a path, not an address", fix="write s3://bucket/run")
    directory: Path = asked.directory
    print(f"{fetch_run(address, directory.resolve())} files were fetched to {directory}")
    return 0
