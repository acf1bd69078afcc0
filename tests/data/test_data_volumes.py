"""Volumes through their one door: every stored orientation lands in one order, and goes back to the file's own."""

from __future__ import annotations

import gzip
import itertools
import sys
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pytest
from PIL import Image

from seewhy.data.nifti import read_nifti
from seewhy.data.orientation import Reordering, axis_codes, tilt_degrees
from seewhy.data.volume_input import Percentiles, Scaling, Window, ZScore, scale, volume_input
from seewhy.data.volumes import Volume, read_volume, to_source
from seewhy.values import ConfigError, DataError, Geometry, MissingExtraError, SeewhyError

SHAPE = (5, 4, 3)
PLANTED = (3, 1, 2)
ORIENTATIONS = [
    "".join(letters) for order in itertools.permutations(("LR", "PA", "IS")) for letters in itertools.product(*order)
]


def affine_of(codes: str) -> np.ndarray:
    """An affine whose voxel axes run as ``codes`` says, 1.5, 2 and 4 mm long, with an origin off zero."""
    affine = np.eye(4)
    affine[:3, :3] = 0
    for axis, (letter, length) in enumerate(zip(codes, (1.5, 2.0, 4.0), strict=True)):
        world = next(place for place, ends in enumerate(("LR", "PA", "IS")) if letter in ends)
        affine[world, axis] = length if letter in "RAS" else -length
    affine[:3, 3] = (-7, 11, 30)
    return affine


def turned(degrees: float) -> np.ndarray:
    """A rotation about an axis that is none of the three."""
    axis, angle = np.array([1, 2, 3]) / np.sqrt(14), np.radians(degrees)
    cross = np.cross(np.eye(3), -axis)
    rotation = np.eye(4)
    rotation[:3, :3] += np.sin(angle) * cross + (1 - np.cos(angle)) * cross @ cross
    return rotation


def numbers(shape: tuple[int, ...] = SHAPE) -> np.ndarray:
    return np.arange(np.prod(shape), dtype=np.float32).reshape(shape)


def write(path: Path, values: np.ndarray, affine: np.ndarray | None = None) -> Path:
    nibabel.save(nibabel.Nifti1Image(values, affine_of("RAS") if affine is None else affine), path)
    return path


def refusal(path: Path, **settings: Any) -> SeewhyError:
    with pytest.raises(SeewhyError) as caught:
        read_volume(path, **settings)
    return caught.value


def patched(path: Path, place: int, content: bytes) -> Path:
    changed = bytearray(path.read_bytes())
    changed[place : place + len(content)] = content
    path.write_bytes(bytes(changed))
    return path


@pytest.mark.parametrize("codes", ORIENTATIONS)
def test_a_planted_voxel_keeps_its_world_coordinate_in_every_orientation(tmp_path: Path, codes: str) -> None:
    affine = affine_of(codes)
    stored = np.zeros(SHAPE, np.float32)
    stored[PLANTED] = 1
    volume = read_volume(write(tmp_path / "v.nii", stored, affine))
    (found,) = np.argwhere(volume.values == 1)
    np.testing.assert_allclose(volume.affine @ [*found, 1], affine @ [*PLANTED, 1], atol=1e-10)
    assert (volume.orientation, volume.axes) == (codes, "SPL")
    assert (np.diag(volume.affine[::-1][1:, :3]) > 0).tolist() == [True, False, False]  # towards S, P and L
    assert sorted(volume.spacing) == [1.5, 2.0, 4.0]


@pytest.mark.parametrize("codes", ORIENTATIONS)
def test_every_voxel_lies_where_nibabels_canonical_image_has_it(tmp_path: Path, codes: str) -> None:
    path = write(tmp_path / "v.nii", numbers(), affine_of(codes))
    canonical = nibabel.as_closest_canonical(nibabel.load(path))
    ras = read_volume(path, axes="RAS")
    assert np.array_equal(ras.values, canonical.get_fdata())
    np.testing.assert_allclose(ras.affine, canonical.affine, atol=1e-6)
    spl = read_volume(path)
    assert np.array_equal(spl.values, canonical.get_fdata().transpose(2, 1, 0)[:, ::-1, ::-1])


