"""Resizing follows the pixel-centre convention, as torch's bilinear interpolation without aligned corners."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from seewhy.render import RenderError, resize


@pytest.mark.parametrize(
    ("native", "size"),
    [
        ((7, 7), (224, 224)),
        ((14, 9), (61, 300)),
        ((1, 1), (5, 3)),
        ((1, 6), (4, 4)),
        ((12, 12), (5, 7)),
        ((3, 3), (3, 3)),
    ],
)
def test_equals_torch_interpolation(native, size):
    plane = np.random.default_rng(3).random(native)
    theirs = torch.nn.functional.interpolate(torch.from_numpy(plane)[None, None], size, mode="bilinear")[0, 0].numpy()
    assert np.abs(resize(plane, size) - theirs).max() < 1e-6


def test_two_cells_on_four_pixels_by_hand():
    # pixel centres 0.5, 1.5, 2.5, 3.5 of 4 are 0.25, 0.75, 1.25, 1.75 of 2; the cells' centres are 0.5 and 1.5
    assert resize(np.array([[0.0, 1.0]]), (1, 4)).tolist() == [[0.0, 0.25, 0.75, 1.0]]


LENGTHS = st.integers(1, 40)


@settings(max_examples=40)
@given(LENGTHS, LENGTHS, LENGTHS, LENGTHS, st.floats(-4, 4, width=32, allow_subnormal=False))
def test_a_constant_stays_constant(height, width, rows, columns, value):
    resized = resize(np.full((height, width), value), (rows, columns))
    assert (resized == np.float32(value)).all()


def test_a_linear_ramp_stays_linear_between_the_outer_centres():
    resized = resize(np.arange(8.0)[None], (1, 32))[0]
    positions = (np.arange(32) + 0.5) / 4 - 0.5
    assert np.allclose(resized, positions.clip(0, 7), atol=1e-6)


@pytest.mark.parametrize(("shape", "size"), [((0, 5), (3, 3)), ((), ()), ((2, 2), (3,)), ((2, 2), (0, 3))])
def test_a_map_without_cells_or_of_other_axes_is_refused(shape, size):
    with pytest.raises(RenderError, match="SW-R04"):
        resize(np.zeros(shape), size)


def test_the_input_is_not_shared_with_the_result():
    plane = np.ones((2, 2), np.float32)
    resize(plane, (2, 2))[:] = 0
    assert plane.sum() == 4
