"""Every odd picture of the bad-input catalogue is either read rightly, with a note, or refused with its own error."""

from __future__ import annotations

import pickle
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageCms, TiffImagePlugin

from seewhy.data.decoding import decode, decode_values, revision
from seewhy.values import DataError

RED, BLUE = (200, 10, 10), (10, 10, 200)
UPRIGHT = np.arange(12 * 20, dtype=np.uint8).reshape(12, 20)
# What a camera stores for each EXIF orientation so that turning it back gives UPRIGHT (EXIF 2.3, tag 274).
STORED = {
    1: UPRIGHT,
    2: UPRIGHT[:, ::-1],
    3: UPRIGHT[::-1, ::-1],
    4: UPRIGHT[::-1],
    5: UPRIGHT.T,
    6: np.rot90(UPRIGHT),
    7: UPRIGHT[::-1, ::-1].T,
    8: np.rot90(UPRIGHT, -1),
}


def save(picture: Image.Image, path: Path, **options: object) -> Path:
    picture.save(path, **options)
    return path


def refusal(path: Path, **options: int) -> DataError:
    with pytest.raises(DataError) as caught:
        decode(path, **options)
    return caught.value


@pytest.mark.parametrize("orientation", STORED)
def test_exif_orientation_is_undone(tmp_path: Path, orientation: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    stored = Image.fromarray(np.ascontiguousarray(STORED[orientation]))
    path = save(stored, tmp_path / "turned.png", exif=exif)
    decoded = decode(path)
    assert np.array_equal(np.asarray(decoded.picture), UPRIGHT)
    assert decoded.notes == (() if orientation == 1 else (f"turned upright by EXIF orientation {orientation}",))
    assert np.array_equal(decode_values(path)[0], UPRIGHT)


@pytest.mark.parametrize("orientation", [3, 6, 8])
def test_a_turned_jpeg_has_its_sides_where_a_viewer_shows_them(tmp_path: Path, orientation: int) -> None:
    upright = np.zeros((40, 64), np.uint8)
    upright[:, :32] = 255
    turns = {3: 2, 6: 1, 8: -1}
    exif = Image.Exif()
    exif[0x0112] = orientation
    stored = Image.fromarray(np.ascontiguousarray(np.rot90(upright, turns[orientation])))
    seen = np.asarray(decode(save(stored, tmp_path / "a.jpg", exif=exif)).picture)
    assert seen.shape == (40, 64)
    assert seen[:, :28].min() > 240
    assert seen[:, 36:].max() < 15


def test_colour_hidden_under_full_transparency_does_not_show(tmp_path: Path) -> None:
    pixels = np.zeros((10, 10, 4), np.uint8)
    pixels[..., :3] = RED
    pixels[:5, :, 3] = 255
    decoded = decode(save(Image.fromarray(pixels), tmp_path / "a.png"), background=BLUE)
    seen = np.asarray(decoded.picture)
    assert (seen[:5] == RED).all()
    assert (seen[5:] == BLUE).all()
    assert decoded.notes == ("transparency composited on rgb(10, 10, 200)",)


def test_half_transparency_is_half_of_each_colour(tmp_path: Path) -> None:
    pixels = np.full((10, 10, 4), 0, np.uint8)
    pixels[..., 3] = 128
    seen = np.asarray(decode(save(Image.fromarray(pixels), tmp_path / "a.webp", lossless=True)).picture)
    assert np.abs(seen.astype(int) - 127).max() <= 1


def test_transparent_gray_and_transparent_palettes_are_composited(tmp_path: Path) -> None:
    gray = Image.merge("LA", (Image.new("L", (9, 9), 0), Image.new("L", (9, 9), 0)))
    assert np.asarray(decode(save(gray, tmp_path / "a.png")).picture).min() == 255
    palette = Image.new("P", (9, 9), 1)
    palette.putpalette([0, 0, 0, *RED])
    assert (np.asarray(decode(save(palette, tmp_path / "b.png", transparency=1)).picture) == 255).all()


def test_an_opaque_alpha_channel_is_dropped(tmp_path: Path) -> None:
    decoded = decode(save(Image.new("RGBA", (9, 9), (*RED, 255)), tmp_path / "a.png"))
    assert (np.asarray(decoded.picture) == RED).all()
    assert decoded.notes == ("opaque alpha channel dropped",)


def test_a_palette_gives_its_colours_and_not_its_indices(tmp_path: Path) -> None:
    palette = Image.new("P", (9, 9), 1)
    palette.putpalette([0, 0, 0, *RED])
    decoded = decode(save(palette, tmp_path / "a.png"))
    assert (np.asarray(decoded.picture) == RED).all()
    assert decoded.notes == ("palette converted to RGB",)


def test_cmyk_becomes_rgb(tmp_path: Path) -> None:
    decoded = decode(save(Image.new("CMYK", (16, 16), (255, 0, 0, 0)), tmp_path / "a.tif"))
    assert np.asarray(decoded.picture)[8, 8].tolist() == [0, 255, 255]
    assert decoded.notes == ("CMYK converted to RGB (no colour profile)",)


def test_cmyk_with_an_unusable_profile_says_so(tmp_path: Path) -> None:
    srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    decoded = decode(save(Image.new("CMYK", (16, 16), (0, 0, 0, 255)), tmp_path / "a.tif", icc_profile=srgb))
    assert np.asarray(decoded.picture).max() == 0
    assert decoded.notes == ("CMYK converted to RGB without its colour profile (unusable)",)


def test_16_bit_gray_keeps_its_levels(tmp_path: Path) -> None:
    levels = np.linspace(0, 65535, 400).round().astype(np.uint16).reshape(20, 20)
    decoded = decode(save(Image.fromarray(levels), tmp_path / "a.png"))
    seen = np.asarray(decoded.picture)
    assert np.abs(seen - levels / 65535).max() < 1e-6
    assert len(np.unique(seen)) == 400
    assert decoded.notes == ("16-bit gray scaled by its full range (0..65535)",)


def test_a_12_bit_picture_in_a_16_bit_png_is_dark_but_not_clipped(tmp_path: Path) -> None:
    levels = np.arange(4096, dtype=np.uint16).reshape(64, 64)
    seen = np.asarray(decode(save(Image.fromarray(levels), tmp_path / "a.png")).picture)
    assert len(np.unique(seen)) == 4096
    assert seen.max() == pytest.approx(4095 / 65535)


def test_a_16_bit_tiff_whose_zero_is_white_is_inverted(tmp_path: Path) -> None:
    info = TiffImagePlugin.ImageFileDirectory_v2()
    info[262] = 0
    levels = np.full((10, 10), 65535 // 5, np.uint16)
    seen = np.asarray(decode(save(Image.fromarray(levels), tmp_path / "a.tif", tiffinfo=info)).picture)
    with Image.open(tmp_path / "a.tif") as written:
        assert written.tag_v2[262] == 0
    assert seen == pytest.approx(0.8)


def test_float_and_32_bit_samples_are_refused(tmp_path: Path) -> None:
    for name, dtype in (("float", np.float32), ("whole", np.int32)):
        path = save(Image.fromarray(np.full((10, 10), 3, dtype)), tmp_path / f"{name}.tif")
        assert refusal(path).code == "SW-D10"


def test_one_frame_of_an_animation_is_used(tmp_path: Path) -> None:
    frames = [Image.new("RGB", (12, 12), color) for color in (RED, BLUE, RED)]
    path = tmp_path / "a.webp"
    frames[0].save(path, save_all=True, append_images=frames[1:], lossless=True)
    decoded = decode(path)
    assert (np.asarray(decoded.picture) == RED).all()
    assert decoded.notes == ("first of 3 frames used",)


def test_a_phones_jpeg_with_a_second_picture_is_read(tmp_path: Path) -> None:
    path = tmp_path / "a.jpg"
    frames = [Image.new("RGB", (32, 32), color) for color in (RED, BLUE)]
    frames[0].save(path, "MPO", save_all=True, append_images=frames[1:])
    decoded = decode(path)
    assert np.abs(np.asarray(decoded.picture).astype(int) - RED).max() <= 3
    assert decoded.notes == ("first of 2 frames used",)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "empty"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0", "Git LFS pointer"),
        (b"\x00\x00\x00\x18ftypheic\x00\x00", "HEIC"),
        (b"<!DOCTYPE html><html>", "HTML"),
        (b"hello, world, this is text", "no picture"),
    ],
)
def test_what_is_no_picture_is_told_by_what_it_is(tmp_path: Path, content: bytes, words: str) -> None:
    path = tmp_path / "a.jpg"
    path.write_bytes(content)
    error = refusal(path)
    assert error.code == "SW-D06"
    assert words in error.message
    assert str(tmp_path) not in error.message


