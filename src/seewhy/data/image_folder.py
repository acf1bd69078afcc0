"""Pictures in folders: ``root/split/class/…``, ``root/class/…`` or simply ``root/…``."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import numpy as np
from jaxtyping import UInt8
from torch import Tensor

from seewhy.data.decoding import MAX_PIXELS, SUFFIXES
from seewhy.data.folder_walk import visible_folders
from seewhy.data.images import IMAGENET_MEAN, IMAGENET_STD, Preprocessing
from seewhy.data.places import Place, folder_at, on_disk, revision_at, told_revision
from seewhy.data.records import Record, RecordRef, duplicate_id
from seewhy.data.settings import (
    SPLITS,
    canonical_split,
    check_names,
    check_seed,
    check_split_ratio,
)
from seewhy.data.splitting import stratified_splits
from seewhy.values import DataError, Json, nearest

SPLIT_FOLDERS = frozenset({"train", "val", "valid", "validation", "test"})


@dataclass(frozen=True)
class Entry:
    """One picture file found: its path below the root, and the folders that say split and class."""

    relative: PurePosixPath
    split: str | None
    class_name: str | None


class ImageFolder:
    """A folder of JPEG, PNG, WebP, TIFF, BMP or GIF files, on this machine or in a store (``s3://bucket/folder``).

    Three layouts are understood:

    - ``root/{train,val,test}/{class}/…``; ``valid`` and ``validation`` mean ``val``, files directly in a split folder
      have no label;
    - ``root/{class}/…``, split by ``split_ratio`` (train, val, test) within each class, by ``seed`` and file path;
    - files directly in ``root``: no labels, split ``test``.

    A label is the class folder's place in ``class_names``, by default the sorted folder names. A record's id is its
    path below ``root`` without the suffix (``train/cat/img1``); where two files differ only in it, both keep it.

    Raises ``DataError``: SW-D01 a setting out of range, SW-D02 no such folder, SW-D03 no pictures, SW-D11 a folder that
    is none of ``class_names``, SW-D13 a layout that can be read in two ways, SW-D140 to SW-D147 from a store.
    """

    def __init__(
        self,
        root: str | os.PathLike[str],
        size: int | Sequence[int] = 224,
        *,
        mean: Sequence[float] = IMAGENET_MEAN,
        std: Sequence[float] = IMAGENET_STD,
        crop: str = "center",
        crop_ratio: float = 0.875,
        class_names: Sequence[str] | None = None,
        split_ratio: Sequence[float] = (0.7, 0.15, 0.15),
        seed: int = 0,
        background: Sequence[int] = (255, 255, 255),
        max_pixels: int = MAX_PIXELS,
    ) -> None:
        self.preprocessing = Preprocessing.checked(
            size, mean, std, crop=crop, crop_ratio=crop_ratio, background=background, max_pixels=max_pixels
        )
        ratio, seed = check_split_ratio(split_ratio), check_seed(seed)
        self.root = folder_at("root", root)
        entries = find_pictures(self.root)
        self._paths = [self.root / entry.relative for entry in entries]
        found = sorted({entry.class_name for entry in entries if entry.class_name is not None})
        self.class_names: Sequence[str] | None = class_order(found, class_names)
        ids = unique_ids([entry.relative for entry in entries])
        self._index = index_of(ids, entries, self.class_names or (), ratio, seed)

    def index(self) -> Sequence[RecordRef]:
        """Every picture, in the order of the paths."""
        return self._index

    def read(self, position: int) -> Record:
        """Decode and preprocess one picture; raises the ``DataError`` of :func:`seewhy.data.decoding.decode`, and of
        :func:`seewhy.data.places.on_disk`."""
        ref, place = self._index[position], self._paths[position]
        with on_disk(place) as path:
            image = self.preprocessing.load(path)
        return Record(
            record_id=ref.record_id,
            split=ref.split,
            inputs={"image": image.pixels},
            label=ref.label,
            geometry=image.geometry,
            revision=told_revision(place) or image.revision,
            notes=image.notes,
        )

    def revision(self, position: int) -> str:
        """A digest of the file's bytes, or of the version that a store tells."""
        return revision_at(self._paths[position])

    def picture(self, inputs: Mapping[str, Tensor]) -> UInt8[np.ndarray, "h w 3"]:
        """The input picture with the normalisation undone."""
        return self.preprocessing.picture(inputs)

    def fingerprint(self) -> Mapping[str, Json]:
        """What decides pixel values."""
        return {"data": "image_folder", **self.preprocessing.fingerprint()}


def find_pictures(root: Place) -> list[Entry]:
    """Every picture below ``root`` in the order of the paths, its split and class told by the folders above it."""
    paths = sorted(_walk(root))
    if not paths:
        raise DataError(
            "SW-D03",
            f"no pictures below {root}",
            fix=f"expected root/train/CLASS/*, root/CLASS/* or root/* with the suffixes {', '.join(sorted(SUFFIXES))}",
        )
    return entries_of(paths)


def entries_of(paths: Sequence[PurePosixPath]) -> list[Entry]:
    """The split and class of each path below a root, told by the folders above it.

    DataError SW-D13 where the folders can be read in two ways.
    """
    tops = sorted({path.parts[0] for path in paths if len(path.parts) > 1})
    splits = [top for top in tops if top.casefold() in SPLIT_FOLDERS]
    loose = [path.name for path in paths if len(path.parts) == 1]
    if tops and loose:
        raise _two_layouts(f"pictures ({', '.join(loose[:3])}) beside folders ({', '.join(tops[:5])})")
    if splits and splits != tops:
        others = [top for top in tops if top not in splits]
        raise _two_layouts(f"split folders ({', '.join(splits)}) beside others ({', '.join(others[:5])})")
    if splits:
        return [Entry(path, canonical_split(path.parts[0]), _folder(path, 1)) for path in paths]
    return [Entry(path, None if tops else "test", _folder(path, 0)) for path in paths]


def unique_ids(paths: Sequence[PurePosixPath]) -> list[str]:
    """An id per path: the path without its suffix, or with it where another file would have the same id.

    >>> unique_ids([PurePosixPath("a/x.png"), PurePosixPath("a/y.png"), PurePosixPath("a/y.jpg")])
    ['a/x', 'a/y.png', 'a/y.jpg']
    """
    ids = [printable(path.with_suffix("")) for path in paths]
    whole = [printable(path) for path in paths]
    while repeated := {name for name, times in Counter(ids).items() if times > 1}:
        kept = [full if name in repeated else name for name, full in zip(ids, whole, strict=True)]
        if kept == ids:
            raise duplicate_id(min(repeated), "two files", "names that differ only in bytes that are not UTF-8")
        ids = kept
    return ids


def _walk(root: Place) -> Iterator[PurePosixPath]:
    """Picture files below ``root``."""
    for folder, _, files in visible_folders(root):
        yield from (folder / file for file in files if Path(file).suffix.casefold() in SUFFIXES)


def _folder(path: PurePosixPath, depth: int) -> str | None:
    return path.parts[depth] if len(path.parts) > depth + 1 else None


def printable(path: PurePosixPath) -> str:
    """Names that are not UTF-8 on disk still give an id that can be stored."""
    return os.fsencode(path).decode("utf-8", "backslashreplace")


def class_order(found: Sequence[str], class_names: Sequence[str] | None) -> list[str] | None:
    """The class names given, or else those found. DataError SW-D11 for a folder that is none of those given."""
    if class_names is None:
        return list(found) or None
    names = check_names(class_names)
    for name in found:
        if name not in names:
            raise DataError(
                "SW-D11",
                f"the folder {name!r} is none of the {len(names)} class_names",
                fix="rename the folder, or give class_names in the order of the model's outputs",
                near=nearest(name, names),
            )
    return names


def index_of(
    ids: Sequence[str], entries: Sequence[Entry], class_names: Sequence[str], ratio: Sequence[float], seed: int
) -> list[RecordRef]:
    """The records of some entries; those without a split are divided by ``ratio`` within each class, by ``seed``."""
    numbers = {name: number for number, name in enumerate(class_names)}
    undecided = {
        record_id: entry.class_name for record_id, entry in zip(ids, entries, strict=True) if entry.split is None
    }
    drawn = stratified_splits(undecided, ratio, seed, SPLITS)
    return [
        RecordRef(
            record_id,
            entry.split or drawn[record_id],
            None if entry.class_name is None else numbers[entry.class_name],
        )
        for record_id, entry in zip(ids, entries, strict=True)
    ]


def _two_layouts(found: str) -> DataError:
    return DataError(
        "SW-D13",
        f"the folder can be read in two ways: {found}",
        fix="keep one layout: root/train/CLASS/*, root/CLASS/* or root/*",
    )
