"""Multi-page TIFF as a volume: samples of every kind as stored, and stacks that are none."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, TiffImagePlugin

from seewhy.data.tiff_stack import read_tiff_stack
from seewhy.data.volumes import read_volume, to_source
from seewhy.values import SeewhyError

PAGES, ROWS, COLUMNS = 3, 9, 11


def samples(kind: Any, top: int) -> np.ndarray:
    values = np.arange(PAGES * ROWS * COLUMNS).reshape(PAGES, ROWS, COLUMNS)
    return (values * (top // values.max())).astype(kind)


def write(path: Path, pages: list[Image.Image], **settings: Any) -> Path:
    pages[0].save(path, format="TIFF", save_all=True, append_images=pages[1:], **settings)
    return path


def pictures(values: np.ndarray) -> list[Image.Image]:
    return [Image.fromarray(page) for page in values]


def refusal(path: Path, **settings: Any) -> SeewhyError:
    with pytest.raises(SeewhyError) as caught:
        read_volume(path, **settings)
    return caught.value


@pytest.mark.parametrize(
    ("kind", "top"), [(np.uint8, 296), (np.uint16, 65535), (np.int32, 2**31 - 1), (np.float32, 10**6)], ids=str
)
def test_samples_are_taken_as_stored(tmp_path: Path, kind: Any, top: int) -> None:
    values = samples(kind, top)
    volume = read_volume(write(tmp_path / "v.tif", pictures(values)))
    assert np.array_equal(volume.values, values.astype(np.float32))


def patched_tag(path: Path, tag: int, value: int) -> Path:
    """The file with a SHORT tag set in every page, where Pillow would not write it so."""
    content = bytearray(path.read_bytes())
    place = int.from_bytes(content[4:8], "little")
    while place:
        entries = int.from_bytes(content[place : place + 2], "little")
        for entry in range(place + 2, place + 2 + 12 * entries, 12):
            if int.from_bytes(content[entry : entry + 2], "little") == tag:
                content[entry + 8 : entry + 10] = value.to_bytes(2, "little")
        end = place + 2 + 12 * entries
        place = int.from_bytes(content[end : end + 4], "little")
    path.write_bytes(bytes(content))
    return path


def test_unsigned_32_bit_samples_do_not_turn_negative(tmp_path: Path) -> None:
    values = np.linspace(0, 2**32 - 1, PAGES * ROWS * COLUMNS).astype(np.uint32).reshape(PAGES, ROWS, COLUMNS)
    path = patched_tag(write(tmp_path / "v.tif", pictures(values.view(np.int32))), TiffImagePlugin.SAMPLEFORMAT, 1)
    assert np.array_equal(read_volume(path).values, values.astype(np.float32))


@pytest.mark.parametrize(("kind", "top"), [(np.uint8, 255), (np.uint16, 65535)], ids=str)
def test_where_white_is_zero_values_are_inverted(tmp_path: Path, kind: Any, top: int) -> None:
    values = samples(kind, 296 if top == 255 else top)
    path = patched_tag(write(tmp_path / "v.tif", pictures(values)), TiffImagePlugin.PHOTOMETRIC_INTERPRETATION, 0)
    volume = read_volume(path)
    assert np.array_equal(volume.values, top - values.astype(np.float32))
    assert "white is zero: inverted, so that more is brighter" in volume.notes


def test_rgb_pages_are_three_channels(tmp_path: Path) -> None:
    values = np.random.default_rng(0).integers(0, 256, (PAGES, ROWS, COLUMNS, 3), np.uint8)
    volume = read_volume(write(tmp_path / "v.tif", pictures(values)))
    assert np.array_equal(volume.values, values.transpose(3, 0, 1, 2))


def test_the_axes_are_the_files_and_a_map_goes_back_as_it_is(tmp_path: Path) -> None:
    volume = read_volume(write(tmp_path / "v.tif", pictures(samples(np.uint8, 296))), axes="RAS")
    assert (volume.axes, volume.orientation, volume.spacing) == ("", "", (1.0, 1.0, 1.0))
    heat = np.random.default_rng(0).random(volume.shape)
    back, affine = to_source(volume, heat)
    assert np.array_equal(back, heat)
    assert np.array_equal(affine, np.eye(4))


def test_one_page_is_a_volume_of_one_slice(tmp_path: Path) -> None:
    assert read_volume(write(tmp_path / "v.tif", pictures(samples(np.uint8, 296)[:1]))).shape == (1, ROWS, COLUMNS)


def test_nan_samples_are_refused(tmp_path: Path) -> None:
    values = samples(np.float32, 10**6)
    values[1, 2, 3] = np.nan
    assert refusal(write(tmp_path / "v.tif", pictures(values))).code == "SW-D23"


def test_pages_of_several_sizes_or_kinds_are_refused(tmp_path: Path) -> None:
    gray = [Image.new("L", (20, 10)), Image.new("L", (10, 20))]
    error = refusal(write(tmp_path / "sizes.tif", gray))
    assert (error.code, "page 2 of 2 is L 10 × 20" in error.message) == ("SW-D74", True)
    mixed = [Image.new("L", (20, 10)), Image.new("RGB", (20, 10))]
    assert refusal(write(tmp_path / "kinds.tif", mixed)).code == "SW-D74"


@pytest.mark.parametrize("mode", ["P", "RGBA", "CMYK"])
def test_neither_gray_nor_rgb_is_refused(tmp_path: Path, mode: str) -> None:
    assert refusal(write(tmp_path / "v.tif", [Image.new(mode, (20, 10))] * 2)).code == "SW-D74"


def test_the_limits_hold_before_any_page_is_decoded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write(tmp_path / "v.tif", pictures(samples(np.uint8, 296)))

    def decoded(*_: object) -> None:
        raise AssertionError("a page was decoded")

    monkeypatch.setattr(TiffImagePlugin.TiffImageFile, "load", decoded)
    assert refusal(path, max_bytes=4 * PAGES * ROWS * COLUMNS - 1).code == "SW-D64"
    with pytest.raises(SeewhyError) as caught:
        read_tiff_stack(path, max_pixels=ROWS * COLUMNS - 1)
    assert caught.value.code == "SW-D08"


def test_a_cut_stack_is_damaged(tmp_path: Path) -> None:
    path = write(tmp_path / "v.tif", pictures(samples(np.uint16, 65535)))
    path.write_bytes(path.read_bytes()[:-150])
    assert refusal(path).code == "SW-D07"
