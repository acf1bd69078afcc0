"""The plan: which records lack what, grouped and cut so that an interruption anywhere leaves the same chunks to do."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from seewhy.data.records import RecordRef
from seewhy.pipeline.gradcam_question import GradcamQuestion
from seewhy.pipeline.plan import Chunk, Plan, check_same_data, make_plan, select
from seewhy.pipeline.questions import EmbeddingQuestion, Question
from seewhy.pipeline.settings import Settings
from seewhy.values import SeewhyError

EMBEDDING = EmbeddingQuestion("fc.input")
LAYERS = (("image", "conv"),)
QUESTIONS: tuple[Question, ...] = (EMBEDDING, GradcamQuestion(LAYERS, (0, 1, 2)))
SPLITS = ("train", "val", "test")


@dataclass(frozen=True)
class Known:
    """What a directory knows of a record."""

    questions: Mapping[str, frozenset[int]] = field(default_factory=dict)
    status: str = "ok"
    revision: str = ""


History = dict[str, dict[str, Known]]


def refs(*splits: str) -> list[RecordRef]:
    return [RecordRef(f"r{i}", split) for i, split in enumerate(splits)]


def plan_of(index: list[RecordRef], history: History, stale: frozenset[int] = frozenset(), **given_: object) -> Plan:
    asked = Settings.of(**given_)
    return make_plan(index, select(index, asked), QUESTIONS, history, stale, asked)


def with_committed(history: History, index: list[RecordRef], chunk: Chunk) -> History:
    """The history after a chunk was committed, by the store's rule that answers add up."""
    later = {split: dict(records) for split, records in history.items()}
    for position in chunk.positions:
        record_id = index[position].record_id
        known = dict(later.setdefault(chunk.split, {}).get(record_id, Known()).questions)
        for question in chunk.questions:
            classes = frozenset(question.classes) if isinstance(question, GradcamQuestion) else frozenset()
            for key in question.specs():
                known[key] = known.get(key, frozenset()) | classes
        later[chunk.split][record_id] = Known(known)
    return later


knowledge = st.none() | st.builds(
    Known,
    st.fixed_dictionaries(
        {},
        optional={
            EMBEDDING.key: st.just(frozenset()),
            "gradcam@conv": st.sets(st.integers(0, 2), min_size=1).map(frozenset),
        },
    ),
    st.sampled_from(["ok", "ok", "ok", "failed"]),
)


@st.composite
def histories(draw: st.DrawFn) -> tuple[list[RecordRef], History, frozenset[int]]:
    index = refs(*draw(st.lists(st.sampled_from(SPLITS), min_size=1, max_size=14)))
    history: History = {}
    for ref in index:
        if (known := draw(knowledge)) is not None:
            history.setdefault(ref.split, {})[ref.record_id] = known
    answered = [i for i, ref in enumerate(index) if ref.record_id in history.get(ref.split, {})]
    stale = draw(st.sets(st.sampled_from(answered))) if answered else set()
    return index, history, frozenset(stale)


@settings(max_examples=150, deadline=None, derandomize=True)
@given(histories(), st.integers(1, 5))
def test_cut_after_any_committed_chunk_the_same_chunks_remain(
    drawn: tuple[list[RecordRef], History, frozenset[int]], shard_size: int
) -> None:
    index, history, stale = drawn
    remaining = plan_of(index, history, stale, shard_size=shard_size).chunks
    while remaining:
        history = with_committed(history, index, remaining[0])
        stale = stale - set(remaining[0].positions)
        resumed = plan_of(index, history, stale, shard_size=shard_size).chunks
        assert resumed == remaining[1:]
        remaining = resumed


@settings(max_examples=100, deadline=None, derandomize=True)
@given(histories(), st.integers(1, 5))
def test_every_selected_record_is_planned_once_or_reused(
    drawn: tuple[list[RecordRef], History, frozenset[int]], shard_size: int
) -> None:
    index, history, stale = drawn
    plan = plan_of(index, history, stale, shard_size=shard_size)
    planned = [position for chunk in plan.chunks for position in chunk.positions]
    assert len(planned) == len(set(planned)) == plan.records
    assert plan.records + plan.reused == len(index)
    assert all(len(chunk.positions) <= shard_size for chunk in plan.chunks)
    assert all(index[position].split == chunk.split for chunk in plan.chunks for position in chunk.positions)
    assert stale <= set(planned)


