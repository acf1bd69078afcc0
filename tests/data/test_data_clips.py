"""Clips from files written by PyAV and Pillow: which frames are taken, how they are turned, and what is refused."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from PIL import Image

from seewhy.data.clips import Clip, read_clip
from seewhy.data.frame_sampling import Damaged, even_positions, readable_frames
from seewhy.values import MissingExtraError, SeewhyError

HEIGHT, WIDTH = 24, 32


def grays(count: int) -> list[np.ndarray]:
    """Frame ``n`` is gray 10 n, its upper left corner white."""
    frames = [np.full((HEIGHT, WIDTH, 3), 10 * number, np.uint8) for number in range(count)]
    for frame in frames:
        frame[: HEIGHT // 2, : WIDTH // 2] = 255
    return frames


def write_video(
    path: Path,
    frames: Sequence[np.ndarray],
    *,
    codec: str = "ffv1",
    times: Sequence[int] | None = None,
    pixel_format: str = "bgr0",
    aspect: Fraction | None = None,
    **options: str,
) -> Path:
    """``times`` are in tenths of a second."""
    with av.open(str(path), "w", options=options) as container:
        stream = container.add_stream(codec, rate=10)
        stream.height, stream.width = frames[0].shape[:2]
        stream.pix_fmt = pixel_format
        if aspect:
            stream.codec_context.sample_aspect_ratio = aspect
        for number, values in enumerate(frames):
            frame = av.VideoFrame.from_ndarray(values, format="rgb24")
            frame.pts = number if times is None else times[number]
            frame.time_base = Fraction(1, 10)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


def write_sound(path: Path, codec: str = "aac") -> Path:
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=8000, layout="mono")
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), format="fltp", layout="mono")
        frame.sample_rate = 8000
        container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


def refusal(path: Path, frames: int | None = None, **settings: Any) -> SeewhyError:
    with pytest.raises(SeewhyError) as caught:
        read_clip(path, frames, **settings)
    return caught.value


def shades(clip: Clip) -> list[int]:
    """The number of every frame, from the gray of its lower right corner."""
    return [round(int(frame[-1, -1, 0]) / 10) for frame in clip.frames]


def test_a_lossless_video_comes_back_bit_for_bit(tmp_path: Path) -> None:
    frames = list(np.random.default_rng(0).integers(0, 256, (6, HEIGHT, WIDTH, 3), np.uint8))
    clip = read_clip(write_video(tmp_path / "v.mkv", frames))
    assert np.array_equal(clip.frames, np.stack(frames))
    assert (clip.fps, clip.notes) == (10.0, ())


def test_frames_are_the_middles_of_equal_parts(tmp_path: Path) -> None:
    clip = read_clip(write_video(tmp_path / "v.mkv", grays(20)), frames=4)
    assert shades(clip) == [2, 7, 12, 17]
    assert clip.fps == 2.0  # 4 frames of the 2 seconds
    assert clip.notes == ("4 of 20 frames at 10 per second",)


@pytest.mark.parametrize(("count", "wanted"), [(10, 1), (10, 3), (7, 7), (3, 8), (1, 4), (1000, 16)])
def test_even_positions_are_the_middles_in_exact_fractions(count: int, wanted: int) -> None:
    middles = [(Fraction(part) + Fraction(1, 2)) * count / wanted for part in range(wanted)]
    assert even_positions(count, wanted) == [int(middle) for middle in middles]
    assert even_positions(count, None) == list(range(count))


def test_too_few_frames_are_repeated_and_noted(tmp_path: Path) -> None:
    clip = read_clip(write_video(tmp_path / "v.mkv", grays(3)), frames=6)
    assert shades(clip) == [0, 0, 1, 1, 2, 2]
    assert "3 frames for a clip of 6: some are repeated" in clip.notes
    assert clip.fps == 20.0


def test_reordered_frames_come_in_the_order_they_are_shown(tmp_path: Path) -> None:
    clip = read_clip(write_video(tmp_path / "v.mp4", grays(20), codec="libx264", pixel_format="yuv420p", bf="3"))
    assert shades(clip) == list(range(20))


def test_a_variable_frame_rate_is_noted(tmp_path: Path) -> None:
    clip = read_clip(write_video(tmp_path / "v.mkv", grays(5), times=[0, 1, 2, 7, 8]))
    assert shades(clip) == [0, 1, 2, 3, 4]
    assert any(note.startswith("variable frame rate: 0.1 to 0.5 s between frames") for note in clip.notes)


def turned_file(path: Path, matrix: Sequence[int]) -> Path:
    """The MP4 with this 2×2 part of its display matrix (16.16 fixed point) in the track header."""
    content = bytearray(path.read_bytes())
    start = content.index(b"tkhd") + 4 + 40
    for place, value in zip((0, 4, 12, 16), matrix, strict=True):
        content[start + place : start + place + 4] = (value * 65536).to_bytes(4, "big", signed=True)
    path.write_bytes(bytes(content))
    return path


@pytest.mark.parametrize(
    ("matrix", "white"),
    [((1, 0, 0, 1), (0, 0)), ((0, 1, -1, 0), (0, 1)), ((-1, 0, 0, -1), (1, 1)), ((0, -1, 1, 0), (1, 0))],
)
def test_the_display_matrix_turns_frames_upright(tmp_path: Path, matrix: Sequence[int], white: tuple[int, int]) -> None:
    """ISO 14496-12: a point (x, y) is shown at (a x + c y, b x + d y): (0, 1, -1, 0) is a quarter turn clockwise."""
    path = write_video(tmp_path / "v.mp4", grays(3), codec="mpeg4", pixel_format="yuv420p")
    clip = read_clip(turned_file(path, matrix))
    height, width = clip.frames.shape[1:3]
    assert (height, width) == ((HEIGHT, WIDTH) if matrix[0] else (WIDTH, HEIGHT))
    quarters = clip.frames[0, ..., 0].reshape(2, height // 2, 2, width // 2).mean((1, 3))
    assert np.unravel_index(int(quarters.argmax()), (2, 2)) == white
    assert any("turned upright" in note for note in clip.notes) == (matrix != (1, 0, 0, 1))


def test_pixels_that_are_not_square_and_deep_colour_are_noted(tmp_path: Path) -> None:
    path = write_video(tmp_path / "v.mp4", grays(2), codec="libx264", pixel_format="yuv420p10le", aspect=Fraction(4, 3))
    notes = read_clip(path).notes
    assert "pixels are not square (4:3); kept as stored" in notes
    assert "10-bit video reduced to 8 bits" in notes


def test_a_cut_video_says_how_much_could_be_read(tmp_path: Path) -> None:
    frames = list(np.random.default_rng(0).integers(0, 256, (20, HEIGHT, WIDTH, 3), np.uint8))
    path = write_video(tmp_path / "v.avi", frames)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    clip = read_clip(path, frames=3)
    whole = np.stack(frames)
    found = [int(np.abs(whole - frame.astype(int)).sum((1, 2, 3)).argmin()) for frame in clip.frames]
    readable = len(read_clip(path).frames)
    assert 5 <= readable <= 12
    assert found == even_positions(readable, 3)
    assert np.array_equal(clip.frames, whole[found])
    assert any(note.startswith(f"cut short: the header promises 20 frames, {readable}") for note in clip.notes)


def test_a_damaged_frame_ends_the_clip_there(tmp_path: Path) -> None:
    path = write_video(tmp_path / "v.mov", grays(10), codec="png", pixel_format="rgb24")
    content = path.read_bytes()
    places = [place for place in range(len(content)) if content.startswith(b"\x89PNG", place)]
    path.write_bytes(content[: places[6]] + bytes(8) + content[places[6] + 8 :])
    clip = read_clip(path)
    assert shades(clip) == [0, 1, 2, 3, 4, 5]
    assert any(note.startswith("6 of 10 frames could be read") for note in clip.notes)
    assert shades(read_clip(path, frames=2)) == [1, 4]


def test_a_video_without_a_readable_frame_is_refused(tmp_path: Path) -> None:
    path = write_video(tmp_path / "v.mov", grays(3), codec="png", pixel_format="rgb24")
    path.write_bytes(path.read_bytes().replace(b"\x89PNG", bytes(4)))
    assert refusal(path).code == "SW-D79"


def test_damage_is_met_again_until_every_wanted_frame_is_sound() -> None:
    """Frames 3, 4 and 7 of 9 are broken, and a reader that seeks sees only those it is asked for."""
    broken = {3, 4, 7}

    def decode(positions: Sequence[int]) -> dict[int, np.ndarray] | Damaged:
        first = next((position for position in positions if position in broken), None)
        return {p: np.full((1, 1, 3), p, np.uint8) for p in positions} if first is None else Damaged(first, "broken")

    frames, readable, notes = readable_frames(9, 3, decode)
    assert (frames[:, 0, 0, 0].tolist(), readable) == ([0, 1, 2], 3)
    assert notes == ["3 of 9 frames could be read (broken)"]


def test_audio_alone_is_refused(tmp_path: Path) -> None:
    error = refusal(write_sound(tmp_path / "a.mp4"))
    assert (error.code, "only audio" in error.message) == ("SW-D76", True)


def test_limits_hold_before_anything_is_decoded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write_video(tmp_path / "v.mkv", grays(20))

    def decoded(*_: object) -> None:
        raise AssertionError("a frame was decoded")

    monkeypatch.setattr("seewhy.data.video._decoded", decoded)
    assert refusal(path, max_frames=19).code == "SW-D77"
    assert refusal(path, frames=4, max_bytes=4 * HEIGHT * WIDTH * 3 - 1).code == "SW-D77"
    assert refusal(path, frames=10**9).code == "SW-D77"
    monkeypatch.setattr("seewhy.data.video.MAX_PIXELS", HEIGHT * WIDTH - 1)
    assert refusal(path, frames=1).code == "SW-D77"


def test_ten_hours_are_refused_by_the_header_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write_video(tmp_path / "v.mkv", grays(2), times=[0, 360_000])

    def counted(*_: object) -> None:
        raise AssertionError("packets were read")

    monkeypatch.setattr("seewhy.data.video._packets", counted)
    assert refusal(path, frames=2).code == "SW-D77"


def test_a_playlist_opens_no_other_file(tmp_path: Path) -> None:
    write_video(tmp_path / "secret.mkv", grays(3))
    playlist = tmp_path / "list.mp4"
    playlist.write_text("ffconcat version 1.0\nfile secret.mkv\n")
    with av.open(str(playlist)) as followed:
        assert len(list(followed.decode(video=0))) == 3  # FFmpeg itself would follow it
    assert refusal(playlist).code == "SW-D79"


@pytest.mark.parametrize("content", [b"", b"not a video", bytes(5000)], ids=["empty", "text", "zeros"])
def test_what_is_no_video_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "v.mp4").write_bytes(content)
    assert refusal(tmp_path / "v.mp4").code == "SW-D79"


def test_frames_that_change_size_are_refused(tmp_path: Path) -> None:
    small = write_video(tmp_path / "small.m2v", grays(3), codec="mpeg2video", pixel_format="yuv420p")
    large = [np.zeros((HEIGHT * 2, WIDTH * 2, 3), np.uint8)] * 3
    other = write_video(tmp_path / "large.m2v", large, codec="mpeg2video", pixel_format="yuv420p")
    path = tmp_path / "both.m2v"
    path.write_bytes(small.read_bytes() + other.read_bytes())
    assert refusal(path).code == "SW-D78"


def write_pictures(path: Path, frames: Sequence[np.ndarray], **settings: Any) -> Path:
    first, *others = [Image.fromarray(frame) for frame in frames]
    first.save(path, save_all=True, append_images=others, **settings)
    return path


@pytest.mark.parametrize("suffix", [".gif", ".png", ".webp"])
def test_animated_pictures_are_clips(tmp_path: Path, suffix: str) -> None:
    settings = {"lossless": True} if suffix == ".webp" else {}
    path = write_pictures(tmp_path / f"v{suffix}", grays(8), duration=100, **settings)
    clip = read_clip(path, frames=4)
    assert shades(clip) == [1, 3, 5, 7]
    assert clip.fps == pytest.approx(5.0)
    assert np.array_equal(clip.frames[0], grays(2)[1])


def test_uneven_durations_of_a_gif_are_noted(tmp_path: Path) -> None:
    clip = read_clip(write_pictures(tmp_path / "v.gif", grays(3), duration=[100, 100, 400]))
    assert clip.fps == pytest.approx(5.0)
    assert any(note.startswith("variable frame rate: 0.1 to 0.4 s") for note in clip.notes)


def test_a_tiff_stack_is_a_clip_without_times(tmp_path: Path) -> None:
    values = [np.full((HEIGHT, WIDTH), 257 * 10 * number, np.uint16) for number in range(4)]
    clip = read_clip(write_pictures(tmp_path / "v.tif", values))
    assert (shades(clip), clip.fps) == ([0, 1, 2, 3], None)
    assert "reduced to 8 bits" in clip.notes


def test_a_cut_gif_says_how_much_could_be_read(tmp_path: Path) -> None:
    frames = list(np.random.default_rng(0).integers(0, 256, (6, HEIGHT, WIDTH), np.uint8))
    path = write_pictures(tmp_path / "v.gif", frames, duration=100)
    path.write_bytes(path.read_bytes()[: path.stat().st_size * 3 // 4])
    clip = read_clip(path)
    assert 3 <= len(clip.frames) <= 5
    assert all(np.array_equal(clip.frames[n, ..., 0], frames[n]) for n in range(len(clip.frames)))
    assert any(f"{len(clip.frames)} of " in note for note in clip.notes)


def test_one_picture_is_no_clip(tmp_path: Path) -> None:
    error = refusal(write_pictures(tmp_path / "v.png", grays(1)))
    assert (error.code, error.fix) == ("SW-D79", "explain it as an image")


def test_pictures_of_several_sizes_are_refused(tmp_path: Path) -> None:
    frames = [np.zeros((10, 20), np.uint8), np.zeros((20, 10), np.uint8)]
    assert refusal(write_pictures(tmp_path / "v.tif", frames)).code == "SW-D78"


def test_limits_of_pictures_hold_too(tmp_path: Path) -> None:
    path = write_pictures(tmp_path / "v.gif", grays(8), duration=100)
    assert refusal(path, max_frames=7).code == "SW-D77"
    assert refusal(path, max_bytes=8 * HEIGHT * WIDTH * 3 - 1).code == "SW-D77"


@pytest.mark.parametrize("frames", [0, -1, 2.0, True, "8"])
def test_counts_that_are_none_are_refused(tmp_path: Path, frames: Any) -> None:
    assert refusal(tmp_path / "v.mp4", frames).code == "SW-F102"


def test_other_wrong_requests_are_refused(tmp_path: Path) -> None:
    assert refusal(tmp_path / "v.mp4", max_frames=0).code == "SW-F101"
    assert refusal(tmp_path / "v.mp4").code == "SW-D05"
    assert refusal(tmp_path).code == "SW-D05"


def test_the_revision_is_that_of_the_bytes(tmp_path: Path) -> None:
    first, other = (write_video(tmp_path / f"{count}.mkv", grays(count)) for count in (2, 3))
    (tmp_path / "same").write_bytes(first.read_bytes())
    assert read_clip(first).revision == read_clip(tmp_path / "same").revision != read_clip(other).revision


def test_without_pyav_the_extra_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write_video(tmp_path / "v.mkv", grays(2))
    monkeypatch.setitem(sys.modules, "av", None)
    with pytest.raises(MissingExtraError) as caught:
        read_clip(path)
    assert caught.value.fix == "pip install 'seewhy[video]'"
