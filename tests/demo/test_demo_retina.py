"""Made eyes: the class follows from what is painted where, and everything else says nothing of it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from seewhy.data.multi_input import MultiInput
from seewhy.data.records import Dataset
from seewhy.demo.retina import CLASSES, INPUTS, MACULA, MadeRetina, draw_eye, write_retina
from seewhy.values import DataError

COUNT = 48


@pytest.fixture(scope="module")
def eyes() -> MadeRetina:
    return MadeRetina(counts={"val": COUNT})


def test_the_evidence_of_each_class_is_in_the_inputs_that_are_named(eyes: MadeRetina) -> None:
    where: dict[str, set[tuple[str, ...]]] = {name: set() for name in CLASSES}
    for position, ref in enumerate(eyes.index()):
        shown = tuple(name for name, mask in eyes.evidence(position).items() if mask.any())
        where[CLASSES[ref.label or 0]].add(shown)
    assert where == {
        "Normal": {()},
        "Early": {("drusen",)},
        "Intermediate": {("drusen",)},
        "Late": {("mnv",), ("ga",)},
    }


def test_evidence_lies_within_the_macula_and_is_what_was_painted(eyes: MadeRetina) -> None:
    rows, columns = np.ogrid[: eyes.size, : eyes.size]
    far = np.hypot(rows + 0.5 - eyes.size / 2, columns + 0.5 - eyes.size / 2) > MACULA * eyes.size + 1
    contrasts = []
    for position in range(COUNT):
        eye = eyes.eye(position)
        for name, mask in eye.evidence.items():
            if mask.any():
                assert not (mask & far).any()
                contrasts.append(abs(eye.images[name][mask].mean() - np.median(eye.images[name])))
    assert min(contrasts) > 0.2  # patches and vessels stay below


def test_painting_changes_nothing_where_there_is_no_evidence() -> None:
    """The same generator draws the same background; only the class's evidence differs, and only in its input."""
    for label, touched in ((1, "drusen"), (2, "drusen")):
        plain, marked = (draw_eye(64, kind, np.random.default_rng(5)) for kind in (0, label))
        assert [name for name in INPUTS if not np.array_equal(plain.images[name], marked.images[name])] == [touched]
        changed = plain.images[touched] != marked.images[touched]
        assert (marked.evidence[touched] <= changed).all()


def test_late_eyes_have_drusen_as_often_as_the_other_three_classes_together(eyes: MadeRetina) -> None:
    """So that drusen say nothing against a lesion: bright pixels occur in about two thirds of late eyes."""
    many = MadeRetina(counts={"train": 240})
    bright = [bool((many.eye(i).images["drusen"] > 0.85).any()) for i in range(3, 240, 4)]
    # 60 draws of probability 2/3: mean 40, standard deviation 3.7
    assert 40 - 15 < sum(bright) < 40 + 15


def test_classes_take_turns_and_pixels_follow_from_seed_and_place_alone(eyes: MadeRetina) -> None:
    assert isinstance(eyes, Dataset)
    assert [ref.label for ref in eyes.index()[:5]] == [0, 1, 2, 3, 0]
    again = MadeRetina(counts={"train": 3, "val": COUNT})
    for name, picture in eyes.read(2).inputs.items():
        assert torch.equal(picture, again.read(3 + 2).inputs[name])
        assert not torch.equal(picture, MadeRetina(counts={"val": 3}, seed=1).read(2).inputs[name])
    assert eyes.revision(2) == again.revision(5) != again.revision(2)


def test_a_written_eye_is_read_back_to_the_last_bit(tmp_path: Path) -> None:
    eyes = MadeRetina(size=32, counts={"train": 4, "test": 2})
    read = MultiInput(write_retina(eyes, tmp_path), inputs=INPUTS, size=32, class_names=CLASSES)
    by_id = {ref.record_id: position for position, ref in enumerate(read.index())}
    assert len(by_id) == 6
    for position, ref in enumerate(eyes.index()):
        other = read.read(by_id[f"{ref.split}/{CLASSES[ref.label or 0]}/{ref.record_id}"])
        assert (other.split, other.label) == (ref.split, ref.label)
        for name, picture in eyes.read(position).inputs.items():
            assert torch.equal(other.inputs[name], picture), name


def test_a_picture_is_the_four_inputs_in_a_row(eyes: MadeRetina) -> None:
    inputs = eyes.read(3).inputs
    row, pictures = eyes.picture(inputs), eyes.pictures(inputs)
    assert list(pictures) == list(INPUTS)
    assert np.array_equal(row, np.concatenate(list(pictures.values()), axis=1))
    assert np.array_equal(pictures["ga"][..., 0], np.rint(eyes.eye(3).images["ga"] * 255))


@pytest.mark.parametrize(
    ("settings", "code"),
    [({"size": 16}, "SW-D01"), ({"class_names": ["a"]}, "SW-D11"), ({"counts": {"x": 1}}, "SW-D01")],
)
def test_settings_out_of_range_are_refused(settings: dict[str, object], code: str) -> None:
    with pytest.raises(DataError, match=code):
        MadeRetina(**settings)  # type: ignore[arg-type]