def test_records_that_lack_the_same_share_a_chunk_and_others_do_not() -> None:
    index = refs("test", "test", "test", "test")
    history = {"test": {"r1": Known({EMBEDDING.key: frozenset()}), "r2": Known({"gradcam@conv": frozenset({1})})}}
    chunks = {chunk.positions: chunk.questions for chunk in plan_of(index, history).chunks}
    assert chunks == {
        (0, 3): QUESTIONS,
        (1,): (GradcamQuestion(LAYERS, (0, 1, 2)),),
        (2,): (EMBEDDING, GradcamQuestion(LAYERS, (0, 2))),
    }


def test_splits_come_in_the_order_of_the_data_set() -> None:
    index = refs("val", "train", "val", "test")
    assert [chunk.split for chunk in plan_of(index, {}).chunks] == ["val", "train", "test"]


def test_changed_content_lacks_everything() -> None:
    index = refs("test")
    complete = Known({EMBEDDING.key: frozenset(), "gradcam@conv": frozenset({0, 1, 2})})
    assert plan_of(index, {"test": {"r0": complete}}).chunks == ()
    assert plan_of(index, {"test": {"r0": complete}}, frozenset({0})).chunks == (Chunk("test", QUESTIONS, (0,)),)


def test_a_failed_record_is_reused_unless_it_is_to_be_tried_again() -> None:
    index, history = refs("test"), {"test": {"r0": Known(status="failed")}}
    assert (plan_of(index, history).records, plan_of(index, history).reused) == (0, 1)
    assert plan_of(index, history, retry_failed=True).chunks == (Chunk("test", QUESTIONS, (0,)),)


def test_trying_again_asks_only_for_what_is_missing() -> None:
    index = refs("test")
    history = {"test": {"r0": Known({EMBEDDING.key: frozenset()}, status="failed")}}
    assert plan_of(index, history, retry_failed=True).chunks == (Chunk("test", QUESTIONS[1:], (0,)),)


def test_batches_never_cross_chunks() -> None:
    index = refs(*["test"] * 7)
    batches = [chunk.batches(2) for chunk in plan_of(index, {}, shard_size=5).chunks]
    assert batches == [[[0, 1], [2, 3], [4]], [[5, 6]]]


def test_a_selection_keeps_the_order_of_the_data_set_and_counts_repeats_once() -> None:
    index = refs("test", "train", "test", "val")
    assert select(index, Settings.of(record_id=["r3", "r0", "r3"])) == (0, 3)
    assert select(index, Settings.of(splits=["test", "val"], max_records=2)) == (0, 2)


@pytest.mark.parametrize(
    ("asked", "code", "near", "words"),
    [
        ({"splits": ["trian"]}, "SW-F06", ("train",), "has train, test"),
        ({"record_id": ["r9"]}, "SW-F07", ("r0", "r1"), "no record 'r9'"),
        ({"record_id": ["r1"], "splits": ["train"]}, "SW-F07", ("r0",), "in splits ['train']"),
    ],
)
def test_an_unknown_split_or_record_is_refused(
    asked: dict[str, list[str]], code: str, near: tuple[str, ...], words: str
) -> None:
    with pytest.raises(SeewhyError) as refused:
        select(refs("train", "test"), Settings.of(**asked))
    assert refused.value.code == code
    assert set(near) <= set(refused.value.near)
    assert words in refused.value.message


@pytest.mark.parametrize(
    ("index", "code"), [([], "SW-D90"), ([RecordRef("a", "test"), RecordRef("a", "train")], "SW-D91")]
)
def test_data_without_records_or_with_one_id_twice_is_refused(index: list[RecordRef], code: str) -> None:
    with pytest.raises(SeewhyError) as refused:
        select(index, Settings())
    assert refused.value.code == code


def test_a_grown_data_set_is_the_same_one_and_a_shrunken_one_is_not() -> None:
    history = {"train": {"r0": Known()}}
    check_same_data(refs("train", "val"), history)
    for other in (refs("val"), [RecordRef("x", "train")]):
        with pytest.raises(SeewhyError, match="'r0'") as refused:
            check_same_data(other, history)
        assert refused.value.code == "SW-S40"
