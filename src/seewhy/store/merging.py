"""Several rows of one record as one: later answers win, failures give way, stale content is dropped."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np

from seewhy.values import Answer, RecordRow


def merge_rows(rows: Sequence[RecordRow]) -> RecordRow:
    """The rows of one record, in the order they were committed, as what is known of it now.

    Only rows of the latest content (``revision``) count. Predictions come from the last row that is ``ok``; status,
    stage and error from the last row, so a record whose later question failed is ``failed`` and keeps its answers.
    Facts add up, the later one where both have it.
    """
    last = rows[-1]
    current = [row for row in rows if row.revision == last.revision]
    base = next((row for row in reversed(current) if row.status == "ok"), last)
    answers: dict[str, Answer] = {}
    for row in current:
        for question, answer in row.answers.items():
            answers[question] = merge_answers(answers[question], answer) if question in answers else answer
    facts = {name: fact for row in current for name, fact in row.facts.items()}
    files = {file.path: file for row in current for file in row.files}
    previews = {preview.input_name: preview for row in current for preview in row.previews}
    return dataclasses.replace(
        base,
        position=last.position,
        status=last.status,
        stage=last.stage,
        error=last.error,
        facts=facts,
        answers=answers,
        files=tuple(files.values()),
        previews=tuple(previews.values()),
    )


def merge_answers(earlier: Answer, later: Answer) -> Answer:
    """The maps ``(K, *S)`` of both, one per class, the later one where both have it."""
    alike = earlier.classes and later.classes and earlier.values.shape[1:] == later.values.shape[1:]
    if not alike:
        return later
    maps = dict(zip(earlier.classes, earlier.values, strict=True))
    maps |= zip(later.classes, later.values, strict=True)
    return Answer(np.stack(list(maps.values())), tuple(maps))
