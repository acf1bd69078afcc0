"""Laws 4 and 9 for intervals and tests: they say what can be counted, and broken ones are noticed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from interval_oracles import BOOTSTRAP_ORACLES, TEST_ORACLES, coverage, holm_by_hand

from seewhy.metrics.intervals import Interval, Paired, bootstrap, holm, paired


@pytest.mark.parametrize("oracle", BOOTSTRAP_ORACLES)
def test_the_interval_is_right(oracle: Callable[..., float]) -> None:
    assert oracle(bootstrap) < 1e-10


@pytest.mark.parametrize("oracle", TEST_ORACLES)
def test_the_paired_test_is_right(oracle: Callable[..., float]) -> None:
    assert oracle(paired) < 3e-3


def test_holm_is_right() -> None:
    assert holm_by_hand(holm) < 1e-12


@pytest.mark.slow
def test_the_interval_covers_the_mean_as_often_as_it_says() -> None:
    assert coverage(bootstrap, samples=2000) == 0.0


def of_standard_error(values: Any, *, level: float = 0.95, **others: Any) -> Interval:
    """The interval of a value, not of the mean."""
    found = bootstrap(values, level=level, **others)
    width = np.std(values)
    return replace(found, low=found.mean - 1.96 * width, high=found.mean + 1.96 * width)


def unsorted(values: Any, **others: Any) -> Interval:
    generator = np.random.default_rng(0)
    drawn = np.asarray(values)[generator.integers(0, len(values), (500, len(values)))].mean(axis=1)
    low, high = np.quantile(drawn, (0.025, 0.975))
    return Interval(float(np.mean(values)), float(low), float(high), len(values), len(values))


BROKEN_INTERVALS: dict[str, Callable[..., Interval]] = {
    "of one record": of_standard_error,
    "that depends on the order": unsorted,
    "half the level": lambda values, level=0.95, **rest: bootstrap(values, level=level / 2, **rest),
    "ends swapped": lambda values, **rest: replace(
        bootstrap(values, **rest), low=bootstrap(values, **rest).high, high=bootstrap(values, **rest).low
    ),
}


@pytest.mark.parametrize("broken", BROKEN_INTERVALS.values(), ids=BROKEN_INTERVALS)
def test_a_broken_interval_is_noticed(broken: Callable[..., Interval]) -> None:
    assert max(oracle(broken) for oracle in BOOTSTRAP_ORACLES) > 1e-3


def by_signs_alone(values: Any, control: Any, *, better: str) -> Paired:
    """The sign test: how large the differences are does not count."""
    gain = np.sign(np.asarray(values) - np.asarray(control))
    found = paired(values, control, better=better)
    return replace(found, p=paired(gain, np.zeros(len(gain)), better=better).p)


BROKEN_TESTS: dict[str, Callable[..., Paired]] = {
    "two directions": lambda a, b, better: replace(paired(a, b, better=better), p=2 * paired(a, b, better=better).p),
    "the direction swapped": lambda a, b, better: paired(a, b, better="lower" if better == "higher" else "higher"),
    "one direction for all metrics": lambda a, b, better: paired(a, b, better="higher"),
    "signs alone": by_signs_alone,
    "strictly better": lambda a, b, better: replace(paired(a, b, better=better), p=1 - paired(b, a, better=better).p),
}


@pytest.mark.parametrize("broken", BROKEN_TESTS.values(), ids=BROKEN_TESTS)
def test_a_broken_test_is_noticed(broken: Callable[..., Paired]) -> None:
    assert max(oracle(broken) for oracle in TEST_ORACLES) > 1e-2


BROKEN_HOLMS: dict[str, Callable[..., tuple[float, ...]]] = {
    "no correction": tuple,
    "Bonferroni": lambda chances: tuple(min(1.0, 5 * p) for p in chances),
    "not monotone": lambda chances: tuple(
        p * (5 - sum(other < p for other in chances)) if p == p else p for p in chances
    ),
    "NaN counted": lambda chances: holm([1.0 if p != p else p for p in chances]),
}


@pytest.mark.parametrize("broken", BROKEN_HOLMS.values(), ids=BROKEN_HOLMS)
def test_a_broken_correction_is_noticed(broken: Callable[..., tuple[float, ...]]) -> None:
    assert holm_by_hand(broken) > 1e-3
