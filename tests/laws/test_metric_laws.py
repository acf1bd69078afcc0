"""The laws of metrics, swept over the registry: a grade is a record's own, in range, repeatable, and asks politely."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch
from law_sweep import Subject
from metric_sweep import BY_NAME, PICTURE, RANKS, case_on, graded_on, row_of, settings_of

from borrowed import unchanged
from seewhy.metrics.case import Case
from seewhy.metrics.grading import BROKEN, grade
from seewhy.registry import METRICS
from seewhy.values import SeewhyError

IDS = ("a", "b", "c")
RANKS_MOST_SLOWLY = [
    kind if kind in ("3-D convolutions", "two inputs of convolutions") else pytest.param(kind, marks=pytest.mark.slow)
    for kind in RANKS
]


def picture_case(**others: object) -> Case:
    return case_on(PICTURE, PICTURE.inputs(), ids=IDS, **others)


def as_list(values: torch.Tensor) -> list[float | None]:
    return [None if math.isnan(value) else value for value in values.tolist()]


@pytest.mark.parametrize("name", METRICS)
def test_a_batch_is_graded_as_its_records_are_one_by_one(name: str) -> None:
    case = picture_case()
    batch = graded_on(name, PICTURE, case)
    for record in range(3):
        alone = graded_on(name, PICTURE, row_of(case, PICTURE, record))
        assert as_list(alone.values) == pytest.approx([as_list(batch.values)[record]], rel=1e-4, abs=1e-6)
        assert alone.reasons == (batch.reasons[record],)


@pytest.mark.parametrize("name", METRICS)
def test_the_size_of_a_chunk_changes_nothing(name: str) -> None:
    plain = graded_on(name, PICTURE, picture_case())
    small = graded_on(name, PICTURE, picture_case(chunk_size=2))
    torch.testing.assert_close(small.values, plain.values, rtol=1e-4, atol=1e-6, equal_nan=True)


@pytest.mark.parametrize("name", METRICS)
def test_a_grade_is_in_its_range_or_has_a_reason(name: str) -> None:
    found = graded_on(name, PICTURE, picture_case())
    low, high = METRICS[name].range
    for value, reason in zip(found.values.tolist(), found.reasons, strict=True):
        assert (reason is not None) == math.isnan(value)
        assert math.isnan(value) or low - 1e-9 <= value <= high + 1e-9
    assert found.values.dtype == torch.float64


@pytest.mark.parametrize("name", METRICS)
def test_the_model_and_everything_given_come_back_as_they_were(name: str) -> None:
    case = picture_case()
    lent = (
        *case.inputs.values(),
        case.maps,
        case.image,
        case.mask,
        *case.attribution.maps.values(),
        *case.rivals.values(),
    )
    settings = settings_of(name, PICTURE)
    with unchanged(case.adapter.model, *lent):
        grade(name, case, **settings)


@pytest.mark.parametrize("name", METRICS)
def test_grading_twice_gives_the_same_and_ids_alone_decide_noise(name: str) -> None:
    first = graded_on(name, PICTURE, picture_case())
    torch.manual_seed(123)
    second = graded_on(name, PICTURE, picture_case())
    torch.testing.assert_close(second.values, first.values, rtol=0, atol=0, equal_nan=True)


@pytest.mark.parametrize("name", METRICS)
def test_a_broken_map_has_no_grade_and_its_neighbours_have_theirs(name: str) -> None:
    case = picture_case()
    broken = {key: maps.clone() for key, maps in case.attribution.maps.items()}
    broken["image"][1, 0, 0] = math.nan
    found = graded_on(name, PICTURE, replace(case, attribution=replace(case.attribution, maps=broken)))
    plain = graded_on(name, PICTURE, case)
    assert math.isnan(found.values[1])
    assert found.reasons[1] == BROKEN
    torch.testing.assert_close(found.values[[0, 2]], plain.values[[0, 2]], rtol=1e-4, atol=1e-6, equal_nan=True)


@pytest.mark.parametrize("level", [0.0, 2.5])
@pytest.mark.parametrize("name", METRICS)
def test_a_constant_map_is_graded_in_range_or_refused_with_a_reason(name: str, level: float) -> None:
    case = picture_case()
    flat = {key: torch.full_like(maps, level) for key, maps in case.attribution.maps.items()}
    found = graded_on(name, PICTURE, replace(case, attribution=replace(case.attribution, maps=flat)))
    low, high = METRICS[name].range
    for value, reason in zip(found.values.tolist(), found.reasons, strict=True):
        assert (reason is None and low - 1e-9 <= value <= high + 1e-9) or (reason is not None and math.isnan(value))


@pytest.mark.parametrize("kind", RANKS_MOST_SLOWLY)
@pytest.mark.parametrize("name", METRICS)
def test_inputs_of_any_rank_are_graded_or_refused_by_name(name: str, kind: str) -> None:
    subject: Subject = BY_NAME[kind]
    case = case_on(subject, subject.inputs(2), ids=IDS[:2])
    refused = None
    try:
        found = graded_on(name, subject, case)
    except SeewhyError as error:
        refused = error
    if refused is None:
        assert [math.isnan(value) for value in found.values] == [reason is not None for reason in found.reasons]
    else:
        assert len(case.image.shape) != 4, f"a picture is not refused: {refused}"
        assert refused.fix


@pytest.mark.parametrize("name", METRICS)
def test_every_metric_tells_what_it_is(name: str) -> None:
    entry = METRICS[name]
    assert entry.purpose.endswith((".", ":"))
    assert any(character.isdigit() for character in entry.cite), "the source has a year"
    assert entry.range[0] < entry.range[1]
    unknown = set(entry.reads) - set(dir(Case)) - set(Case.__dataclass_fields__)
    assert not unknown, f"a case has no {unknown}"
