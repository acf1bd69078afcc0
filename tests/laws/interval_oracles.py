"""What intervals and tests must say where it can be counted: swaps by hand, Holm's table, an interval's coverage.

Each takes the implementation under test and returns how far it is from the truth, so that law 9 can break it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from itertools import product

import numpy as np

from seewhy.metrics.intervals import Interval, Paired

Bootstrap = Callable[..., Interval]
Test = Callable[..., Paired]
Holm = Callable[[Sequence[float]], tuple[float, ...]]


def swaps_by_hand(test: Test) -> float:
    """``p`` is the share of the 2ⁿ ways to swap within pairs that do at least as well: zeros and equal values too."""
    samples = (
        [0.3, 0.1, -0.2, 0.4, 0.5],
        [1.0, 1.0, 1.0],
        [0.5, 0.0, -0.5, 0.25],
        [-1.0, -2.0, 0.5],
        [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, -0.7, 0.8],
        [0.0, 0.0],
    )
    worst = 0.0
    for gains in samples:
        signs = list(product((1, -1), repeat=len(gains)))
        sums = [sum(sign * gain for sign, gain in zip(row, gains, strict=True)) for row in signs]
        true = sum(one >= sum(gains) - 1e-12 for one in sums) / len(signs)
        control = np.linspace(0.2, 0.9, len(gains))
        higher = test(control + gains, control, better="higher")
        lower = test(control - gains, control, better="lower")
        worst = max(
            worst, abs(higher.p - true), abs(lower.p - true), abs(lower.difference.mean - float(np.mean(gains)))
        )
    return worst


def many_records(test: Test) -> float:
    """Of more records than can be gone through: 30 equal gains are matched by one swap of 2³⁰, none gains by half."""
    control = np.zeros(30)
    best, none = (
        test(control + 1.0, control, better="higher").p,
        test(np.tile([1.0, -1.0], 15), control, better="higher").p,
    )
    count = math.comb(30, 15) / 2**30  # sums that are 0: they count, as do the positive ones
    return max(abs(best - 1 / (2**15 + 1)), abs(none - (0.5 + count / 2)) / 3)  # 3 of 1000 are sampling


def holm_by_hand(holm: Holm) -> float:
    """Holm's own step-down on chances whose product can be written down."""
    given = [0.01, 0.2, 0.03, math.nan, 0.025, 0.9]
    true = [0.05, 0.4, 0.1, math.nan, 0.1, 0.9]
    found = holm(given)
    return max(abs(a - b) for a, b in zip(found, true, strict=True) if not math.isnan(b)) + float(
        not math.isnan(found[3])
    )


def two_values(bootstrap: Bootstrap) -> float:
    """Of 0 and 1 the drawn mean is 0, 1/2 or 1 with chances 1/4, 1/2, 1/4: at 40 % the interval is 1/2, at 95 % all."""
    wide, narrow = bootstrap([0.0, 1.0]), bootstrap([0.0, 1.0], level=0.4)
    return max(abs(wide.low), abs(wide.high - 1), abs(narrow.low - 0.5), abs(narrow.high - 0.5), abs(wide.mean - 0.5))


def moved_and_stretched(bootstrap: Bootstrap) -> float:
    """An interval of ``3 x - 2`` is that of ``x`` moved and stretched; mirrored, its ends change places."""
    values = np.random.default_rng(0).exponential(size=24)
    found, moved, again = bootstrap(values), bootstrap(3 * values - 2), bootstrap(values[::-1])
    return max(abs(moved.low - (3 * found.low - 2)), abs(moved.high - (3 * found.high - 2)), abs(again.low - found.low))


def coverage(bootstrap: Bootstrap, samples: int = 400) -> float:
    """How far the share of samples of 40 whose interval holds the true mean is from 95 %, beyond what is chance."""
    generator = np.random.default_rng(1)
    held = [bootstrap(generator.normal(0.3, 0.1, size=40), resamples=800) for _ in range(samples)]
    share = np.mean([one.low <= 0.3 <= one.high for one in held])
    return max(0.0, abs(float(share) - 0.94) - 0.035)


BOOTSTRAP_ORACLES: tuple[Callable[[Bootstrap], float], ...] = (two_values, moved_and_stretched, coverage)
TEST_ORACLES: tuple[Callable[[Test], float], ...] = (swaps_by_hand, many_records)
