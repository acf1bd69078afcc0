"""Files hold exactly the pixels and nothing else."""

import struct
import zlib
from concurrent.futures import ThreadPoolExecutor
from io import BytesIO

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from PIL import Image

from seewhy.render import RenderError, encode_jpeg, encode_png, thumbnail


def decoded(data):
    with Image.open(BytesIO(data)) as image:
        image.load()
        assert image.info == {}
        return np.asarray(image)


def chunks(data):
    position = 8
    while position < len(data):
        (length,) = struct.unpack(">I", data[position : position + 4])
        body = data[position + 4 : position + 8 + length]
        (checksum,) = struct.unpack(">I", data[position + 8 + length : position + 12 + length])
        assert zlib.crc32(body) == checksum
        yield body[:4]
        position += 12 + length


@given(arrays(np.uint8, array_shapes(min_dims=2, max_dims=2, max_side=20)), st.sampled_from([1, 6]))
def test_a_grey_png_gives_its_pixels_back(image, level):
    assert np.array_equal(decoded(encode_png(image, level)), image)


@given(arrays(np.uint8, st.tuples(st.integers(1, 20), st.integers(1, 20), st.just(3))), st.sampled_from([1, 6]))
def test_a_colour_png_gives_its_pixels_back(image, level):
    assert np.array_equal(decoded(encode_png(image, level)), image)


def test_a_view_with_strides_is_encoded_as_it_looks():
    image = np.random.default_rng(0).integers(0, 256, (9, 8, 3), dtype=np.uint8)[::-2, 1::3]
    assert np.array_equal(decoded(encode_png(image)), image)


def test_a_png_has_no_clock_and_no_metadata():
    assert list(chunks(encode_png(np.zeros((2, 2, 3), np.uint8)))) == [b"IHDR", b"IDAT", b"IEND"]


def test_equal_pixels_give_equal_bytes_in_every_thread():
    images = [np.random.default_rng(seed).integers(0, 256, (64, 64, 3), dtype=np.uint8) for seed in range(4)]
    alone = [encode_png(image) for image in images]
    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(encode_png, images * 8)) == alone * 8


def test_more_effort_makes_a_smaller_file_of_the_same_pixels():
    image = np.tile(np.random.default_rng(0).integers(0, 256, (16, 16, 3), dtype=np.uint8), (8, 8, 1))
    quick, thorough = encode_png(image, 1), encode_png(image, 9)
    assert len(thorough) < len(quick) / 4
    assert np.array_equal(decoded(thorough), image)


def test_a_jpeg_stays_close_to_a_smooth_picture():
    row, column = np.mgrid[:32, :32]
    image = np.stack([row * 8, column * 8, 255 - row * 4 - column * 4], axis=-1).astype(np.uint8)
    with Image.open(BytesIO(encode_jpeg(image))) as back:
        assert back.format == "JPEG"
        assert np.abs(np.asarray(back).astype(int) - image).mean() < 4


def test_a_thumbnail_keeps_proportions_and_colours():
    picture = np.full((100, 400, 3), (200, 100, 50), np.uint8)
    small = thumbnail(picture, 40)
    assert small.shape == (10, 40, 3)
    assert np.all(small == (200, 100, 50))


def test_a_small_picture_is_its_own_thumbnail():
    picture = np.zeros((30, 20, 3), np.uint8)
    assert thumbnail(picture, 30) is picture


@pytest.mark.parametrize("image", [np.zeros((2, 2, 4), np.uint8), np.zeros((2, 2, 3)), np.zeros((0, 2), np.uint8)])
def test_what_is_not_a_picture_is_refused(image):
    with pytest.raises(RenderError) as caught:
        encode_png(image)
    assert caught.value.code == "SW-R03"
