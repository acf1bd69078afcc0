"""Rules for an integral are exact for the polynomials they promise, and nested levels add up to the whole rule."""

from __future__ import annotations

import numpy as np
import pytest

from seewhy.methods.quadrature import fejer, gauss_legendre, nested_levels


@pytest.mark.parametrize("steps", [1, 3, 7, 15, 31])
def test_fejers_rule_is_exact_below_as_many_degrees_as_it_has_nodes(steps: int) -> None:
    rule = fejer(steps)
    found = [float(rule.weights @ rule.nodes**degree) for degree in range(steps)]
    np.testing.assert_allclose(found, [1 / (degree + 1) for degree in range(steps)], rtol=0, atol=1e-14)


@pytest.mark.parametrize("steps", [1, 4, 9])
def test_gauss_legendre_is_exact_up_to_twice_its_nodes(steps: int) -> None:
    rule = gauss_legendre(steps)
    found = [float(rule.weights @ rule.nodes**degree) for degree in range(2 * steps)]
    np.testing.assert_allclose(found, [1 / (degree + 1) for degree in range(2 * steps)], rtol=0, atol=1e-14)


def test_the_levels_so_far_are_together_the_rule_of_the_last() -> None:
    levels = nested_levels(31)
    assert [level.total for level in levels] == [7, 15, 31]
    for last, level in enumerate(levels):
        nodes = np.concatenate([earlier.nodes for earlier in levels[: last + 1]])
        weights = np.concatenate([earlier.weights[last - index] for index, earlier in enumerate(levels[: last + 1])])
        order, whole = nodes.argsort(), fejer(level.total)
        np.testing.assert_allclose(nodes[order], whole.nodes, rtol=0, atol=1e-15)
        np.testing.assert_allclose(weights[order], whole.weights, rtol=0, atol=1e-15)
