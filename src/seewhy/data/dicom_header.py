"""The header of one untrusted DICOM file: what its frames are and where they lie, read without any pixel."""

from __future__ import annotations

import importlib
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np

from seewhy.data.dicom_stacking import Plane
from seewhy.data.limits import DEFLATE_RATIO
from seewhy.values import DataError, MissingExtraError

DICOMDIR: Final = "1.2.840.10008.1.3.10"
DEFLATED: Final = "1.2.840.10008.1.2.1.99"
PREAMBLE: Final = 128
MAGIC: Final = b"DICM"
NATIVE: Final = ("1.2.840.10008.1.2", "1.2.840.10008.1.2.1", "1.2.840.10008.1.2.2", DEFLATED)
GRAY: Final = frozenset({"MONOCHROME1", "MONOCHROME2"})
COLOUR: Final = frozenset({"RGB", "YBR_FULL", "YBR_FULL_422", "YBR_PARTIAL_420", "YBR_ICT", "YBR_RCT"})
DAMAGE: Final = (
    OSError,
    EOFError,
    ValueError,
    TypeError,
    AttributeError,
    LookupError,
    RuntimeError,  # what a codec raises, and RecursionError for sequences nested without end
    OverflowError,
    struct.error,
)


@dataclass(frozen=True)
class DicomImage:
    """One file: ``planes`` has an entry per frame, None where it does not tell its place."""

    path: Path
    series: str
    description: str
    syntax: str
    shape: tuple[int, int, int]
    frames: int
    photometric: str
    planes: tuple[Plane | None, ...]
    sizes: tuple[float, float, float]
    assumed: tuple[str, ...] = ()


def looks_like_dicom(start: bytes) -> bool:
    """Whether a file begins with 128 bytes and ``DICM``."""
    return start[PREAMBLE : PREAMBLE + len(MAGIC)] == MAGIC


def read_header(path: Path, max_bytes: int) -> DicomImage | None:
    """What a file holds; None where it holds no picture (a DICOMDIR, a report, contours).

    Raises ``DataError``: SW-D65 more pixels claimed than the file can hold, SW-D69 positions that are malformed,
    SW-D72 a damaged file, SW-D73 samples that are neither gray nor RGB.
    """
    pydicom = import_pydicom()
    with damage_told(path):
        meta = pydicom.filereader.read_file_meta_info(path)
        syntax = str(meta.get("TransferSyntaxUID", ""))
        if str(meta.get("MediaStorageSOPClassUID", "")) == DICOMDIR:
            return None
        if not syntax:
            raise ValueError("it names no transfer syntax")
        _check_inflation(path, syntax, max_bytes)
        header = pydicom.dcmread(path, stop_before_pixels=True)
        if "Rows" not in header or "Columns" not in header:
            return None
        return _image(path, header, syntax)


def functional_group(dataset: Any, frame: int, name: str) -> Any | None:
    """The item of a multi-frame file's functional group for one frame: its own, else the shared one."""
    per_frame = dataset.get("PerFrameFunctionalGroupsSequence") or ()
    shared = dataset.get("SharedFunctionalGroupsSequence") or ()
    for groups in (*per_frame[frame : frame + 1], *shared[:1]):
        if groups.get(name):
            return groups.get(name)[0]
    return None


@contextmanager
def damage_told(path: Path) -> Iterator[None]:
    """What a DICOM parser or codec raises inside the block, as DataError SW-D72."""
    too_short = importlib.import_module("pydicom.errors").BytesLengthException
    try:
        yield
    except (*DAMAGE, too_short) as error:
        raise DataError(
            "SW-D72",
            f"{path.name}: the DICOM file is damaged or malformed ({type(error).__name__}: {error})",
            fix="copy or export it again",
        ) from error


def import_pydicom() -> Any:
    """The package; MissingExtraError without it."""
    try:
        importlib.import_module("pydicom.filereader")
        return importlib.import_module("pydicom")
    except ImportError as error:
        raise MissingExtraError("pydicom", "medical") from error


def _image(path: Path, header: Any, syntax: str) -> DicomImage:
    shape = (int(header.Rows), int(header.Columns), int(header.get("SamplesPerPixel", 1)))
    frames = int(header.get("NumberOfFrames") or 1)
    photometric = str(header.get("PhotometricInterpretation", ""))
    if min(*shape, frames) < 1:
        raise ValueError(f"it claims {frames} frames of {shape[0]} × {shape[1]} pixels")
    if (photometric, shape[2]) not in {*((kind, 1) for kind in GRAY), *((kind, 3) for kind in COLOUR)}:
        raise DataError(
            "SW-D73",
            f"{path.name}: photometric interpretation {photometric or '(none)'} with {shape[2]} samples; expected gray "
            "or RGB",
            fix="export it as MONOCHROME2 or RGB",
        )
    _check_claim(path, header, syntax, frames)
    sizes, assumed = _voxel_sizes(header)
    return DicomImage(
        path,
        series=str(header.get("SeriesInstanceUID", "")),
        description=str(header.get("SeriesDescription", "")),
        syntax=syntax,
        shape=shape,
        frames=frames,
        photometric=photometric,
        planes=tuple(_plane(path, header, frame, frames) for frame in range(frames)),
        sizes=sizes,
        assumed=assumed,
    )


