"""Metrics that remove places: ties, settings, reasons, and records that answer for themselves."""

from __future__ import annotations

import math
from itertools import pairwise
from typing import Any

import pytest
import torch
from cases import case_of, case_with
from torch import Tensor, nn

from seewhy.metrics.asking import Asking
from seewhy.metrics.confidence import average_drop, average_gain, increase_in_confidence
from seewhy.metrics.deletion import deletion, insertion
from seewhy.metrics.grade import Grade
from seewhy.metrics.grading import grade
from seewhy.metrics.imputation import imputed
from seewhy.metrics.irof import irof
from seewhy.metrics.pixel_flipping import flipped, pixel_flipping
from seewhy.metrics.region_perturbation import aopc_morf, uniform
from seewhy.metrics.regions import grid, region_means
from seewhy.metrics.removal import counts, ranks, unchanged
from seewhy.metrics.road import road
from seewhy.registry import METRICS
from seewhy.values import ConfigError, MissingExtraError
from toys import ConvNet

NAMES = (
    "deletion", "insertion", "aopc_morf", "aopc_lerf", "pixel_flipping", "irof",
    "road", "road_morf", "road_lerf", "average_drop", "increase_in_confidence", "average_gain",
)  # fmt: skip


def pictures(*size: int, batch: int = 2, channels: int = 2) -> Tensor:
    return torch.randn(batch, channels, *size, generator=torch.Generator().manual_seed(3))


# -- the order in which places go


def test_what_speaks_most_goes_first_and_ties_by_seed_and_id() -> None:
    maps = torch.tensor([[0.0, 5.0, 0.0, -1.0, 0.0]] * 64)
    ids = [str(number) for number in range(64)]
    turns = ranks(maps, ids)
    assert turns[:, 1].unique().tolist() == [0]
    assert turns[:, 3].unique().tolist() == [4]
    assert turns[:, 0].unique().tolist() == [1, 2, 3]  # not line by line
    assert torch.equal(ranks(maps.flip(0), ids[::-1]), turns.flip(0))
    assert torch.equal(ranks(maps[7:8], ids[7:8]), turns[7:8])
    assert not torch.equal(ranks(maps, ids, seed=1), turns)


def test_rounding_makes_no_order_in_a_constant_map() -> None:
    nearly = torch.full((1, 50), 0.3) + 3e-8 * torch.arange(50) % 7e-8
    assert nearly.unique().numel() > 1
    assert torch.equal(ranks(nearly, ("a",)), ranks(torch.zeros(1, 50), ("a",)))
    assert torch.equal(ranks(1e-20 * torch.arange(3.0).unsqueeze(0), ("a",)), torch.tensor([[2, 1, 0]]))


@pytest.mark.parametrize(("places", "steps"), [(10, 3), (7, 7), (3, 8), (50176, 50), (1, 1)])
def test_every_place_is_gone_at_the_last_step_in_even_parts(places: int, steps: int) -> None:
    found = counts(places, steps)
    widths = [after - before for before, after in pairwise(found)]
    assert (found[0], found[-1], len(found)) == (0, places, steps + 1)
    assert max(widths) - min(widths) <= 1


def test_blocks_cover_an_input_of_any_rank_once() -> None:
    assert grid((5,), 2).tolist() == [0, 0, 1, 1, 2]
    assert grid((3, 4, 5), 2).unique().tolist() == list(range(2 * 2 * 3))
    assert grid((4, 4), 9).unique().tolist() == [0]
    means = region_means(torch.tensor([[1.0, 2.0, 6.0], [1.0, 2.0, 6.0]]), torch.tensor([[0, 0, 1], [0, 0, 0]]))
    assert means.tolist() == [[1.5, 6.0], [3.0, -math.inf]]


# -- what takes their place


def test_a_flip_exchanges_black_and_white_and_undoes_itself() -> None:
    picture = torch.tensor([[[0.0, 1.0, 1.0, 0.0], [-2.0, 4.0, 0.0, 1.0]]])
    assert flipped(picture).tolist() == [[[1.0, 0.0, 0.0, 1.0], [4.0, -2.0, 2.0, 1.0]]]
    assert torch.equal(flipped(flipped(picture)), picture)


