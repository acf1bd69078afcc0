"""``seewhy merge``: the parts of a run (``shard=i/n``) brought together."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

INTERRUPTED = 130


def add_merge(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """The words of the command."""
    parser = commands.add_parser("merge", help="bring the parts of a run (shard=i/n) together, without the model")
    parser.add_argument("directory", type=Path, metavar="OUTPUT_DIR", help="the output_dir of the commands with shard=")
    parser.add_argument(
        "--remove-parts", action="store_true", help="delete the parts once all of them are in the run (default: keep)"
    )


def run_merge(asked: argparse.Namespace) -> int:
    """Merge and say what the run holds; the exit code: 0, 1 when a record failed, 130 when interrupted."""
    from dataclasses import replace

    from rich.console import Console

    from seewhy.cli.grade_table import grade_lines
    from seewhy.cli.local_run import run_here
    from seewhy.cli.outcome import show_outcome
    from seewhy.cli.progress import outcome_of
    from seewhy.pipeline.merge import merge

    directory = run_here(asked.directory)
    try:
        merged = merge(directory, remove_parts=asked.remove_parts)
    except KeyboardInterrupt:
        print("interrupted; the same command goes on from here", file=sys.stderr)
        return INTERRUPTED
    brought, summary = merged.brought, merged.summary
    if not merged.parts:
        print(f"the parts of {directory} were merged before, and deleted: there is nothing to merge")
    elif merged.again:
        print(f"{merged.parts} parts: all of them were merged into {directory} before")
    else:
        print(
            f"{merged.parts} parts: {brought.shards} shards and {brought.pictures} pictures were brought to {directory}"
        )
    if brought.missing:
        print(f"{brought.missing} pictures are listed and were not there: `seewhy render {directory}` makes them again")
    if merged.removed:
        print(f"the {merged.removed} parts were deleted")
    if merged.left:
        print(f"left where they are, being no parts: {', '.join(merged.left)}")
    outcome = replace(outcome_of(summary), graded=list(grade_lines(summary.graded)))
    show_outcome(Console(stderr=True), outcome, directory)
    return summary.exit_code
