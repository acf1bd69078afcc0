"""The report of a run: pages that open in any browser, offline, made from what is stored alone."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final

from seewhy.report.elsewhere import MOST_BYTES, TOO_MANY, Brief, Elsewhere, Place, brief_of
from seewhy.report.errors import ReportError
from seewhy.report.fitting import fit
from seewhy.report.jinja import json_text
from seewhy.report.packing import Candidate
from seewhy.report.page import LARGEST_PAGE, classes_of, page_bytes, page_json, page_name, short_names
from seewhy.report.points import points_json, projections
from seewhy.report.reading_order import reading_order
from seewhy.report.run_facts import NO_PREVIEWS, UNTOLD, Facts
from seewhy.report.run_summary import run_json
from seewhy.report.spool import Spool
from seewhy.report.tally import Tally
from seewhy.store.additions import adding_to
from seewhy.store.run_reader import RunReader
from seewhy.values import Json

KIND: Final = "report"
FOLDER: Final = "report"
MOST_RECORDS: Final = 10_000
PER_PAGE: Final = 1_000

Write = Callable[[str, bytes], object]
"""Takes a path relative to the run directory, and the bytes to put there."""


def write_report(
    reader: RunReader,
    write: Write,
    *,
    include_paths: bool = False,
    max_records: int = MOST_RECORDS,
    per_page: int = PER_PAGE,
) -> list[str]:
    """Make ``report/index.html`` and, beyond ``per_page`` records, ``report/page-2.html`` and so on; their names.

    Nothing is asked of a model. The same run gives the same bytes: no clock, no path. Each page needs no other file and
    has at most 5 MB; where records do not fit as they are, pictures get smaller and maps are left out, which the page
    says. Records are read one group at a time; those that are shown wait in a temporary file.

    Args:
        reader: the run, whose manifest is up to date (``RunDirectory.finish`` came before).
        write: what puts a file into the run directory, such as ``RunDirectory.write_file``.
        include_paths: leave absolute paths in texts; without it each becomes its last part.
        max_records: the most records that all pages show, those that ask for a look first.
        per_page: the most records of one page.

    Raises:
        ReportError: ``SW-P01`` to ``SW-P03`` a part of the run cannot be read, ``SW-P05`` a page would be too large,
            ``SW-P06`` a count below 1.
    """
    pages = report_pages(reader, include_paths=include_paths, max_records=max_records, per_page=per_page)
    names = []
    for name, data in pages:
        write(name, data)
        names.append(name)
    return names


def remake_report(path: str | Path, *, include_paths: bool = False, max_records: int = MOST_RECORDS) -> list[str]:
    """Write the report into a run directory that nobody else writes to, listed in its manifest; the pages' names.

    Pages that an earlier, longer report left are deleted. ``seewhy verify`` finds the directory as it should be.

    Raises:
        ReportError: as :func:`write_report`.
        StoreError: as :func:`seewhy.store.additions.adding_to`.
    """
    with adding_to(path) as run:
        write = partial(run.write_file, kind=KIND)
        names = write_report(RunReader(run.root), write, include_paths=include_paths, max_records=max_records)
        for name, entry in run.derived.items():
            if entry.kind == KIND and name not in names:
                run.remove(name)
    return names


def report_pages(
    reader: RunReader, *, include_paths: bool = False, max_records: int = MOST_RECORDS, per_page: int = PER_PAGE
) -> Iterator[tuple[str, bytes]]:
    """Each page's path relative to the run directory and its bytes; see :func:`write_report`."""
    for name, count in (("max_records", max_records), ("per_page", per_page)):
        if count < 1:
            raise ReportError("SW-P06", f"{name} must be at least 1, came {count}", fix=f"give {name} 1 or more")
    facts = Facts.of(reader, include_paths=include_paths)
    tally = Tally(facts.labels_match)
    order = reading_order(reader, tally, max_records)
    run, notice = run_json(facts, tally), _notice(facts, tally, len(order))
    with Spool() as spool:
        briefs = _fill(spool, reader, facts, order)
        pages = [order[start : start + per_page] for start in range(0, len(order), per_page)] or [[]]
        known = Elsewhere(pages, briefs)
        for number, places in enumerate(pages, 1):
            page = _Page(reader, facts, run, number, known, notice)
            yield f"{FOLDER}/{page_name(number)}", page.html(places, [spool.take(place) for place in places])


@dataclass(frozen=True)
class _Page:
    reader: RunReader
    facts: Facts
    run: Mapping[str, Json]
    number: int
    known: Elsewhere
    notice: Sequence[str]

    def html(self, places: Sequence[tuple[str, str]], candidates: Sequence[Candidate]) -> bytes:
        """The page of some records, in their order."""
        run = self._run(candidates)
        elsewhere, points = self._others(places)
        page = partial(page_json, run, points=points, number=self.number, of=len(self.known.pages), elsewhere=elsewhere)
        notice = [*self.notice] if elsewhere is not None else [*self.notice, TOO_MANY]
        bare = len(page_bytes(page({}, notice=notice)))
        packing, level = fit(candidates, LARGEST_PAGE - bare - 2_000)
        left_out = level.words(packing)
        notice += [*left_out, *(["`seewhy serve RUN_DIR` shows every map and picture of the run."] if left_out else [])]
        return page_bytes(page(packing.json(), notice=notice))

    def _others(self, places: Sequence[Place]) -> tuple[Mapping[str, Json] | None, list[dict[str, Json]]]:
        """What is told of the other pages' records, and the points of all; None and the page's own where they are too
        many. The others are numbered behind the page's own."""
        elsewhere, mine = self.known.json(self.number), list(places)
        points = self._points([*mine, *self.known.others(self.number)])
        if len(json_text([elsewhere, points]).encode()) > MOST_BYTES and elsewhere["rows"]:
            return None, self._points(mine)
        return elsewhere, points

    def _points(self, places: Sequence[Place]) -> list[dict[str, Json]]:
        numbers = {place: number for number, place in enumerate(places)}
        return [points_json(path, numbers) for path in projections(self.reader.root)]

    def _run(self, candidates: Sequence[Candidate]) -> dict[str, Json]:
        seen = any(one.previews for one in candidates) or not any(one.maps for one in candidates)
        used = classes_of(self.run, [one.said for one in candidates]) | self.known.classes()
        used |= {one.index for each in candidates for one in each.maps if one.index is not None}
        names = short_names(self.facts.class_names, used)
        return {**self.run, "class_names": names, "no_previews": None if seen else NO_PREVIEWS}


def _notice(facts: Facts, tally: Tally, shown: int) -> list[str]:
    told = [] if facts.known_about else [UNTOLD]
    records = tally.counts_json()["records"]
    if shown < records:
        told.append(f"The pages show {shown} of {records} records; `seewhy serve RUN_DIR` shows all of them.")
    return told


def _fill(spool: Spool, reader: RunReader, facts: Facts, wanted: Sequence[Place]) -> dict[Place, Brief]:
    """Read the wanted records in the order of the run; what other pages tell of each."""
    chosen = set(wanted)
    briefs = {}
    for split in sorted({split for split, _ in wanted}):
        for row in reader.rows(split, questions=facts.told_of_records, previews=True):
            if (split, row.record_id) in chosen:
                one = Candidate.of(row, facts)
                spool.put((split, row.record_id), one)
                briefs[split, row.record_id] = brief_of(one.said)
    return briefs