@pytest.mark.parametrize("codes", ORIENTATIONS)
@pytest.mark.parametrize("axes", ["SPL", "RAS", None])
def test_a_map_goes_back_to_the_files_own_voxels_and_affine(tmp_path: Path, codes: str, axes: str | None) -> None:
    affine = turned(12) @ affine_of(codes)
    path = write(tmp_path / "v.nii", numbers(), affine)
    volume = read_volume(path, axes=axes)
    back, back_affine = to_source(volume, volume.values)
    assert np.array_equal(back, numbers())
    assert np.array_equal(back_affine, nibabel.load(path).affine)


def test_a_map_written_with_the_volumes_affine_lies_on_the_source(tmp_path: Path) -> None:
    path = write(tmp_path / "v.nii", numbers(), turned(20) @ affine_of("PSR"))
    volume = read_volume(path)
    copy = write(tmp_path / "map.nii", volume.values, volume.affine)
    ours, source = (nibabel.as_closest_canonical(nibabel.load(file)) for file in (copy, path))
    assert np.array_equal(ours.get_fdata(), source.get_fdata())
    np.testing.assert_allclose(ours.affine, source.affine, atol=1e-5)


@pytest.mark.parametrize("codes", ORIENTATIONS[::5])
@pytest.mark.parametrize("degrees", [-25, 8, 25])
def test_oblique_axes_are_named_as_nibabel_names_them(codes: str, degrees: float) -> None:
    affine = turned(degrees) @ affine_of(codes)
    assert axis_codes(affine) == "".join(nibabel.aff2axcodes(affine)) == codes


def test_an_oblique_volume_says_how_far_it_is_tilted(tmp_path: Path) -> None:
    tilt = np.eye(4)
    tilt[:2, :2] = [[np.cos(np.radians(10)), -np.sin(np.radians(10))], [np.sin(np.radians(10)), np.cos(np.radians(10))]]
    assert tilt_degrees(tilt) == pytest.approx(10)
    notes = read_volume(write(tmp_path / "v.nii", numbers(), tilt)).notes
    assert "oblique: axes are up to 10.0° from the directions they are named by" in notes


def test_stored_axes_are_kept_when_asked(tmp_path: Path) -> None:
    volume = read_volume(write(tmp_path / "v.nii", numbers(), affine_of("LAS")), axes=None)
    assert np.array_equal(volume.values, numbers())
    assert (volume.axes, volume.orientation) == ("LAS", "LAS")


def test_reordering_undoes_itself_with_leading_axes() -> None:
    moves = Reordering((2, 0, 1), (True, False, True))
    values = numbers((2, *SHAPE))
    assert np.array_equal(moves.apply(values)[1], values[1].transpose(2, 0, 1)[::-1, :, ::-1])
    assert np.array_equal(moves.undo(moves.apply(values)), values)


def test_volumes_of_a_4_d_file_are_channels_or_one_is_picked(tmp_path: Path) -> None:
    path = write(tmp_path / "v.nii.gz", numbers((*SHAPE, 3)), affine_of("RAS"))
    every, second = read_volume(path, axes="RAS"), read_volume(path, axes="RAS", volume=1)
    assert np.array_equal(every.values, np.moveaxis(numbers((*SHAPE, 3)), 3, 0))
    assert np.array_equal(second.values, numbers((*SHAPE, 3))[..., 1])
    assert "volume 1 of 3 used" in second.notes
    assert to_source(every, every.values[0])[0].shape == SHAPE


def test_the_headers_slope_and_intercept_apply(tmp_path: Path) -> None:
    image = nibabel.Nifti1Image(numbers().astype(np.int16), affine_of("RAS"))
    image.header.set_slope_inter(0.5, -7)
    nibabel.save(image, tmp_path / "v.nii")
    stored = nibabel.load(tmp_path / "v.nii").dataobj.get_unscaled().astype(np.float64)
    volume = read_volume(tmp_path / "v.nii", axes="RAS")
    np.testing.assert_allclose(volume.values, stored * 0.5 - 7)
    assert "stored values scaled by 0.5 and shifted by -7, as the header says" in volume.notes


def test_a_slope_of_zero_means_unscaled(tmp_path: Path) -> None:
    path = patched(write(tmp_path / "v.nii", numbers()), 112, np.array([0, 5], "<f4").tobytes())
    assert np.array_equal(read_volume(path, axes="RAS").values, numbers())


