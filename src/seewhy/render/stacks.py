"""Stacks of pictures and volumes as bytes: TIFF, GIF, MP4, NIfTI. The same input gives the same bytes (no clock)."""

from __future__ import annotations

import gzip
import importlib
from fractions import Fraction
from io import BytesIO
from types import ModuleType
from typing import Any

import numpy as np
from jaxtyping import Float, UInt8
from PIL import Image

from seewhy.render.arrays import require_frames
from seewhy.render.errors import RenderError
from seewhy.render.frames import require_fps
from seewhy.values import MissingExtraError

TIFF_PREDICTOR, HORIZONTAL_DIFFERENCES = 317, 2
GIF_TICKS = 100
"""A GIF counts time in hundredths of a second."""
GIF_FASTEST = 50
"""Viewers slow a GIF down whose frames are shown for less than two hundredths of a second."""
BT709, LIMITED_RANGE = 1, 1
"""Codes of ITU-T H.273 for the colour matrix, primaries and transfer, and of FFmpeg for the range 16 to 235."""


def encode_tiff(pages: UInt8[np.ndarray, "n h w 3"]) -> bytes:
    """A multi-page TIFF, RGB, LZW with horizontal differences: without loss, read by ImageJ, ITK-SNAP and Pillow.

    Args:
        pages: ``(N, H, W, 3)`` uint8.

    Raises:
        RenderError: ``SW-R30``, no stack of RGB pictures.

    Example:
        >>> Image.open(BytesIO(encode_tiff(np.zeros((5, 4, 4, 3), np.uint8)))).n_frames
        5
    """
    require_frames(pages)
    stream = BytesIO()
    first, *rest = (Image.fromarray(page) for page in pages)
    tags = {TIFF_PREDICTOR: HORIZONTAL_DIFFERENCES}
    first.save(stream, "TIFF", save_all=True, append_images=rest, compression="tiff_lzw", tiffinfo=tags)
    return stream.getvalue()


def encode_gif(frames: UInt8[np.ndarray, "n h w 3"], fps: float) -> bytes:
    """A GIF that repeats for ever; each frame has the 256 colours that suit it best, without dithering.

    Delays are whole hundredths of a second and rounded so that no error adds up: ``N`` frames take ``N / fps`` seconds.
    Frames equal to the one before are stored as a longer delay.

    Args:
        frames: ``(N, H, W, 3)`` uint8.
        fps: frames per second, at most 50.

    Raises:
        RenderError: ``SW-R30`` no stack of RGB pictures, ``SW-R33`` ``fps`` is not in (0, 50].
    """
    require_frames(frames)
    require_fps(fps, GIF_FASTEST)
    ends = [round((position + 1) * GIF_TICKS / fps) for position in range(len(frames))]
    delays = [10 * (end - start) for start, end in zip([0, *ends], ends, strict=False)]
    first, *rest = (Image.fromarray(frame).quantize(dither=Image.Dither.NONE) for frame in frames)
    stream = BytesIO()
    first.save(stream, "GIF", save_all=True, append_images=rest, duration=delays, loop=0)
    return stream.getvalue()


