"""Records that wait for their page, in a nameless file once they are many: plain JSON and bytes."""

from __future__ import annotations

import dataclasses
import json
import tempfile
from collections.abc import Iterator
from typing import Any, Final

import numpy as np

from seewhy.report.map_codes import Coded
from seewhy.report.packing import Candidate, PackedMap
from seewhy.values import Json, Preview

_IN_MEMORY: Final = 4 << 20


class Spool:
    """Candidates by split and id, put in one order and taken in another; use it in a ``with`` block."""

    def __init__(self) -> None:
        self._file = tempfile.SpooledTemporaryFile(_IN_MEMORY)  # noqa: SIM115 - closed by __exit__
        self._places: dict[tuple[str, str], tuple[int, list[int]]] = {}

    def __enter__(self) -> Spool:
        return self

    def __exit__(self, *raised: object) -> None:
        self._file.close()

    def put(self, place: tuple[str, str], one: Candidate) -> None:
        """Remember a record."""
        parts = [json.dumps(_told(one)).encode(), *_blobs(one)]
        self._places[place] = (self._file.tell(), [len(part) for part in parts])
        self._file.write(b"".join(parts))

    def take(self, place: tuple[str, str]) -> Candidate:
        """A record that was put, equal to what it was."""
        start, sizes = self._places[place]
        self._file.seek(start)
        told, *blobs = [self._file.read(size) for size in sizes]
        return _candidate(json.loads(told), iter(blobs))


def _told(one: Candidate) -> dict[str, Json]:
    """All that is no bytes."""
    maps = [
        {**_fields(each, "coded"), **_fields(each.coded, "codes"), "shape": each.coded.codes.shape} for each in one.maps
    ]
    previews = [_fields(each, "data") for each in one.previews]
    return {**_fields(one, "maps", "previews"), "maps": maps, "previews": previews}


def _blobs(one: Candidate) -> Iterator[bytes]:
    yield from (each.data for each in one.previews)
    yield from (each.coded.codes.tobytes() for each in one.maps)


def _candidate(told: dict[str, Any], blobs: Iterator[bytes]) -> Candidate:
    previews = [Preview(**{**each, "shown": tuple(each["shown"])}, data=next(blobs)) for each in told.pop("previews")]
    maps = []
    for each in told.pop("maps"):
        codes = np.frombuffer(next(blobs), np.int8).reshape(each.pop("shape"))
        maps.append(PackedMap(coded=Coded(codes, each.pop("peak"), each.pop("trough")), **each))
    return Candidate(previews=previews, maps=maps, **told)


def _fields(one: Any, *without: str) -> dict[str, Json]:
    names = [field.name for field in dataclasses.fields(one)]
    return {name: getattr(one, name) for name in names if name not in without}
