"""Asking about changed copies: who is asked, in which batches, and what comes back in whose place."""

from __future__ import annotations

import math

import pytest
import torch

from seewhy.metrics.asking import Asking
from seewhy.metrics.grade import graded


def test_every_copy_is_asked_about_once_and_answers_in_its_place() -> None:
    image = torch.tensor([[[1.0, 2.0]], [[3.0, 4.0]], [[5.0, 6.0]]])
    seen: list[list[int]] = []

    def ask(images: torch.Tensor, rows: list[int]) -> torch.Tensor:
        seen.append(list(rows))
        return images.sum(dim=(1, 2)) + 100.0 * torch.tensor(rows)

    asking = Asking(ask, image.sum(dim=(1, 2)), chunk_size=4)
    found = asking.each(3, lambda row, samples: torch.stack([image[row] * number for number in samples]))
    assert found.tolist() == [[0, 3, 6], [100, 107, 114], [200, 211, 222]]
    assert seen == [[0, 0, 0, 1], [1, 1, 2, 2], [2]]


def test_answers_may_have_any_shape() -> None:
    image = torch.arange(8.0).reshape(2, 1, 4)
    maps = Asking.of(lambda images: images[:, 0] * 2, image, chunk_size=3)
    found = maps.each(2, lambda row, samples: image[row].expand(len(samples), 1, 4))
    assert torch.equal(found, (image[:, 0] * 2)[:, None].expand(2, 2, 4))
    assert torch.equal(maps(image[[1, 0, 1]], [1, 0, 1]), image[[1, 0, 1], 0] * 2)


def test_no_samples_are_no_answers() -> None:
    image = torch.zeros(2, 1, 4)
    assert Asking.of(lambda images: images.sum(dim=(1, 2)), image).each(0, lambda row, samples: image).shape == (2, 0)


def test_the_first_reason_that_holds_is_told_and_its_value_is_nan() -> None:
    rows = torch.tensor([True, False, False])
    found = graded(torch.tensor([1.0, 2.0, math.inf]), {"first": rows, "second": torch.tensor([True, True, False])})
    assert found.reasons == ("first", "second", "the value came out infinite or NaN")
    assert all(math.isnan(value) for value in found.values)


@pytest.mark.parametrize("kind", ["float32", "float16"])
def test_grades_are_double_precision(kind: str) -> None:
    assert graded(torch.ones(2, dtype=getattr(torch, kind))).values.dtype == torch.float64
