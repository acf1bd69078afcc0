"""One run as the dashboard holds it: its records, what it says of itself, and what went wrong in reading it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from seewhy.report.dashboard_points import Points, points_of
from seewhy.report.errors import DashboardError, ReportError
from seewhy.report.index import RunIndex, View
from seewhy.report.points import projections
from seewhy.report.record import record_json
from seewhy.report.redaction import Redactor
from seewhy.report.row_source import RowSource
from seewhy.report.run_facts import Facts
from seewhy.report.run_summary import run_json, title_of
from seewhy.report.table_tally import tally_of
from seewhy.store.layout import MANIFEST, run_at
from seewhy.store.manifest import Manifest, read_manifest
from seewhy.values import Json, Preview, RecordRow, StoreError

_TOLD = (MANIFEST, "about.json", "metrics/summary.json", "metrics/verdict.json")


@dataclass
class _OnlyManifest:
    """What a damaged shard does not stop from being read."""

    root: Path

    @property
    def manifest(self) -> Manifest | None:
        return read_manifest(self.root)


Stamp = tuple[tuple[str, int, int], ...]


class DashboardRun:
    """A run directory that pages are made of; ``number`` is its place among those that are served.

    Raises:
        StoreError: ``SW-S17``, there is no run.
    """

    def __init__(
        self, number: int, root: Path, *, include_paths: bool = False, source: RowSource | None = None
    ) -> None:
        self.number = number
        self.root = run_at(root)
        self.name = self.root.name
        self._include_paths = include_paths
        self._source = source or RowSource()
        self._facts: tuple[Stamp, Facts] | None = None
        self._summary: tuple[Stamp, int, dict[str, Json]] | None = None
        self._points: dict[str, tuple[int, Stamp, Points]] = {}
        self._index = RunIndex(self.root, labels_match=self.matching)

    def view(self) -> View:
        """The records as they are now."""
        return self._index.view()

    def facts(self) -> Facts:
        """What the run says of itself, read again when one of its files changed.

        Raises:
            ReportError: ``SW-P01``, ``SW-P02``; StoreError: ``SW-S11``, the manifest is damaged.
        """
        stamp = self._stamp(*_TOLD)
        held = self._facts
        if held is None or held[0] != stamp:
            held = self._facts = (stamp, Facts.of(_OnlyManifest(self.root), include_paths=self._include_paths))
        return held[1]

    def title(self) -> str:
        """The model and the data in a few words; the directory's name where the run does not say."""
        try:
            return title_of(self.facts())
        except (ReportError, StoreError):
            return self.name

    def class_names(self) -> tuple[str, ...] | None:
        """The names of the classes, None where the run does not know them."""
        try:
            return self.facts().class_names
        except (ReportError, StoreError):
            return None

    def label_names(self) -> tuple[str, ...] | None:
        """The names of the labels: of the classes, unless the labels are of the data set's own."""
        return self.class_names() if self.matching() else self.facts().label_names

    def redactor(self) -> Redactor:
        """Takes absolute paths out of texts, as the run's own facts know them."""
        try:
            return self.facts().redact
        except (ReportError, StoreError):
            return Redactor((str(self.root),), self._include_paths)

    def summary(self) -> dict[str, Json]:
        """RUN of the pages. Raises as :meth:`facts`."""
        view, facts = self.view(), self.facts()
        stamp = self._stamp(*_TOLD)
        held = self._summary
        if held is None or held[:2] != (stamp, view.version):
            told = run_json(facts, tally_of(view.table, labels_match=facts.labels_match))
            held = self._summary = (stamp, view.version, told)
        return held[2]

    def record(self, number: int) -> dict[str, Json]:
        """RECORD of the pages, its pictures by their addresses.

        Raises:
            DashboardError: ``SW-W04``, there is no such record; as :meth:`facts`; StoreError: ``SW-S06``.
        """
        view, facts = self.view(), self.facts()
        self.require(view, number)
        row = self._source.row(view, number, facts.told_of_records)
        version = self.picture_version(view, number)

        def address(_: RecordRow, preview: Preview) -> str:
            place = [one.input_name for one in row.previews].index(preview.input_name)
            return f"/runs/{self.number}/records/{number}/{place}.jpg?v={version}"

        return record_json(row, facts, source=address)

    def previews(self, number: int) -> tuple[Preview, ...]:
        """The pictures of a record. Raises as :meth:`record`."""
        view = self.view()
        self.require(view, number)
        return self._source.previews(view, number)

    def projections(self) -> list[str]:
        """The methods of the projections beside the embeddings."""
        return [_method(path) for path in projections(self.root)]

    def points(self, method: str) -> Points:
        """A projection of the embeddings.

        Raises:
            DashboardError: ``SW-W05``, the run has no such projection; ReportError: ``SW-P02``, it cannot be read.
        """
        path = next((path for path in projections(self.root) if _method(path) == method), None)
        if path is None:
            raise DashboardError(
                "SW-W05", f"this run has no projection {method[:40]!r}", near=self.projections(),
                fix="`seewhy project` makes one of its embeddings",
            )  # fmt: skip
        view = self.view()
        stamp = self._stamp(f"embeddings/{path.name}")
        held = self._points.get(method)
        if held is None or held[:2] != (view.version, stamp):
            held = self._points[method] = (view.version, stamp, points_of(path, view.table))
        return held[2]

    def picture_version(self, view: View, number: int) -> str:
        """What a picture's address carries so that a browser asks again when the record was explained again."""
        return f"{view.table.places(number)[-1]:x}"

    def has_pictures(self, view: View, number: int) -> bool:
        """Whether the run kept pictures when this record was last explained."""
        return view.locate(view.table.places(number)[-1])[0].has_previews

    @staticmethod
    def require(view: View, number: int) -> None:
        """Refuse the number of a record that does not exist."""
        if not 0 <= number < len(view.table):
            raise DashboardError(
                "SW-W04", f"this run has no record number {number}", fix="choose one in the list of records"
            )

    def matching(self) -> bool:
        """Whether labels are of the model's own classes."""
        try:
            return self.facts().labels_match
        except (ReportError, StoreError):
            return True

    def _stamp(self, *names: str) -> Stamp:
        found = []
        for name in names:
            try:
                status = (self.root / name).stat()
            except OSError:
                continue
            found.append((name, status.st_size, status.st_mtime_ns))
        return tuple(found)


def _method(path: Path) -> str:
    return path.stem.removeprefix("projection_")