def encode_mp4(frames: UInt8[np.ndarray, "n h w 3"], fps: float, quality: int = 18) -> bytes:
    """An MP4 film that every browser plays: H.264, yuv420p, BT.709. Needs PyAV (``seewhy[video]``).

    A frame of odd height or width gets one more row or column, a copy of its last one.

    Args:
        frames: ``(N, H, W, 3)`` uint8.
        fps: frames per second.
        quality: constant rate factor from 0 (exact but for the colour resolution) to 51; 18 shows no loss.

    Raises:
        RenderError: ``SW-R30`` no stack of RGB pictures, ``SW-R33`` fps, ``SW-R34`` PyAV has no H.264 encoder.
        MissingExtraError: ``SW-X01``, PyAV is not installed.
    """
    require_frames(frames)
    require_fps(fps)
    av = _optional("av", "video")
    if "libx264" not in av.codecs_available:
        raise RenderError(
            "SW-R34",
            f"PyAV {av.__version__} was built without the H.264 encoder libx264",
            fix="install PyAV's own wheels (pip install --force-reinstall av), or write a GIF or TIFF",
        )
    frames = _even_sides(frames)
    stream = BytesIO()
    with av.open(stream, "w", format="mp4", options={"fflags": "bitexact"}) as film:
        track = film.add_stream("libx264", rate=Fraction(fps).limit_denominator(100_000))
        _describe(track.codec_context, frames.shape[1], frames.shape[2], quality)
        for frame in frames:
            picture = av.VideoFrame.from_ndarray(np.ascontiguousarray(frame), format="rgb24")
            film.mux(track.encode(_in_bt709(picture)))
        film.mux(track.encode())
    return stream.getvalue()


def encode_nifti(values: Float[np.ndarray, "x y z *t"], affine: Float[np.ndarray, "4 4"]) -> bytes:
    """A gzipped NIfTI-1 file of float32 values, unscaled. Needs nibabel (``seewhy[medical]``).

    Args:
        values: ``(x, y, z)`` in the order of the affine's axes, or ``(x, y, z, t)``; NaN stays NaN.
        affine: ``(4, 4)`` from voxel indices to millimetres, as the source volume has it.

    Raises:
        RenderError: ``SW-R35``, not a volume, or the affine cannot be inverted.
        MissingExtraError: ``SW-X01``, nibabel is not installed.
    """
    _require_volume(values)
    _require_affine(affine)
    nibabel = _optional("nibabel", "medical")
    image = nibabel.Nifti1Image(values.astype(np.float32), affine.astype(np.float64))
    image.header.set_xyzt_units("mm", "sec" if values.ndim == 4 else "unknown")
    return gzip.compress(image.to_bytes(), compresslevel=6, mtime=0)


def _describe(codec: Any, height: int, width: int, quality: int) -> None:
    codec.height, codec.width, codec.pix_fmt = height, width, "yuv420p"
    codec.color_primaries = codec.color_trc = codec.colorspace = BT709
    codec.color_range = LIMITED_RANGE
    codec.thread_count = 1  # the number of threads is written into the stream
    codec.options = {"crf": str(quality), "preset": "medium"}


def _in_bt709(frame: Any) -> Any:
    return frame.reformat(format="yuv420p", dst_colorspace=BT709, dst_color_range=LIMITED_RANGE)


def _even_sides(frames: UInt8[np.ndarray, "n h w 3"]) -> UInt8[np.ndarray, "n height width 3"]:
    """yuv420p stores colour for blocks of 2 x 2 pixels."""
    odd = [(0, length % 2) for length in frames.shape[1:3]]
    return np.pad(frames, [(0, 0), *odd, (0, 0)], mode="edge") if any(more for _, more in odd) else frames


def _require_volume(values: Float[np.ndarray, "*size"]) -> None:
    if values.ndim not in (3, 4) or values.size == 0 or values.dtype.kind not in "fiub":
        raise RenderError(
            "SW-R35",
            f"expected a volume (x, y, z) or (x, y, z, t) of real numbers, got {values.shape} and {values.dtype}",
            fix="pass the map of one record at the size of its volume",
        )


def _require_affine(affine: Float[np.ndarray, "*size"]) -> None:
    if affine.shape != (4, 4) or not np.isfinite(affine).all() or not np.linalg.det(affine):
        raise RenderError(
            "SW-R35",
            f"expected an invertible affine (4, 4) of finite numbers, got {affine.tolist()}",
            fix="pass the affine of the source volume; np.eye(4) where there is none",
        )


def _optional(package: str, extra: str) -> ModuleType:
    try:
        return importlib.import_module(package)
    except ModuleNotFoundError as error:
        if error.name != package:
            raise
        raise MissingExtraError(package, extra) from error
