"""Points in films: which frame each belongs to, where it lands on the input, and what cannot be shown."""

from __future__ import annotations

import pickle
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from seewhy.data.clip_folder import ClipFolder
from seewhy.data.film_times import FilmTimes, film_times
from seewhy.data.frame_sampling import Limits
from seewhy.data.gaze import Gaze, gaze_of
from seewhy.data.gaze_table import Points, read_gaze_table
from seewhy.values import DataError, Geometry

HEIGHT, WIDTH = 24, 32
SPOT = (20, 8)  # x, y: a white square of 4 × 4 pixels stands around it
LIMITS = Limits(1000, 10**9)


def write_film(path: Path, count: int = 20, times: Sequence[int] | None = None, turned: int = 0) -> Path:
    """Ten frames a second (``times`` in tenths), dark but for a white square around the spot."""
    path.parent.mkdir(parents=True, exist_ok=True)
    picture = np.full((HEIGHT, WIDTH, 3), 20, np.uint8)
    picture[SPOT[1] - 2 : SPOT[1] + 2, SPOT[0] - 2 : SPOT[0] + 2] = 255
    codec, pixel_format = ("ffv1", "bgr0") if path.suffix == ".mkv" else ("libx264", "yuv420p")
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=10)
        stream.height, stream.width, stream.pix_fmt = HEIGHT, WIDTH, pixel_format
        if turned:
            stream.set_display_rotation(turned)
        for number in range(count):
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
            frame.pts, frame.time_base = number if times is None else times[number], Fraction(1, 10)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


def write_table(path: Path, *lines: str) -> Path:
    path.write_text("\n".join(lines) + "\n")
    return path


def clips(root: Path, *lines: str, frames: int = 4, size: Any = 12, crop: str = "none", **settings: Any) -> ClipFolder:
    table = write_table(root / "points.csv", *lines)
    return ClipFolder(root, frames=frames, size=size, crop=crop, annotations=table, **settings)


def listed(gaze: Sequence[np.ndarray]) -> list[list[list[float]]]:
    return [points.tolist() for points in gaze]


# -- which points a frame gets

TIMES = FilmTimes(20, (10, 10), np.arange(21) / 10)
SAMPLED = [2, 7, 12, 17]
PLANE = Geometry.identity((10, 10))


def moments_of(moments: Sequence[float], positions: Sequence[int] = SAMPLED, **settings: Any) -> list[list[float]]:
    """The moments that each frame gets; a point's x tells its number."""
    points = Points(np.array(moments, float), np.stack([np.arange(len(moments)), np.zeros(len(moments))], axis=1))
    gaze = gaze_of(points, TIMES, positions, PLANE, **settings)
    return [[moments[int(x)] for x in of_frame[:, 0]] for of_frame in gaze.frames]


def test_each_frame_gets_the_one_point_nearest_in_time() -> None:
    assert moments_of([0, 3, 6, 8, 12, 14]) == [[3], [6], [12], []]  # 6 and 8 are as near to 7: the earlier


def test_dense_gaze_gives_every_point_of_the_time_a_frame_stands_for() -> None:
    # 4.5 lies half way between frames 2 and 7, so frame 4 belongs to 2 and frame 5 to 7
    assert moments_of([0, 4, 5, 9, 10, 19], dense=True) == [[0, 4], [5, 9], [10], [19]]
    assert moments_of([3, 4, 5], positions=[2, 6], dense=True) == [[3, 4], [5]]  # 4 is as near to both


def test_seconds_are_measured_from_the_middle_of_the_time_a_frame_is_shown() -> None:
    # frames 2 and 7 are shown from 0.2 and 0.7 s for 0.1 s: the middle between them is 0.5 s, not 0.45 s
    assert moments_of([0.21, 0.26, 0.49, 0.51], in_seconds=True) == [[0.26], [0.51], [], []]
    assert moments_of([0.21, 0.26, 0.49, 0.51], in_seconds=True, dense=True)[:2] == [[0.21, 0.26, 0.49], [0.51]]


def test_a_repeated_frame_gets_the_same_points_again() -> None:
    assert moments_of([0, 1], positions=[0, 0, 1, 1]) == [[0], [0], [1], [1]]


