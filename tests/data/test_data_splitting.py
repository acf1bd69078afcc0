"""Splits are a function of the ids alone, and their sizes are the shares asked for."""

from __future__ import annotations

import random
from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from seewhy.data.splitting import shares_of, stratified_splits

RATIO = (0.7, 0.15, 0.15)
GROUPS = {f"{name}/{i}": name for name, count in (("cat", 20), ("dog", 40)) for i in range(count)}


def test_each_class_is_divided_by_the_ratio() -> None:
    splits = stratified_splits(GROUPS, RATIO, seed=0)
    counts = Counter((GROUPS[record_id], split) for record_id, split in splits.items())
    assert [counts["cat", split] for split in ("train", "val", "test")] == [14, 3, 3]
    assert [counts["dog", split] for split in ("train", "val", "test")] == [28, 6, 6]


def test_the_order_of_listing_does_not_matter() -> None:
    shuffled = list(GROUPS.items())
    random.Random(1).shuffle(shuffled)
    assert stratified_splits(dict(shuffled), RATIO, seed=0) == stratified_splits(GROUPS, RATIO, seed=0)


def test_another_seed_divides_otherwise() -> None:
    assert stratified_splits(GROUPS, RATIO, seed=1) != stratified_splits(GROUPS, RATIO, seed=0)


def test_one_class_does_not_change_another() -> None:
    dogs = {record_id: name for record_id, name in GROUPS.items() if name == "dog"}
    all_splits = stratified_splits(GROUPS, RATIO, seed=0)
    assert stratified_splits(dogs, RATIO, seed=0) == {record_id: all_splits[record_id] for record_id in dogs}


@given(st.integers(0, 1000), st.lists(st.integers(0, 20), min_size=3, max_size=3).filter(any))
def test_shares_sum_to_the_whole_and_are_off_by_less_than_one(total: int, weights: list[int]) -> None:
    ratio = [weight / sum(weights) for weight in weights]
    counts = shares_of(total, ratio)
    assert sum(counts) == total
    assert all(abs(count - total * share) < 1 for count, share in zip(counts, ratio, strict=True))
