"""Pictures in every form they come in: read by stated rules, or refused with a code; never guessed."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from seewhy.data.pictures import read_picture, rgb8
from seewhy.values import DataError

COLOUR = np.random.default_rng(0).integers(0, 256, (20, 30, 3), dtype=np.uint8)
GRAY = COLOUR[..., 0]


def pixels(image: object, **settings: object) -> np.ndarray:
    return rgb8(read_picture(image, **settings).picture)


@pytest.mark.parametrize(
    "array",
    [
        COLOUR,
        COLOUR.transpose(2, 0, 1),
        COLOUR[::-1, ::-1][::-1, ::-1],
        np.asfortranarray(COLOUR),
        np.repeat(np.repeat(COLOUR, 2, axis=0), 2, axis=1)[::2, ::2],
        COLOUR.astype(np.float32) / 255,
        COLOUR.astype(np.float64) / 255,
        COLOUR.astype(np.uint16) * 257,
        np.dstack([COLOUR, np.full((20, 30), 255, np.uint8)]),
    ],
    ids=["HWC", "CHW", "flipped twice", "Fortran", "strided", "float32", "float64", "16-bit", "opaque alpha"],
)
def test_an_array_in_any_layout_is_the_same_picture(array: np.ndarray) -> None:
    assert np.array_equal(pixels(array), COLOUR)


def test_a_read_only_array_with_negative_strides_is_read_as_it_looks() -> None:
    view = COLOUR[::-1, ::-1]
    view.flags.writeable = False
    assert np.array_equal(pixels(view), COLOUR[::-1, ::-1].copy())


@pytest.mark.parametrize("array", [GRAY, GRAY[..., None], GRAY[None], GRAY / 255.0])
def test_gray_in_two_or_three_axes_shows_as_gray(array: np.ndarray) -> None:
    assert np.array_equal(pixels(array), np.repeat(GRAY[..., None], 3, axis=2))


def test_true_is_white() -> None:
    assert np.array_equal(pixels(GRAY > 100)[..., 0], np.where(GRAY > 100, 255, 0))


def test_transparency_shows_the_ground_and_not_the_colour_hidden_below() -> None:
    see_through = np.dstack([COLOUR, np.zeros((20, 30), np.uint8)])
    assert (pixels(see_through) == 255).all()
    assert (pixels(see_through, background=(0, 0, 0)) == 0).all()
    assert "composited" in read_picture(see_through).notes[-1]


def test_a_window_gives_any_range_its_black_and_white() -> None:
    hounsfield = np.linspace(-1000, 1000, 20 * 30).reshape(20, 30).astype(np.int16)
    shown = pixels(hounsfield, window=(-500, 500))[..., 0]
    expected = np.rint((hounsfield.clip(-500, 500) + 500.0) / 1000 * 255)
    assert np.array_equal(shown, expected)


def test_a_window_is_heeded_for_files_and_pillow_images_too(tmp_path: Path) -> None:
    image = Image.fromarray(GRAY.astype(np.uint16) * 4)
    image.save(tmp_path / "twelve_bits.png")
    expected = np.rint((GRAY * 4.0).clip(0, 500) / 500 * 255)
    for given in (image, tmp_path / "twelve_bits.png"):
        assert np.array_equal(pixels(given, window=(0, 500))[..., 0], expected)


@pytest.mark.parametrize(
    ("array", "code"),
    [
        (COLOUR.astype(np.float32), "SW-D48"),
        (COLOUR.astype(np.float32) / 255 - 0.5, "SW-D48"),
        (COLOUR.astype(np.int32), "SW-D48"),
        (COLOUR.astype(complex), "SW-D48"),
        (np.array([["a"]]), "SW-D48"),
        (np.array([[None]]), "SW-D48"),
        (np.full((20, 30, 3), np.nan), "SW-D49"),
        (np.full((20, 30), np.inf), "SW-D49"),
        (np.zeros((20, 30, 2), np.uint8), "SW-D47"),
        (np.zeros((20,), np.uint8), "SW-D47"),
        (np.zeros((3, 20, 3), np.uint8), "SW-D47"),
        (np.zeros((2, 20, 30, 3), np.uint8), "SW-D47"),
        (np.zeros((1, 1, 3), np.uint8), "SW-D47"),
        (np.zeros((7, 30, 3), np.uint8), "SW-D09"),
    ],
)
def test_an_array_that_is_no_picture_is_refused(array: np.ndarray, code: str) -> None:
    with pytest.raises(DataError) as raised:
        read_picture(array)
    assert raised.value.code == code
    assert raised.value.fix


@pytest.mark.parametrize("picture", [np.zeros((7, 30, 3), np.uint8), Image.new("RGB", (30, 7))])
def test_a_picture_in_memory_that_is_too_small_is_no_file_to_leave_out(picture: object) -> None:
    with pytest.raises(DataError, match="30 × 7 pixels") as raised:
        read_picture(picture)
    assert raised.value.code == "SW-D09"
    assert raised.value.fix == "pass the whole picture, or enlarge it first"


def test_an_array_without_numbers_is_told_by_its_type_not_its_size() -> None:
    with pytest.raises(DataError, match="values of type <U1 are no pixels"):
        read_picture(np.array([["a"]]))


def test_an_empty_path_and_a_folder_are_told(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"SW-D05.* the path is empty"):
        read_picture("")
    with pytest.raises(DataError, match=rf"SW-D05.* {tmp_path.name} is a folder, not a picture"):
        read_picture(tmp_path)


@pytest.mark.parametrize("window", [(1, 0), (0,), (0, float("nan")), "ab"])
def test_a_window_that_is_none_is_refused(window: object) -> None:
    with pytest.raises(DataError, match="SW-D50"):
        read_picture(COLOUR, window=window)


@pytest.mark.parametrize("address", ["https://example.org/cat.png", "s3://bucket/cat.png", "data:image/png;base64,AA"])
def test_a_web_address_is_refused_and_nothing_fetched(address: str) -> None:
    with pytest.raises(DataError, match="SW-D44"):
        read_picture(address)


@pytest.mark.parametrize("thing", [None, 3, {"image": COLOUR}])
def test_what_is_no_picture_at_all_is_refused(thing: object) -> None:
    with pytest.raises(DataError, match="SW-D45"):
        read_picture(thing)


@pytest.mark.parametrize("mode", ["L", "1", "P", "CMYK", "LAB", "YCbCr", "HSV"])
def test_a_pillow_image_in_any_mode_is_shown_as_pillow_converts_it(mode: str) -> None:
    from PIL import ImageCms

    image = Image.fromarray(COLOUR)
    if mode == "LAB":
        lab = ImageCms.buildTransform(ImageCms.createProfile("sRGB"), ImageCms.createProfile("LAB"), "RGB", "LAB")
        image = ImageCms.applyTransform(image, lab)
    else:
        image = image.convert(mode)
    assert np.array_equal(pixels(image), np.asarray(image.convert("RGB")))


@pytest.mark.parametrize("mode", ["RGBA", "LA"])
def test_a_pillow_image_with_alpha_is_composited(mode: str) -> None:
    image = Image.fromarray(COLOUR).convert(mode)
    image.putalpha(0)
    assert (pixels(image) == 255).all()


@pytest.mark.parametrize("mode", ["I", "F"])
def test_a_pillow_image_without_a_known_range_is_refused_or_windowed(mode: str) -> None:
    image = Image.fromarray(GRAY).convert(mode)
    with pytest.raises(DataError, match="SW-D10"):
        read_picture(image)
    assert np.array_equal(pixels(image, window=(0, 255))[..., 0], GRAY)


def test_sixteen_bits_keep_their_levels_apart() -> None:
    levels = np.arange(600, dtype=np.uint16).reshape(20, 30) * 100
    decoded = read_picture(Image.fromarray(levels))
    assert len(np.unique(np.asarray(decoded.picture))) == 600
    assert "full range" in decoded.notes[0]


@pytest.mark.parametrize("turn", range(2, 9))
def test_an_opened_image_is_turned_upright_by_its_exif_tag_and_itself_not_changed(turn: int) -> None:
    from PIL import ImageOps

    stream = BytesIO()
    exif = Image.Exif()
    exif[0x0112] = turn
    Image.fromarray(COLOUR).save(stream, "PNG", exif=exif)
    opened = Image.open(BytesIO(stream.getvalue()))
    size = opened.size
    assert np.array_equal(pixels(opened), np.asarray(ImageOps.exif_transpose(opened)))
    assert opened.size == size


def test_of_an_animation_the_frame_shown_is_used_and_said() -> None:
    stream = BytesIO()
    frames = [Image.fromarray(np.full((20, 30), level, np.uint8)) for level in (0, 255)]
    frames[0].save(stream, "GIF", save_all=True, append_images=frames[1:])
    opened = Image.open(BytesIO(stream.getvalue()))
    assert "frame 1 of 2 used" in read_picture(opened).notes
    opened.seek(1)
    assert "frame 2 of 2 used" in read_picture(opened).notes
    assert (pixels(opened) == 255).all()


def test_an_opened_image_that_is_cut_short_is_refused() -> None:
    stream = BytesIO()
    Image.fromarray(COLOUR).save(stream, "JPEG")
    opened = Image.open(BytesIO(stream.getvalue()[:-200]))
    with pytest.raises(DataError, match="SW-D46"):
        read_picture(opened)


def test_too_many_pixels_are_refused_before_anything_is_converted() -> None:
    with pytest.raises(DataError, match="SW-D08"):
        read_picture(np.broadcast_to(np.uint8(0), (9000, 9000, 3)))
    with pytest.raises(DataError, match="SW-D08"):
        read_picture(Image.new("1", (9000, 9000)))
