"""Whole loaders: every sample of every batch, with its own id, label, maps and files."""

from __future__ import annotations

import weakref
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from multi_input.branch_models import LAYERS, SIZES, SumOfBranches, some_inputs
from seewhy.multi_input import ComparisonVisualizer, GradCAMVisualizer
from seewhy.multi_input.batches import UniqueNames, Unreadable, read_batch
from seewhy.multi_input.streaming import each_sample
from seewhy.values import ConfigError, DataError


def batches_of_three(records: int = 6) -> list[tuple[Any, ...]]:
    inputs = some_inputs(records)
    return [
        (
            *(tensor[start : start + 3] for tensor in inputs.values()),
            torch.arange(start, start + 3) % 3,
            tuple(f"patient_{row}" for row in range(start, start + 3)),
        )
        for start in range(0, records, 3)
    ]


def test_six_samples_in_batches_of_three_are_six_results_with_their_own_ids() -> None:
    model = SumOfBranches()
    found = GradCAMVisualizer(model, target_layers=LAYERS).batch_analyze(batches_of_three(), num_samples=10)
    assert [one["sample_id"] for one in found] == [f"patient_{row}" for row in range(6)]
    assert [one["true_class"] for one in found] == [0, 1, 2, 0, 1, 2]
    logits = model(**some_inputs(6))
    assert [one["pred_class"] for one in found] == logits.argmax(1).tolist()
    expected = logits.double().softmax(1).detach().numpy()
    np.testing.assert_allclose([one["probabilities"] for one in found], expected, atol=1e-6)
    for row, one in enumerate(found):
        parts = {name: part[row, one["pred_class"]].item() for name, part in model.parts(**some_inputs(6)).items()}
        assert one["shares"]["fluid"] == pytest.approx(parts["fluid"] / sum(parts.values()), rel=1e-5)
        assert {name: heat.shape for name, heat in one["heatmaps"].items()} == {n: s[1:] for n, s in SIZES.items()}


def test_a_number_of_samples_is_not_a_number_of_batches() -> None:
    given = 0

    def loader() -> Iterator[tuple[Any, ...]]:
        nonlocal given
        for batch in batches_of_three(9):
            given += 1
            yield batch

    found = GradCAMVisualizer(SumOfBranches()).batch_analyze(loader(), num_samples=4)
    assert [one["sample_id"] for one in found] == ["patient_0", "patient_1", "patient_2", "patient_3"]
    assert given == 2


def test_a_batch_is_one_forward() -> None:
    model = SumOfBranches()
    visualizer = ComparisonVisualizer(model, target_layers=LAYERS)
    visualizer.batch_analyze(batches_of_three(), num_samples=6)
    before = model.calls
    visualizer.batch_analyze(batches_of_three(), num_samples=6)
    assert model.calls == before + 2


def test_a_sample_that_cannot_be_explained_fails_alone() -> None:
    batches = batches_of_three()
    batches[1][0][1, 0, 0, 0] = float("nan")
    visualizer = GradCAMVisualizer(SumOfBranches())
    whole = visualizer.batch_analyze(batches_of_three(), num_samples=6)
    with pytest.warns(UserWarning, match="1 of 6 samples"):
        found = visualizer.batch_analyze(batches, num_samples=6)
    assert [bool(one["error"]) for one in found] == [False, False, False, False, True, False]
    assert "SW-D97" in found[4]["error"]
    assert (found[4]["sample_id"], found[4]["pred_class"], found[4]["heatmaps"]) == ("patient_4", None, {})
    np.testing.assert_allclose(found[5]["heatmaps"]["ga"], whole[5]["heatmaps"]["ga"], atol=1e-6)


def test_a_batch_that_does_not_fit_into_memory_is_asked_in_halves(monkeypatch: pytest.MonkeyPatch) -> None:
    visualizer = GradCAMVisualizer(SumOfBranches())
    explain = visualizer.explainer.explain

    def small_only(inputs: Any, target_class: Any = None) -> Any:
        if len(inputs[0]) > 1:
            raise torch.OutOfMemoryError("too large")
        return explain(inputs, target_class)

    monkeypatch.setattr(visualizer.explainer, "explain", small_only)
    assert [one["error"] for one in visualizer.batch_analyze(batches_of_three(), num_samples=6)] == [""] * 6


OUT_OF_MEMORY = [
    torch.OutOfMemoryError("CUDA out of memory"),
    RuntimeError("[enforce fail at alloc_cpu.cpp:117] DefaultCPUAllocator: can't allocate memory: you tried 8 GB"),
    MemoryError(),
]


