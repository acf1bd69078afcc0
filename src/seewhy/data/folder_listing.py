"""Which files or folders are the records of a data set of volumes or clips: below a root, or in a manifest."""

from __future__ import annotations

import os
from collections.abc import Container, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from seewhy.data.decoding import new_digest, revision, unreadable
from seewhy.data.dicom_header import MAGIC, PREAMBLE, looks_like_dicom
from seewhy.data.folder_walk import visible_folders
from seewhy.data.frame_folder import is_frame_folder
from seewhy.data.image_folder import class_order, entries_of, index_of, unique_ids
from seewhy.data.manifest import class_names_of, class_number
from seewhy.data.manifest_table import Row, read_rows
from seewhy.data.places import Place, Root, first_bytes, folder_at, places_below, root_at, with_table
from seewhy.data.records import RecordRef
from seewhy.data.settings import check_seed, check_split_ratio
from seewhy.remote.address import without_secrets
from seewhy.values import DataError

PathLike = str | os.PathLike[str]
SERIES = ".series"
"""Stands behind a folder's name while ids are made of paths without their suffix, so that ``scan.1`` keeps its dot."""


@dataclass(frozen=True)
class Kind:
    """What is looked for: files of these suffixes, and folders that hold DICOM files (``series``) or JPEG or PNG frames
    (``frames``)."""

    name: str
    suffixes: tuple[str, ...]
    series: bool = False
    frames: bool = False


@dataclass(frozen=True)
class Listing:
    """The records of a data set and the file or folder of each."""

    class_names: Sequence[str] | None
    index: Sequence[RecordRef]
    paths: Sequence[Place]


def listing(
    kind: Kind,
    root: PathLike | None,
    manifest: PathLike | None,
    class_names: Sequence[str] | None,
    split_ratio: Sequence[float],
    seed: int,
) -> Listing:
    """The records of a folder laid out as :class:`seewhy.data.image_folder.ImageFolder`'s, or of a CSV, TSV or Parquet
    table with the columns id, path, label and split (paths relative to ``root``, by default to the table's folder).

    Raises ``DataError``: SW-D01 and SW-D02 a setting, SW-D03 nothing found, SW-D04 an id twice, SW-D11 a class folder
    of another name, SW-D13 a layout that can be read in two ways, SW-D12, SW-D15 and SW-D16 from the table, SW-D101
    neither root nor manifest, SW-D102 files of the table that are missing, SW-D110 clips below a folder of frames,
    SW-D111 frames in the root itself, SW-D140 to SW-D147 from a store, where root and table may lie.
    """
    ratio, seed = check_split_ratio(split_ratio), check_seed(seed)
    if manifest is not None:
        rows, beside = with_table("manifest", manifest, read_rows)
        return _of_table(rows, beside if root is None else root_at("root", root), class_names)
    if root is None:
        raise DataError(
            "SW-D101",
            f"nothing says where the {kind.name} are",
            fix="set root to their folder, or manifest to a table with the columns id, path, label and split",
        )
    return _of_folder(folder_at("root", root), kind, class_names, ratio, seed)


def content_revision(path: Path) -> str:
    """A digest of a file's bytes, or of those of the DICOM files that lie in a folder, whatever they are called."""
    if not path.is_dir():
        return revision(path)
    digest = new_digest()
    for content in sorted(revision(file) for file in path.iterdir() if file.is_file() and is_dicom(file)):
        digest.update(content.encode())
    return digest.hexdigest()


def is_dicom(path: Place) -> bool:
    """Whether a file begins as DICOM does; its suffix does not matter."""
    try:
        return looks_like_dicom(first_bytes(path, PREAMBLE + len(MAGIC)))
    except OSError as error:
        raise unreadable(Path(str(path)), error) from error


