"""Gradebooks whose truth is known: values spread evenly about a mean, the same spread for everyone."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from seewhy.metrics.gradebook import Gradebook

FACTS = {
    "deletion": ("lower", "faithfulness"),
    "insertion": ("higher", "faithfulness"),
    "road": ("higher", "faithfulness"),
    "infidelity": ("lower", "faithfulness"),
    "average_sensitivity": ("lower", "robustness"),
    "parameter_randomization": ("lower", "randomization"),
    "class_sensitivity": ("lower", "randomization"),
    "relevance_mass_accuracy": ("higher", "localization"),
    "gini": ("neither", "complexity"),
}
CONTROLS = {
    "random": {"deletion": 0.5, "insertion": 0.4, "road": 0.0, "average_sensitivity": 0.0},
    "centre": {"deletion": 0.4, "insertion": 0.5, "road": 0.1, "average_sensitivity": 0.0},
    "edges": {"deletion": 0.45, "insertion": 0.45, "road": 0.05, "average_sensitivity": 0.3},
}
GOOD = {"deletion": 0.2, "insertion": 0.7, "road": 0.3, "average_sensitivity": 0.2}


def spread(mean: float, count: int, seed: int, width: float = 0.05) -> NDArray[np.float64]:
    """Values of exactly this mean."""
    noise = np.random.default_rng(seed).normal(size=count)
    return mean + width * (noise - noise.mean())


def book(methods: Mapping[str, Mapping[str, float]], count: int = 24, sane: float = 0.1, **others: object) -> Gradebook:
    """Means by method and metric, the controls beside; sanity is ``sane`` unless a method says another."""
    rows: dict[str, dict[str, NDArray[np.float64]]] = {}
    graded = dict.fromkeys(metric for means in methods.values() for metric in means)
    for number, (who, means) in enumerate({**methods, **CONTROLS}.items()):
        level = 1.0 if who in CONTROLS else sane
        checks = dict.fromkeys(("parameter_randomization", "class_sensitivity"), level)
        wanted = {**checks, **{metric: mean for metric, mean in means.items() if metric in (*graded, *checks)}}
        rows[who] = {
            metric: np.full(count, mean) if mean == 1 else spread(mean, count, 17 * number + place)
            for place, (metric, mean) in enumerate(wanted.items())
        }
    return Gradebook(tuple(f"r{n}" for n in range(count)), rows, facts=FACTS, **others)


def without(given: Gradebook, *metrics: str) -> Gradebook:
    """The same without some metrics."""
    rows = {who: {m: one for m, one in row.items() if m not in metrics} for who, row in given.values.items()}
    return Gradebook(given.records, rows, given.costs, facts=FACTS)
