"""How an output's shape becomes a grid on the input, by kind of layer, by size, and by the tokens seen before."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from seewhy.models.grid import Grid, fits_input, grid_of
from seewhy.values import LayerError


@pytest.mark.parametrize(
    ("size", "input_size", "fits"),
    [
        ((7, 7), (224, 224), True),
        ((7, 10), (224, 320), True),
        ((4, 6), (13, 22), True),  # 13/22 shrunk by 22/6 is 3.5 cells: rounded up by padding
        ((7, 7), (224, 448), False),
        ((768, 7), (224, 224), False),
        ((3,), (100,), True),
        ((7, 7, 7), (224, 224), False),
        ((65, 65), (64, 64), True),  # an even kernel with padding
        ((128, 128), (64, 64), False),
    ],
)
def test_a_size_fits_when_it_is_the_input_shrunk_evenly(
    size: tuple[int, ...], input_size: tuple[int, ...], fits: bool
) -> None:
    assert fits_input(size, input_size) is fits


@pytest.mark.parametrize(
    ("shape", "input_size", "expected"),
    [
        ((2, 512, 7, 7), (224, 224), Grid("channels_first", (7, 7))),
        ((2, 7, 7, 768), (224, 224), Grid("channels_last", (7, 7))),
        ((2, 512, 5, 8), (160, 256), Grid("channels_first", (5, 8))),
        ((2, 5, 8, 512), (160, 256), Grid("channels_last", (5, 8))),
        ((2, 16, 3, 4, 5), (12, 16, 20), Grid("channels_first", (3, 4, 5))),
        ((2, 3, 4, 5, 16), (12, 16, 20), Grid("channels_last", (3, 4, 5))),
        ((2, 64, 25), (100,), Grid("channels_first", (25,))),
        ((2, 512), (224, 224), None),
        ((2, 12, 49, 50), (224, 448), None),
        ((2, 3, 5, 7, 9, 11), (224, 224), None),
    ],
)
def test_dense_outputs(shape: tuple[int, ...], input_size: tuple[int, ...], expected: Grid | None) -> None:
    assert grid_of(shape, input_size) == expected


def test_the_kind_of_layer_settles_what_fits_either_way() -> None:
    shape = (2, 8, 8, 8)
    assert grid_of(shape, (16, 16)) == Grid("channels_first", (8, 8))
    assert grid_of(shape, (16, 16), channels="last") == Grid("channels_last", (8, 8))
    assert grid_of((2, 17, 17), (64,), channels="first") == Grid("channels_first", (17,))
    assert grid_of((2, 17, 17), (64,), channels="last", token_grids=[(16,)]) == Grid("tokens", (16,), 1)


def test_time_and_depth_have_a_stride_of_their_own() -> None:
    assert grid_of((2, 64, 16, 7, 7), (16, 112, 112)) == Grid("channels_first", (16, 7, 7))


def test_a_convolution_is_believed_with_uneven_strides() -> None:
    assert grid_of((2, 64, 16, 7, 14), (16, 112, 112)) is None
    assert grid_of((2, 64, 16, 7, 7), (16, 112, 112), channels="first") == Grid("channels_first", (16, 7, 7))
    assert grid_of((2, 64, 4, 24), (20, 40), channels="first") == Grid("channels_first", (4, 24))


@pytest.mark.parametrize(
    ("tokens", "grids", "expected"),
    [
        (196, [(14, 14)], Grid("tokens", (14, 14), 0)),
        (197, [(14, 14)], Grid("tokens", (14, 14), 1)),
        (201, [(112, 112), (14, 14)], Grid("tokens", (14, 14), 5)),
        (50, [(7, 7), (3, 4)], Grid("tokens", (7, 7), 1)),
        (300, [(14, 14)], None),
        (195, [(14, 14)], None),
    ],
)
def test_tokens_are_explained_by_the_grids_seen_before(
    tokens: int, grids: list[tuple[int, ...]], expected: Grid | None
) -> None:
    assert grid_of((2, tokens, 64), (224, 224), token_grids=grids) == expected


@pytest.mark.parametrize(
    ("tokens", "input_size", "expected"),
    [
        (196, (224, 224), Grid("tokens", (14, 14), 0)),
        (197, (224, 224), Grid("tokens", (14, 14), 1)),
        (51, (160, 80), Grid("tokens", (10, 5), 1)),
        (120, (224, 224), None),
        (77, (10, 7), None),
    ],
)
def test_tokens_cut_by_reshaping_are_explained_by_even_patches(
    tokens: int, input_size: tuple[int, ...], expected: Grid | None
) -> None:
    assert grid_of((2, tokens, 64), input_size) == expected


@settings(deadline=None, max_examples=50)
@given(
    size=st.lists(st.integers(1, 5), min_size=1, max_size=3).map(tuple),
    channels=st.integers(1, 4),
    prefix=st.integers(0, 3),
)
def test_every_layout_of_the_same_values_gives_the_same_grid(size: tuple[int, ...], channels: int, prefix: int) -> None:
    values = torch.arange(2 * channels * torch.Size(size).numel(), dtype=torch.float32).reshape(2, channels, *size)
    tokens = torch.cat([torch.full((2, prefix, channels), -1.0), values.flatten(2).transpose(1, 2)], dim=1)
    assert torch.equal(Grid("channels_first", size).apply(values), values)
    assert torch.equal(Grid("channels_last", size).apply(values.movedim(1, -1)), values)
    assert torch.equal(Grid("tokens", size, prefix).apply(tokens), values)


def test_values_per_token_are_laid_out_row_by_row() -> None:
    assert Grid("tokens", (2, 3), 1).tokens_to_grid(torch.arange(6.0)).tolist() == [[0, 1, 2], [3, 4, 5]]


def test_another_number_of_tokens_than_traced_is_named() -> None:
    with pytest.raises(LayerError, match="SW-L06"):
        Grid("tokens", (14, 14), 1).apply(torch.zeros(2, 257, 8))
