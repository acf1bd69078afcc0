"""A gradebook keeps values by method, metric and record, says them as a table, and refuses what does not fit."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
from books import FACTS, GOOD, book

from seewhy.metrics.gradebook import Gradebook
from seewhy.values import ConfigError


def small(**others: object) -> Gradebook:
    rows = {
        "gradcam": {"deletion": [0.1, 0.3, 0.1, 0.3], "gini": [0.5, math.nan, 0.7, 0.6]},
        "edges": {"deletion": [0.5, 0.5, 0.5, 0.5]},
    }
    return Gradebook(("a", "b", "c", "d"), rows, facts=FACTS, **others)


def test_the_table_has_a_row_for_each_method_and_control_with_direction_and_count() -> None:
    assert [line.split("  ")[0] for line in str(small()).splitlines()] == ["", "gradcam", "edges"]
    head, gradcam, edges = str(small()).splitlines()
    assert head.split() == ["deletion", "↓", "gini"]
    assert "0.20 [0.10, 0.30]" in gradcam
    assert gradcam.endswith("(3/4)")
    assert edges.split() == ["edges", "0.50", "[0.50,", "0.50]", "–"]


def test_the_records_of_a_class_keep_their_values() -> None:
    chosen = small(labels=("cat", "dog", "cat", "dog")).of_class("dog")
    assert chosen.records == ("b", "d")
    assert chosen.grades("gradcam", "deletion").tolist() == [0.3, 0.3]
    assert chosen.labels == ("dog", "dog")


def test_json_comes_back_as_it_was() -> None:
    given = small(labels=(1, 2, 1, 2), costs={"gradcam": 2.0})
    told = json.loads(json.dumps(given.to_json(), allow_nan=False))
    assert Gradebook.from_json(told).to_json() == given.to_json()
    assert math.isnan(Gradebook.from_json(told).grades("gradcam", "gini")[1])


def test_a_cost_that_nobody_knows_is_none_in_json() -> None:
    told = json.loads(json.dumps(small(costs={"gradcam": math.nan}).to_json(), allow_nan=False))
    assert told["costs"] == {"gradcam": None}
    assert math.isnan(Gradebook.from_json(told).costs["gradcam"])


def test_what_describes_has_no_place_among_what_ranks() -> None:
    assert small().of("complexity") == ()
    assert book({"good": GOOD}).of("faithfulness") == ("deletion", "insertion", "road")


def test_values_are_kept_apart_from_those_given() -> None:
    values = np.array([0.1, 0.2])
    given = Gradebook(("a", "b"), {"m": {"deletion": values}}, facts=FACTS)
    values[0] = 9
    assert given.grades("m", "deletion").tolist() == [0.1, 0.2]
    assert np.isnan(given.grades("m", "road")).all()


@pytest.mark.parametrize(
    ("code", "make"),
    [
        ("SW-F303", lambda: Gradebook(("a",), {"m": {"deletion": [0.1, 0.2]}}, facts=FACTS)),
        ("SW-F303", lambda: small(labels=("cat",))),
        ("SW-F304", lambda: Gradebook((), {"m": {"deletion": []}}, facts=FACTS)),
        ("SW-F304", lambda: Gradebook(("a", "a"), {"m": {"deletion": [0.1, 0.2]}}, facts=FACTS)),
        ("SW-F304", lambda: Gradebook(("a",), {"edges": {"deletion": [0.1]}}, facts=FACTS)),
        ("SW-F305", lambda: small(labels=("cat", "dog", "cat", "dog")).of_class("cow")),
        ("SW-F305", lambda: small().of_class("cow")),
        ("SW-F223", lambda: Gradebook(("a",), {"m": {"nobody_knows_this": [0.1]}})),
    ],
)
def test_what_does_not_fit_is_refused(code: str, make: object) -> None:
    with pytest.raises(ConfigError) as caught:
        make()
    assert caught.value.code == code


def test_values_that_are_no_numbers_are_refused() -> None:
    with pytest.raises(ConfigError) as caught:
        Gradebook(("a",), {"gradcam": {"deletion": ["high"]}})
    assert caught.value.code == "SW-F303"