def test_uniform_values_fill_the_range_of_each_channel_and_belong_to_a_record() -> None:
    images = pictures(40, 40) * torch.tensor([1.0, 10.0]).reshape(2, 1, 1)
    found = uniform(images, ("a", "b"), 0)
    for row, channel in ((0, 0), (0, 1), (1, 0), (1, 1)):
        low, high = images[row, channel].min(), images[row, channel].max()
        shares = (found[row, channel] - low) / (high - low)
        assert shares.min() >= 0
        assert shares.max() <= 1
        assert shares.mean().item() == pytest.approx(0.5, abs=4 / math.sqrt(12 * 1600))
    assert torch.equal(uniform(images[1:], ("b",), 0), found[1:])
    assert not torch.equal(uniform(images, ("a", "b"), 1), found)


def test_noise_of_road_is_a_share_of_the_range_of_imputed_places_alone() -> None:
    seen: list[Tensor] = []
    image = pictures(30, 30, batch=1)

    def watch(images: Tensor) -> Tensor:
        seen.append(images)
        return images.flatten(1).mean(dim=1)

    model = Asking.of(watch, image)
    for noise in (0.0, 0.02):
        road(pictures(30, 30, batch=1)[:, 0], image, model, ("a",), percentages=(50,), noise=noise)
    plain, noisy = seen[1], seen[2]
    hole = plain != image
    wanted = 0.02 * (image.max() - image.min()).item()
    assert (noisy - plain)[hole].std().item() == pytest.approx(wanted, rel=0.1)
    assert torch.equal(noisy[~hole], image.expand_as(noisy)[~hole])
    assert hole[:, 0].flatten(1).sum(dim=1).tolist() == [450, 450]


# -- values that would be lies


def flat_answer(images: Tensor) -> Tensor:
    return images.flatten(1).mean(dim=1).sigmoid()


@pytest.mark.parametrize("metric", [deletion, insertion, aopc_morf, pixel_flipping])
def test_an_image_that_its_filling_leaves_as_it_is_has_no_grade(metric: Any) -> None:
    image = pictures(4, 4)
    image[1] = 0.25
    means = image.flatten(2).mean(dim=2)[:, :, None, None].expand_as(image)
    found = metric(image[:, 0], image, Asking.of(flat_answer, image), lambda fill: means, ("a", "b"), fill="mean")
    assert found.values.isnan().tolist() == [False, True]
    assert found.reasons == (None, "the image is the same as what replaces it")
    assert unchanged(image, means).tolist() == [False, True]


def test_a_constant_image_has_no_road() -> None:
    image = pictures(4, 4)
    image[1] = torch.tensor([1.0, 2.0]).reshape(2, 1, 1)
    found = road(pictures(4, 4)[:, 1], image, Asking.of(flat_answer, image), ("a", "b"))
    assert found.reasons == (None, "the image is constant, and so is what is imputed")


def test_maps_that_show_nothing_or_everything_have_no_drop() -> None:
    image = pictures(4, 4, batch=4)
    maps = image[:, 0].clone()
    maps[1], maps[2], maps[3] = -1.0, 0.0, 2.5
    for metric in (average_drop, increase_in_confidence, average_gain):
        found = metric(maps, image, Asking.of(flat_answer, image), lambda fill: torch.zeros_like(image))
        assert found.reasons == (None, *["the map has no positive value"] * 2, "the map is constant")


def test_shares_of_a_probability_of_zero_or_one_are_not_defined() -> None:
    image = pictures(4, 4)
    nothing = lambda fill: torch.zeros_like(image)  # noqa: E731
    never = Asking.of(lambda images: images.new_zeros(len(images)), image)
    always = Asking.of(lambda images: images.new_ones(len(images)), image)
    assert average_drop(image[:, 0], image, never, nothing).reasons == ("the clean probability is zero",) * 2
    assert average_gain(image[:, 0], image, always, nothing).reasons == ("the clean probability is one",) * 2
    found = irof(image[:, 0], image, never, nothing, ("a", "b"), regions="grid", segments=4)
    assert found.reasons == ("the clean probability is zero",) * 2
    assert increase_in_confidence(image[:, 0], image, always, nothing).values.tolist() == [0.0, 0.0]


def test_a_record_with_fewer_superpixels_than_its_neighbor_is_graded_as_alone() -> None:
    image = torch.zeros(2, 3, 24, 24)
    image[0] = pictures(24, 24, batch=1, channels=3)[0]
    image[1, :, :, 12:] = 1.0
    maps = pictures(24, 24)[:, 0]

    def asked(rows: list[int]) -> Grade:
        given, ids = image[rows], [("a", "b")[row] for row in rows]
        return irof(maps[rows], given, Asking.of(flat_answer, given), lambda fill: torch.zeros_like(given), ids)

    together = asked([0, 1])
    ends = [asked([row]) for row in (0, 1)]
    assert ends[0].details["curve"].shape != ends[1].details["curve"].shape
    assert together.values.tolist() == pytest.approx([ends[0].values.item(), ends[1].values.item()], abs=1e-7)