@pytest.mark.parametrize("error", OUT_OF_MEMORY, ids=["device", "allocator", "python"])
def test_later_batches_are_no_larger_than_what_fitted(monkeypatch: pytest.MonkeyPatch, error: BaseException) -> None:
    visualizer = GradCAMVisualizer(SumOfBranches())
    explain = visualizer.explainer.explain
    asked: list[int] = []

    def two_at_most(inputs: Any, target_class: Any = None) -> Any:
        asked.append(len(inputs[0]))
        if len(inputs[0]) > 2:
            raise error
        return explain(inputs, target_class)

    monkeypatch.setattr(visualizer.explainer, "explain", two_at_most)
    inputs = some_inputs(5)
    found = visualizer.batch_analyze([tuple(inputs.values())] * 2, num_samples=10)
    assert asked == [5, 2, 2, 1, 2, 2, 1]
    assert [one["error"] for one in found] == [""] * 10
    expected = SumOfBranches()(**inputs).argmax(1).tolist()
    assert [one["pred_class"] for one in found] == expected * 2


def test_a_fault_of_one_sample_does_not_make_later_batches_smaller(monkeypatch: pytest.MonkeyPatch) -> None:
    visualizer = GradCAMVisualizer(SumOfBranches())
    explain = visualizer.explainer.explain
    asked: list[int] = []

    def counted(inputs: Any, target_class: Any = None) -> Any:
        asked.append(len(inputs[0]))
        return explain(inputs, target_class)

    monkeypatch.setattr(visualizer.explainer, "explain", counted)
    batches = batches_of_three(9)
    batches[0][0][0] = float("nan")
    found = list(each_sample(visualizer.explainer, batches))
    assert asked == [3, 1, 2, 3, 3]
    assert [bool(one.error) for one in found] == [True] + [False] * 8


def test_nothing_of_a_failed_attempt_is_alive_at_the_next_one(monkeypatch: pytest.MonkeyPatch) -> None:
    visualizer = GradCAMVisualizer(SumOfBranches())
    explain = visualizer.explainer.explain
    held: list[weakref.ref[torch.Tensor]] = []
    alive: list[bool] = []

    def large(inputs: Any, target_class: Any = None) -> Any:
        alive.extend(one() is not None for one in held)
        if len(inputs[0]) > 1:
            activations = torch.zeros(8)
            held.append(weakref.ref(activations))
            raise torch.OutOfMemoryError("too large")
        return explain(inputs, target_class)

    monkeypatch.setattr(visualizer.explainer, "explain", large)
    list(each_sample(visualizer.explainer, batches_of_three(3)))
    assert alive == [False] * len(alive) != []


def test_another_fault_of_the_program_is_not_taken_for_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    visualizer = GradCAMVisualizer(SumOfBranches())

    def wrong(inputs: Any, target_class: Any = None) -> Any:
        raise RuntimeError("shapes do not fit")

    monkeypatch.setattr(visualizer.explainer, "explain", wrong)
    with pytest.raises(RuntimeError, match="shapes do not fit"):
        visualizer.batch_analyze(batches_of_three(3))


def test_each_result_tells_the_notes_of_its_model() -> None:
    class Noted(SumOfBranches):
        def forward(self, mnv: torch.Tensor, fluid: torch.Tensor, ga: torch.Tensor) -> torch.Tensor:
            return super().forward(mnv, fluid, ga).softmax(1)

    batches = batches_of_three(3)
    batches[0][0][1] = float("nan")
    with pytest.warns(UserWarning, match="1 of 3"):
        found = ComparisonVisualizer(Noted()).batch_analyze(batches)
    assert [sum("softmax" in note for note in one["notes"]) for one in found] == [1, 0, 1]


def test_memory_too_small_for_one_sample_is_told_and_no_map_is_made(monkeypatch: pytest.MonkeyPatch) -> None:
    visualizer = GradCAMVisualizer(SumOfBranches())

    def never(inputs: Any, target_class: Any = None) -> Any:
        raise torch.OutOfMemoryError("too large")

    monkeypatch.setattr(visualizer.explainer, "explain", never)
    with pytest.warns(UserWarning, match="6 of 6"):
        found = visualizer.batch_analyze(batches_of_three(), num_samples=6)
    assert {one["error"] for one in found} == {"out of memory: too large"}
    assert all(one["heatmaps"] == {} for one in found)


