"""Law 6: signals, pictures, volumes, odd and non-square sizes, channels last and tokens; the map lies on the input."""

from __future__ import annotations

import pytest
import torch
from law_sweep import CASES, SUBJECTS, Case, Subject, named

from seewhy.capture.probe import Probe
from seewhy.core import Wants
from seewhy.targets import Logit

GRIDS = {
    "1-D convolutions": (11,),
    "2-D convolutions": (8, 8),
    "non-square odd picture": (7, 11),
    "3-D convolutions": (3, 5, 4),
    "channels last": (6, 4),
    "1-D tokens": (8,),
    "tokens": (4, 4),
    "tokens, non-square, registers": (2, 5),
    "tokens without a class token": (2, 3),
    "3-D tokens": (2, 1, 2),
    "tokens, multi-head module": (4, 4),
    "two inputs of convolutions": (6, 5),
    "a picture and a signal": (5, 6),
    "two inputs, one trunk": (4, 5),
    "two inputs of tokens": (2, 3),
    "frames of a clip": (4, 5, 4),
    "frames of a clip, tokens": (3, 2, 3),
}


@pytest.mark.parametrize("subject", SUBJECTS, ids=lambda subject: subject.name)
def test_the_default_layer_has_the_grid_the_strides_give(subject: Subject) -> None:
    adapter = subject.adapter(subject.model(), subject.inputs())
    assert adapter.grid(adapter.target_layer.layer).size == GRIDS[subject.name]


CAMS = [case for case in CASES if case.method.reads == ("activations", "gradients")]


@pytest.mark.parametrize("case", CAMS, ids=named)
def test_the_map_moves_with_what_it_shows(case: Case) -> None:
    """Light up one cell of the layer by an edit: only that cell of the map may change."""
    inputs = case.subject.inputs(records=1)
    adapter = case.subject.adapter(case.subject.model(), inputs)
    layer = adapter.target_layer.layer
    grid = adapter.grid(layer)
    cell = tuple(length - 1 for length in grid.size)

    def light(tensor: torch.Tensor) -> torch.Tensor:
        lit = torch.zeros_like(tensor)
        grid.apply(lit)[(slice(None), slice(None), *cell)] = 1.0
        return lit

    capture = Probe(adapter, [Logit(0)]).capture(
        inputs, Wants(activations=(layer,), gradients=(layer,)), edit={layer: light}
    )
    shown = case.method.function(capture.activations[layer], capture.gradients[layer][0])[0]
    elsewhere = torch.ones(grid.size, dtype=torch.bool)
    elsewhere[cell] = False
    assert shown[cell] != 0
    assert not shown[elsewhere].any()
