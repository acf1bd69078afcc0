"""The same directory again: what is committed is reused, what changed is explained again, what differs is refused."""

from __future__ import annotations

import os
import threading
from pathlib import Path
from typing import Any

import pytest
import torch
from pipeline_samples import Log, Pictures, after, conv_net, ids, image_of, pictures, rows, snapshot, vit

import seewhy
from borrowed import unchanged
from seewhy.data.batching import load_batches
from seewhy.models.fingerprint import weights_fingerprint
from seewhy.store.run_directory import RunDirectory
from seewhy.values import SeewhyError
from toys import ConvNet


@pytest.fixture(scope="module", autouse=True)
def _signal_handler_of_torch() -> None:
    """The first loader process of a process makes torch install its SIGCHLD handler, for good."""
    list(load_batches(seewhy.CustomDataset(Pictures(["a"])), [[0]], num_workers=1))


GRADCAM = {"generate_embeddings": False, "generate_attention": False, "target_classes": [0]}


def test_a_finished_run_is_left_exactly_as_it_is(tmp_path: Path) -> None:
    seewhy.run(vit(), Pictures(ids(4)), tmp_path / "run")
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "run").rglob("*") if path.is_file()}
    summary = seewhy.run(vit(), Pictures(ids(4)), tmp_path / "run")
    assert (summary.computed, summary.reused) == (0, 4)
    after_it = {path: path.stat().st_mtime_ns for path in (tmp_path / "run").rglob("*") if path.is_file()}
    del before[tmp_path / "run/.lock"], after_it[tmp_path / "run/.lock"]
    assert after_it == before


def test_two_runs_are_equal_byte_for_byte_wherever_they_are_and_whoever_reads(tmp_path: Path) -> None:
    names = ids(7)
    seewhy.run(vit(), Pictures(names), tmp_path / "one", batch_size=3)
    seewhy.run(vit(), Pictures(names), tmp_path / "deeper" / "two", batch_size=3, writer_threads=4)
    seewhy.run(vit(), Pictures(names), tmp_path / "three", batch_size=3, num_workers=2)
    first = snapshot(tmp_path / "one")
    assert snapshot(tmp_path / "deeper" / "two") == first
    assert snapshot(tmp_path / "three") == first
    assert len(first) == 7 * 4 + 8


def test_stopped_after_a_shard_it_goes_on_and_ends_as_if_never_stopped(tmp_path: Path) -> None:
    names, given = ids(10), {"batch_size": 2, "shard_size": 3}
    seewhy.run(vit(), Pictures(names), tmp_path / "whole", **given)
    stopped = seewhy.run(vit(), Pictures(names), tmp_path / "run", stop=after(2), **given)
    assert (stopped.interrupted, stopped.computed, stopped.exit_code) == (True, 6, 130)
    assert seewhy.RunReader(tmp_path / "run").manifest.status == "running"
    resumed = seewhy.run(vit(), Pictures(names), tmp_path / "run", **given)
    assert (resumed.interrupted, resumed.computed, resumed.reused) == (False, 4, 6)
    assert snapshot(tmp_path / "run") == snapshot(tmp_path / "whole")
    assert seewhy.verify(tmp_path / "run") == []


def test_a_stop_that_comes_with_the_last_shard_is_told_and_leaves_a_whole_run(tmp_path: Path) -> None:
    summary = seewhy.run(conv_net(), Pictures(ids(4)), tmp_path / "run", stop=lambda: True, shard_size=4)
    assert (summary.interrupted, summary.exit_code) == (True, 130)
    assert seewhy.RunReader(tmp_path / "run").manifest.status == "complete"


