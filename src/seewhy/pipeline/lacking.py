"""Which pictures a record lacks, told from what its rows list and from how files lie, without reading a map."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

from seewhy.pipeline.drawings import Classes, Drawing, drawable
from seewhy.store.run_reader import Listed

Lacking: TypeAlias = Mapping[str, frozenset[str]]
"""The records that lack a picture, each with the paths of those that lie there and stay as they are."""


@dataclass(frozen=True)
class Present:
    """The files of a run below ``root`` that stay: ``anew`` says whether those drawn over a small copy of the input do
    not, ``volumes`` whether maps as volumes can be written again."""

    root: Path
    anew: bool
    volumes: bool

    def kept(self, drawings: Sequence[Drawing], name: str, asked: Classes, files: Listed) -> frozenset[str] | None:
        """What a record has already of what can be drawn of it, in the file name ``name``; None where it lacks nothing.

        It lacks a picture that no row lists, and any file listed that does not lie there as it was written.
        """
        sure: list[str] = []
        possible: list[str] = []
        for drawing in drawable(drawings, asked):
            sure += drawing.paths(name, asked)
            possible += (path for path in drawing.further(name, asked) if path in files)
        if not self.volumes:
            possible = [path for path in possible if not path.endswith(".nii.gz")]
        kept = frozenset(path for path in [*sure, *possible] if path in files and self._stays(path, *files[path]))
        return None if kept.issuperset(sure) and kept.issuperset(possible) else kept

    def _stays(self, path: str, size: int, over_preview: bool) -> bool:
        if over_preview and self.anew:
            return False
        try:
            return (self.root / path).stat().st_size == size
        except OSError:
            return False
