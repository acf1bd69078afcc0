"""Controls know nothing of the model, and go through every metric like a method."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn

import seewhy.metrics.complexity
import seewhy.metrics.pointing  # noqa: F401  (importing registers)
from metrics.cases import case_of
from seewhy.core import Inputs
from seewhy.metrics.case import Case
from seewhy.metrics.controls import CONTROLS, ControlCase, controlled
from seewhy.metrics.grading import grade
from seewhy.values import ConfigError
from toys import ConvNet

IDS = ("a", "b", "c")


def images(*size: int, channels: int = 2, records: int = 3) -> Tensor:
    return torch.randn(records, channels, *size, generator=torch.Generator().manual_seed(0))


def some_case() -> Case:
    torch.manual_seed(0)
    inputs: Inputs = {"image": images(12, 16)}
    return case_of(ConvNet(2).eval(), inputs, keys=IDS)


@pytest.mark.parametrize("name", CONTROLS)
@pytest.mark.parametrize("size", [(7,), (6, 5), (4, 5, 3), (1, 6)])
def test_a_control_is_a_map_of_any_rank_that_sums_to_one(name: str, size: tuple[int, ...]) -> None:
    image = images(*size)
    found = CONTROLS[name](image, IDS)
    assert found.shape == (3, *size)
    assert (found >= 0).all()
    assert found.flatten(1).sum(dim=1).tolist() == pytest.approx([1] * 3)
    assert found.dtype == image.dtype


@pytest.mark.parametrize("name", CONTROLS)
def test_a_record_has_the_control_it_has_alone(name: str) -> None:
    image = images(6, 5)
    assert torch.equal(CONTROLS[name](image, IDS)[1:2], CONTROLS[name](image[1:2], IDS[1:2]))


def test_noise_depends_on_the_record_and_on_nothing_else() -> None:
    image = images(6, 5)
    found = CONTROLS["random"](image, IDS)
    assert not torch.equal(found[0], found[1])
    assert torch.equal(found, CONTROLS["random"](image + 1, IDS))


def test_the_centre_is_symmetric_and_highest_in_the_middle() -> None:
    found = CONTROLS["centre"](images(6, 5), IDS)
    assert torch.equal(found, found.flip(1, 2))
    assert found[0].amax().item() == found[0, 2, 2].item()


def test_edges_are_the_length_of_the_gradient_whatever_the_level() -> None:
    down, across = torch.meshgrid(torch.arange(5.0), torch.arange(6.0), indexing="ij")
    ramps = torch.stack([3 * down + 4 * across, 12 * down])[None]  # lengths 5 and 12 at every place: 13 in all
    assert CONTROLS["edges"](ramps + 7, ("a",)).flatten().tolist() == pytest.approx([1 / 30] * 30)
    step = torch.zeros(1, 1, 4, 4)
    step[..., 2:] = 1
    assert CONTROLS["edges"](step, ("a",))[0, 0].tolist() == pytest.approx([0, 1 / 8, 1 / 8, 0])
    assert CONTROLS["edges"](torch.full((1, 2, 4, 4), 3.0), ("a",)).abs().max() == 0


@pytest.mark.parametrize("name", CONTROLS)
def test_a_controlled_case_explains_without_the_model(name: str) -> None:
    case = controlled(some_case(), name)
    torch.testing.assert_close(case.maps, CONTROLS[name](case.image, IDS))
    assert torch.equal(case.explain_on(nn.Identity()), case.maps)
    assert torch.equal(case.explain_class([0, 0, 0]), case.maps)
    changed = case.image.flip(3)
    torch.testing.assert_close(case.explain(changed, range(3)), CONTROLS[name](changed, IDS))
    copies = case.explain.each(2, lambda row, samples: torch.stack([changed[row]] * len(samples)))
    torch.testing.assert_close(copies[:, 1], CONTROLS[name](changed, IDS))
    torch.testing.assert_close(case.explain_shifted(changed), CONTROLS[name](case.image + changed, IDS))
    assert case.explain_with(case.probe, case.inputs).maps["image"].shape == (1, *case.maps.shape)


def test_the_rest_of_the_case_is_that_of_the_method() -> None:
    given = replace(some_case(), scale="magnitude", contributes=False, rivals={"other": torch.zeros(3, 4, 4)})
    case = controlled(given, "edges")
    assert (case.scale, case.contributes, case.ids, case.chunk_size) == ("positive", True, IDS, given.chunk_size)
    assert case.rivals is given.rivals
    assert torch.equal(case.score.clean, given.score.clean)
    assert isinstance(replace(case, keys=("x",) * 3), ControlCase)


def test_metrics_grade_a_control_like_a_method() -> None:
    case = controlled(some_case(), "random")
    # The mean difference of two uniform numbers is a third, over twice their mean of a half.
    assert grade("gini", case).values.tolist() == pytest.approx([1 / 3] * 3, abs=0.04)
    everywhere = replace(case, mask_given=torch.ones(3, 12, 16, dtype=torch.bool))
    assert grade("pointing_game", everywhere).values.tolist() == [1, 1, 1]


def test_a_constant_picture_has_no_edges_to_grade() -> None:
    case = some_case()
    flat = controlled(replace(case, inputs={"image": torch.ones(3, 2, 12, 16)}), "edges")
    assert grade("gini", flat).reasons == ("the map is zero everywhere",) * 3
    assert math.isnan(grade("gini", flat).values[0])


def test_an_unknown_control_is_refused() -> None:
    with pytest.raises(ConfigError, match="SW-F268"):
        controlled(some_case(), "edge")
