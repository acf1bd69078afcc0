"""Folders of frames are clips: which folders, in which order, and what is refused."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from seewhy.data.clip_folder import ClipFolder
from seewhy.data.clips import Clip, read_clip
from seewhy.values import DataError

HEIGHT, WIDTH = 24, 32


def write_frames(folder: Path, shades: Sequence[int], suffix: str = ".png", names: Sequence[str] = ()) -> Path:
    """One gray frame per shade, 10 times as bright, called 1, 2 ... or by ``names``."""
    folder.mkdir(parents=True, exist_ok=True)
    for number, shade in enumerate(shades):
        name = names[number] if names else f"{number + 1}{suffix}"
        Image.fromarray(np.full((HEIGHT, WIDTH, 3), 10 * shade, np.uint8)).save(folder / name, quality=95)
    return folder


def write_gif(path: Path, count: int = 3) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    first, *others = [Image.new("L", (WIDTH, HEIGHT), 10 * shade) for shade in range(count)]
    first.save(path, save_all=True, append_images=others, duration=100)
    return path


def shades(clip: Clip) -> list[int]:
    return [round(int(frame[0, 0, 0]) / 10) for frame in clip.frames]


def ids(root: Path, **settings: object) -> list[str]:
    return [ref.record_id for ref in ClipFolder(root, **settings).index()]  # type: ignore[arg-type]


def refusal(root: Path, frames: int | None = None) -> DataError:
    with pytest.raises(DataError) as caught:
        read_clip(root, frames)
    return caught.value


def test_frames_follow_by_the_numbers_in_their_names(tmp_path: Path) -> None:
    folder = write_frames(tmp_path / "clip", range(12))  # by letters, 10.png would come before 2.png
    assert shades(read_clip(folder)) == list(range(12))
    names = ["shot2_frame1.png", "shot10_frame1.png", "shot2_frame10.png", "shot2_frame9.png"]
    folder = write_frames(tmp_path / "shots", [0, 3, 2, 1], names=names)
    assert shades(read_clip(folder)) == [0, 1, 2, 3]


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".JPEG"])
def test_even_frames_are_taken_as_from_a_film(tmp_path: Path, suffix: str) -> None:
    clip = read_clip(write_frames(tmp_path / "clip", range(20), suffix), frames=4)
    assert shades(clip) == [2, 7, 12, 17]
    assert (clip.fps, clip.readable) == (None, 20)
    assert "3 frames for a clip of 6: some are repeated" in read_clip(write_frames(tmp_path / "few", range(3)), 6).notes


def test_pixels_come_back_bit_for_bit(tmp_path: Path) -> None:
    frames = np.random.default_rng(0).integers(0, 256, (3, HEIGHT, WIDTH, 3), np.uint8)
    folder = write_frames(tmp_path / "clip", range(3))
    for number, frame in enumerate(frames):
        Image.fromarray(frame).save(folder / f"{number + 1}.png")
    assert np.array_equal(read_clip(folder).frames, frames)


LAYOUTS = {
    "split/class/clip": ("train/take/a", "test/put/b.1", ["test/put/b.1", "train/take/a"], ["put", "take"]),
    "class/clip": ("take/a", "put/b", ["put/b", "take/a"], ["put", "take"]),
    "clip": ("a", "b", ["a", "b"], None),
}


@pytest.mark.parametrize("layout", LAYOUTS.values(), ids=LAYOUTS)
def test_all_layouts(tmp_path: Path, layout: tuple[str, str, list[str], list[str] | None]) -> None:
    first, second, expected, classes = layout
    write_frames(tmp_path / first, range(3))
    write_frames(tmp_path / second, range(3), ".jpg")
    data = ClipFolder(tmp_path, frames=2, size=8)
    assert [ref.record_id for ref in data.index()] == expected
    assert data.class_names == classes
    assert tuple(data.read(0).inputs["video"].shape) == (3, 2, 8, 8)


def test_a_manifest_names_folders(tmp_path: Path) -> None:
    write_frames(tmp_path / "deep/a", range(4))
    write_gif(tmp_path / "b.gif")
    (tmp_path / "list.csv").write_text("id,path,label,split\nx,deep/a,take,train\ny,b.gif,put,val\n")
    data = ClipFolder(manifest=tmp_path / "list.csv", frames=4, size=8, mean=[0.0] * 3, std=[1.0] * 3)
    record = data.read(0)
    assert (record.record_id, record.split, record.label) == ("x", "train", 1)
    assert record.inputs["video"][0, :, 0, 0].tolist() == pytest.approx([0, 10 / 255, 20 / 255, 30 / 255])


def test_films_and_folders_side_by_side(tmp_path: Path) -> None:
    write_frames(tmp_path / "take/a", range(3))
    write_gif(tmp_path / "take/b.gif")
    assert ids(tmp_path) == ["take/a", "take/b"]


def test_animated_pngs_are_films_and_a_preview_is_none(tmp_path: Path) -> None:
    (tmp_path / "take").mkdir()
    first, *others = [Image.new("L", (WIDTH, HEIGHT), 10 * shade) for shade in range(3)]
    first.save(tmp_path / "take/a.png", save_all=True, append_images=others)
    write_gif(tmp_path / "put/b.gif")
    write_frames(tmp_path / "put", [1], names=["preview.jpg"])  # beside a film
    write_gif(tmp_path / "give/more/c.gif")
    write_frames(tmp_path / "give", [1], names=["preview.jpg"])  # alone, above a clip
    assert ids(tmp_path) == ["give/more/c", "put/b", "take/a"]


def test_other_files_and_hidden_frames_are_left_out(tmp_path: Path) -> None:
    folder = write_frames(tmp_path / "a", range(3))
    (folder / "times.csv").write_text("0,1\n")
    (folder / ".4.png").write_bytes(b"")
    assert ids(tmp_path) == ["a"]
    assert shades(read_clip(folder)) == [0, 1, 2]


def test_clips_below_frames_are_refused(tmp_path: Path) -> None:
    write_frames(tmp_path / "a", range(3))
    write_frames(tmp_path / "a/masks", range(3))
    with pytest.raises(DataError, match=r"SW-D110.*the folder a holds frames, and below it is another clip, a/masks"):
        ClipFolder(tmp_path)


@pytest.mark.parametrize("suffix", [".png", ".jpg"])
def test_frames_in_the_root_are_refused(tmp_path: Path, suffix: str) -> None:
    write_frames(tmp_path, range(3), suffix)
    with pytest.raises(DataError, match="SW-D111"):
        ClipFolder(tmp_path)
    write_frames(tmp_path / "clip", range(3), suffix)
    if suffix == ".jpg":  # with clips below, loose pictures are nobody's frames
        assert ids(tmp_path) == ["clip"]


def test_frames_beside_masks_are_refused(tmp_path: Path) -> None:
    folder = write_frames(tmp_path / "a", range(3), ".jpg")
    write_frames(folder, range(3), ".png")
    assert refusal(folder).code == "SW-D112"


def test_a_damaged_frame_ends_the_film_and_is_named(tmp_path: Path) -> None:
    folder = write_frames(tmp_path / "a", range(10))
    (folder / "8.png").write_bytes((folder / "8.png").read_bytes()[:60])
    clip = read_clip(folder)
    assert (shades(clip), clip.readable) == (list(range(7)), 7)
    assert any(note.startswith("7 of 10 frames could be read (8.png: ") for note in clip.notes)
    assert shades(read_clip(folder, 2)) == [1, 5]  # of 10 frames it were 2 and 7, and 7 is damaged
    (folder / "1.png").write_bytes(b"")
    assert refusal(folder).code == "SW-D06"


def test_frames_of_other_sizes_and_lonely_ones_are_refused(tmp_path: Path) -> None:
    folder = write_frames(tmp_path / "a", range(3))
    Image.new("RGB", (HEIGHT, WIDTH)).save(folder / "2.png")
    assert (refusal(folder).code, "2.png is 24 × 32" in refusal(folder).message) == ("SW-D78", True)
    assert refusal(write_frames(tmp_path / "b", [1])).code == "SW-D79"
    (tmp_path / "c").mkdir()
    assert refusal(tmp_path / "c").code == "SW-D05"


def test_limits_hold_before_anything_is_decoded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = write_frames(tmp_path / "a", range(5))

    def decoded(*_: object, **__: object) -> None:
        raise AssertionError("a frame was decoded")

    monkeypatch.setattr("seewhy.data.frame_folder.decode", decoded)
    for settings in ({"max_frames": 4}, {"max_bytes": 5 * HEIGHT * WIDTH * 3 - 1}):
        with pytest.raises(DataError, match="SW-D77"):
            read_clip(folder, **settings)


def test_frames_are_turned_upright(tmp_path: Path) -> None:
    folder = tmp_path / "a"
    folder.mkdir()
    picture = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    picture[:, : WIDTH // 2] = 200  # bright on the left; turned clockwise, bright at the top
    exif = Image.Exif()
    exif[0x0112] = 6
    for number in (1, 2):
        Image.fromarray(picture).save(folder / f"{number}.jpg", exif=exif, quality=95)
    frames = read_clip(folder).frames
    assert frames.shape == (2, WIDTH, HEIGHT, 3)
    assert (frames[:, 2].min() > 150, frames[:, -3].max() < 50) == (True, True)


def test_the_revision_is_that_of_the_frames_in_their_order(tmp_path: Path) -> None:
    first = write_frames(tmp_path / "x/a", [1, 2])
    write_frames(tmp_path / "x/b", [1, 2], names=["f01.png", "f02.png"])
    write_frames(tmp_path / "x/c", [2, 1])
    data = ClipFolder(tmp_path, frames=2, size=8)
    assert data.revision(0) == data.revision(1) == read_clip(first).revision == data.read(0).revision
    assert data.revision(2) != data.revision(0)
