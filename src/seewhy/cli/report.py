"""``seewhy report``: the pages of a run made again, from what is stored alone."""

from __future__ import annotations

import argparse
from pathlib import Path


def add_report(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """The words of the command."""
    parser = commands.add_parser("report", help="make report/index.html of a run again, from its shards alone")
    parser.add_argument("directory", type=Path, metavar="RUN_DIR")
    parser.add_argument(
        "--include-paths", action="store_true", help="leave absolute paths in texts (default: only their last part)"
    )
    parser.add_argument(
        "--max-records", type=int, default=10_000, metavar="N", help="the most records on all pages (default: 10000)"
    )


def run_report(asked: argparse.Namespace) -> int:
    """Write the pages into the run, and say where they are."""
    from seewhy.cli.local_run import require_run, run_here

    directory = run_here(asked.directory)
    require_run(directory)

    from seewhy.report.static_report import remake_report

    names = remake_report(directory, include_paths=asked.include_paths, max_records=asked.max_records)
    further = f" and {len(names) - 1} more" if len(names) > 1 else ""
    print(f"{directory / names[0]}{further}: open it in a browser; it needs no network")
    return 0