# -- settings and cases that cannot be


@pytest.mark.parametrize(
    ("name", "settings", "code"),
    [
        ("deletion", {"steps": 0}, "SW-F252"),
        ("insertion", {"steps": 2.5}, "SW-F252"),
        ("deletion", {"fill": "green"}, "SW-F41"),
        ("aopc_morf", {"region": 0}, "SW-F252"),
        ("aopc_lerf", {"fill": "black"}, "SW-F40"),
        ("pixel_flipping", {"steps": True}, "SW-F252"),
        ("irof", {"segments": -1}, "SW-F252"),
        ("irof", {"regions": "slick"}, "SW-F241"),
        ("road", {"percentages": ()}, "SW-F240"),
        ("road", {"percentages": (80, 20)}, "SW-F240"),
        ("road_morf", {"percentages": (0, 50)}, "SW-F240"),
        ("road_lerf", {"percentages": "50"}, "SW-F240"),
        ("road", {"noise": -0.1}, "SW-F253"),
        ("average_drop", {"fill": torch.zeros(1, 3, 1, 1)}, "SW-F227"),
    ],
)
def test_settings_that_cannot_be_are_refused_before_a_changed_copy_is_asked_about(
    name: str, settings: dict[str, Any], code: str
) -> None:
    case = case_of(ConvNet(2).eval(), {"image": pictures(12, 10)})
    asked: list[int] = []
    case.probability.clean  # noqa: B018  (the clean answer may be asked for)
    case.adapter.model.register_forward_pre_hook(lambda *call: asked.append(1))
    with pytest.raises(ConfigError, match=code):
        grade(name, case, **settings)
    assert asked == []


def test_superpixels_are_of_pictures_and_need_their_package(monkeypatch: pytest.MonkeyPatch) -> None:
    signal = case_of(ConvNet(1).eval(), {"image": pictures(20)})
    with pytest.raises(ConfigError, match="SW-F242"):
        grade("irof", signal)
    assert grade("irof", signal, regions="grid").reasons == (None, None)
    monkeypatch.setitem(__import__("sys").modules, "skimage.segmentation", None)
    with pytest.raises(MissingExtraError, match="scikit-image"):
        grade("irof", case_of(ConvNet(2).eval(), {"image": pictures(12, 10)}))


def test_inputs_of_rank_four_are_not_imputed() -> None:
    image = pictures(2, 2, 2, 2)
    with pytest.raises(ConfigError, match="SW-F243"):
        road(image[:, 0], image, Asking.of(flat_answer, image), ("a", "b"))


# -- what is right is told from what is wrong


class PatchDetector(nn.Module):
    """A bright patch speaks for class 1, everything around it a little against."""

    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.tensor(6.0))

    def forward(self, image: Tensor) -> Tensor:
        patch = image[:, :, 4:8, 8:12].flatten(1).mean(dim=1)
        speaks = self.scale * patch - 3 - image.flatten(1).mean(dim=1)
        return torch.stack([torch.zeros_like(speaks), speaks], dim=1)


@pytest.mark.parametrize("name", NAMES)
def test_a_map_that_is_right_beats_its_opposite(name: str) -> None:
    image = 0.2 * pictures(16, 16, batch=1).sigmoid()
    image[:, :, 4:8, 8:12] = 1.0
    right = torch.zeros(1, 16, 16)
    right[:, 4:8, 8:12] = 1.0
    settings: dict[str, Any] = {"regions": "grid"} if name == "irof" else {}
    if name in ("average_drop", "increase_in_confidence", "average_gain"):
        settings = {"fill": torch.zeros(1, 1, 1, 1)}
    good, bad = (
        grade(name, case_with(PatchDetector(), {"image": image}, maps), **settings).values.item()
        for maps in (right, 1 - right)
    )
    assert good > bad if METRICS[name].better == "higher" else good < bad


def test_a_picture_of_one_place_is_graded() -> None:
    image = torch.tensor([[[[2.0]]], [[[3.0]]]])
    assert imputed(image, torch.zeros(2, 1, 1, dtype=torch.bool)).flatten().tolist() == [2.0, 3.0]
    model = Asking.of(lambda images: images.flatten(1).mean(dim=1) / 4, image)
    found = deletion(image[:, 0], image, model, lambda fill: torch.zeros_like(image), ("a", "b"), steps=3)
    assert found.values.tolist() == [pytest.approx(0.25), pytest.approx(0.375)]
