"""A film as a folder of numbered pictures: which folders are one, in which order frames follow, and reading them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from PIL import Image, UnidentifiedImageError

from seewhy.data.conversion import to_rgb_array
from seewhy.data.decoding import (
    DAMAGE,
    MAX_PIXELS,
    decode,
    new_digest,
    open_picture,
    orientation,
    revision,
    unreadable,
)
from seewhy.data.frame_sampling import Damaged, Film, Frames, Limits, check_amount, readable_frames
from seewhy.data.places import Place, on_disk
from seewhy.values import DataError

FRAME_SUFFIXES: Final = (".jpg", ".jpeg", ".png")
UNREADABLE: Final = frozenset({"SW-D05", "SW-D06", "SW-D07"})
"""What stops a film at a frame, as damage stops one in a video file; other errors are the settings' or the folder's."""


def frame_files(folder: Path) -> list[Path]:
    """The frames in a folder by the numbers in their names (``2.png`` before ``10.png``); hidden files are left out."""
    try:
        names = [file.name for file in folder.iterdir()]
    except OSError as error:
        raise unreadable(folder, error) from error
    return [folder / name for name in _frames_among(names)]


def is_frame_folder(folder: Place, files: Sequence[str], film_suffixes: Sequence[str], at_least: int = 1) -> bool:
    """Whether the visible ``files`` of a folder are one film: ``at_least`` so many JPEG or PNG stills, no film beside.

    The first PNG decides for all whether they are stills or animations, so that a listing opens one file a folder.
    """
    frames = _frames_among(files)
    others = [suffix for suffix in film_suffixes if suffix not in FRAME_SUFFIXES]
    if len(frames) < at_least or any(name.casefold().endswith(tuple(others)) for name in files):
        return False
    return not _is_animated(folder / frames[0])


def read_frames(folder: Path, wanted: int | None, limits: Limits) -> Film:
    """Even frames of a folder, each turned upright; it tells no times.

    Raises ``DataError``: SW-D05 a folder without frames, SW-D77 above the limits, SW-D78 frames that differ in size,
    SW-D79 one frame alone or none that can be read, SW-D112 frames of two formats, SW-D08 to SW-D10 for a frame.
    """
    files = film_files(folder)
    size = frame_size(files[0])
    check_amount(folder.name, len(files), wanted, size, limits)
    told: dict[str, None] = {}
    frames, readable, notes = readable_frames(
        len(files), wanted, lambda positions: _decoded(folder.name, files, positions, size, told)
    )
    if not readable:
        raise DataError(
            "SW-D79", f"{folder.name}: no frame can be read; {notes[0]}", fix="copy the folder's frames again"
        )
    return Film(frames, readable, None, (*told, *notes))


def film_files(folder: Path) -> list[Path]:
    """The frames of a folder that is a film; DataError SW-D05, SW-D79 and SW-D112 as from :func:`read_frames`."""
    files = frame_files(folder)
    if not files:
        raise unreadable(folder, IsADirectoryError())
    if len(files) == 1:
        raise DataError("SW-D79", f"{folder.name}: one picture, not a film", fix="explain it as an image")
    formats = sorted({"PNG" if file.suffix.casefold() == ".png" else "JPEG" for file in files})
    if len(formats) > 1:
        raise DataError(
            "SW-D112",
            f"{folder.name}: frames in JPEG and in PNG; it is not clear which are the film",
            fix="move one of them to another folder (masks beside frames, say)",
        )
    return files


def frame_size(file: Path) -> tuple[int, int]:
    """``(height, width)`` of an upright picture, from its header. Raises ``DataError`` SW-D05 to SW-D09."""
    with open_picture(file, MAX_PIXELS) as (opened, _):
        width, height = opened.size
        return (width, height) if orientation(opened) > 4 else (height, width)


def frames_revision(folder: Path) -> str:
    """A digest of the bytes of the frames, in their order."""
    digest = new_digest()
    for file in frame_files(folder):
        digest.update(revision(file).encode())
    return digest.hexdigest()


def _frames_among(names: Sequence[str]) -> list[str]:
    frames = [name for name in names if not name.startswith(".") and name.casefold().endswith(FRAME_SUFFIXES)]
    return sorted(frames, key=_numbered)


def _numbered(name: str) -> tuple[list[str | int], str]:
    """Every second part is a number, so that parts of two names can be compared; equal ones by the name itself."""
    parts = re.split(r"([0-9]+)", name.casefold())
    return [int(part) if place % 2 else part for place, part in enumerate(parts)], name


def _is_animated(file: Place) -> bool:
    """Whether a PNG is an animation; what cannot be told so is a frame, whose damage reading reports."""
    if file.suffix.casefold() != ".png":
        return False
    try:
        with on_disk(file) as path, Image.open(path, formats=("PNG",)) as opened:
            return bool(getattr(opened, "is_animated", False))
    except (UnidentifiedImageError, Image.DecompressionBombError, *DAMAGE):
        return False


def _decoded(
    name: str, files: Sequence[Path], positions: Sequence[int], size: tuple[int, int], told: dict[str, None]
) -> Frames | Damaged:
    frames: Frames = {}
    for position in positions:
        try:
            picture = decode(files[position], max_pixels=MAX_PIXELS)
        except DataError as error:
            if error.code not in UNREADABLE:
                raise
            return Damaged(position, error.message)
        if picture.picture.size != size[::-1]:
            width, height = picture.picture.size
            raise DataError(
                "SW-D78",
                f"{name}: {files[position].name} is {width} × {height} pixels, the first frame {size[1]} × {size[0]}",
                fix="save all frames in one size",
            )
        frames[position], notes = to_rgb_array(picture.picture)
        told.update(dict.fromkeys((*picture.notes, *notes)))
    return frames
