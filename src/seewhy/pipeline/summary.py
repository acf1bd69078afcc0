"""What a run comes back with: counts, accuracy, failures, and every choice made on the user's behalf."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path

from seewhy.pipeline.grade_table import GradedInput
from seewhy.store.run_reader import RunReader
from seewhy.values import RecordRow


@dataclass(frozen=True)
class Failure:
    """A record that could not be explained: where it failed and why."""

    record_id: str
    split: str
    stage: str
    error: str


@dataclass(frozen=True)
class SplitCount:
    """A split's records in the run directory: answered, failed, and how many predictions were right."""

    ok: int = 0
    failed: int = 0
    labelled: int = 0
    correct: int = 0

    @property
    def accuracy(self) -> float | None:
        """Right predictions among labelled records; None where there are none."""
        return self.correct / self.labelled if self.labelled else None


@dataclass(frozen=True)
class Summary:
    """The outcome of a run.

    ``selected`` records were asked for: ``computed`` now, ``reused`` from earlier runs; ``failures`` are those among
    them, ``splits`` and ``graded`` describe everything the directory holds. ``interrupted`` runs go on with the same
    command. ``report`` is the page to open, None where none was written; ``profile`` is the table of stages where that
    was asked for. Of a run in a store ``address`` says where it lies there, and ``output_dir`` and ``report`` where
    this machine's copy does.
    """

    output_dir: Path
    selected: int
    computed: int
    reused: int
    seconds: float
    interrupted: bool = False
    splits: Mapping[str, SplitCount] = field(default_factory=dict)
    failures: tuple[Failure, ...] = ()
    choices: Mapping[str, str] = field(default_factory=dict)
    not_applicable: Mapping[str, str] = field(default_factory=dict)
    graded: tuple[GradedInput, ...] = ()
    report: Path | None = None
    profile: str = ""
    address: str | None = None

    @property
    def exit_code(self) -> int:
        """0, 1 when a record that was asked for failed, 130 when the run was interrupted."""
        return 130 if self.interrupted else int(bool(self.failures))


def tally(reader: RunReader, *, labels_match: bool) -> tuple[dict[str, SplitCount], tuple[Failure, ...]]:
    """Count what a run directory holds. ``labels_match`` says whether labels and outputs are the same classes."""
    splits: dict[str, SplitCount] = {}
    failures: list[Failure] = []
    for split in reader.splits:
        ok = failed = labelled = correct = 0
        for row in reader.rows(split, questions=()):
            if row.status == "failed":
                failed += 1
                failures.append(Failure(row.record_id, row.split, row.stage, row.error))
                continue
            ok += 1
            if labels_match and row.label is not None and row.predicted is not None:
                labelled += 1
                correct += _right(row)
        splits[split] = SplitCount(ok, failed, labelled, correct)
    return splits, tuple(failures)


def failures_json(failures: Iterable[Failure]) -> bytes:
    """The failures as a list a machine reads, one object per record."""
    return (json.dumps([asdict(failure) for failure in failures], indent=2, ensure_ascii=False) + "\n").encode()


def _right(row: RecordRow) -> bool:
    return row.predicted == row.label
