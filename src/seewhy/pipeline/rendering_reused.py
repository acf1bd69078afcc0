"""Pictures that an earlier run of the same directory left out, drawn by the next one: no record is explained again."""

from __future__ import annotations

from collections.abc import Callable

from seewhy.pipeline.job import Job
from seewhy.pipeline.rendering import Drawable, Rendering, Wish
from seewhy.pipeline.rendering_ground import Records
from seewhy.pipeline.sampling import drawn_records
from seewhy.store.picture_tables import KIND
from seewhy.store.receipts import NOT_DRAWN
from seewhy.store.run_directory import RunDirectory
from seewhy.store.run_reader import RunReader


def draw_reused(
    job: Job,
    directory: RunDirectory,
    reader: RunReader,
    stop: Callable[[], bool],
    advanced: Callable[[int, int], None],
) -> bool:
    """Draw what selected records lack of the pictures that the settings ask for; false where it was stopped.

    Who cannot be drawn is noted among the choices. ``advanced`` hears of records that were drawn, and failed.
    """
    if job.settings.render == "none" or not job.visible:
        return True
    asked = drawn_records(job.index, job.settings)
    selected = {job.index[at].record_id for at in job.selected}

    def keep(relative: str, data: bytes) -> None:
        directory.write_file(relative, data, kind=KIND)

    rendering = Rendering(
        reader,
        Drawable.of(directory.root),
        Records(job.dataset),
        directory.write_file,
        keep,
        job.settings.writer_threads,
    )
    wish = Wish(chosen=lambda record_id: record_id in selected and asked(record_id))
    done = rendering.draw(wish, stop, lambda records: advanced(records, 0))
    if done.failures:
        record_id, reason = done.failures[0]
        job.found.choices[NOT_DRAWN] = f"of {len(done.failures)} records, such as {record_id}: {reason}"
    return not done.stopped
