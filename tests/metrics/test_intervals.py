"""Intervals and the paired test beside scipy's, and what they refuse."""

from __future__ import annotations

import math

import numpy as np
import pytest

from seewhy.metrics.intervals import bootstrap, holm, paired
from seewhy.values import ConfigError

stats = pytest.importorskip("scipy.stats")


@pytest.mark.parametrize("count", [12, 17, 60])
def test_the_interval_is_scipys_of_the_same_draws(count: int) -> None:
    """Of few values scipy leaves it to rounding whether the same values drawn in another order have a lesser mean."""
    values = np.sort(np.random.default_rng(count).exponential(size=count))
    found = bootstrap(values, level=0.9, resamples=999, seed=3)
    theirs = stats.bootstrap(
        (values,), np.mean, n_resamples=999, confidence_level=0.9, method="BCa", rng=np.random.default_rng(3)
    )
    assert (found.low, found.high) == pytest.approx(tuple(theirs.confidence_interval), abs=1e-12)


@pytest.mark.parametrize(("count", "tolerance"), [(9, 1e-12), (40, 0.01)])
def test_the_paired_test_is_scipys(count: int, tolerance: float) -> None:
    generator = np.random.default_rng(count)
    values, control = generator.normal(0.2, 1, size=count), generator.normal(size=count)
    theirs = stats.permutation_test(
        (values, control),
        lambda a, b, axis: np.mean(a - b, axis=axis),
        permutation_type="samples",
        alternative="greater",
        n_resamples=1 << min(count, 15),
        vectorized=True,
        rng=np.random.default_rng(0),
    )
    assert paired(values, control, better="higher").p == pytest.approx(theirs.pvalue, abs=tolerance)


def test_holm_is_the_smallest_multiple_that_keeps_the_order() -> None:
    assert holm([]) == ()
    assert holm([0.04]) == (0.04,)
    assert holm([0.6, 0.7]) == (1.0, 1.0)


def test_values_that_are_missing_are_counted_and_left_out() -> None:
    whole, with_holes = [0.1, 0.5, 0.9, 0.2], [math.nan, 0.1, 0.5, math.inf, 0.9, 0.2]
    found, expected = bootstrap(with_holes), bootstrap(whole)
    assert (found.mean, found.low, found.high) == (expected.mean, expected.low, expected.high)
    assert (found.n, found.of) == (4, 6)
    pair = paired([1.0, math.nan, 3.0, 4.0], [0.0, 1.0, math.nan, 1.0], better="higher")
    assert (pair.n, pair.difference.of, pair.difference.mean, pair.p) == (2, 4, 2.0, 0.25)


def test_too_few_values_have_no_interval() -> None:
    one, none = bootstrap([0.3]), bootstrap([math.nan])
    assert one.mean == 0.3
    assert all(math.isnan(value) for value in (one.low, one.high, none.mean, none.low))
    assert (none.n, none.of) == (0, 1)
    assert paired([0.3], [0.1], better="higher").p == 0.5
    assert math.isnan(paired([math.nan], [0.1], better="higher").p)
    assert str(one) == "0.30"


def test_equal_values_have_an_interval_without_width() -> None:
    found = bootstrap([0.1] * 7)
    assert (found.mean, found.low, found.high) == (0.1, 0.1, 0.1)


def test_the_order_of_records_changes_nothing() -> None:
    values, control = np.random.default_rng(0).normal(size=(2, 50))
    order = np.random.default_rng(1).permutation(50)
    assert bootstrap(values) == bootstrap(values[order])
    assert paired(values, control, better="lower") == paired(values[order], control[order], better="lower")


def test_the_same_seed_says_the_same_and_another_nearly() -> None:
    values = np.random.default_rng(0).normal(size=50)
    assert bootstrap(values, seed=1) == bootstrap(values, seed=1)
    assert bootstrap(values, seed=1) != bootstrap(values, seed=2)
    assert bootstrap(values, seed=1).low == pytest.approx(bootstrap(values, seed=2).low, abs=0.03)


def test_many_records_are_drawn_in_parts_that_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    values = np.random.default_rng(0).normal(size=33)
    whole = (bootstrap(values), paired(values, np.zeros(33), better="higher"))
    monkeypatch.setattr("seewhy.metrics.intervals._CELLS", 33 * 7)
    assert (bootstrap(values), paired(values, np.zeros(33), better="higher")) == whole


@pytest.mark.parametrize(
    ("code", "call"),
    [
        ("SW-F300", lambda: bootstrap([1.0, 2.0], level=1.0)),
        ("SW-F300", lambda: bootstrap([1.0, 2.0], resamples=0)),
        ("SW-F301", lambda: bootstrap([[1.0, 2.0]])),
        ("SW-F301", lambda: paired([1.0, 2.0], [1.0], better="higher")),
        ("SW-F302", lambda: paired([1.0], [1.0], better="neither")),
    ],
)
def test_what_cannot_be_told_is_refused(code: str, call: object) -> None:
    with pytest.raises(ConfigError) as caught:
        call()
    assert caught.value.code == code