def test_files_are_those_that_the_guide_lists(tmp_path: Path) -> None:
    GradCAMVisualizer(SumOfBranches()).batch_analyze(batches_of_three(3), num_samples=2, save_dir=str(tmp_path))
    files = sorted(path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*") if path.is_file())
    each = [
        [f"{name}_gradcam_visualization.png", *(f"{name}_heatmaps/{name}_{one}.png" for one in SIZES)]
        for name in ("patient_0", "patient_1")
    ]
    assert files == sorted([*each[0], *each[1], "summary_visualization.png"])


def test_ids_that_are_paths_become_different_safe_names(tmp_path: Path) -> None:
    inputs = some_inputs(3)
    batch = (*inputs.values(), [0, -1, 1], ["./img/x_mnv.png", "other/x_mnv.png", Path("../../etc/passwd")])
    found = GradCAMVisualizer(SumOfBranches()).batch_analyze([batch], save_dir=tmp_path / "out")
    assert [one["sample_id"] for one in found] == ["x_mnv", "x_mnv_2", "passwd"]
    assert [one["true_class"] for one in found] == [0, None, 1]
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_records_without_ids_are_numbered_by_their_place() -> None:
    batches = [list(some_inputs(2).values()), list(some_inputs(1).values())]
    found = list(each_sample(GradCAMVisualizer(SumOfBranches()).explainer, batches))
    assert [one.sample_id for one in found] == ["sample_000", "sample_001", "sample_002"]


def test_a_record_that_could_not_be_read_keeps_its_place() -> None:
    loader = [Unreadable("broken", 1, "no such file"), *batches_of_three(3)]
    found = list(each_sample(GradCAMVisualizer(SumOfBranches()).explainer, loader, 2))
    assert [(one.sample_id, one.error) for one in found] == [("broken", "no such file"), ("patient_0", "")]


IMAGE, LABELS, IDS = torch.rand(2, 1, 4, 4), torch.tensor([1, 0]), ["a", "b"]


@pytest.mark.parametrize(
    "batch",
    [
        (IMAGE, IMAGE, LABELS, IDS),
        (IMAGE, IMAGE, IDS, LABELS),
        [[IMAGE, IMAGE], LABELS[:, None], tuple(IDS)],
        ({"left": IMAGE, "right": IMAGE}, [1, 0], IDS),
        {"left": IMAGE, "right": IMAGE, "label": LABELS, "id": IDS},
        {"inputs": {"left": IMAGE, "right": IMAGE}, "target": LABELS, "path": [Path("x/a.png"), Path("b.png")]},
        {"images": [IMAGE, IMAGE], "y": LABELS.numpy(), "sample_id": IDS},
    ],
)
def test_forms_of_batches(batch: Any) -> None:
    found = read_batch(batch, ("left", "right"))
    assert (found.labels, found.ids) == ((1, 0), ("a", "b"))
    assert len(found.inputs) == 2


def test_a_second_row_of_numbers_is_the_ids() -> None:
    found = read_batch((IMAGE, LABELS, torch.tensor([17, 18])), ("image",))
    assert (found.labels, found.ids) == ((1, 0), ("17", "18"))


def test_where_names_are_not_known_the_inputs_are_what_has_space() -> None:
    found = read_batch((IMAGE, IMAGE, LABELS), None)
    assert (len(found.inputs), found.labels, found.ids) == (2, (1, 0), (None, None))


@pytest.mark.parametrize(
    "batch",
    [
        "batch",
        (),
        (IMAGE, torch.tensor([1, 0, 2])),
        (IMAGE, torch.eye(2)),
        {"left": IMAGE, "label": LABELS},
        (["a", "b"], LABELS),
    ],
)
def test_batches_that_cannot_be_read(batch: Any) -> None:
    with pytest.raises(DataError) as caught:
        read_batch(batch, ("image",))
    assert caught.value.code == "SW-D98"


def test_names_stay_different_where_a_numbered_one_is_taken() -> None:
    unique = UniqueNames()
    assert [unique(name) for name in ("a", "a_2", "a")] == ["a", "a_2", "a_3"]


@pytest.mark.parametrize("count", [0, -1, 2.5, True, None])
def test_a_number_of_samples_that_is_none_is_refused(count: Any) -> None:
    with pytest.raises(ConfigError) as caught:
        GradCAMVisualizer(SumOfBranches()).batch_analyze([], num_samples=count)
    assert caught.value.code == "SW-F125"
