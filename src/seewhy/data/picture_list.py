"""A data set of the pictures that someone names one by one."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath

import numpy as np
from jaxtyping import UInt8
from torch import Tensor

from seewhy.data.decoding import revision
from seewhy.data.image_folder import unique_ids
from seewhy.data.images import IMAGENET_MEAN, IMAGENET_STD, Preprocessing
from seewhy.data.records import Record, RecordRef
from seewhy.values import DataError, Json

SPLIT = "images"


class PictureList:
    """Picture files in the order given, without labels, as one split ``images``.

    A record's id is its file's name and that of the folder it was given with, without the suffix: ``cat/0001``. More of
    the path is taken where that is the same for two files, so that the id depends on nothing else that is listed.

    Raises ``DataError`` SW-D01 for a setting out of range, SW-D03 for no pictures.
    """

    class_names: Sequence[str] | None = None

    def __init__(
        self,
        paths: Sequence[str | os.PathLike[str]],
        size: int | Sequence[int] = 224,
        *,
        mean: Sequence[float] = IMAGENET_MEAN,
        std: Sequence[float] = IMAGENET_STD,
        crop: str = "center",
        crop_ratio: float = 0.875,
    ) -> None:
        self.preprocessing = Preprocessing.checked(size, mean, std, crop=crop, crop_ratio=crop_ratio)
        self._paths = [Path(path) for path in dict.fromkeys(paths)]
        if not self._paths:
            raise DataError("SW-D03", "no pictures were named", fix="name one or more files")
        self._index = [RecordRef(record_id, SPLIT) for record_id in unique_ids(_names(self._paths))]

    def index(self) -> Sequence[RecordRef]:
        """Every picture, in the order given."""
        return self._index

    def read(self, position: int) -> Record:
        """Decode and preprocess one picture; raises the ``DataError`` of :func:`seewhy.data.decoding.decode`."""
        image = self.preprocessing.load(self._paths[position])
        return Record(
            record_id=self._index[position].record_id,
            split=SPLIT,
            inputs={"image": image.pixels},
            geometry=image.geometry,
            revision=image.revision,
            notes=image.notes,
        )

    def revision(self, position: int) -> str:
        """A digest of the file's bytes."""
        return revision(self._paths[position])

    def picture(self, inputs: Mapping[str, Tensor]) -> UInt8[np.ndarray, "h w 3"]:
        """The input picture with the normalisation undone."""
        return self.preprocessing.picture(inputs)

    def fingerprint(self) -> Mapping[str, Json]:
        """What decides pixel values."""
        return {"data": "picture_list", **self.preprocessing.fingerprint()}


def _names(paths: Sequence[Path]) -> list[PurePosixPath]:
    """As much of the end of each path as tells it from the others, two parts at least."""
    parts = [[part for part in path.parts if part not in (path.anchor, "..", ".")] for path in paths]
    names = [tuple(each[-2:]) for each in parts]
    for depth in range(3, max(map(len, parts), default=0) + 1):
        many = Counter(names)
        names = [tuple(each[-depth:]) if many[name] > 1 else name for each, name in zip(parts, names, strict=True)]
    return [PurePosixPath(*name) for name in names]