def test_parts_of_the_data_one_after_the_other_add_up(tmp_path: Path) -> None:
    data = {"train": Pictures(ids(3, "t")), "val": Pictures(ids(2, "v")), "test": Pictures(ids(4, "x"))}
    counts = []
    for given in ({"record_id": "v01"}, {"splits": ["train"]}, {"splits": ["val", "test"]}, {}):
        summary = seewhy.run(conv_net(), data, tmp_path / "run", **given, **GRADCAM)
        counts.append((summary.selected, summary.computed, summary.reused))
    assert counts == [(1, 1, 0), (3, 3, 0), (6, 5, 1), (9, 0, 9)]
    assert len(pictures(tmp_path / "run")) == 9
    assert seewhy.verify(tmp_path / "run") == []


def test_changed_content_is_explained_again(tmp_path: Path) -> None:
    names, model = ids(4), conv_net()
    seewhy.run(model, Pictures(names), tmp_path / "run")
    before = rows(tmp_path / "run")
    summary = seewhy.run(model, Pictures(names, contents={"r02": "rewritten"}), tmp_path / "run")
    assert (summary.computed, summary.reused) == (1, 3)
    now = rows(tmp_path / "run")
    with torch.no_grad():
        expected = model.eval()(image_of("rewritten")[None]).softmax(dim=1)[0].numpy()
    assert now["r02"].probabilities == pytest.approx(expected, abs=1e-6)
    assert now["r01"].probabilities.tolist() == before["r01"].probabilities.tolist()
    saved = torch.load(tmp_path / "run/embeddings/test_embeddings.pt", weights_only=True)
    with torch.no_grad():
        features = model.body(model.stem(image_of("rewritten")[None])).mean(dim=(2, 3))[0]
    assert saved[2].numpy() == pytest.approx(features.numpy(), abs=1e-5)
    assert seewhy.verify(tmp_path / "run") == []


def test_pictures_of_old_content_are_gone_although_fewer_classes_are_asked_now(tmp_path: Path) -> None:
    names, model, run = ids(2), conv_net(), tmp_path / "run"
    seewhy.run(model, Pictures(names), run, **(GRADCAM | {"target_classes": [0, 1]}))
    seewhy.run(model, Pictures(names, contents={"r01": "rewritten"}), run, **GRADCAM)
    left = sorted(path.relative_to(run / "gradcam").as_posix() for path in (run / "gradcam").rglob("*.png"))
    assert left == ["r00/class_0.png", "r00/class_1.png", "r01/class_0.png"]
    assert seewhy.verify(run) == []


def test_an_embedding_of_old_content_leaves_the_tensor(tmp_path: Path) -> None:
    names, model, run = ids(3), conv_net(), tmp_path / "run"
    seewhy.run(model, Pictures(names), run)
    seewhy.run(model, Pictures(names, contents={"r01": "rewritten"}), run, **GRADCAM)
    model.eval()
    saved = torch.load(run / "embeddings/test_embeddings.pt", weights_only=True)
    with torch.no_grad():
        expected = [model.body(model.stem(image_of(name)[None])).mean(dim=(2, 3))[0] for name in ("r00", "r02")]
    assert saved.numpy() == pytest.approx(torch.stack(expected).numpy(), abs=1e-5)
    assert seewhy.verify(run) == []


@pytest.mark.parametrize("left", [["r00", "r01", "r03"], ["other"]])
def test_data_that_lost_a_record_is_another_data_set(tmp_path: Path, left: list[str]) -> None:
    seewhy.run(conv_net(), Pictures(ids(4)), tmp_path / "run", **GRADCAM)
    with pytest.raises(SeewhyError, match="does not have") as refused:
        seewhy.run(conv_net(), Pictures(left), tmp_path / "run", **GRADCAM)
    assert refused.value.code == "SW-S40"


def test_data_that_lost_a_whole_split_is_another_data_set(tmp_path: Path) -> None:
    both = {"train": Pictures(ids(2, "t")), "val": Pictures(ids(2, "v"))}
    kept = {"train": Pictures(ids(2, "t"))}
    seewhy.run(conv_net(), both, tmp_path / "run", **GRADCAM)
    with pytest.raises(SeewhyError) as refused:
        seewhy.run(conv_net(), kept, tmp_path / "run", **GRADCAM)
    assert refused.value.code in {"SW-S40", "SW-S05"}


