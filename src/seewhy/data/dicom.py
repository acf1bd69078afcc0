"""A DICOM series (a folder, or one multi-frame file) as a volume, its slices sorted by position and rescaled."""

from __future__ import annotations

import importlib
import warnings
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import numpy as np
from jaxtyping import Float32
from numpy.typing import NDArray

from seewhy.data.decoding import new_digest, revision, unreadable
from seewhy.data.dicom_header import (
    DicomImage,
    damage_told,
    functional_group,
    import_pydicom,
    looks_like_dicom,
    read_header,
)
from seewhy.data.dicom_stacking import Stack, stacked
from seewhy.data.limits import MAX_BYTES
from seewhy.data.orientation import StoredVolume
from seewhy.values import DataError

MAX_FILES: Final = 20_000
ONE_SERIES: Final = "put the files of one series into a folder of their own and read that"


@dataclass(frozen=True)
class _Series:
    images: tuple[DicomImage, ...]
    notes: tuple[str, ...]


def read_dicom(path: Path, *, max_bytes: int = MAX_BYTES) -> StoredVolume:
    """The slices of a folder (its files, not those of folders in it) or the frames of one file.

    Stored axes are (slice, row, column), slices sorted by ImagePositionPatient along their normal; RGB comes as three
    channels. Values are rescaled by the modality tags; MONOCHROME1 is inverted, so that more is brighter.

    A DICOMDIR is never followed. Raises ``DataError``: SW-D05 absent, SW-D64 above ``max_bytes`` as float32, SW-D65 a
    header that claims too much, SW-D66 no picture, SW-D67 several series, SW-D68 slices that do not fit together,
    SW-D69 slices without position, SW-D70 two slices at one place, SW-D71 no codec, SW-D72 damage, SW-D73 colours that
    are neither gray nor RGB. ``MissingExtraError`` without pydicom.
    """
    import_pydicom()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        series = _series(path, max_bytes)
        _check_uniform(series.images)
        _check_amount(path, series.images, max_bytes)
        _check_codec(series.images[0])
        stack = _stack(series.images)
        values, told = _decode(series.images, stack.order)
    complaints = dict.fromkeys(f"pydicom: {warning.message}" for warning in caught)
    notes = dict.fromkeys((*series.notes, *stack.notes, *told, *complaints))
    return StoredVolume(values, stack.affine, _placed(series.images), _revision(series.images), tuple(notes))


def _series(path: Path, max_bytes: int) -> _Series:
    """The pictures found, and what was left aside."""
    candidates = sorted(entry for entry in path.iterdir() if entry.is_file()) if path.is_dir() else [path]
    if len(candidates) > MAX_FILES:
        raise DataError("SW-D64", f"{path.name}: {len(candidates)} files; at most {MAX_FILES}", fix=ONE_SERIES)
    found = {entry: read_header(entry, max_bytes) for entry in candidates if looks_like_dicom(_start(entry))}
    images = tuple(image for image in found.values() if image is not None)
    aside = len(candidates) - len(images)
    if not images:
        raise DataError(
            "SW-D66",
            f"{path.name}: no DICOM picture (DICOMDIR, reports and contours are not followed; {len(candidates)} files)",
            fix="name the folder that holds the slices themselves",
        )
    return _Series(images, (f"{aside} files without a DICOM picture left aside",) if aside else ())


