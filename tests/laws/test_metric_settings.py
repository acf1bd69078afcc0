"""A law of metrics' settings: a wrong value is refused with a code, a right one of any kind of number is read alike."""

from __future__ import annotations

import math
from collections.abc import Iterator
from functools import cache
from typing import Any

import numpy as np
import pytest
import torch
from metric_sweep import PICTURE, case_on, settings_of

from seewhy.metrics.case import Case
from seewhy.metrics.gaze_comparison import shuffled_fixations
from seewhy.metrics.grade import Grade
from seewhy.metrics.grading import grade
from seewhy.metrics.intervals import bootstrap, chances
from seewhy.registry import METRICS
from seewhy.values import SeewhyError

ODD: tuple[Any, ...] = (
    *([], (), None, "x", "", b"1", [1, "2"], [[1.0]], {}, object(), True, False),
    *(-1, 0, 2.5, math.nan, math.inf, 1j, np.array([]), np.array(1), np.array([[1.0]]), torch.zeros(2)),
)
NUMBERS = [
    (name, setting)
    for name, entry in METRICS.items()
    for setting, default in entry.settings.items()
    if isinstance(default, int | float) and not isinstance(default, bool)
]
MANY = {"blocks": 2, "cuts": 5, "segments": 4, "percentages": (20, 60), "regions": "grid"}
"""Few and quick where the sweep of other laws leaves the default."""


@cache
def case() -> Case:
    return case_on(PICTURE, PICTURE.inputs(1), ids=("a",))


def quick(name: str, **settings: Any) -> Grade:
    known = {key: value for key, value in MANY.items() if key in METRICS[name].settings}
    return grade(name, case(), **{**settings_of(name, PICTURE), **known, **settings})


def outcomes(name: str) -> Iterator[tuple[str, Any, Grade | SeewhyError]]:
    for setting in METRICS[name].settings:
        for value in ODD:
            try:
                found: Grade | SeewhyError = quick(name, **{setting: value})
            except SeewhyError as error:
                found = error
            yield setting, value, found


@pytest.mark.parametrize("name", [name for name, entry in METRICS.items() if entry.settings])
def test_an_odd_setting_is_refused_with_a_code_or_graded_in_range(name: str) -> None:
    low, high = METRICS[name].range
    for setting, value, found in outcomes(name):
        told = f"{name}({setting}={value!r})"
        if isinstance(found, SeewhyError):
            assert found.code.startswith("SW-F"), told
            assert found.fix, told
        else:
            for one, reason in zip(found.values.tolist(), found.reasons, strict=True):
                assert math.isnan(one) == (reason is not None), told
                assert math.isnan(one) or low - 1e-9 <= one <= high + 1e-9, told


@pytest.mark.parametrize("name", [name for name, entry in METRICS.items() if "seed" in entry.settings])
@pytest.mark.parametrize("seed", [None, "a", 1.5, -1, True, (), math.nan])
def test_a_seed_is_a_whole_number(name: str, seed: Any) -> None:
    with pytest.raises(SeewhyError, match="seed") as caught:
        quick(name, seed=seed)
    assert caught.value.code == "SW-F252"


@pytest.mark.parametrize(
    ("name", "settings", "code"),
    [
        ("sensitivity_n", {"n": ()}, "SW-F254"),
        ("sensitivity_n", {"n": "0.1"}, "SW-F254"),
        ("sensitivity_n", {"n": (0.1, None)}, "SW-F254"),
        ("faithfulness_correlation", {"size": (0.2,)}, "SW-F254"),
        ("road", {"percentages": ()}, "SW-F240"),
        ("road_morf", {"percentages": "10"}, "SW-F240"),
        ("road_lerf", {"percentages": np.array([[10, 20]])}, "SW-F240"),
        ("effective_complexity", {"relative": "no"}, "SW-F257"),
        ("effective_complexity", {"relative": 0}, "SW-F257"),
        ("deletion", {"fill": None}, "SW-F227"),
        ("aopc_morf", {"fill": None}, "SW-F227"),
        ("pixel_flipping", {"fill": 5}, "SW-F227"),
        ("irof", {"fill": ["mean"]}, "SW-F227"),
        ("pixel_flipping", {"fill": "uniform"}, "SW-F41"),
        ("class_sensitivity", {"similarity": []}, "SW-F271"),
        ("class_sensitivity", {"against": None}, "SW-F271"),
        ("iou", {"threshold": True}, "SW-F264"),
        ("agreement", {"top": "x"}, "SW-F267"),
        ("pointing_game", {"tolerance": math.nan}, "SW-F253"),
        ("infidelity", {"patch": 2.0}, "SW-F250"),
    ],
)
def test_what_is_wrong_with_a_setting_has_its_own_code(name: str, settings: dict[str, Any], code: str) -> None:
    with pytest.raises(SeewhyError) as caught:
        quick(name, **settings)
    assert caught.value.code == code


def alike(first: Grade, second: Grade) -> None:
    assert first.reasons == second.reasons
    torch.testing.assert_close(first.values, second.values, rtol=0, atol=0, equal_nan=True)


@pytest.mark.parametrize(("name", "setting"), NUMBERS)
def test_numpys_numbers_are_read_as_pythons(name: str, setting: str) -> None:
    plain = {**settings_of(name, PICTURE), **MANY}.get(setting, METRICS[name].settings[setting])
    same = np.int64(plain) if isinstance(plain, int) else np.float64(plain)
    alike(quick(name, **{setting: same}), quick(name, **{setting: plain}))


@pytest.mark.parametrize(
    ("name", "setting", "given", "plain"),
    [
        ("road", "percentages", np.array([20, 60]), (20, 60)),
        ("road", "percentages", range(20, 80, 20), (20, 40, 60)),
        ("sensitivity_n", "n", np.array([0.1, 0.5]), (0.1, 0.5)),
        ("sensitivity_n", "n", np.int16(3), 3),
        ("faithfulness_correlation", "size", np.float64(0.25), 0.25),
        ("effective_complexity", "relative", np.bool_(False), False),
        ("infidelity", "patch", np.uint8(3), 3),
    ],
)
def test_arrays_are_read_as_sequences(name: str, setting: str, given: Any, plain: Any) -> None:
    alike(quick(name, **{setting: given}), quick(name, **{setting: plain}))


@pytest.mark.parametrize("wrong", [{"resamples": "5"}, {"resamples": 0}, {"level": None}, {"level": math.nan}])
def test_an_interval_of_odd_settings_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(SeewhyError) as caught:
        bootstrap([1, 2, 3], **wrong)
    assert caught.value.code == "SW-F300"


def test_an_interval_is_refused_an_odd_seed_and_odd_values() -> None:
    for call, code in (
        (lambda: bootstrap([1, 2, 3], seed=None), "SW-F252"),
        (lambda: chances(np.ones((3, 1)), seed=-1), "SW-F252"),
        (lambda: bootstrap(["a"]), "SW-F301"),
        (lambda: bootstrap({"a": 1}), "SW-F301"),
        (lambda: shuffled_fixations([], seed="a"), "SW-F252"),
    ):
        with pytest.raises(SeewhyError) as caught:
            call()
        assert caught.value.code == code
    assert bootstrap([1, 2, 3], resamples=np.int64(50)) == bootstrap([1, 2, 3], resamples=50)
