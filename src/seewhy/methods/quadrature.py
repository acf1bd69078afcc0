"""Rules for an integral over [0, 1]: nodes and weights in double precision, the weights of each adding up to 1."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from seewhy.values import ConfigError, nearest

Numbers = NDArray[np.float64]


@dataclass(frozen=True)
class Rule:
    """``∫₀¹ f ≈ Σ weights_i f(nodes_i)``."""

    nodes: Numbers
    weights: Numbers


def gauss_legendre(steps: int) -> Rule:
    """Exact for polynomials up to degree ``2 · steps - 1`` (Abramowitz and Stegun 25.4.30).

    >>> gauss_legendre(2).nodes.round(4).tolist()
    [0.2113, 0.7887]
    """
    nodes, weights = np.polynomial.legendre.leggauss(steps)
    return Rule((nodes + 1) / 2, weights / 2)


def trapezoid(steps: int) -> Rule:
    """Both ends and ``steps - 2`` nodes between: ``steps - 1`` panels, so that the ends weigh half of ``1/(steps-1)``.

    >>> trapezoid(3).weights.tolist()
    [0.25, 0.5, 0.25]
    """
    weights = np.full(steps, 1 / (steps - 1))
    weights[[0, -1]] /= 2
    return Rule(np.linspace(0, 1, steps), weights)


def riemann_left(steps: int) -> Rule:
    """``steps`` panels, each by its left end."""
    return _even(np.arange(steps) / steps)


def riemann_middle(steps: int) -> Rule:
    """``steps`` panels, each by its middle."""
    return _even((np.arange(steps) + 0.5) / steps)


def riemann_right(steps: int) -> Rule:
    """``steps`` panels, each by its right end."""
    return _even((np.arange(steps) + 1) / steps)


def fejer(steps: int) -> Rule:
    """Fejér's second rule: ``steps = 2^m - 1`` interior nodes, which the rule of ``2^(m+1) - 1`` has all of.

    Nodes are ``(1 - cos θ_k) / 2`` at ``θ_k = k π / n`` with ``n = steps + 1``; weights from Waldvogel 2006, "Fast
    construction of the Fejér and Clenshaw-Curtis quadrature rules", eq. 1.4. Exact for polynomials up to degree
    ``steps - 1``.
    """
    n = steps + 1
    theta = np.arange(1, n) * math.pi / n
    odd = np.arange(1, n // 2 + 1) * 2 - 1
    return Rule((1 - np.cos(theta)) / 2, 2 / n * np.sin(theta) * (np.sin(np.outer(theta, odd)) / odd).sum(axis=1))


RULES: dict[str, Callable[[int], Rule]] = {
    "gauss_legendre": gauss_legendre,
    "trapezoid": trapezoid,
    "riemann_left": riemann_left,
    "riemann_middle": riemann_middle,
    "riemann_right": riemann_right,
}


def rule(name: str, steps: int) -> Rule:
    """A rule by name; raises ``ConfigError`` SW-F41 for an unknown one, SW-F43 for a trapezoid of one step."""
    if name not in RULES:
        raise ConfigError(
            "SW-F41",
            f"there is no quadrature {name!r}; there are {', '.join(RULES)}",
            near=nearest(str(name), RULES),
            fix="use one of these",
        )
    if name == "trapezoid" and steps < 2:
        raise ConfigError("SW-F43", "the trapezoid rule needs both ends: 2 steps or more", fix="give steps=50")
    return RULES[name](steps)


@dataclass(frozen=True)
class Level:
    """The nodes that one refinement adds, and their weights in its own rule (first row) and in every later one."""

    nodes: Numbers
    weights: NDArray[np.float64]
    total: int


def nested_levels(max_steps: int, first: int = 7) -> list[Level]:
    """Fejér's second rule with 7, 15, 31, … nodes, at most ``max_steps``: what each level adds to the one before."""
    sizes = [size for size in (2**power - 1 for power in range(1, 31)) if first <= size <= max_steps]
    rules = [fejer(size) for size in sizes]
    levels = []
    for index, (size, own) in enumerate(zip(sizes, rules, strict=True)):
        # Node k (from 1) of one level is node 2k of the next: those at odd places are new.
        new = np.arange(size) if index == 0 else np.arange(0, size, 2)
        weights = [later.weights[(new + 1) * 2**ahead - 1] for ahead, later in enumerate(rules[index:])]
        levels.append(Level(own.nodes[new], np.stack(weights), size))
    return levels


def _even(nodes: Numbers) -> Rule:
    return Rule(nodes, np.full(len(nodes), 1 / len(nodes)))