class Regrouped:
    """A data set of seewhy's own kind in which each record has the split it is told."""

    class_names = None

    def __init__(self, split_of: dict[str, str]) -> None:
        self.inner = seewhy.CustomDataset(Pictures(list(split_of)))
        self.split_of = split_of

    def index(self) -> Any:
        refs = self.inner.index()
        return [type(ref)(ref.record_id, self.split_of[ref.record_id], ref.label) for ref in refs]

    def __getattr__(self, name: str) -> Any:
        return getattr(self.inner, name)

    def read(self, position: int) -> Any:
        return self.inner.read(position)

    def revision(self, position: int) -> str:
        return self.inner.revision(position)

    def picture(self, inputs: Any) -> Any:
        return self.inner.picture(inputs)

    def fingerprint(self) -> Any:
        return self.inner.fingerprint()


@pytest.mark.parametrize(
    "now", [{"a": "train", "b": "train"}, {"a": "train"}, {"a": "val", "b": "train"}], ids=["moved", "gone", "swapped"]
)
def test_a_record_whose_split_changed_or_vanished_is_noticed(tmp_path: Path, now: dict[str, str]) -> None:
    seewhy.run(conv_net(), Regrouped({"a": "train", "b": "val"}), tmp_path / "run", **GRADCAM)
    with pytest.raises(SeewhyError) as refused:
        seewhy.run(conv_net(), Regrouped(now), tmp_path / "run", **GRADCAM)
    assert refused.value.code == "SW-S40"


def test_other_weights_are_refused_with_the_field_that_differs(tmp_path: Path) -> None:
    model = conv_net()
    seewhy.run(model, Pictures(ids(2)), tmp_path / "run", **GRADCAM)
    before, old = snapshot(tmp_path / "run"), weights_fingerprint(model)
    model.head.bias.data[0] += 1
    with pytest.raises(SeewhyError) as refused:
        seewhy.run(model, Pictures(ids(2)), tmp_path / "run", **GRADCAM)
    assert refused.value.code == "SW-S05"
    assert "weights" in refused.value.message
    assert old[:8] in refused.value.message
    assert weights_fingerprint(model)[:8] in refused.value.message
    assert snapshot(tmp_path / "run") == before


@pytest.mark.parametrize(("given", "field"), [({"seed": 1}, "seed"), ({"precision": "bf16"}, "precision")])
def test_other_settings_that_decide_numbers_are_refused(tmp_path: Path, given: dict[str, Any], field: str) -> None:
    seewhy.run(conv_net(), Pictures(ids(2)), tmp_path / "run", **GRADCAM)
    with pytest.raises(SeewhyError, match=field) as refused:
        seewhy.run(conv_net(), Pictures(ids(2)), tmp_path / "run", **given, **GRADCAM)
    assert refused.value.code == "SW-S05"


def test_batch_size_shard_size_and_workers_may_change_between_runs(tmp_path: Path) -> None:
    seewhy.run(conv_net(), Pictures(ids(6)), tmp_path / "run", max_records=2, batch_size=2, **GRADCAM)
    summary = seewhy.run(conv_net(), Pictures(ids(6)), tmp_path / "run", batch_size=3, shard_size=2, **GRADCAM)
    assert (summary.computed, summary.reused) == (4, 2)
    assert seewhy.verify(tmp_path / "run") == []


def test_a_second_writer_is_told_who_holds_the_directory(tmp_path: Path) -> None:
    with RunDirectory.open(tmp_path / "run", {}), pytest.raises(SeewhyError) as refused:
        seewhy.run(conv_net(), Pictures(ids(2)), tmp_path / "run")
    assert refused.value.code == "SW-S04"
    assert f"process {os.getpid()} on " in refused.value.message


