"""A run as it is watched: a bar on a terminal, plain lines without one; a table at the end."""

from __future__ import annotations

import time
from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from seewhy.cli.drawn_records import DrawnRecords
from seewhy.cli.outcome import MOST_FAILURES, Outcome, SplitLine, show_outcome
from seewhy.pipeline.applicable import Applicable
from seewhy.pipeline.job import ASSUMED
from seewhy.pipeline.plan import Plan
from seewhy.pipeline.summary import Summary
from seewhy.store.receipts import NOT_DRAWN

SECONDS_BETWEEN_LINES = 10.0
SUMMED_UP = ("classes", "class names", "batch size", "maps as volumes", "metrics", "report", NOT_DRAWN)
"""Choices that are said again at the end, beside what was assumed."""


class Watcher:
    """Shows progress on ``console``; an observer of a run."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._total = self._done = self._failed = 0
        self._begun = self._line_at = time.monotonic()
        self._drawn = DrawnRecords(console)
        self._bar = Progress(
            TextColumn("[bold]explaining"), BarColumn(), MofNCompleteColumn(), TextColumn("{task.fields[speed]}"),
            TimeElapsedColumn(), TextColumn("left"), TimeRemainingColumn(),
            console=console, disable=not console.is_terminal,
        )  # fmt: skip
        self._task = self._bar.add_task("explaining", total=None, speed="")

    def __enter__(self) -> Watcher:
        self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bar.stop()

    def planned(self, plan: Plan, found: Applicable) -> None:
        """Say what was chosen and how much there is to do."""
        for name, choice in found.choices.items():
            self._say(f"{name}: {choice}")
        for name, reason in found.not_applicable.items():
            self._say(f"{name}: not applicable: {reason}")
        self._say(f"{plan.records} records to explain, {plan.reused} already done")
        self._total = plan.records
        self._begun = self._line_at = time.monotonic()
        self._bar.update(self._task, total=plan.records)

    def advanced(self, records: int, failed: int) -> None:
        """Move on."""
        if self._done >= self._total:
            self._drawn(records)
            return
        self._done += records
        self._failed += failed
        now = time.monotonic()
        speed = self._done / max(now - self._begun, 1e-9)
        self._bar.update(self._task, completed=self._done, speed=f"{speed:.1f} records/s")
        if not self._console.is_terminal and (
            now - self._line_at >= SECONDS_BETWEEN_LINES or self._done == self._total
        ):
            left = (self._total - self._done) / speed
            self._say(
                f"{self._done}/{self._total} records, {self._failed} failed, {speed:.1f} records/s, {left:.0f} s left"
            )
            self._line_at = now

    def committed(self, shard: str) -> None:
        """A commit needs no word."""

    def _say(self, line: str) -> None:
        self._console.print(line, markup=False, highlight=False, soft_wrap=True)


def show_summary(console: Console, summary: Summary) -> None:
    """The table at the end: per split, what is there and how right the model is; then failures and where to look."""
    show_outcome(console, outcome_of(summary), summary.output_dir)


def outcome_of(summary: Summary) -> Outcome:
    """A summary as it is shown."""
    said = [f"{name}: not applicable: {reason}" for name, reason in summary.not_applicable.items()]
    said += [
        f"{name}: {choice}" for name, choice in summary.choices.items() if name in SUMMED_UP or name.startswith(ASSUMED)
    ]
    return Outcome(
        reused=summary.reused,
        computed=summary.computed,
        seconds=summary.seconds,
        splits=[SplitLine(name, one.ok, one.failed, one.accuracy) for name, one in summary.splits.items()],
        failed=len(summary.failures),
        failures=[f"{one.split}/{one.record_id}: {one.stage}: {one.error}" for one in summary.failures[:MOST_FAILURES]],
        notes=said,
        interrupted=summary.interrupted,
        report=None if summary.report is None else summary.report.relative_to(summary.output_dir).as_posix(),
        address=summary.address,
    )
