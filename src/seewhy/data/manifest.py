"""A data set listed in one table: id, path, label, split, box and mask per record."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence

import numpy as np
from jaxtyping import Bool, UInt8
from numpy.typing import NDArray
from torch import Tensor

from seewhy.data.decoding import MAX_PIXELS, new_digest
from seewhy.data.geometry import box_to_input, mask_to_input
from seewhy.data.images import IMAGENET_MEAN, IMAGENET_STD, Preprocessing
from seewhy.data.manifest_table import Row, read_rows
from seewhy.data.masks import box_of, decode_mask
from seewhy.data.places import Place, Root, on_disk, places_below, revision_at, root_at, told_revision, with_table
from seewhy.data.records import Box, Record, RecordRef
from seewhy.data.settings import check_names
from seewhy.remote.address import without_secrets
from seewhy.values import DataError, Geometry, Json, nearest


class Manifest:
    """A CSV, TSV or Parquet table with a row per picture.

    Columns: ``id`` and ``path`` (absolute, or below ``root``, which is the table's own folder by default) are required.
    Optional are ``label`` (a class name or number; -1 and empty mean none), ``split`` (train, val, test; empty means
    test), ``box`` (``"x0 y0 x1 y1"``, a list, or four columns x0, y0, x1, y1) and ``mask`` (the path of a picture as
    large as the original, not zero inside). Boxes and masks count in pixels of the original after EXIF orientation.
    The table, its root and its files may be addresses in a store, such as ``s3://bucket/folder/table.csv``.

    Raises ``DataError``: SW-D01 a setting, SW-D02 no such table or root, SW-D05 pictures or masks that do not exist,
    SW-D15 a label that is no class, SW-D140 to SW-D147 from a store, and what
    :func:`seewhy.data.manifest_table.read_rows` raises.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        root: str | os.PathLike[str] | None = None,
        size: int | Sequence[int] = 224,
        *,
        mean: Sequence[float] = IMAGENET_MEAN,
        std: Sequence[float] = IMAGENET_STD,
        crop: str = "center",
        crop_ratio: float = 0.875,
        class_names: Sequence[str] | None = None,
        background: Sequence[int] = (255, 255, 255),
        max_pixels: int = MAX_PIXELS,
    ) -> None:
        self.preprocessing = Preprocessing.checked(
            size, mean, std, crop=crop, crop_ratio=crop_ratio, background=background, max_pixels=max_pixels
        )
        self._rows, beside = with_table("path", path, read_rows)
        self.root = beside if root is None else root_at("root", root)
        self.class_names: Sequence[str] | None = class_names_of(self._rows, class_names)
        self._index = [RecordRef(row.record_id, row.split, class_number(row, self.class_names)) for row in self._rows]
        self._places = _places(self._rows, self.root)

    def index(self) -> Sequence[RecordRef]:
        """Every row, in the table's order."""
        return self._index

    def read(self, position: int) -> Record:
        """Decode one picture and move its box and mask along.

        Raises ``DataError``: SW-D14 a box that leaves the picture, SW-D17 a mask of another size, and those of
        :func:`seewhy.data.decoding.decode`.
        """
        row, ref = self._rows[position], self._index[position]
        place = self._places[row.path]
        with on_disk(place) as path:
            image = self.preprocessing.load(path)
        notes = list(image.notes)
        box = _placed_box(row, image.geometry, notes)
        mask, mask_revision = self._mask(row, image.geometry, notes)
        return Record(
            record_id=row.record_id,
            split=row.split,
            inputs={"image": image.pixels},
            label=ref.label,
            geometry=image.geometry,
            box=box_of(mask) if row.box is None and mask is not None else box,
            mask=mask,
            revision=_revision(ref, row.box, told_revision(place) or image.revision, mask_revision),
            notes=tuple(notes),
        )

    def revision(self, position: int) -> str:
        """A digest of the picture's bytes, the mask's bytes, the box and the label."""
        row = self._rows[position]
        mask_revision = revision_at(self._places[row.mask]) if row.mask else ""
        return _revision(self._index[position], row.box, revision_at(self._places[row.path]), mask_revision)

    def picture(self, inputs: Mapping[str, Tensor]) -> UInt8[np.ndarray, "h w 3"]:
        """The input picture with the normalisation undone."""
        return self.preprocessing.picture(inputs)

    def fingerprint(self) -> Mapping[str, Json]:
        """What decides pixel values."""
        return {"data": "manifest", **self.preprocessing.fingerprint()}

    def _mask(self, row: Row, geometry: Geometry, notes: list[str]) -> tuple[Bool[np.ndarray, "h w"] | None, str]:
        if not row.mask:
            return None, ""
        place = self._places[row.mask]
        with on_disk(place) as path:
            original, mask_revision = decode_mask(path, self.preprocessing.max_pixels)
        if original.shape != geometry.original:
            (rows, columns), (height, width) = original.shape, geometry.original
            raise DataError(
                "SW-D17",
                f"record {row.record_id!r}: the mask has {columns} × {rows} pixels, the picture {width} × {height}",
                fix="give a mask as large as the picture, after EXIF orientation",
            )
        moved: NDArray[np.bool_] = mask_to_input(original, geometry)
        if not moved.any():
            notes.append("the mask is empty" if not original.any() else "the mask lies outside the crop")
        return moved, told_revision(place) or mask_revision