def test_nifti_2_and_single_slices_are_read(tmp_path: Path) -> None:
    nibabel.save(nibabel.Nifti2Image(numbers(), affine_of("RAS")), tmp_path / "two.nii")
    assert np.array_equal(read_volume(tmp_path / "two.nii", axes="RAS").values, numbers())
    flat = write(tmp_path / "flat.nii", numbers((5, 4)))
    assert np.array_equal(read_volume(flat, axes="RAS").values[..., 0], numbers((5, 4)))


def test_content_decides_not_the_suffix(tmp_path: Path) -> None:
    path = write(tmp_path / "v.nii", numbers()).rename(tmp_path / "scan")
    assert np.array_equal(read_volume(path, axes="RAS").values, numbers())
    Image.fromarray(np.zeros((9, 9), np.uint8)).save(tmp_path / "picture.png")
    named = (tmp_path / "picture.png").rename(tmp_path / "picture.nii")
    assert refusal(named).code == "SW-D60"


def test_a_file_without_orientation_says_what_was_assumed(tmp_path: Path) -> None:
    path = write(tmp_path / "v.nii", numbers())
    patched(path, 252, bytes(4))  # qform_code and sform_code
    volume = read_volume(path)
    assert volume.orientation == "LAS"
    assert any("left-anterior-superior assumed" in note for note in volume.notes)


def test_nan_voxels_are_counted_and_refused_or_replaced(tmp_path: Path) -> None:
    values = numbers()
    values[0, 0, :2] = np.nan
    values[4, 3, 2] = np.inf
    path = write(tmp_path / "v.nii", values)
    error = refusal(path)
    assert (error.code, "3 of 60 voxels" in error.message) == ("SW-D23", True)
    filled = read_volume(path, axes="RAS", fill=-1)
    assert np.array_equal(filled.values, np.nan_to_num(values, nan=-1, posinf=-1))
    assert "3 NaN or infinite voxels replaced by -1" in filled.notes


def test_values_beyond_float32_are_reported_not_painted(tmp_path: Path) -> None:
    assert refusal(write(tmp_path / "v.nii", np.full(SHAPE, 1e300))).code == "SW-D23"


def test_377_bytes_that_ask_for_18_gigabytes_are_refused(tmp_path: Path) -> None:
    path = patched(write(tmp_path / "v.nii", numbers()), 40, np.array([3, 1024, 1024, 4500], "<i2").tobytes())
    path.write_bytes(path.read_bytes()[:377])
    assert refusal(path).code == "SW-D22"
    assert refusal(path, max_bytes=10**12).code == "SW-D65"


def test_a_gzip_that_cannot_hold_what_its_header_claims_is_refused(tmp_path: Path) -> None:
    path = patched(write(tmp_path / "v.nii", numbers()), 40, np.array([3, 500, 500, 500], "<i2").tobytes())
    (tmp_path / "v.nii.gz").write_bytes(gzip.compress(path.read_bytes()))
    error = refusal(tmp_path / "v.nii.gz")
    assert (error.code, "500000352 bytes" in error.message) == ("SW-D65", True)


def test_a_gzip_bomb_is_not_inflated_beyond_its_header(tmp_path: Path) -> None:
    path = write(tmp_path / "v.nii", numbers())
    (tmp_path / "v.nii.gz").write_bytes(gzip.compress(path.read_bytes() + bytes(50_000_000)))
    assert np.array_equal(read_volume(tmp_path / "v.nii.gz", axes="RAS").values, numbers())


def test_the_limit_counts_float32_not_stored_bytes(tmp_path: Path) -> None:
    path = write(tmp_path / "v.nii", numbers().astype(np.uint8))
    assert read_volume(path, max_bytes=240).shape == (3, 4, 5)
    assert refusal(path, max_bytes=239).code == "SW-D22"


def test_colour_and_complex_voxels_are_refused(tmp_path: Path) -> None:
    rgb = np.zeros(SHAPE, [("R", "u1"), ("G", "u1"), ("B", "u1")])
    assert refusal(write(tmp_path / "rgb.nii", rgb)).code == "SW-D61"
    assert refusal(write(tmp_path / "complex.nii", np.zeros(SHAPE, np.complex64))).code == "SW-D61"


