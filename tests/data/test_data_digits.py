"""Cluttered digits: reproducible by key, honest splits, and a truth (box, mask) that is where the digit is."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.datasets import load_digits

from seewhy.data.cluttered_digits import (
    SPLITS,
    ClutteredDigits,
    cubic_weights,
    draw_scene,
    enlarge,
    glyphs_of,
    load_glyphs,
)
from seewhy.data.records import Dataset
from seewhy.values import DataError, Geometry

FEW = {"train": 30, "val": 10, "test": 30}


def test_the_bundled_digits_are_scikit_learns() -> None:
    images, labels = load_glyphs()
    original = load_digits()
    assert np.array_equal(images * 16, original.images)
    assert np.array_equal(labels, original.target)


def test_no_glyph_is_in_two_splits_and_none_is_left_out() -> None:
    pools = [set(glyphs_of(split).tolist()) for split in SPLITS]
    assert sorted(glyph for pool in pools for glyph in pool) == list(range(1797))
    assert len(pools[0]) > 1200
    assert min(len(pool) for pool in pools) > 150


def test_every_split_draws_all_ten_digits() -> None:
    labels = load_glyphs()[1]
    for split in SPLITS:
        assert set(labels[glyphs_of(split)].tolist()) == set(range(10))


def test_the_index_has_stable_ids_and_the_labels_that_are_read() -> None:
    digits = ClutteredDigits(counts=FEW)
    refs = digits.index()
    assert isinstance(digits, Dataset)
    assert [refs[0].record_id, refs[30].record_id, refs[69].record_id] == ["train_00000", "val_00000", "test_00029"]
    for position in (0, 35, 69):
        record = digits.read(position)
        assert (record.record_id, record.split, record.label) == (
            refs[position].record_id,
            refs[position].split,
            refs[position].label,
        )


def test_a_record_depends_on_its_key_alone() -> None:
    many, few = ClutteredDigits(), ClutteredDigits(counts={"test": 5})
    late = {ref.record_id: i for i, ref in enumerate(many.index())}["test_00003"]
    np.random.seed(99)
    first = many.read(late)
    again = few.read(3)
    assert first.inputs["image"].equal(again.inputs["image"])
    assert first.revision == again.revision
    other = ClutteredDigits(counts={"test": 5}, seed=1).read(3)
    assert not other.inputs["image"].equal(again.inputs["image"])
    assert other.revision != again.revision


def test_the_whole_digit_lies_in_its_box_and_on_its_mask() -> None:
    digits = ClutteredDigits(counts=FEW)
    for position in range(len(digits.index())):
        record = digits.read(position)
        assert record.mask is not None
        assert record.box is not None
        rows, columns = np.nonzero(record.mask)
        assert record.box == (columns.min(), rows.min(), columns.max() + 1, rows.max() + 1)
        assert 12 <= record.box[3] - record.box[1] <= 28
        assert record.geometry == Geometry.identity((64, 64))


def test_the_digit_is_brighter_than_what_surrounds_it_in_its_box() -> None:
    digits = ClutteredDigits(counts=FEW)
    for position in range(30):
        record = digits.read(position)
        assert record.mask is not None
        assert record.box is not None
        gray = digits.picture(record.inputs).mean(axis=2)
        assert gray[record.mask].mean() > gray[~record.mask].mean() + 40


def test_places_and_sizes_vary_over_the_whole_canvas() -> None:
    digits = ClutteredDigits(counts={"train": 200})
    boxes = np.array([digits.read(i).box for i in range(200)])
    assert boxes[:, :2].min() < 8
    assert boxes[:, 2:].max() > 56
    heights = boxes[:, 3] - boxes[:, 1]
    assert heights.max() - heights.min() >= 6


def test_fragments_come_from_other_digits_of_the_same_split(monkeypatch: pytest.MonkeyPatch) -> None:
    images, labels = load_glyphs()
    drawn: list[int] = []
    by_bytes = {image.tobytes(): i for i, image in enumerate(images)}

    def watched(glyph: np.ndarray, length: int) -> np.ndarray:
        drawn.append(by_bytes[glyph.tobytes()])
        return enlarge(glyph, length)

    monkeypatch.setattr("seewhy.data.cluttered_digits.enlarge", watched)
    digit = int(glyphs_of("val")[0])
    draw_scene(64, "val", digit, np.random.default_rng(0))
    *fragments, last = drawn
    assert last == digit
    assert len(fragments) == 6
    assert set(fragments) <= set(glyphs_of("val").tolist())
    assert labels[digit] not in labels[fragments]


def test_enlarging_keeps_a_constant_and_a_straight_edge() -> None:
    assert np.allclose(cubic_weights(8, 25).sum(axis=1), 1, atol=1e-6)
    assert np.allclose(enlarge(np.full((8, 8), 0.3, np.float32), 21), 0.3, atol=1e-6)
    ramp = np.tile(np.arange(8, dtype=np.float32) / 8, (8, 1))
    wide = enlarge(ramp, 24)
    assert np.allclose(np.diff(wide[0, 6:18]), 1 / 24, atol=1e-5)


def test_sizes_scale_the_scene() -> None:
    digits = ClutteredDigits(size=128, counts={"test": 20})
    heights = [box[3] - box[1] for i in range(20) if (box := digits.read(i).box)]
    assert 28 <= np.mean(heights) <= 56


@pytest.mark.parametrize(
    "wrong",
    [{"size": 16}, {"counts": {"train": -1}}, {"counts": {"tset": 1}}, {"counts": {"test": 1.5}}, {"seed": "a"}],
    ids=str,
)
def test_settings_out_of_range_are_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(DataError) as caught:
        ClutteredDigits(**wrong)
    assert caught.value.code == "SW-D01"


def test_other_than_ten_class_names_are_refused() -> None:
    with pytest.raises(DataError) as caught:
        ClutteredDigits(class_names=["zero", "one"])
    assert caught.value.code == "SW-D11"
