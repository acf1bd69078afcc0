"""Law 9 for boxes and local class activation maps: broken formulas are noticed."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from box_oracles import local_cam_by_loops, local_cam_of_one_cell, matching_by_definition, overlap_by_counting
from torch import Tensor

from seewhy.methods.cam import gradcam, gradcam_plus_plus, read_cells
from seewhy.models.box_target import iou, matching

NOTICED = 1e-3


def test_overlaps_are_right() -> None:
    assert overlap_by_counting(iou) < 1e-10


def shared(one: Tensor, other: Tensor) -> Tensor:
    return (torch.minimum(one[2:], other[2:]) - torch.maximum(one[:2], other[:2])).clamp(min=0).prod()


def area(box: Tensor) -> Tensor:
    return (box[2:] - box[:2]).prod()


BROKEN_OVERLAPS: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "both areas in place of the union": lambda a, b: shared(a, b) / (area(a) + area(b)),
    "over the smaller": lambda a, b: shared(a, b) / torch.minimum(area(a), area(b)),
    "corners counted twice": lambda a, b: iou(a + torch.tensor([0, 0, 1, 1]), b + torch.tensor([0, 0, 1, 1])),
    "negative sides multiplied": lambda a, b: (
        (s := (torch.minimum(a[2:], b[2:]) - torch.maximum(a[:2], b[:2])).prod()) / (area(a) + area(b) - s)
    ),
    "x and y exchanged in one": lambda a, b: iou(a, b[[1, 0, 3, 2]]),
}


@pytest.mark.parametrize("broken", BROKEN_OVERLAPS.values(), ids=BROKEN_OVERLAPS)
def test_a_broken_overlap_is_noticed(broken: Callable[[Tensor, Tensor], Tensor]) -> None:
    assert overlap_by_counting(broken) > NOTICED


def test_matching_is_right() -> None:
    assert matching_by_definition(matching) == 0


BROKEN_MATCHINGS: dict[str, Callable[[Tensor, Tensor, float], Tensor]] = {
    "overlap alone": lambda o, s, t: matching(o, (s > 0).float(), t),
    "score alone": lambda o, s, t: torch.where((o >= t) & (s > 0), s, 0.0),
    "no threshold": lambda o, s, t: matching(o, s, 0.0),
    "the same box has no preference": lambda o, s, t: torch.where(o >= t, o * s, 0.0),
    "a box not proposed": lambda o, s, t: matching(o, s + 0.6, t),
    "above the threshold only from 0.7": lambda o, s, t: matching(o, s, t + 0.2),
}


@pytest.mark.parametrize("broken", BROKEN_MATCHINGS.values(), ids=BROKEN_MATCHINGS)
def test_a_broken_matching_is_noticed(broken: Callable[[Tensor, Tensor, float], Tensor]) -> None:
    assert matching_by_definition(broken) >= 1


def local(activations: Tensor, gradients: Tensor) -> Tensor:
    return gradcam(activations, gradients, local=True)


def local_plus_plus(activations: Tensor, gradients: Tensor) -> Tensor:
    return gradcam_plus_plus(activations, gradients, local=True)


def test_local_maps_are_right() -> None:
    assert local_cam_by_loops(local) < 1e-10
    assert local_cam_by_loops(local_plus_plus, plus_plus=True) < 1e-10
    assert local_cam_of_one_cell(local) < 1e-10


def test_where_every_cell_is_read_local_changes_nothing() -> None:
    activations, gradients = torch.randn(2, 3, 4, 5), torch.randn(2, 3, 4, 5)
    torch.testing.assert_close(local(activations, gradients), gradcam(activations, gradients))
    torch.testing.assert_close(local_plus_plus(activations, gradients), gradcam_plus_plus(activations, gradients))


def test_a_score_without_any_gradient_has_a_map_of_zeros() -> None:
    activations = torch.randn(1, 3, 4, 5)
    assert not local(activations, torch.zeros_like(activations)).any()
    assert not local_plus_plus(activations, torch.zeros_like(activations)).any()


def averaged(activations: Tensor, gradients: Tensor, cells: Tensor) -> Tensor:
    weights = gradients.flatten(2).sum(dim=2) / cells.flatten(2).sum(dim=2)
    return torch.einsum("bc,bc...->b...", weights, activations)


BROKEN_LOCAL: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "averaged over all cells": lambda a, g: gradcam(a * read_cells(g), g),
    "map not kept to the cells": lambda a, g: averaged(a, g, read_cells(g)),
    "each channel's own cells": lambda a, g: averaged(a * read_cells(g), g, g != 0),
    "not local": gradcam,
    "cells of the activation": lambda a, g: averaged(a * read_cells(g), g, read_cells(a).expand_as(a)),
}


@pytest.mark.parametrize("broken", BROKEN_LOCAL.values(), ids=BROKEN_LOCAL)
def test_a_broken_local_gradcam_is_noticed(broken: Callable[[Tensor, Tensor], Tensor]) -> None:
    assert local_cam_by_loops(broken) > NOTICED


BROKEN_LOCAL_PLUS_PLUS: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "not local": gradcam_plus_plus,
    "the sum over all cells": lambda a, g: gradcam_plus_plus(a, g) * read_cells(g).squeeze(1),
}


@pytest.mark.parametrize("broken", BROKEN_LOCAL_PLUS_PLUS.values(), ids=BROKEN_LOCAL_PLUS_PLUS)
def test_a_broken_local_gradcam_plus_plus_is_noticed(broken: Callable[[Tensor, Tensor], Tensor]) -> None:
    assert local_cam_by_loops(broken, plus_plus=True) > NOTICED