def test_points_before_or_after_the_film_are_counted_not_used() -> None:
    for in_seconds, moments in ((False, [-1, 0, 19, 20]), (True, [-0.1, 0.0, 2.0, 2.1])):
        points = Points(np.array(moments, float), np.zeros((4, 2)))
        gaze = gaze_of(points, TIMES, SAMPLED, PLANE, in_seconds=in_seconds, dense=True)
        assert ([len(frame) for frame in gaze.frames], gaze.off_film) == ([1, 0, 0, 1], 2)


def test_points_outside_are_counted_by_where_they_are_lost() -> None:
    plane = Geometry((10, 10), (4, 4), (1.0, 1.0), (3.0, 3.0))  # the middle 4 × 4 pixels
    places = np.array([[5.0, 6.0], [2.0, 5.0], [-1.0, 5.0], [5.0, 11.0], [7.0, 7.0]])
    gaze = gaze_of(Points(np.zeros(5), places, missing=2), TIMES, [0], plane, dense=True)
    assert listed(gaze.frames) == [[[2.0, 3.0], [4.0, 4.0]]]
    assert gaze.notes() == ["gaze: 2 points on 1 of 1 frames; 2 outside the frame, 1 cropped away, 2 without a place"]
    assert Gaze((np.zeros((1, 2)), np.zeros((0, 2)))).notes() == ["gaze: 1 points on 1 of 2 frames"]


def test_a_point_that_is_lost_is_not_replaced_by_the_next() -> None:
    points = Points(np.array([2.0, 3.0]), np.array([[-5.0, 5.0], [5.0, 5.0]]))
    gaze = gaze_of(points, TIMES, SAMPLED, PLANE)
    assert ([len(frame) for frame in gaze.frames], gaze.off_frame) == ([0, 0, 0, 0], 1)


# -- where they land

SETTINGS: dict[str, dict[str, Any]] = {
    "stretched": {"size": [12, 64], "crop": "none"},
    "cropped": {"size": 18, "crop": "center"},
    "fractions": {"size": 18, "crop": "center", "coordinates": "fraction"},
}


@pytest.mark.parametrize("settings", SETTINGS.values(), ids=SETTINGS)
def test_a_point_on_a_bright_spot_lands_on_it(tmp_path: Path, settings: dict[str, Any]) -> None:
    write_film(tmp_path / "a.mkv")
    x, y = (SPOT[0] / WIDTH, SPOT[1] / HEIGHT) if "coordinates" in settings else SPOT
    data = clips(tmp_path, "record_id,frame,x,y", f"a,2,{x},{y}", mean=[0.0] * 3, std=[1.0] * 3, **settings)
    ((point,), *others) = data.gaze(0)
    bright = data.read(0).inputs["video"][0, 0]
    weights = (bright - bright.min()).double()
    rows, columns = np.arange(bright.shape[0]) + 0.5, np.arange(bright.shape[1]) + 0.5
    centre = [(weights.sum(0).numpy() * columns).sum(), (weights.sum(1).numpy() * rows).sum()] / weights.sum().numpy()
    assert point == pytest.approx(centre, abs=0.05)
    assert [len(points) for points in others] == [0, 0, 0]


def test_the_place_is_what_the_settings_say(tmp_path: Path) -> None:
    write_film(tmp_path / "a.mkv")
    data = clips(tmp_path, "record_id,frame,x,y", "a,7,20,8", size=[12, 64])
    assert listed(data.gaze(0)) == [[], [[40.0, 4.0]], [], []]  # twice as wide, half as high
    # 24 × 32 to 20 / 1.0 rows: the resized frame is 20 × 26, of whose columns 3 are cut on the left
    cropped = clips(tmp_path, "record_id,frame,x,y", "a,7,20,8", size=20, crop="center", crop_ratio=1.0)
    assert cropped.gaze(0)[1][0] == pytest.approx([20 * 26 / 32 - 3, 8 * 20 / 24])


@pytest.mark.parametrize("degrees", [90, 180, -90])
def test_points_are_those_of_the_frame_as_it_is_shown(tmp_path: Path, degrees: int) -> None:
    path = write_film(tmp_path / "a.mp4", turned=degrees)
    shape = (HEIGHT, WIDTH) if degrees == 180 else (WIDTH, HEIGHT)
    assert film_times(path, LIMITS).size == shape
    data = clips(tmp_path, "record_id,frame,x,y", f"a,0,{shape[1]},{shape[0]}", size=[10, 20])
    assert listed(data.gaze(0))[0] == [[20.0, 10.0]]