def test_a_directory_that_is_not_a_run_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("years of work")
    with pytest.raises(SeewhyError) as refused:
        seewhy.run(conv_net(), Pictures(ids(2)), tmp_path)
    assert refused.value.code == "SW-S09"
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]


def test_a_deleted_picture_is_named_by_verify(tmp_path: Path) -> None:
    seewhy.run(conv_net(), Pictures(ids(2)), tmp_path / "run", **GRADCAM)
    (tmp_path / "run/gradcam/r01/class_0.png").unlink()
    assert [(finding.problem, finding.path) for finding in seewhy.verify(tmp_path / "run")] == [
        ("missing", "gradcam/r01/class_0.png")
    ]


@pytest.mark.parametrize(
    "name",
    [
        "manifest.json",
        "failures.json",
        "embeddings/test_embeddings.pt",
        "embeddings/test_records.parquet",
        "shards/test-00000.parquet",
        "gradcam/r00/class_0.png",
        "attention_maps/r01_attention.png",
    ],
)
def test_one_flipped_byte_in_any_kind_of_file_is_named_by_verify(tmp_path: Path, name: str) -> None:
    seewhy.run(vit(), Pictures(ids(2)), tmp_path / "run", target_classes=[0])
    file = tmp_path / "run" / name
    data = bytearray(file.read_bytes())
    data[len(data) // 2] ^= 1
    file.write_bytes(data)
    assert name in {finding.path for finding in seewhy.verify(tmp_path / "run") if finding.problem == "damaged"}


def frozen_and_trained() -> ConvNet:
    """A model as training leaves it: a mixture of flags, gradients, a hook of its owner."""
    model = conv_net().train()
    model.stem.eval()
    model.stem[0].weight.requires_grad_(False)
    model(torch.randn(2, 2, 8, 8)).sum().backward()
    model.head.register_forward_hook(lambda *_: None)
    return model


def test_the_model_comes_back_as_it_was(tmp_path: Path) -> None:
    model = frozen_and_trained()
    with unchanged(model):
        seewhy.run(model, Pictures(ids(3)), tmp_path / "run")


@pytest.mark.parametrize(
    "given", [{"target_classes": [9]}, {"target_layer": "nowhere"}, {"record_id": "nobody"}, {"seed": 5}]
)
def test_the_model_comes_back_as_it_was_when_the_run_is_refused(tmp_path: Path, given: dict[str, Any]) -> None:
    model = frozen_and_trained()
    seewhy.run(model, Pictures(ids(2)), tmp_path / "run")
    with unchanged(model), pytest.raises(SeewhyError):
        seewhy.run(model, Pictures(ids(2)), tmp_path / "run", **given)


def test_the_model_comes_back_as_it_was_when_it_raises(tmp_path: Path) -> None:
    model = frozen_and_trained()
    with unchanged(model):
        summary = seewhy.run(model, Pictures(ids(2)), tmp_path / "run", stop=lambda: False)
        assert summary.exit_code == 0
        wrong_size = seewhy.ClutteredDigits(counts={"test": 2}, size=32)
        with pytest.raises(SeewhyError, match="cannot be called"):
            seewhy.run(model, wrong_size, tmp_path / "other")


def test_no_thread_is_left_behind(tmp_path: Path) -> None:
    before = set(threading.enumerate())
    seewhy.run(conv_net(), Pictures(ids(3)), tmp_path / "run")
    assert set(threading.enumerate()) == before


def test_an_observer_that_raises_stops_the_run_and_what_is_committed_stays(tmp_path: Path) -> None:
    class Fed(Log):
        def committed(self, shard: str) -> None:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        seewhy.run(conv_net(), Pictures(ids(4)), tmp_path / "run", observer=Fed(), shard_size=2, **GRADCAM)
    summary = seewhy.run(conv_net(), Pictures(ids(4)), tmp_path / "run", shard_size=2, **GRADCAM)
    assert (summary.computed, summary.reused) == (2, 2)
    assert seewhy.verify(tmp_path / "run") == []
