"""``report/``: the pages of a run, written when all else is there."""

from __future__ import annotations

from typing import Final

from seewhy.pipeline.applicable import Applicable
from seewhy.report.errors import ReportError
from seewhy.report.static_report import KIND, write_report
from seewhy.store.run_directory import RunDirectory
from seewhy.store.run_reader import RunReader
from seewhy.values import Artifact

REPORT: Final = "report"


def export_report(directory: RunDirectory, reader: RunReader, found: Applicable) -> list[Artifact]:
    """Write the pages; a report that cannot be made costs the run nothing else, and is told among its choices."""
    written: list[Artifact] = []

    def write(name: str, data: bytes) -> None:
        written.append(directory.write_file(name, data, kind=KIND))

    try:
        write_report(reader, write)
    except ReportError as error:
        found.choices[REPORT] = f"not written: {error.message}"
    return written