def test_an_affine_that_flattens_is_refused(tmp_path: Path) -> None:
    path = write(tmp_path / "v.nii", numbers())
    patched(path, 280, np.zeros(12, "<f4").tobytes())  # the sform's three rows
    assert refusal(path).code == "SW-D63"
    patched(path, 280, np.full(12, np.nan, "<f4").tobytes())
    assert refusal(path).code == "SW-D63"


@pytest.mark.parametrize(
    ("place", "content"), [(70, b"\x39\x30"), (40, b"\x09\x00"), (42, b"\xfb\xff"), (108, b"\x00\x00\xc0\x7f")], ids=str
)
def test_headers_of_nonsense_are_refused_as_such(tmp_path: Path, place: int, content: bytes) -> None:
    """An unknown type, nine axes, a negative length, an offset that is not a number."""
    path = patched(write(tmp_path / "v.nii", numbers()), place, content)
    assert refusal(path).code in {"SW-D21", "SW-D22"}


@pytest.mark.parametrize("keep", [0, 20, 200, 352, 500])
def test_a_cut_file_is_refused(tmp_path: Path, keep: int) -> None:
    path = write(tmp_path / "v.nii", numbers())
    path.write_bytes(path.read_bytes()[:keep])
    assert refusal(path).code in {"SW-D60", "SW-D65"}
    packed = write(tmp_path / "v.nii.gz", np.random.default_rng(0).random(SHAPE))
    packed.write_bytes(packed.read_bytes()[:keep])
    assert refusal(packed).code in {"SW-D21", "SW-D60"}


@pytest.mark.parametrize(
    ("content", "told"),
    [(b"", "empty"), (b"version https://git-lfs.github.com/spec/v1", "LFS"), (b"\x80\x04\x95pickle", "begins with")],
)
def test_what_is_no_volume_is_named(tmp_path: Path, content: bytes, told: str) -> None:
    (tmp_path / "v.nii").write_bytes(content)
    error = refusal(tmp_path / "v.nii")
    assert (error.code, told in error.message) == ("SW-D60", True)


def test_wrong_requests_are_refused(tmp_path: Path) -> None:
    path = write(tmp_path / "v.nii", numbers((*SHAPE, 2)))
    assert refusal(path, volume=2).code == "SW-D62"
    assert refusal(path, volume=-1).code == "SW-D62"
    assert refusal(tmp_path, volume=0).code == "SW-D62"
    assert refusal(path, axes="RRS").code == "SW-F100"
    assert refusal(path, axes="XYZ").code == "SW-F100"
    assert refusal(path, max_bytes=0).code == "SW-F101"
    assert refusal(tmp_path / "absent.nii").code == "SW-D05"
    assert refusal(write(tmp_path / "five.nii", numbers((2, 2, 2, 3, 2)))).code == "SW-D22"


def test_a_map_of_another_shape_is_refused(tmp_path: Path) -> None:
    volume = read_volume(write(tmp_path / "v.nii", numbers()))
    with pytest.raises(DataError) as caught:
        to_source(volume, np.zeros((5, 4, 3)))
    assert caught.value.code == "SW-D75"


def test_without_nibabel_the_extra_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write(tmp_path / "v.nii", numbers())
    monkeypatch.setitem(sys.modules, "nibabel", None)
    with pytest.raises(MissingExtraError) as caught:
        read_nifti(path)
    assert caught.value.fix == "pip install 'seewhy[medical]'"


def test_the_revision_is_that_of_the_bytes(tmp_path: Path) -> None:
    first, same, other = (
        write(tmp_path / name, numbers() + added) for name, added in (("a.nii", 0), ("b.nii", 0), ("c.nii", 1))
    )
    assert read_volume(first).revision == read_volume(same).revision != read_volume(other).revision


def made(values: np.ndarray) -> Volume:
    return Volume(values, np.eye(4), "", "", np.eye(4), Reordering(), "r", ())


def test_resizing_is_trilinear_between_voxel_centres() -> None:
    ramp = np.broadcast_to(np.arange(4, dtype=np.float32)[:, None, None], (4, 2, 2)).copy()
    loaded = volume_input(made(ramp), Window(0, 1000), size=(8, 2, 2))
    inner = (np.arange(8) + 0.5) / 2 - 0.5
    np.testing.assert_allclose(loaded.values[0, :, 0, 0] * 1000, inner.clip(0, 3), atol=1e-4)
    assert loaded.geometry == Geometry((4, 2, 2), (8, 2, 2), (2.0, 1.0, 1.0), (0.0, 0.0, 0.0))


