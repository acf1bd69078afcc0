"""The copy that a run in a store is made in: deleted, outdated, cut short, and beside files of others."""

from __future__ import annotations

import shutil
from pathlib import Path

import fsspec
import pytest
from pipeline_samples import Pictures, after, conv_net, ids

import seewhy
from memory_store import use_memory
from seewhy.pipeline import mirror
from seewhy.pipeline.lease import LEASE, Lease
from seewhy.pipeline.remote_output import fetch_run, staging_of
from seewhy.pipeline.sent_marks import SENT, Mark, SentMarks
from seewhy.remote.address import Address
from seewhy.remote.failures import RemoteError
from seewhy.remote.folder_store import FolderStore
from seewhy.values import SeewhyError

PLACE = "/copies/run"
ADDRESS = Address("memory", PLACE[1:])
GIVEN = {
    "generate_attention": False, "generate_report": False, "target_classes": [0], "batch_size": 2, "shard_size": 2,
}  # fmt: skip
NAMES = ids(4)


@pytest.fixture(autouse=True)
def _fresh(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    use_memory(monkeypatch, tmp_path / "first")
    monkeypatch.setattr("seewhy.pipeline.lease.SETTLING_SECONDS", 0.0)


def on_machine(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SEEWHY_CACHE_DIR", str(tmp_path / name))


def explain(pictures: Pictures | None = None, **given: object) -> seewhy.Summary:
    return seewhy.run(conv_net(), pictures or Pictures(NAMES), ADDRESS.url, **{**GIVEN, **given})


def stored() -> set[str]:
    names = {name.removeprefix(f"{PLACE}/") for name in fsspec.filesystem("memory").find(PLACE)}
    return names - {LEASE}


def put(name: str, data: bytes = b"mine") -> None:
    fsspec.filesystem("memory").pipe_file(f"{PLACE}/{name}", data)


def broken(folder: FolderStore, *_: object) -> None:
    raise RemoteError("unreachable", f"{folder.address}: the store cannot be reached", fix="check the network")


def is_sound(tmp_path: Path) -> bool:
    fetch_run(ADDRESS, tmp_path / "fetched")
    return seewhy.verify(tmp_path / "fetched") == []


@pytest.mark.parametrize(
    "deleted", ["run", *(pytest.param(one, marks=pytest.mark.slow) for one in ("run/*", "run/shards"))]
)
def test_a_copy_that_was_deleted_is_fetched_and_added_to(tmp_path: Path, deleted: str) -> None:
    explain()
    for path in staging_of(ADDRESS).glob(deleted):
        if path.name[0] != ".":  # as a shell has it
            shutil.rmtree(path) if path.is_dir() else path.unlink()
    second = explain(target_classes=[1])
    assert (second.computed, explain(target_classes=[0]).reused) == (4, 4)
    assert len([name for name in stored() if name.startswith("shards/")]) == 4
    assert is_sound(tmp_path)


def test_the_summary_says_where_the_run_lies_and_where_its_copy(tmp_path: Path) -> None:
    summary = explain(generate_report=True)
    assert summary.address == "memory://copies/run"
    assert summary.report == staging_of(ADDRESS) / "run" / "report" / "index.html"
    assert summary.report.is_file()
    on_disk = seewhy.run(conv_net(), Pictures(NAMES), tmp_path / "run", **GIVEN)
    assert (on_disk.address, on_disk.output_dir) == (None, tmp_path / "run")


def test_files_of_others_are_neither_fetched_nor_sent_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    explain()
    put("notes.txt", b"of old")
    put("huge/dataset.bin")
    put("shards/notes.txt")
    on_machine("second", tmp_path, monkeypatch)
    explain(target_classes=[1])
    here = {path.name for path in (staging_of(ADDRESS) / "run").rglob("*")}
    assert here.isdisjoint({"notes.txt", "huge", "dataset.bin"})
    put("notes.txt", b"of today")
    fsspec.filesystem("memory").rm(f"{PLACE}/huge", recursive=True)
    explain(target_classes=[2])
    assert fsspec.filesystem("memory").cat_file(f"{PLACE}/notes.txt") == b"of today"
    assert not [name for name in stored() if name.startswith("huge")]


def test_what_a_run_said_of_itself_as_it_began_is_known_on_another_machine(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert explain(stop=after(1), command=["first"]).interrupted
    on_machine("second", tmp_path, monkeypatch)
    explain(command=["second"])
    assert b'"first"' in fsspec.filesystem("memory").cat_file(f"{PLACE}/about.json")


def test_an_interrupt_while_the_run_is_fetched_sends_nothing_of_the_old_copy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    explain(stop=after(1))
    on_machine("second", tmp_path, monkeypatch)
    explain(shard_size=4, target_classes=[0, 1])
    before = {name: fsspec.filesystem("memory").cat_file(f"{PLACE}/{name}") for name in stored()}
    on_machine("first", tmp_path, monkeypatch)

    def interrupt(place: Path) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("seewhy.pipeline.remote_output.shutil.rmtree", interrupt)
        with pytest.raises(KeyboardInterrupt):
            explain()
    assert {name: fsspec.filesystem("memory").cat_file(f"{PLACE}/{name}") for name in stored()} == before
    assert explain(target_classes=[0, 1]).computed == 0  # the half that was left is not taken for the copy


def test_who_died_while_it_fetched_a_run_gives_way_to_its_own_machine_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    explain()
    on_machine("second", tmp_path, monkeypatch)
    with monkeypatch.context() as patch:
        patch.setattr(Lease, "give_back", lambda lease: None)  # as a kill has it
        patch.setattr(FolderStore, "fetch", broken)
        with pytest.raises(SeewhyError, match="SW-S54"):
            explain()
    assert explain().computed == 0
    on_machine("third", tmp_path, monkeypatch)
    assert explain().computed == 0


def test_a_shard_that_is_damaged_there_and_here_is_made_again_where_both_are_deleted(tmp_path: Path) -> None:
    explain()
    name = "shards/test-00001.parquet"
    here = staging_of(ADDRESS) / "run" / name
    put(name, here.read_bytes()[::-1])
    here.unlink()
    fsspec.filesystem("memory").rm_file(f"{PLACE}/{name}")
    assert explain().computed == 2
    assert is_sound(tmp_path)


@pytest.mark.parametrize("left", [(), (LEASE,)])
def test_a_store_that_was_emptied_begins_anew(tmp_path: Path, left: tuple[str, ...]) -> None:
    explain()
    system = fsspec.filesystem("memory")
    for name in system.find(PLACE):
        if name.removeprefix(f"{PLACE}/") not in left:
            system.rm_file(name)
    put("notes.txt") if left else None
    assert explain(seed=1).computed == 4  # another run altogether, which the old copy would refuse
    assert is_sound(tmp_path)


@pytest.mark.parametrize("machine", ["first", "second"])
def test_pictures_whose_deletion_was_cut_short_are_deleted_by_the_next_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, machine: str
) -> None:
    explain()
    changed = Pictures(NAMES, contents={"r03": "second"})

    with monkeypatch.context() as patch:
        patch.setattr(FolderStore, "remove", broken)
        with pytest.raises(SeewhyError, match="SW-S54"):
            explain(changed, target_classes=[1])
    assert "gradcam/r03/class_0.png" in stored()
    on_machine(machine, tmp_path, monkeypatch)
    assert explain(changed, target_classes=[1]).computed == 0
    assert "gradcam/r03/class_0.png" not in stored()
    assert is_sound(tmp_path)


def test_a_store_that_proves_nothing_is_not_sent_the_same_files_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent: list[str] = []
    send = FolderStore.send

    def noted(folder: FolderStore, name: str, source: Path) -> None:
        sent.append(name)
        send(folder, name, source)

    monkeypatch.setattr(FolderStore, "send", noted)
    monkeypatch.setattr(mirror, "proves", lambda version, path: None)
    explain()
    assert len(sent) == len(stored())
    sent.clear()
    explain()
    assert sent == []
    on_machine("second", tmp_path, monkeypatch)
    explain()
    assert sent == []


def test_a_file_that_was_deleted_there_is_sent_again() -> None:
    explain()
    fsspec.filesystem("memory").rm_file(f"{PLACE}/gradcam/r03/class_0.png")
    explain()
    assert "gradcam/r03/class_0.png" in stored()


def test_a_note_that_was_cut_off_is_none(tmp_path: Path) -> None:
    marks = SentMarks(tmp_path)
    marks.note("a", Mark(1, 2, 3))
    marks.note("b", Mark(4, 5, 6))
    marks.forget("b")
    with (tmp_path / SENT).open("a", encoding="ascii") as opened:
        opened.write('["c", 7')
    assert SentMarks(tmp_path).names == {"a"}