# -- what films say of time


def test_times_of_films_come_from_their_packets(tmp_path: Path) -> None:
    times = film_times(write_film(tmp_path / "a.mkv", 4, times=[3, 4, 5, 9]), LIMITS)
    assert times.count == 4
    assert times.edges == pytest.approx([0, 0.1, 0.2, 0.6, 0.7])
    frames = [Image.new("L", (WIDTH, HEIGHT), 40 * shade) for shade in range(3)]
    frames[0].save(tmp_path / "b.gif", save_all=True, append_images=frames[1:], duration=[100, 300, 200])
    assert film_times(tmp_path / "b.gif", LIMITS).edges == pytest.approx([0, 0.1, 0.4, 0.6])
    frames[0].save(tmp_path / "c.tif", save_all=True, append_images=frames[1:])
    untold = film_times(tmp_path / "c.tif", LIMITS)
    assert (untold.count, untold.size, untold.edges) == (3, (HEIGHT, WIDTH), None)
    assert untold.at(4.0).edges == pytest.approx([0, 0.25, 0.5, 0.75])


def write_folder(root: Path, count: int = 20) -> None:
    root.mkdir()
    for number in range(count):
        Image.new("RGB", (WIDTH, HEIGHT), (number, 0, 0)).save(root / f"{number:03d}.png")


def test_folders_tell_no_times_unless_fps_is_said(tmp_path: Path) -> None:
    write_folder(tmp_path / "a")
    lines = ("record_id,time,x,y", "a,0.74,16,12")
    with pytest.raises(DataError, match="SW-D118"):
        clips(tmp_path, *lines)
    assert listed(clips(tmp_path, *lines, fps=10).gaze(0)) == [[], [[6.0, 6.0]], [], []]
    assert listed(clips(tmp_path, *lines, fps=4).gaze(0)) == [[[6.0, 6.0]], [], [], []]
    with pytest.raises(DataError, match=r"SW-D01.*fps"):
        clips(tmp_path, *lines, fps=0)


def test_stacks_without_times_say_so_when_asked(tmp_path: Path) -> None:
    frames = [Image.new("L", (WIDTH, HEIGHT), shade) for shade in range(3)]
    frames[0].save(tmp_path / "a.tif", save_all=True, append_images=frames[1:])
    with pytest.raises(DataError, match="SW-D118"):
        clips(tmp_path, "record_id,time,x,y", "a,1,2,3").read(0)


# -- the data set


def test_facts_and_lengths(tmp_path: Path) -> None:
    for name in "ab":
        write_film(tmp_path / f"train/take/{name}.mkv", 3)
    lines = (
        "clip,frame,x,y,verb,noun,participant,pupil,hand",
        "a,1,1,1,take,cup,007,2.5,left",
        "a,2,,,take,cup,007,2.7,right",
    )
    data = clips(tmp_path, *lines, coordinates="pixels")
    assert data.info(0) == {
        "record_id": "train/take/a",
        "split": "train",
        "label": 0,
        "length": 3,
        "film_frames": 3,
        "verb": "take",
        "noun": "cup",
        "participant": "007",
        "hand": ["left", "right"],
    }
    assert data.info(1)["length"] == 3
    assert ("verb" in data.info(1), listed(data.gaze(1))) == (False, [[]] * 4)
    assert data.read(0).notes[-1] == "gaze: 2 points on 2 of 4 frames; 1 without a place"
    assert data.read(1).notes[-1] == "gaze: the annotations have no row for this record"
    assert pickle.loads(pickle.dumps(data)).info(0) == data.info(0)


def test_a_parquet_table_of_whole_ids(tmp_path: Path) -> None:
    write_film(tmp_path / "a.mkv")
    table = {
        "record_id": ["a", "a"],
        "time": [0.25, 1.25],
        "x": [8.0, float("nan")],
        "y": [6.0, 1.0],
        "noun": ["p", "p"],
    }
    pq.write_table(pa.table(table), tmp_path / "points.parquet")
    data = ClipFolder(tmp_path, frames=4, size=12, crop="none", annotations=tmp_path / "points.parquet")
    assert listed(data.gaze(0)) == [[[3.0, 3.0]], [], [], []]
    assert (data.points(0).missing, data.info(0)["noun"]) == (1, "p")


