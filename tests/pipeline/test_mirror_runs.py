"""A run whose directory lies in a store: the files of one on disk, from any machine, whatever ends it."""

from __future__ import annotations

from pathlib import Path

import fsspec
import pytest
from pipeline_samples import Pictures, after, conv_net, ids, snapshot

import seewhy
from memory_store import use_memory
from seewhy.pipeline import lease as leases
from seewhy.pipeline import mirror
from seewhy.pipeline.lease import LEASE
from seewhy.pipeline.remote_output import fetch_run, output_address, staging_of
from seewhy.remote.failures import RemoteError
from seewhy.remote.folder_store import FolderStore
from seewhy.store.lock import DirectoryLock
from seewhy.values import SeewhyError

URL = "memory://bucket/run"
GIVEN = {"generate_attention": False, "target_classes": [0], "batch_size": 2, "shard_size": 2}
NAMES = ids(9)


@pytest.fixture(autouse=True)
def _fresh(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    use_memory(monkeypatch, tmp_path / "machine")


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    root = tmp_path_factory.mktemp("whole") / "run"
    seewhy.run(conv_net(), Pictures(NAMES), root, **GIVEN)
    return snapshot(root)


@pytest.fixture
def there(whole: dict[str, bytes]) -> None:
    """The store as a whole run of another machine leaves it."""
    for name, data in whole.items():
        fsspec.filesystem("memory").pipe_file(f"/bucket/run/{name}", data)


def stored(below: str = "/bucket/run") -> dict[str, bytes]:
    """What the store holds, without the lease."""
    system = fsspec.filesystem("memory")
    found = {name.removeprefix(f"{below}/"): system.cat_file(name) for name in system.find(below)}
    return {name: data for name, data in found.items() if name != LEASE}


def explain(url: str = URL, **given: object) -> seewhy.Summary:
    return seewhy.run(conv_net(), Pictures(NAMES), url, **{**GIVEN, **given})


def another_machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, name: str = "other") -> None:
    monkeypatch.setenv("SEEWHY_CACHE_DIR", str(tmp_path / name))


def test_the_store_holds_the_files_of_a_run_on_disk_and_a_second_run_finds_everything(whole: dict[str, bytes]) -> None:
    assert (explain().computed, stored()) == (9, whole)
    assert (explain().computed, stored()) == (0, whole)


@pytest.mark.usefixtures("there")
def test_on_another_machine_everything_is_found_and_files_of_others_are_left(whole: dict[str, bytes]) -> None:
    fsspec.filesystem("memory").pipe_file("/bucket/run/notes.txt", b"mine")
    assert (explain().computed, stored()) == (0, {**whole, "notes.txt": b"mine"})