@pytest.mark.parametrize("suffix", ["jpg", "png", "tif", "bmp", "gif", "webp"])
def test_a_file_cut_in_half_is_damaged(tmp_path: Path, suffix: str) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    path = save(Image.fromarray(pixels), tmp_path / f"a.{suffix}")
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    assert refusal(path).code in ("SW-D06", "SW-D07")


def test_a_cut_png_is_either_whole_in_its_pixels_or_our_own_error(tmp_path: Path) -> None:
    whole = save(Image.fromarray(UPRIGHT), tmp_path / "a.png").read_bytes()
    path = tmp_path / "cut.png"
    codes = []
    for length in range(0, len(whole), 5):
        path.write_bytes(whole[:length])
        try:
            assert np.array_equal(np.asarray(decode(path).picture), UPRIGHT)
        except DataError as error:
            codes.append(error.code)
    assert set(codes) == {"SW-D06", "SW-D07"}
    assert len(codes) > 0.8 * whole.index(b"IEND") / 5


def test_broken_exif_does_not_cost_the_picture(tmp_path: Path) -> None:
    path = save(Image.fromarray(UPRIGHT), tmp_path / "a.png", exif=b"Exif\x00\x00II*\x00\xff\xff\xff\x7f")
    decoded = decode(path)
    assert np.array_equal(np.asarray(decoded.picture), UPRIGHT)
    assert any(note.startswith("Pillow: ") for note in decoded.notes)


