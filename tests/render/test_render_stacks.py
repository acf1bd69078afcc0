"""Files of several pictures, and volumes of numbers, hold what was put in when they are read back."""

import gzip
import json
import subprocess
import sys
import time
from io import BytesIO

import av
import nibabel
import numpy as np
import pytest
from PIL import Image

from seewhy.render import RenderError, overlay
from seewhy.render.stacks import encode_gif, encode_mp4, encode_nifti, encode_tiff
from seewhy.values import MissingExtraError

AFFINE = np.array([[-1.5, 0.1, 0.0, 90.0], [0.0, 1.25, 0.2, -126.0], [0.0, -0.3, 8.0, -72.0], [0.0, 0.0, 0.0, 1.0]])
HOT = 3


def noise(frames=5, height=18, width=22):
    return np.random.default_rng(0).integers(0, 256, (frames, height, width, 3), dtype=np.uint8)


def film_with_a_hot_frame(height=48, width=64):
    """Grey frames, of which one carries full evidence in its middle."""
    grey = np.full((6, height, width, 3), 110, np.uint8)
    heat = np.zeros((6, height, width))
    heat[HOT, 12:36, 16:48] = 1.0
    heat[1, 12:36, 16:48] = 0.3
    return np.stack([overlay(*pair, "jet", 0.8) for pair in zip(grey, heat, strict=True)])


def redness(frames):
    return [float(frame[..., 0].mean() - frame[..., 1:].mean()) for frame in frames.astype(float)]


def pages(stream):
    with Image.open(BytesIO(stream)) as file:
        found, delays = [], []
        for position in range(file.n_frames):
            file.seek(position)
            found.append(np.asarray(file.convert("RGB")))
            delays.append(file.info.get("duration"))
        return np.stack(found), delays


def film(stream):
    with av.open(BytesIO(stream)) as file:
        track = file.streams.video[0]
        facts = (track.codec_context.name, track.pix_fmt, track.average_rate, track.duration * track.time_base)
        return np.stack([frame.to_ndarray(format="rgb24") for frame in file.decode(video=0)]), facts


def test_a_tiff_holds_every_page_to_the_bit_in_lzw():
    frames = noise()
    stream = encode_tiff(frames)
    assert np.array_equal(pages(stream)[0], frames)
    with Image.open(BytesIO(stream)) as file:
        compression, photometric, samples = (file.tag_v2[tag] for tag in (259, 262, 277))
    assert (compression, photometric, samples) == (5, 2, 3)


def test_smooth_pages_are_stored_as_differences():
    ramp = np.broadcast_to(np.arange(256, dtype=np.uint8)[None, None, :, None], (2, 256, 256, 3))
    assert len(encode_tiff(ramp)) < ramp.size / 20
    assert np.array_equal(pages(encode_tiff(ramp))[0], ramp)


def test_a_gif_of_few_colours_is_exact_and_repeats():
    frames = film_with_a_hot_frame()
    stream = encode_gif(frames, 10)
    found, _ = pages(stream)
    with Image.open(BytesIO(stream)) as file:
        assert file.info["loop"] == 0
    # frames 4 and 5 are the same picture and share one longer delay
    assert np.array_equal(found, frames[:5])


def test_gif_delays_add_up_to_the_clip_at_rates_that_are_no_hundredths():
    assert pages(encode_gif(noise(6), 3))[1] == [330, 340, 330, 330, 340, 330]
    assert sum(pages(encode_gif(noise(9), 30))[1]) == 300


def test_equal_frames_of_a_gif_keep_their_time():
    still = np.repeat(noise(2), 3, axis=0)
    found, delays = pages(encode_gif(still, 10))
    assert delays == [300, 300]
    assert len(found) == 2


def test_a_gif_of_many_colours_is_close_everywhere():
    ramp = np.linspace(0, 255, 64).round().astype(np.uint8)
    frame = np.stack([*np.meshgrid(ramp, ramp), np.full((64, 64), 128, np.uint8)], axis=-1)
    found, _ = pages(encode_gif(frame[None], 1))
    # 256 colours for a square of red and green are a net of 16 x 16 cells of 16 steps: at best 4 off on average
    assert np.abs(found[0].astype(int) - frame)[..., :2].mean() < 8


def test_a_film_plays_every_frame_at_its_rate():
    frames = film_with_a_hot_frame()
    found, (codec, pixels, rate, seconds) = film(encode_mp4(frames, 12.5))
    assert (codec, pixels, float(rate), float(seconds)) == ("h264", "yuv420p", 12.5, 6 / 12.5)
    assert found.shape == frames.shape
    assert np.abs(found.astype(int) - frames).mean() < 2


@pytest.mark.parametrize("colour", [(200, 30, 30), (20, 180, 40), (30, 60, 220), (122, 4, 3)])
def test_a_film_keeps_its_colours_as_bt709_defines_them(colour):
    stream = encode_mp4(np.full((2, 32, 32, 3), colour, np.uint8), 10)
    with av.open(BytesIO(stream)) as file:
        frame = next(file.decode(video=0))
    planes = frame.to_ndarray()
    red, green, blue = (channel / 255 for channel in colour)
    luma = 0.2126 * red + 0.7152 * green + 0.0722 * blue
    expected = (16 + 219 * luma, 128 + 224 * (blue - luma) / 1.8556, 128 + 224 * (red - luma) / 1.5748)
    assert np.allclose([planes[0, 0], planes[34, 0], planes[42, 0]], expected, atol=1)
    assert (frame.colorspace, frame.color_range) == (1, 1)


