"""Canonical JSON, its digest, and the difference of two fingerprints."""

from __future__ import annotations

import hashlib
from types import MappingProxyType

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from seewhy.store.keys import canonical_json, difference, digest, plain
from seewhy.values import StoreError

SETTINGS = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


def test_the_digest_is_the_sha256_of_sorted_json_without_spaces() -> None:
    assert canonical_json({"b": (1, 2.5), "a": MappingProxyType({"x": None})}) == '{"a":{"x":null},"b":[1,2.5]}'
    assert digest({"b": 1, "a": 2}) == hashlib.sha256(b'{"a":2,"b":1}').hexdigest()


@given(SETTINGS)
def test_a_value_keeps_its_digest_when_it_is_read_back(value: object) -> None:
    assert digest(plain(value)) == digest(value)


def test_the_difference_names_each_field_and_both_values() -> None:
    old = {"model": {"name": "resnet18", "kwargs": {}}, "data": {"size": (224, 224)}, "seed": 0, "gone": True}
    new = {"model": {"name": "vit", "kwargs": {}}, "data": {"size": [224, 256]}, "seed": 0, "added": {"deep": 1}}
    assert difference(old, new) == [
        "added.deep: (absent) -> 1",
        "data.size: [224,224] -> [224,256]",
        "gone: true -> (absent)",
        'model.name: "resnet18" -> "vit"',
    ]


def test_an_emptied_mapping_is_a_difference() -> None:
    assert difference({"kwargs": {"a": 1}}, {"kwargs": {}}) == ["kwargs: (absent) -> {}", "kwargs.a: 1 -> (absent)"]


@pytest.mark.parametrize("value", [float("nan"), np.float32(1), {1, 2}, {("a",): 1}, object()])
def test_what_json_does_not_know_is_refused(value: object) -> None:
    with pytest.raises(StoreError, match="plain JSON") as refusal:
        canonical_json({"facts": value})
    assert refusal.value.code == "SW-S13"