def _of_folder(
    root: Place, kind: Kind, class_names: Sequence[str] | None, ratio: Sequence[float], seed: int
) -> Listing:
    paths = sorted(_walk(root, kind))
    _check_frames(root, kind, paths)
    if not paths:
        suffixes = ", ".join(kind.suffixes)
        series = ", and folders of DICOM slices" if kind.series else ""
        frames = ", and folders of JPEG or PNG frames" if kind.frames else ""
        raise DataError(
            "SW-D03",
            f"no {kind.name} below {root}",
            fix=f"expected root/train/CLASS/*, root/CLASS/* or root/* with the suffixes {suffixes}{series}{frames}",
        )
    entries = entries_of(paths)
    found = sorted({entry.class_name for entry in entries if entry.class_name is not None})
    classes = class_order(found, class_names)
    ids = unique_ids([_named(root, path) for path in paths])
    return Listing(classes, index_of(ids, entries, classes or (), ratio, seed), [root / path for path in paths])


def _of_table(rows: Sequence[Row], root: Root, class_names: Sequence[str] | None) -> Listing:
    places = places_below(root, [row.path for row in rows], folders=True)
    _check_there(rows, root, places)
    classes = class_names_of(rows, class_names)
    index = [RecordRef(row.record_id, row.split, class_number(row, classes)) for row in rows]
    return Listing(classes, index, [places[row.path] for row in rows])


def _check_there(rows: Sequence[Row], root: Root, places: Container[str]) -> None:
    absent = [row for row in rows if row.path not in places]
    missing = [f"row {row.line} (id {row.record_id!r}): {without_secrets(row.path)}" for row in absent]
    if missing:
        shown = "\n    ".join(missing[:10])
        raise DataError(
            "SW-D102",
            f"{len(missing)} files or folders of the table are not below {root}:\n    {shown}",
            fix="correct the paths, or set root to what they are relative to",
        )


def _walk(root: Place, kind: Kind) -> Iterator[PurePosixPath]:
    """Files of the kind's suffixes, folders of frames, and folders of DICOM slices, which are not entered.

    One picture beside folders is taken for their preview, not for a film.
    """
    for folder, names, files in visible_folders(root):
        if kind.series and folder.parts and any(_holds_slice(root / folder / file, kind) for file in files):
            names.clear()
            yield folder
            continue
        at_least = 2 if names else 1
        if kind.frames and folder.parts and is_frame_folder(root / folder, files, kind.suffixes, at_least):
            yield folder
            continue
        yield from (folder / file for file in files if file.casefold().endswith(kind.suffixes))


def _check_frames(root: Place, kind: Kind, paths: Sequence[PurePosixPath]) -> None:
    """DataError SW-D110 and SW-D111 where folders of frames cannot be told from what lies around them."""
    if not kind.frames:
        return
    films = {path for path in paths if (root / path).is_dir()}
    for path in paths:
        above = films.intersection(path.parents)
        if above:
            raise DataError(
                "SW-D110",
                f"the folder {min(above)} holds frames, and below it is another clip, {path}",
                fix="keep the frames of each clip in a folder of their own, or name the clips in a manifest",
            )
    loose = [file.name for file in _sorted(root) if file.is_file() and not file.name.startswith(".")]
    only_loose = all(len(path.parts) == 1 and path not in films for path in paths)
    if only_loose and is_frame_folder(root, loose, kind.suffixes, 2):
        raise DataError(
            "SW-D111",
            f"the frames lie in the root itself: {', '.join(loose[:3])} ...",
            fix="each clip needs a folder: root/CLIP/000001.jpg; set root to the folder above this one",
        )


def _sorted(root: Place) -> Sequence[Place]:
    return sorted(root.iterdir(), key=lambda place: place.name)


def _holds_slice(file: Place, kind: Kind) -> bool:
    return not file.name.casefold().endswith(kind.suffixes) and is_dicom(file)


def _named(root: Place, path: PurePosixPath) -> PurePosixPath:
    """A path whose part before the last suffix is the id: ``scan.nii.gz`` has two suffixes, a folder has none."""
    if (root / path).is_dir():
        return PurePosixPath(f"{path}{SERIES}")
    return PurePosixPath(str(path).removesuffix(".gz"))