def test_a_point_of_the_input_lies_on_the_voxel_it_shows() -> None:
    values = np.zeros((4, 6, 10), np.float32)
    values[2, 1, 7] = 1
    loaded = volume_input(made(values), Window(0, 1), size=(12, 18, 30))
    brightest = np.unravel_index(int(loaded.values[0].argmax()), (12, 18, 30))
    centre = loaded.geometry.to_original([place + 0.5 for place in brightest])
    assert [int(place) for place in centre] == [2, 1, 7]


def test_z_scores_have_mean_0_and_deviation_1_per_channel_or_jointly() -> None:
    channels = np.random.default_rng(0).normal([[[[5]]], [[[90]]]], [[[[2]]], [[[7]]]], (2, 4, 5, 6)).astype(np.float32)
    apart, _ = scale(channels, ZScore())
    np.testing.assert_allclose(apart.mean((1, 2, 3)), 0, atol=1e-5)
    np.testing.assert_allclose(apart.std((1, 2, 3)), 1, atol=1e-5)
    jointly, notes = scale(channels, ZScore(per_channel=False))
    np.testing.assert_allclose(jointly, (channels - channels.mean()) / channels.std(), atol=1e-4)
    assert len(notes) == 1


def test_percentiles_and_windows_become_0_and_1() -> None:
    values = np.arange(101, dtype=np.float32).reshape(1, 1, 1, 101)
    scaled, notes = scale(values, Percentiles(10, 90))
    np.testing.assert_allclose(scaled.ravel(), ((np.arange(101) - 10) / 80).clip(0, 1), atol=1e-6)
    assert notes == ["percentiles 10 and 90 (10 and 90) are 0 and 1"]
    fixed, _ = scale(values, Window(20, 60))
    np.testing.assert_allclose(fixed.ravel(), ((np.arange(101) - 20) / 40).clip(0, 1), atol=1e-6)


@pytest.mark.parametrize("scaling", [ZScore(), Percentiles()])
def test_a_flat_volume_becomes_zeros_and_says_so(scaling: Scaling) -> None:
    scaled, notes = scale(np.full((1, 2, 2, 2), 7, np.float32), scaling)
    assert not scaled.any()
    assert notes[0].startswith("flat")


@pytest.mark.parametrize(
    "scaling", [Window(5, 5), Window(0, np.nan), Percentiles(90, 10), Percentiles(-1, 50)], ids=str
)
def test_scalings_that_are_none_are_refused(scaling: Scaling) -> None:
    with pytest.raises(ConfigError) as caught:
        scale(np.zeros((1, 2, 2, 2), np.float32), scaling)
    assert caught.value.code == "SW-F103"


@pytest.mark.parametrize("size", [8, (8, 8), (8, 8, 0), "888", (8.0, 8, 8)])
def test_sizes_that_are_none_are_refused(size: Any) -> None:
    with pytest.raises(ConfigError) as caught:
        volume_input(made(np.zeros((2, 2, 2), np.float32)), ZScore(), size)
    assert caught.value.code == "SW-F104"


def test_without_a_scaling_the_values_stay_as_they_are() -> None:
    values = np.random.default_rng(0).normal(50, 9, (1, 2, 3, 4)).astype(np.float32)
    scaled, notes = scale(values, None)
    np.testing.assert_array_equal(scaled, values)
    assert notes == ["values as they are"]
    loaded = volume_input(made(values[0]), None)
    np.testing.assert_array_equal(loaded.values.numpy(), values)
    assert "values as they are" in loaded.notes


@pytest.mark.parametrize("scaling", ["percentiles", (0, 1), Window, 3])
def test_what_is_no_scaling_is_refused_with_those_there_are(scaling: Any) -> None:
    with pytest.raises(ConfigError, match="scaling must be one of") as caught:
        scale(np.zeros((1, 2, 2, 2), np.float32), scaling)
    assert caught.value.code == "SW-F138"
    assert all(name in caught.value.message for name in ("Percentiles", "Window", "ZScore"))