def test_a_run_that_was_stopped_goes_on_on_another_machine(
    whole: dict[str, bytes], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert explain(stop=after(2)).interrupted
    assert len([name for name in stored() if name.startswith("shards/")]) == 2
    another_machine(monkeypatch, tmp_path)
    assert (explain().computed, stored()) == (5, whole)


@pytest.mark.slow
def test_what_another_machine_did_meanwhile_is_not_done_again(
    whole: dict[str, bytes], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    explain(stop=after(1))
    another_machine(monkeypatch, tmp_path)
    explain(stop=after(2))
    another_machine(monkeypatch, tmp_path, "machine")
    assert (explain().computed, stored()) == (3, whole)


class Faulty:
    """Sends as ever, until ``left`` files were sent."""

    def __init__(self, left: int) -> None:
        self.left, self.send = left, FolderStore.send

    def __call__(self, folder: FolderStore, name: str, source: Path) -> None:
        self.left -= 1
        if self.left < 0:
            raise RemoteError("unreachable", f"{folder.address}: the store cannot be reached", fix="check the network")
        self.send(folder, name, source)


@pytest.mark.parametrize("sent", [1, 8, *(pytest.param(n, marks=pytest.mark.slow) for n in (0, 3, 20))])
def test_a_connection_that_breaks_loses_nothing_and_the_same_command_goes_on(
    whole: dict[str, bytes], monkeypatch: pytest.MonkeyPatch, sent: int
) -> None:
    with monkeypatch.context() as patch:
        faulty = Faulty(sent)
        patch.setattr(FolderStore, "send", lambda *given: faulty(*given))
        with pytest.raises(SeewhyError) as refusal:
            explain()
    assert refusal.value.code == "SW-S54"
    address = output_address(URL)
    assert address is not None
    kept = staging_of(address) / "run"
    assert str(kept) in refusal.value.fix
    there = stored()
    assert all(whole[name] == data for name, data in there.items() if name.startswith(("shards/", "gradcam/")))
    committed = len(list((kept / "shards").iterdir()))
    assert committed >= 1
    summary = explain()
    assert summary.reused == 2 * committed if committed < 5 else 9
    assert stored() == whole


def test_an_error_of_the_run_itself_is_the_one_that_is_told_and_what_is_done_is_sent(
    whole: dict[str, bytes],
) -> None:
    def stop() -> bool:
        raise ZeroDivisionError("mine")

    with pytest.raises(ZeroDivisionError, match="mine"):
        explain(stop=stop)
    assert [name for name in stored() if name.startswith("shards/")] == ["shards/test-00000.parquet"]
    assert (explain().computed, stored()) == (7, whole)


@pytest.mark.parametrize("slept_at", [1, 3, 5])
def test_a_writer_that_was_stopped_while_another_did_the_run_leaves_the_store_to_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, slept_at: int
) -> None:
    """The first is stopped after so many of its five shards; the second has shards of another size, and other names."""
    seen: list[dict[str, bytes]] = []
    reached = 0

    def sleep_after(name: str) -> None:
        nonlocal reached
        reached += name == "mirror.shard" and not seen
        if seen or reached < slept_at:
            return
        with monkeypatch.context() as patch:
            patch.setenv("SEEWHY_CACHE_DIR", str(tmp_path / "other"))
            patch.setattr(leases, "STALE_SECONDS", 0.0)
            patch.setattr(leases, "SETTLING_SECONDS", 0.0)
            seen.append({})
            explain(shard_size=4)
            seen[0] = stored()

    monkeypatch.setattr(mirror, "SHARDS_WAITING", 0)  # the first does nothing while the second works
    monkeypatch.setattr(mirror, "reach", sleep_after)
    with pytest.raises(SeewhyError) as refusal:
        explain()
    assert refusal.value.code == "SW-S57"
    assert stored() == seen[0]
    address = output_address(URL)
    assert address is not None
    fetch_run(address, tmp_path / "here")
    assert seewhy.verify(tmp_path / "here") == []


@pytest.mark.slow
def test_pictures_of_content_that_changed_are_deleted_there_too() -> None:
    explain()
    names = ["r00x", *NAMES[1:]]
    with pytest.raises(SeewhyError, match="SW-S40"):
        seewhy.run(conv_net(), Pictures(names), URL, **GIVEN)
    changed = Pictures(NAMES, contents={"r03": "second"})
    seewhy.run(conv_net(), changed, URL, **{**GIVEN, "target_classes": [1]})
    seewhy.run(conv_net(), changed, "memory://bucket/fresh", **{**GIVEN, "target_classes": [1]})
    mine = {name for name in stored() if name.startswith("gradcam/r03/")}
    assert mine == {name for name in stored("/bucket/fresh") if name.startswith("gradcam/r03/")}


def test_a_folder_that_is_no_run_is_refused_untouched() -> None:
    fsspec.filesystem("memory").pipe_file("/bucket/run/photos/a.png", b"mine")
    with pytest.raises(SeewhyError) as refusal:
        explain()
    assert refusal.value.code == "SW-S58"
    assert stored() == {"photos/a.png": b"mine"}
    assert not fsspec.filesystem("memory").exists(f"/bucket/run/{LEASE}")


def test_parts_lie_beside_each_other_and_are_merged_where_they_are_fetched(
    whole: dict[str, bytes], tmp_path: Path
) -> None:
    from seewhy.pipeline.merge import merge

    for number in range(2):
        explain(shard=f"{number}/2")
    address = output_address(URL)
    assert address is not None
    fetch_run(address, tmp_path / "here")
    assert {path.name for path in (tmp_path / "here/parts").iterdir()} == {"0-of-2", "1-of-2"}
    merge(tmp_path / "here", remove_parts=True)
    assert seewhy.verify(tmp_path / "here") == []
    assert snapshot(tmp_path / "here").keys() >= {name for name in whole if not name.startswith("shards/")}


@pytest.mark.usefixtures("there")
def test_a_fetched_run_is_the_run_and_fetching_again_is_nothing(whole: dict[str, bytes], tmp_path: Path) -> None:
    address = output_address(URL)
    assert address is not None
    assert fetch_run(address, tmp_path / "here") == len(whole)
    assert snapshot(tmp_path / "here") == whole
    assert seewhy.verify(tmp_path / "here") == []


@pytest.mark.usefixtures("there")
def test_a_directory_of_another_run_is_not_fetched_into(tmp_path: Path) -> None:
    address = output_address(URL)
    assert address is not None
    here = tmp_path / "here"
    seewhy.run(conv_net(), Pictures(NAMES), here, **{**GIVEN, "seed": 1})
    before = snapshot(here)
    with pytest.raises(SeewhyError, match=r"SW-S05.*\n.*seed: 1 -> 0"):
        fetch_run(address, here)
    (here / "manifest.json").unlink()
    with pytest.raises(SeewhyError, match="SW-S05"):
        fetch_run(address, here)
    assert snapshot(here) == {name: data for name, data in before.items() if name != "manifest.json"}


def test_a_directory_that_holds_more_or_is_held_or_is_none_of_a_run_is_not_fetched_into(tmp_path: Path) -> None:
    explain(stop=after(1))
    address = output_address(URL)
    assert address is not None
    here = tmp_path / "here"
    fetch_run(address, here)
    lock = DirectoryLock(here / ".lock")
    lock.acquire()
    with pytest.raises(SeewhyError, match="SW-S04"):
        fetch_run(address, here)
    lock.release()
    explain(str(here))
    with pytest.raises(SeewhyError, match=r"SW-S05.* such as shards/test-00001"):
        fetch_run(address, here)
    (tmp_path / "photos/cats").mkdir(parents=True)
    (tmp_path / "photos/cats/a.png").write_bytes(b"mine")
    with pytest.raises(SeewhyError, match=r"SW-S09.* it holds cats"):
        fetch_run(address, tmp_path / "photos")
    assert [path.name for path in (tmp_path / "photos").rglob("*")] == ["cats", "a.png"]


@pytest.mark.usefixtures("there")
def test_a_fetch_that_was_killed_goes_on(
    whole: dict[str, bytes], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    address = output_address(URL)
    assert address is not None
    fetched: list[str] = []
    fetch = FolderStore.fetch

    def some(folder: FolderStore, name: str, target: Path) -> None:
        fetched.append(name)
        if len(fetched) > 6:
            raise RemoteError("broken", "killed", fix="")
        fetch(folder, name, target)

    with monkeypatch.context() as patch:
        patch.setattr(FolderStore, "fetch", some)
        with pytest.raises(SeewhyError, match="SW-S55"):
            fetch_run(address, tmp_path / "here")
    assert fetch_run(address, tmp_path / "here") > 0
    assert snapshot(tmp_path / "here") == whole


def test_file_addresses_are_paths(tmp_path: Path, whole: dict[str, bytes]) -> None:
    explain(f"file://{tmp_path}/run")
    assert snapshot(tmp_path / "run") == whole


@pytest.mark.parametrize(
    ("url", "code"),
    [
        ("nosuch://bucket/run", "SW-S50"),
        ("s3://me:secret@bucket/run", "SW-S50"),
        ("s3://", "SW-S50"),
        ("s3://bucket/../../run", "SW-S50"),
        ("memory://bucket//run", "SW-S50"),
        ("memory://bucket/run\n", "SW-S50"),
        ("memory://bucket/./run", "SW-S50"),
    ],
)
def test_addresses_that_are_none_are_refused_without_their_secrets(url: str, code: str) -> None:
    with pytest.raises(SeewhyError) as refusal:
        explain(url)
    assert refusal.value.code == code
    assert "secret" not in str(refusal.value)
