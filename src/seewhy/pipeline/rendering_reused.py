"""Pictures that an earlier run of the same directory left out, drawn by the next one: no record is explained again."""

from __future__ import annotations

from typing import Final

from seewhy.pipeline.job import Job
from seewhy.pipeline.rendering import Drawable, Rendering, Wish
from seewhy.pipeline.rendering_ground import Records
from seewhy.pipeline.sampling import drawn_records
from seewhy.store.picture_tables import KIND
from seewhy.store.run_directory import RunDirectory
from seewhy.store.run_reader import RunReader

NOT_DRAWN: Final = "pictures not drawn"


def draw_reused(job: Job, directory: RunDirectory, reader: RunReader) -> None:
    """Draw what selected records lack of the pictures that the settings ask for; who cannot be drawn is noted."""
    if job.settings.render == "none" or not job.visible:
        return
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
    done = rendering.draw(Wish(chosen=lambda record_id: record_id in selected and asked(record_id)))
    if done.failures:
        record_id, reason = done.failures[0]
        job.found.choices[NOT_DRAWN] = f"of {len(done.failures)} records, such as {record_id}: {reason}"