def test_facts_alone_need_no_points(tmp_path: Path) -> None:
    write_film(tmp_path / "a.mkv")
    data = clips(tmp_path, "record_id,verb", "a,take")
    assert (data.info(0)["verb"], listed(data.gaze(0))) == ("take", [[]] * 4)
    assert "coordinates" not in data.assumptions()


def test_annotations_beside_the_clips_are_found_when_asked_for(tmp_path: Path) -> None:
    write_film(tmp_path / "a.mkv")
    assert "annotations" not in ClipFolder(tmp_path, annotations="auto").assumptions()
    write_table(tmp_path / "gaze.csv", "record_id,frame,x,y", "a,0,16,12", "z,0,1,1")
    assumed = ClipFolder(tmp_path, annotations="auto").assumptions()
    assert assumed["annotations"].startswith("gaze.csv, found beside the clips; 1 ids of gaze.csv that are no records")
    assert "pixels" in assumed["coordinates"]
    with pytest.raises(DataError, match="SW-D119"):
        ClipFolder(tmp_path).gaze(0)
    with pytest.raises(DataError, match=r"SW-D119.*dense_gaze"):
        ClipFolder(tmp_path, dense_gaze=True)
    assert ClipFolder(tmp_path).fingerprint() == ClipFolder(tmp_path, annotations="auto").fingerprint()


def test_a_damaged_film_has_the_points_of_the_frames_that_are_left(tmp_path: Path) -> None:
    write_folder(tmp_path / "a")
    (tmp_path / "a/012.png").write_bytes(b"\x89PNG")
    data = clips(tmp_path, "record_id,frame,x,y", "a,1,16,12", "a,10,16,12", "a,17,16,12")
    record = data.read(0)  # frames 1, 4, 7, 10 of 12; frame 17 comes after the damage
    assert any(note.startswith("12 of 20 frames could be read") for note in record.notes)
    assert [len(points) for points in data.gaze(0, readable=12)] == [1, 0, 0, 1]
    assert [len(points) for points in data.gaze(0)] == [1, 0, 1, 1]
    assert record.notes[-1] == "gaze: 2 points on 2 of 4 frames"


BAD = {
    "SW-D113": ["record_id,frame,x", "a,0,1"],
    "SW-D114": ["record_id,frame,x,y", "a,0.5,1,1"],
    "SW-D115": ["record_id,frame,x,y", "a,0,0.5,1"],
    "SW-D116": ["record_id,frame,x,y", "film a,0,5,1"],
    "SW-D117": ["clip,frame,x,y", "a,0,5,1"],
    "SW-D03": ["record_id,frame,x,y"],
    "SW-D16": ["record_id,frame,x,y", "a,0"],
}


@pytest.mark.parametrize("code", BAD)
def test_tables_that_cannot_be_understood_are_refused(tmp_path: Path, code: str) -> None:
    table = write_table(tmp_path / "points.csv", *BAD[code])
    with pytest.raises(DataError, match=code):
        read_gaze_table(table, ["a", "b"] if code != "SW-D117" else ["x/a", "y/a"])


@pytest.mark.parametrize("cell", ["a,x,1,1", "a,,1,1", "a,0,here,1", ",0,1,1", "a,inf,1,1"])
def test_cells_that_are_no_numbers_name_their_line(tmp_path: Path, cell: str) -> None:
    table = write_table(tmp_path / "points.csv", "record_id,frame,x,y", "a,0,5,5", cell)
    with pytest.raises(DataError, match=r"SW-D114.*line 3"):
        read_gaze_table(table, ["a"])


def test_unknown_words_are_refused(tmp_path: Path) -> None:
    table = write_table(tmp_path / "points.csv", "record_id,frame,x,y", "a,0,5,5")
    with pytest.raises(DataError, match="SW-D01"):
        read_gaze_table(table, ["a"], "pixel")
    write_film(tmp_path / "a.mkv")
    with pytest.raises(DataError, match="SW-D02"):
        ClipFolder(tmp_path, annotations=tmp_path / "no.csv")