def _plane(path: Path, header: Any, frame: int, frames: int) -> Plane | None:
    place = functional_group(header, frame, "PlanePositionSequence") or header
    turn = functional_group(header, frame, "PlaneOrientationSequence") or header
    measures = functional_group(header, frame, "PixelMeasuresSequence") or header
    position, directions = place.get("ImagePositionPatient"), turn.get("ImageOrientationPatient")
    if not position or not directions or (frames > 1 and place is header):
        return None  # a film: one position cannot be that of every frame
    name = path.name if frames == 1 else f"{path.name} frame {frame + 1}"
    numbers = np.array([*position, *directions], np.float64)
    rows, columns = _pixel_spacing(header, measures) or (1.0, 1.0)
    if numbers.shape != (9,) or not np.isfinite(numbers).all() or not min(rows, columns) > 0:
        raise _misplaced(name, "the position, orientation or pixel spacing is malformed")
    along_row, along_column = numbers[3:6], numbers[6:9]
    lengths = float(np.linalg.norm(along_row)), float(np.linalg.norm(along_column))
    if max(abs(lengths[0] - 1), abs(lengths[1] - 1), abs(float(along_row @ along_column))) > 1e-2:
        raise _misplaced(name, f"rows {along_row} and columns {along_column} are not at right angles")
    thickness = measures.get("SpacingBetweenSlices") or measures.get("SliceThickness")
    return Plane(
        name,
        numbers[:3],
        along_row / lengths[0],
        along_column / lengths[1],
        (rows, columns),
        abs(float(thickness)) if thickness else None,
    )


def _pixel_spacing(header: Any, measures: Any) -> tuple[float, float] | None:
    """Millimetres between rows and between columns, at the patient or else at the detector; None where untold."""
    stated = measures.get("PixelSpacing") or header.get("PixelSpacing") or header.get("ImagerPixelSpacing")
    if not stated:
        return None
    rows, columns = (float(value) for value in stated)
    return rows, columns


def _voxel_sizes(header: Any) -> tuple[tuple[float, float, float], tuple[str, ...]]:
    """Slice, row and column distance in millimetres, for files that tell no positions, and what had to be assumed."""
    measures = functional_group(header, 0, "PixelMeasuresSequence") or header
    in_plane = _pixel_spacing(header, measures)
    between = abs(float(measures.get("SpacingBetweenSlices") or measures.get("SliceThickness") or 1))
    assumed = () if in_plane else ("no PixelSpacing: 1 mm assumed",)
    return (between, *(in_plane or (1.0, 1.0))), assumed


def _check_claim(path: Path, header: Any, syntax: str, frames: int) -> None:
    """Native pixels cannot be more than the file's bytes; of compressed ones only the total is limited."""
    if syntax not in NATIVE:
        return
    samples = int(header.Rows) * int(header.Columns) * int(header.get("SamplesPerPixel", 1)) * frames
    claimed = samples * int(header.get("BitsAllocated", 16)) // 8
    if header.get("PhotometricInterpretation") == "YBR_FULL_422":
        claimed = claimed * 2 // 3  # two pixels share their colour
    held = path.stat().st_size * (DEFLATE_RATIO if syntax == DEFLATED else 1)
    if claimed > held:
        raise DataError(
            "SW-D65",
            f"{path.name}: the header claims {claimed} bytes of pixels, the file holds at most {held}",
            fix="copy the file again; if it stays so, its header is wrong",
        )


def _check_inflation(path: Path, syntax: str, max_bytes: int) -> None:
    size = path.stat().st_size
    if syntax == DEFLATED and size * DEFLATE_RATIO > max_bytes:
        raise DataError(
            "SW-D64",
            f"{path.name}: a deflated file of {size} bytes may hold {size * DEFLATE_RATIO}; the limit is {max_bytes}",
            fix="store it uncompressed, or raise max_bytes",
        )


def _misplaced(name: str, problem: str) -> DataError:
    return DataError("SW-D69", f"{name}: {problem}", fix="export the series again with its positions")