def _start(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(132)
    except OSError as error:
        raise unreadable(path, error) from error


def _check_uniform(images: Sequence[DicomImage]) -> None:
    series = _grouped((image.series, image) for image in images)
    if len(series) > 1:
        names = (f"{uid or '(no uid)'} {group[0].description!r}: {_some(group)}" for uid, group in series.items())
        raise DataError("SW-D67", f"{len(series)} series in one folder: " + "; ".join(names), fix=ONE_SERIES)
    kinds = _grouped(((image.shape, image.photometric, image.syntax), image) for image in images)
    if len(kinds) > 1:
        names = (
            f"{rows} × {columns} {photometric} (transfer syntax {syntax}): {_some(group)}"
            for ((rows, columns, _), photometric, syntax), group in kinds.items()
        )
        raise DataError("SW-D68", "the slices differ in kind: " + "; ".join(names), fix=ONE_SERIES)


def _check_amount(path: Path, images: Sequence[DicomImage], max_bytes: int) -> None:
    needed = sum(4 * image.frames * int(np.prod(image.shape)) for image in images)
    if needed > max_bytes:
        raise DataError(
            "SW-D64", f"{path.name}: {needed} bytes as float32; the limit is {max_bytes}", fix="raise max_bytes"
        )


def _check_codec(image: DicomImage) -> None:
    pixels = importlib.import_module("pydicom.pixels")
    uid = importlib.import_module("pydicom.uid").UID(image.syntax)
    try:
        decoder = pixels.get_decoder(uid)
    except NotImplementedError:
        decoder = None
    if decoder is None or not decoder.is_available:
        choices = " or ".join(decoder.missing_dependencies) if decoder else "a tool such as dcmtk or gdcm to convert it"
        raise DataError(
            "SW-D71",
            f"{image.path.name}: no codec is installed for its transfer syntax {uid.name}",
            fix=f"install {choices}",
        )


def _stack(images: Sequence[DicomImage]) -> Stack:
    planes = [plane for image in images for plane in image.planes]
    placed = [plane for plane in planes if plane is not None]
    if len(placed) == len(planes):
        stack = stacked(placed)
        return replace(stack, notes=(*images[0].assumed, *stack.notes))
    if len(images) > 1:
        nowhere = next(image.path.name for image in images if None in image.planes)
        raise DataError(
            "SW-D69",
            f"{nowhere} has no ImagePositionPatient or ImageOrientationPatient; names and numbers tell no order",
            fix="export the series with its positions, or read the slices as pictures",
        )
    told = f"no positions: {len(planes)} frames in the order of the file" if len(planes) > 1 else "no position"
    return Stack(tuple(range(len(planes))), np.diag([*images[0].sizes, 1.0]), (told, *images[0].assumed))


def _placed(images: Sequence[DicomImage]) -> bool:
    return all(plane is not None for image in images for plane in image.planes)


def _decode(images: Sequence[DicomImage], order: Sequence[int]) -> tuple[NDArray[np.float32], list[str]]:
    """Frames of every file at their place in the stack; one file's pixels are in memory at a time."""
    rows, columns, samples = images[0].shape
    values = np.empty((samples, len(order), rows, columns), np.float32)
    slices = iter(np.argsort(order))
    notes: list[str] = []
    for image in images:
        frames, told = _frames(image)
        notes += told
        for frame in frames:
            values[:, next(slices)] = frame
    return (values[0] if samples == 1 else values), notes


def _frames(image: DicomImage) -> tuple[list[Float32[np.ndarray, "s h w"]], list[str]]:
    pydicom = import_pydicom()
    with damage_told(image.path):
        dataset = pydicom.dcmread(image.path)
        rows, columns, samples = image.shape
        stored = pydicom.pixels.pixel_array(dataset).reshape(image.frames, rows, columns, samples)
        notes: list[str] = []
        frames = [_modality(dataset, stored[frame], frame, notes) for frame in range(image.frames)]
        return [frame.astype(np.float32).transpose(2, 0, 1) for frame in frames], notes


def _modality(dataset: Any, stored: NDArray[Any], frame: int, notes: list[str]) -> NDArray[Any]:
    """Stored samples as values: upside down for MONOCHROME1, then through the modality table or slope and intercept."""
    if dataset.PhotometricInterpretation == "MONOCHROME1":
        stored = _darkest_plus_brightest(dataset) - stored.astype(np.float64)
        notes.append("MONOCHROME1 inverted: more is brighter")
    rescale = functional_group(dataset, frame, "PixelValueTransformationSequence") or dataset
    if rescale.get("ModalityLUTSequence"):
        applied: NDArray[Any] = importlib.import_module("pydicom.pixels").apply_modality_lut(
            stored.astype(np.int64), rescale
        )
        return applied
    slope, intercept = rescale.get("RescaleSlope"), rescale.get("RescaleIntercept")
    if stored.shape[-1] == 1:
        notes += ["no RescaleSlope: taken as 1"] * (slope is None)
        notes += ["no RescaleIntercept: taken as 0"] * (intercept is None)
    if slope is not None and float(slope) == 0:
        raise ValueError("RescaleSlope is 0")
    scaled: NDArray[Any] = stored * float(1 if slope is None else slope) + float(intercept or 0)
    return scaled


def _darkest_plus_brightest(dataset: Any) -> int:
    """The sum of the ends of the range of stored samples."""
    return -1 if int(dataset.get("PixelRepresentation", 0)) else 2 ** int(dataset.BitsStored) - 1


def _revision(images: Iterable[DicomImage]) -> str:
    """A digest of the pictures' contents, whatever their names."""
    digest = new_digest()
    for content in sorted(revision(image.path) for image in images):
        digest.update(content.encode())
    return digest.hexdigest()


def _grouped(pairs: Iterable[tuple[Any, DicomImage]]) -> dict[Any, list[DicomImage]]:
    groups: dict[Any, list[DicomImage]] = {}
    for key, image in pairs:
        groups.setdefault(key, []).append(image)
    return groups


def _some(images: Sequence[DicomImage]) -> str:
    names = ", ".join(image.path.name for image in images[:3])
    return names if len(images) <= 3 else f"{names} and {len(images) - 3} more"
