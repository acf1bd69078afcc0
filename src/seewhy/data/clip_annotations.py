"""What a table of annotations says of the clips of a data set."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from seewhy.data.film_times import FilmTimes, without_times
from seewhy.data.frame_sampling import even_positions
from seewhy.data.gaze import Gaze, gaze_of
from seewhy.data.gaze_table import GazeTable, Points, read_gaze_table
from seewhy.data.places import first_file, with_table
from seewhy.values import DataError, Geometry, Json

AUTO: Final = "auto"
FOUND: Final = ("gaze.csv", "gaze.parquet")
"""What ``annotations="auto"`` looks for, in this order."""


@dataclass(frozen=True)
class ClipAnnotations:
    """A table (None: there is none), and how many of its points a frame gets."""

    table: GazeTable | None
    dense: bool

    @classmethod
    def of(
        cls,
        annotations: str | os.PathLike[str] | None,
        beside: str | os.PathLike[str],
        record_ids: Sequence[str],
        coordinates: str | None,
        dense: bool,
    ) -> ClipAnnotations:
        """The table at ``annotations``; ``"auto"`` is the one of :data:`FOUND` in the folder ``beside``, if any.

        Raises ``DataError`` SW-D02 for a table that is not there, SW-D119 for all points of no table, and what
        :func:`seewhy.data.gaze_table.read_gaze_table` raises.
        """
        path = first_file(beside, FOUND) if annotations == AUTO else annotations
        if path is None:
            if dense:
                raise _no_annotations("dense_gaze is set")
            return cls(None, dense)
        table, _ = with_table("annotations", path, lambda file: read_gaze_table(file, record_ids, coordinates))
        return cls(table, dense)

    def points(self, record_id: str) -> Points | None:
        """The rows of one record, None where the table has none."""
        return self.table.records.get(record_id) if self.table else None

    def facts(self, record_id: str) -> Mapping[str, Json]:
        """The columns of the table that are about the record."""
        points = self.points(record_id)
        return points.facts if points else {}

    def gaze(self, record_id: str, times: FilmTimes, frames: int, readable: int | None, plane: Geometry) -> Gaze:
        """The points of the ``frames`` frames spread evenly over the first ``readable`` ones (None: all) of a film.

        Raises ``DataError`` SW-D118 for seconds of a film without times, SW-D119 without annotations.
        """
        if self.table is None:
            raise _no_annotations("gaze is asked for")
        if self.table.in_seconds and times.edges is None:
            raise without_times(record_id)
        return gaze_of(
            self.points(record_id) or Points(np.empty(0), np.empty((0, 2))),
            times,
            even_positions(times.count if readable is None else readable, frames),
            plane,
            in_seconds=self.table.in_seconds,
            fractions=self.table.fractions,
            dense=self.dense,
        )

    def assumed(self, annotations: object, coordinates: str | None) -> dict[str, str]:
        """What nobody said about the annotations and how it was taken."""
        if self.table is None:
            return {}
        told = [f"{self.table.name}, found beside the clips"] if annotations == AUTO else []
        if strangers := self.table.strangers:
            shown = ", ".join(strangers[:3])
            told.append(f"{len(strangers)} ids of {self.table.name} that are no records are left out ({shown} ...)")
        placed = coordinates is None and any(len(points.moments) for points in self.table.records.values())
        taken = {"annotations": "; ".join(told)} if told else {}
        if placed:
            taken["coordinates"] = "pixels of the original frames (data.coordinates=fraction to say otherwise)"
        return taken


def _no_annotations(asked: str) -> DataError:
    return DataError(
        "SW-D119",
        f"{asked}, and there are no annotations",
        fix="set annotations to a CSV, TSV or Parquet table with the columns record_id, frame, x and y",
    )
