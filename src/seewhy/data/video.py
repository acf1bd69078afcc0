"""Frames of an untrusted video file through PyAV: counted and measured before any is decoded."""

from __future__ import annotations

import importlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from seewhy.data.decoding import MAX_PIXELS
from seewhy.data.frame_sampling import (
    Damaged,
    Film,
    Frames,
    Limits,
    check_amount,
    readable_frames,
    uneven_note,
)
from seewhy.values import DataError, MissingExtraError

# single-file containers alone: a playlist would make FFmpeg open other files and addresses
CONTAINERS: Final = (
    "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,avi,mpeg,mpegts,mpegvideo,m4v,h264,hevc,flv,asf,ogg,ivf,nut,mxf,"
    "wav,mp3,flac,aac"
)
OPTIONS: Final = {"protocol_whitelist": "file", "format_whitelist": CONTAINERS}


@dataclass(frozen=True)
class _Layout:
    """What the packets of a video say before any is decoded: ``times`` are seconds of shown frames, sorted."""

    count: int
    times: tuple[float, ...]
    size: tuple[int, int]
    rate: float | None
    notes: tuple[str, ...]


def read_video(path: Path, wanted: int | None, limits: Limits) -> Film:
    """Even frames of the first video stream, turned as the file's display matrix says.

    Raises ``DataError``: SW-D76 no video in it, SW-D77 above the limits, SW-D78 frames that change size, SW-D79
    nothing that can be decoded. ``MissingExtraError`` without PyAV.
    """
    av = _av()
    layout = _layout(av, path, wanted, limits)
    turns: list[int] = []
    frames, readable, notes = readable_frames(
        layout.count, wanted, lambda positions: _decoded(av, path, positions, layout.size, turns)
    )
    if not readable:
        raise _unreadable(path, "; ".join(notes) or "it holds no frames")
    turned, told = _upright(frames, turns[-1])
    return Film(turned, readable, layout.rate, (*layout.notes, *notes, *told))


def video_times(path: Path, limits: Limits) -> tuple[int, tuple[int, int], tuple[float, ...], float | None]:
    """How many frames, their ``(height, width)`` upright, the seconds at which they appear and their rate.

    The first frame alone is decoded, as only it tells how the file is turned. Raises what :func:`read_video` raises.
    """
    av = _av()
    layout = _layout(av, path, 1, limits)
    turns: list[int] = []
    stopped = _decoded(av, path, [0], layout.size, turns)
    if isinstance(stopped, Damaged):
        raise _unreadable(path, stopped.reason)
    size = layout.size[::-1] if turns[-1] % 180 == 90 else layout.size
    return layout.count, size, layout.times, layout.rate


def _layout(av: Any, path: Path, wanted: int | None, limits: Limits) -> _Layout:
    with _opened(av, path) as container:
        stream = _video_stream(path, container)
        size = (int(stream.codec_context.height), int(stream.codec_context.width))
        if min(size) < 1:
            raise _unreadable(path, "it tells no frame size")
        _check_frame_size(path, size)
        rate = float(stream.average_rate) if stream.average_rate else None
        promised = int(stream.frames)
        check_amount(path.name, promised or _by_duration(container, rate), wanted, size, limits)
        count, times, stopped = _packets(container, stream, limits)
        notes = [*_stream_notes(stream), *stopped]
    check_amount(path.name, count, wanted, size, limits)
    if promised > count:
        notes.append(f"cut short: the header promises {promised} frames, {count} are there")
    return _Layout(count, times, size, rate, (*notes, *uneven_note(np.diff(times).tolist())))


def _packets(container: Any, stream: Any, limits: Limits) -> tuple[int, tuple[float, ...], list[str]]:
    """How many packets the stream holds, without decoding them, and their times; counting ends above the limit."""
    times: list[float] = []
    count = 0
    try:
        for packet in container.demux(stream):
            if packet.size and not packet.is_discard:
                count += 1
                times += [] if packet.pts is None else [float(packet.pts * packet.time_base)]
            if count > limits.max_frames:
                break
    except _av().FFmpegError as error:  # a cut file: what came before it counts
        return count, tuple(sorted(times)), [f"reading stopped after {count} frames ({error.strerror})"]
    return count, tuple(sorted(times)), []