def _placed_box(row: Row, geometry: Geometry, notes: list[str]) -> Box | None:
    if row.box is None:
        return None
    height, width = geometry.original
    if min(row.box) < 0 or row.box[2] > width or row.box[3] > height:
        raise DataError(
            "SW-D14",
            f"record {row.record_id!r}: the box {row.box} leaves the picture of {width} × {height} pixels",
            fix="write x0 y0 x1 y1 in original pixels, after EXIF orientation",
        )
    moved = box_to_input(row.box, geometry)
    if moved is None:
        notes.append("the box lies outside the crop")
    return moved


def _revision(ref: RecordRef, box: Box | None, picture: str, mask: str) -> str:
    digest = new_digest()
    digest.update(repr((picture, mask, box, ref.label)).encode())
    return digest.hexdigest()


def class_names_of(rows: Sequence[Row], class_names: Sequence[str] | None) -> list[str] | None:
    """The names given, or the sorted names that the rows use; None where labels are numbers or absent."""
    if class_names is not None:
        return check_names(class_names)
    named = [row for row in rows if isinstance(row.label, str)]
    numbered = [row for row in rows if isinstance(row.label, int) and row.label != -1]
    if named and numbered:
        raise DataError(
            "SW-D15",
            f"labels are names in row {named[0].line} ({named[0].label!r}) and numbers in row {numbered[0].line} "
            f"({numbered[0].label})",
            fix="use one of both, or give class_names",
        )
    return sorted({str(row.label) for row in named}) or None


def class_number(row: Row, class_names: Sequence[str] | None) -> int | None:
    """The class that a row's label means, None where it means none. DataError SW-D15 for what is no class."""
    if row.label is None or row.label == -1:
        return None
    if class_names is not None and str(row.label) in class_names:
        return class_names.index(str(row.label))
    if isinstance(row.label, int) and row.label >= 0 and (class_names is None or row.label < len(class_names)):
        return row.label
    raise DataError(
        "SW-D15",
        f"row {row.line} (id {row.record_id!r}): the label {row.label!r} is no class",
        fix="write one of the class names, or a number from 0",
        near=nearest(str(row.label), class_names or ()),
    )


def _places(rows: Sequence[Row], root: Root) -> dict[str, Place]:
    """Where each picture and mask lies; one error for all that is missing, before a run starts."""
    named = [(row.line, name) for row in rows for name in (row.path, row.mask) if name]
    places = places_below(root, [name for _, name in named])
    missing = [f"row {line}: {without_secrets(name)}" for line, name in named if name not in places]
    if missing:
        raise DataError(
            "SW-D05",
            f"{len(missing)} files of the manifest do not exist below {root}: {'; '.join(missing[:5])}",
            fix="correct the paths, or set root to the folder they are relative to",
        )
    return places