def test_the_pixel_limit_holds_before_anything_is_decoded(tmp_path: Path) -> None:
    path = save(Image.new("L", (100, 100)), tmp_path / "a.png")
    path.write_bytes(path.read_bytes()[:60])  # the header alone: decoding would be SW-D07
    assert refusal(path, max_pixels=9_999).code == "SW-D08"
    assert refusal(path, max_pixels=10_000).code == "SW-D07"


def test_a_decompression_bomb_is_refused_by_its_header(tmp_path: Path) -> None:
    path = save(Image.new("1", (9, 9)), tmp_path / "bomb.png")
    content = bytearray(path.read_bytes())
    content[16:24] = (20_000).to_bytes(4, "big") * 2
    content[29:33] = zlib.crc32(content[12:29]).to_bytes(4, "big")
    path.write_bytes(content)
    assert refusal(path).code == "SW-D08"


def test_tiny_pictures_are_refused(tmp_path: Path) -> None:
    assert refusal(save(Image.new("L", (1, 1)), tmp_path / "a.png")).code == "SW-D09"
    assert refusal(save(Image.new("L", (500, 7)), tmp_path / "b.png")).code == "SW-D09"


def test_an_absent_file_is_told_by_its_name(tmp_path: Path) -> None:
    error = refusal(tmp_path / "gone.png")
    assert (error.code, "gone.png" in error.message) == ("SW-D05", True)
    with pytest.raises(DataError, match="SW-D05"):
        revision(tmp_path / "gone.png")


def test_a_folder_is_told_to_be_one(tmp_path: Path) -> None:
    (tmp_path / "photos").mkdir()
    for read in (decode, revision):
        with pytest.raises(DataError, match="photos is a folder, not a picture") as raised:
            read(tmp_path / "photos")
        assert raised.value.code == "SW-D05"


def test_the_revision_follows_the_bytes_and_nothing_else(tmp_path: Path) -> None:
    first, copy = tmp_path / "a.png", tmp_path / "b.png"
    Image.new("L", (9, 9), 7).save(first)
    copy.write_bytes(first.read_bytes())
    before = revision(first)
    assert decode(first).revision == before == revision(copy)
    Image.new("L", (9, 9), 8).save(first)
    assert revision(first) != before


def test_errors_travel_between_processes_whole(tmp_path: Path) -> None:
    error = refusal(tmp_path / "gone.png")
    assert str(pickle.loads(pickle.dumps(error))) == str(error)


def test_a_masks_values_are_those_stored(tmp_path: Path) -> None:
    palette = Image.fromarray(np.array([[0, 1], [2, 0]], np.uint8).repeat(5, 0).repeat(5, 1)).convert("P")
    assert np.unique(decode_values(save(palette, tmp_path / "a.png"))[0]).tolist() == [0, 1, 2]
    clear = Image.new("RGBA", (9, 9), (0, 0, 0, 255))
    values, _ = decode_values(save(clear, tmp_path / "b.png"))
    assert values.shape == (9, 9, 3)
    assert values.max() == 0