def _decoded(
    av: Any, path: Path, positions: Sequence[int], size: tuple[int, int], turns: list[int]
) -> Frames | Damaged:
    """The frames at increasing ``positions``, or where decoding stopped; the angle of the display matrix is added."""
    found: Frames = {}
    number, reason = 0, "the stream ends"
    with _opened(av, path) as container:
        try:
            for frame in container.decode(_video_stream(path, container)):
                if frame.is_corrupt:
                    reason = "frames arrive corrupt"
                    break
                if (frame.height, frame.width) != size:
                    raise _changed_size(path, number, size, frame)
                if number == positions[len(found)]:
                    found[number] = frame.to_ndarray(format="rgb24")
                    turns.append(int(frame.rotation))
                number += 1
                if len(found) == len(positions):
                    return found
        except av.FFmpegError as error:
            reason = str(error.strerror)
    return Damaged(number, reason)


def _upright(frames: NDArray[np.uint8], degrees: int) -> tuple[NDArray[np.uint8], list[str]]:
    if not degrees:
        return frames, []
    if degrees % 90:
        return frames, [f"the file asks to be turned by {degrees}°: left as it is"]
    turned = np.ascontiguousarray(np.rot90(frames, degrees // 90, axes=(1, 2)))
    return turned, [f"turned upright by {degrees}° counterclockwise, as the file says"]


def _stream_notes(stream: Any) -> list[str]:
    notes = []
    aspect = stream.sample_aspect_ratio
    if aspect and aspect != 1:
        notes.append(f"pixels are not square ({aspect.numerator}:{aspect.denominator}); kept as stored")
    pixel_format = stream.codec_context.format
    bits = max((part.bits for part in pixel_format.components), default=8) if pixel_format else 8
    if bits > 8:
        notes.append(f"{bits}-bit video reduced to 8 bits")
    return notes


def _by_duration(container: Any, rate: float | None) -> int:
    """How many frames a container must hold that does not say so: 0 where it tells no duration."""
    seconds = (container.duration or 0) / 1_000_000
    return int(seconds * rate) if rate else 0


def _video_stream(path: Path, container: Any) -> Any:
    cover = _av().stream.Disposition.attached_pic
    streams = [stream for stream in container.streams.video if not stream.disposition & cover]
    if not streams:
        kinds = sorted({stream.type for stream in container.streams}) or ["nothing"]
        raise DataError(
            "SW-D76",
            f"{path.name}: no video in it, only {', '.join(kinds)}",
            fix="name a file with a video stream (a cover picture is none)",
        )
    if streams[0].codec_context is None:
        raise _unreadable(path, "there is no decoder for its codec")
    return streams[0]


@contextmanager
def _opened(av: Any, path: Path) -> Iterator[Any]:
    try:
        container = av.open(str(path.resolve()), options=OPTIONS)
    except (av.FFmpegError, UnicodeDecodeError) as error:
        raise _unreadable(path, "it cannot be opened as a video file") from error
    with container:
        yield container


def _av() -> Any:
    try:
        return importlib.import_module("av")
    except ImportError as error:
        raise MissingExtraError("av", "video") from error


def _check_frame_size(path: Path, size: tuple[int, int]) -> None:
    if size[0] * size[1] > MAX_PIXELS:
        raise DataError(
            "SW-D77",
            f"{path.name}: frames of {size[1]} × {size[0]} pixels; the limit is {MAX_PIXELS} pixels a frame",
            fix="make a smaller copy",
        )


def _changed_size(path: Path, number: int, size: tuple[int, int], frame: Any) -> DataError:
    return DataError(
        "SW-D78",
        f"{path.name}: frame {number} is {frame.width} × {frame.height} pixels, the stream {size[1]} × {size[0]}",
        fix="encode the video anew with one frame size",
    )


def _unreadable(path: Path, problem: str) -> DataError:
    return DataError(
        "SW-D79",
        f"{path.name}: no frame can be read; {problem}",
        fix="copy the file again, or convert it to MP4, MKV, WebM, AVI or GIF",
    )
