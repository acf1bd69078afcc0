"""The end of a run: all that describes it as a whole, made from its committed rows, and the manifest last."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from seewhy.data.records import RecordRef
from seewhy.pipeline.applicable import Applicable
from seewhy.pipeline.exports import export_embeddings, export_failures
from seewhy.pipeline.grade_exports import export_grades
from seewhy.pipeline.grade_table import GradedInput, read_grades
from seewhy.pipeline.job import Job
from seewhy.pipeline.part_files import export_part
from seewhy.pipeline.profile_export import export_profile
from seewhy.pipeline.projection_export import export_projections
from seewhy.pipeline.report_export import export_report
from seewhy.pipeline.stale_results import remove_stale_results
from seewhy.pipeline.summary import Failure
from seewhy.profiling.profiler import PerformanceProfiler
from seewhy.store.part import Part
from seewhy.store.run_directory import RunDirectory
from seewhy.store.run_reader import RunReader
from seewhy.values import Artifact


@dataclass(frozen=True)
class Whole:
    """What the files of a whole run depend on beside its rows: of the model ``found``, of the data set ``index``."""

    found: Applicable
    index: Sequence[RecordRef]
    class_names: Sequence[str] | None
    report: bool


@dataclass(frozen=True)
class Ended:
    """What a whole run leaves to be told."""

    graded: tuple[GradedInput, ...] = ()
    page: str | None = None


def finish_run(
    whole: Whole,
    directory: RunDirectory,
    reader: RunReader,
    about: Artifact,
    failures: tuple[Failure, ...],
    profiler: PerformanceProfiler,
) -> Ended:
    """Write embeddings, projections, grades, failures and the report."""
    found, pages = whole.found, list[Artifact]()
    directory.remove_superseded()
    with profiler.profile("export", device=False):
        graded = read_grades(reader, directory.questions, whole.index, found.target_layers, whole.class_names)
        embeddings = list(export_embeddings(directory, reader, found, whole.index))
        embeddings += export_projections(directory, reader, found, whole.index)
        remove_stale_results(directory, embeddings, found)
        grades = export_grades(directory, graded)
        directory.finish([about, *embeddings, *grades, export_failures(directory, failures)])
    if whole.report:
        with profiler.profile("report", device=False):
            pages = export_report(directory, reader, found)
            directory.finish(pages)
    directory.finish(export_profile(directory, profiler))
    return Ended(tuple(graded), pages[0].path if pages else None)


def finish_part(
    job: Job,
    part: Part,
    directory: RunDirectory,
    about: Artifact,
    failures: tuple[Failure, ...],
    profiler: PerformanceProfiler,
) -> Ended:
    """Write what a merge needs. Means, projections and pages of some of the records would only mislead."""
    directory.remove_superseded()
    with profiler.profile("export", device=False):
        directory.finish([about, *export_part(directory, job, part), export_failures(directory, failures)])
    directory.finish(export_profile(directory, profiler))
    return Ended()