def test_odd_sides_of_a_film_are_padded_with_their_last_row_and_column():
    frames = np.full((2, 17, 31, 3), 40, np.uint8)
    frames[:, -1], frames[:, :, -1] = 200, 200
    found, _ = film(encode_mp4(frames, 5, quality=1))
    assert found.shape == (2, 18, 32, 3)
    assert np.abs(found[:, -2:, :].astype(int) - 200).max() < 12
    assert np.abs(found[:, :, -2:].astype(int) - 200).max() < 12


@pytest.mark.parametrize(
    "read",
    [
        lambda frames: pages(encode_tiff(frames))[0],
        lambda frames: pages(encode_gif(frames, 10))[0],
        lambda frames: film(encode_mp4(frames, 10))[0],
    ],
    ids=["tiff", "gif", "mp4"],
)
def test_the_planted_hot_frame_is_the_reddest(read):
    assert int(np.argmax(redness(read(film_with_a_hot_frame())))) == HOT


@pytest.mark.parametrize("shape", [(4, 5, 6), (3, 2, 4, 2), (1, 1, 1)])
def test_a_nifti_holds_every_value_and_the_affine_to_the_bit(shape):
    values = np.random.default_rng(2).normal(size=shape).astype(np.float32) * np.float32(1e-7)
    values.flat[0] = np.nan if values.size > 1 else 0
    affine = AFFINE.astype(np.float32).astype(np.float64)  # the file's header has room for float32
    image = nibabel.Nifti1Image.from_bytes(gzip.decompress(encode_nifti(values, affine)))
    found = np.asarray(image.dataobj)
    assert found.dtype == np.float32
    assert found.tobytes() == values.tobytes()
    assert np.array_equal(image.affine, affine)
    assert image.header.get_xyzt_units()[0] == "mm"


def test_a_nifti_is_read_from_disk_like_any_other(tmp_path):
    values = np.arange(24, dtype=np.float32).reshape(2, 3, 4)
    (tmp_path / "map.nii.gz").write_bytes(encode_nifti(values, np.diag([1.0, 2.0, 3.0, 1.0])))
    image = nibabel.load(tmp_path / "map.nii.gz")
    assert np.array_equal(image.get_fdata(), values)
    assert image.header.get_zooms() == (1.0, 2.0, 3.0)


@pytest.mark.parametrize(
    "encode",
    [
        lambda: encode_tiff(noise()),
        lambda: encode_gif(noise(), 12),
        lambda: encode_mp4(noise(), 12),
        lambda: encode_nifti(np.ones((2, 3, 4), np.float32), AFFINE),
    ],
    ids=["tiff", "gif", "mp4", "nifti"],
)
def test_the_clock_is_in_no_file(encode, monkeypatch):
    first = encode()
    monkeypatch.setattr(time, "time", lambda: 2_000_000_000.0)
    assert encode() == first


def test_the_gzip_header_of_a_nifti_has_no_time():
    assert encode_nifti(np.ones((1, 1, 1), np.float32), np.eye(4))[4:8] == bytes(4)


@pytest.mark.parametrize(
    ("encode", "code"),
    [
        (lambda: encode_tiff(noise()[0]), "SW-R30"),
        (lambda: encode_gif(noise()[..., :1], 10), "SW-R30"),
        (lambda: encode_mp4(noise()[:0], 10), "SW-R30"),
        (lambda: encode_gif(noise(), 60), "SW-R33"),
        (lambda: encode_gif(noise(), 0), "SW-R33"),
        (lambda: encode_mp4(noise(), float("nan")), "SW-R33"),
        (lambda: encode_nifti(np.zeros((2, 2)), np.eye(4)), "SW-R35"),
        (lambda: encode_nifti(np.zeros((2, 2, 2)), np.eye(3)), "SW-R35"),
        (lambda: encode_nifti(np.zeros((2, 2, 2)), np.zeros((4, 4))), "SW-R35"),
        (lambda: encode_nifti(np.zeros((2, 2, 2)), np.full((4, 4), np.nan)), "SW-R35"),
    ],
)
def test_each_wrong_argument_has_its_code(encode, code):
    with pytest.raises(RenderError) as caught:
        encode()
    assert caught.value.code == code


def test_a_build_without_the_encoder_says_so(monkeypatch):
    monkeypatch.setattr(av, "codecs_available", {"mpeg4"})
    with pytest.raises(RenderError) as caught:
        encode_mp4(noise(), 10)
    assert caught.value.code == "SW-R34"


@pytest.mark.parametrize(
    ("package", "extra", "encode"),
    [
        ("av", "video", lambda: encode_mp4(noise(), 10)),
        ("nibabel", "medical", lambda: encode_nifti(np.ones((2, 2, 2)), np.eye(4))),
    ],
)
def test_a_missing_package_names_its_extra(package, extra, encode, monkeypatch):
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(MissingExtraError) as caught:
        encode()
    assert caught.value.fix == f"pip install 'seewhy[{extra}]'"


def test_neither_torch_nor_a_codec_is_imported_to_write_tiff_and_gif():
    code = """
import json, sys
import numpy as np
from seewhy.render import signals, slices, stacks
frames = np.zeros((2, 4, 4, 3), np.uint8)
stacks.encode_tiff(frames), stacks.encode_gif(frames, 5)
slices.slice_picture(frames, np.ones((2, 2, 2)))
signals.signal_picture(np.ones((2, 9)), np.ones(3))
print(json.dumps(sorted({name.split(".")[0] for name in sys.modules})))
"""
    environment = {"PYTHONPATH": ":".join(path for path in sys.path if path)}
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environment)
    loaded = set(json.loads(result.stdout))
    assert "PIL" in loaded
    assert not loaded & {"torch", "matplotlib", "scipy", "av", "nibabel"}
