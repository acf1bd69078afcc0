"""Data in a store is the data on disk: the same records, read through a cache, whose failures cost one record."""

from __future__ import annotations

import hashlib
import re
import threading
from pathlib import Path
from typing import Any, ClassVar

import fsspec
import pytest
import torch
from fsspec.implementations.memory import MemoryFileSystem

from memory_store import use_memory
from object_server import png
from seewhy.data.batching import load_batches
from seewhy.data.clip_folder import ClipFolder
from seewhy.data.cmr_acdc import CmrAcdc
from seewhy.data.image_folder import ImageFolder
from seewhy.data.manifest import Manifest
from seewhy.data.multi_input import MultiInput
from seewhy.data.volume_folder import VolumeFolder
from seewhy.remote import files, stores
from seewhy.remote.address import Address
from seewhy.remote.failures import told
from seewhy.values import DataError, MissingExtraError

TREE = {
    "train/cat/one.png": png(1),
    "train/cat/two.jpeg": png(2),
    "train/dog/sub/three.png": png(3),
    "val/dog/four.png": png(4),
    "val/dog/.hidden.png": png(5),
    "val/notes.txt": b"no picture",
}


@pytest.fixture(autouse=True)
def _own_stores(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    use_memory(monkeypatch, tmp_path / "cache")
    monkeypatch.setattr(stores, "PAUSES", (0.0,))
    monkeypatch.setattr(Named, "store", {})
    monkeypatch.setattr(Failing, "failures", 0)


def put(folder: str, files: dict[str, bytes]) -> str:
    """Store files in memory; the folder's address."""
    for name, content in files.items():
        fsspec.filesystem("memory").pipe_file(f"/{folder}/{name}", content)
    return f"memory://{folder}"


def lay_out(folder: Path, files: dict[str, bytes]) -> Path:
    """The same files on disk."""
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    return folder


def assert_same(remote: Any, local: Any) -> None:
    """Equal indices, and of every record equal inputs, labels and revisions; a revision is that of the record."""
    assert remote.index() == local.index()
    assert remote.fingerprint() == local.fingerprint()
    for position in range(len(local.index())):
        theirs, ours = remote.read(position), local.read(position)
        assert all(torch.equal(theirs.inputs[name], ours.inputs[name]) for name in ours.inputs)
        assert (theirs.record_id, theirs.label, theirs.geometry, theirs.notes) == (
            ours.record_id, ours.label, ours.geometry, ours.notes,
        )  # fmt: skip
        assert theirs.revision == remote.revision(position) == ours.revision == local.revision(position)


def test_a_folder_of_pictures(tmp_path: Path) -> None:
    local = ImageFolder(lay_out(tmp_path / "set", TREE), 8)
    assert [ref.record_id for ref in local.index()] == [
        "train/cat/one", "train/cat/two", "train/dog/sub/three", "val/dog/four",
    ]  # fmt: skip
    assert_same(ImageFolder(put("set", TREE), 8), local)
    assert_same(ImageFolder(f"file://{tmp_path}/set", 8), local)


def test_a_manifest_with_relative_paths_and_addresses(tmp_path: Path) -> None:
    rows = "id\tpath\tlabel\tmask\n1\tset/train/cat/one.png\tcat\tset/mask.png\n2\t{other}/four.png\tdog\t\n"
    here = lay_out(tmp_path, {f"set/{name}": content for name, content in TREE.items()})
    (here / "set/mask.png").write_bytes(TREE["train/cat/one.png"])
    (here / "m.tsv").write_text(rows.format(other="set/val/dog"))
    address = put("top/set", {**TREE, "mask.png": TREE["train/cat/one.png"]})
    put("top", {"m.tsv": rows.format(other=f"{address}/val/dog").encode()})
    assert_same(Manifest("memory://top/m.tsv", size=8), Manifest(here / "m.tsv", size=8))


def test_a_manifest_in_a_store_names_no_file_of_this_machine(tmp_path: Path) -> None:
    lay_out(tmp_path, {"a.png": png(1)})
    table = f"id,path\n1,{tmp_path}/a.png\n2,file://{tmp_path}/a.png\n3,../../a.png\n4,none.png\n5,set/a.png\n"
    put("", {"top/m.csv": table.encode(), "top/set/a.png": png(1)})
    with pytest.raises(DataError, match="4 files of the manifest do not exist below memory://top: row 2") as caught:
        Manifest("memory://top/m.csv")
    assert caught.value.code == "SW-D05"


@pytest.mark.parametrize("table", ["set//dir/list.csv", "set//list.csv"])
def test_a_folder_with_an_empty_name_is_kept_as_the_store_has_it(table: str) -> None:
    put("set//dir", {"one.png": png(1)})
    put("set/", {"two.png": png(2)})
    put("set", {"two.png": png(3), "dir/one.png": png(4)})
    folder, _, _ = table.rpartition("/")
    cells = ("one.png", "../two.png") if folder == "set//dir" else ("dir/one.png", "two.png")
    put(folder, {"list.csv": "\n".join(("id,path", *(f"{cell[-7:-4]},{cell}" for cell in cells))).encode()})
    dataset = Manifest(f"memory://{table}", size=8)
    for record_id, seed in (("one", 1), ("two", 2)):
        wanted = ImageFolder(put(f"alone{seed}", {"x.png": png(seed)}), 8).read(0)
        position = [entry.record_id for entry in dataset.index()].index(record_id)
        assert torch.equal(dataset.read(position).inputs["image"], wanted.inputs["image"])


def test_several_inputs(tmp_path: Path) -> None:
    files = {
        f"{name}/{split}/x/{i}.png": png(i) for name in ("left", "right") for i, split in enumerate(("train", "val"))
    }
    assert_same(MultiInput(put("eyes", files), size=8), MultiInput(lay_out(tmp_path, files), size=8))
    table = b"id,left,right,label\n0,left/train/x/0.png,right/train/x/0.png,x\n"
    put("eyes", {"m.csv": table})
    (tmp_path / "m.csv").write_bytes(table)
    assert_same(MultiInput(manifest="memory://eyes/m.csv", size=8), MultiInput(manifest=tmp_path / "m.csv", size=8))


def test_films_as_folders_of_frames(tmp_path: Path) -> None:
    files = {f"run/film {film}/{frame}.png": png(frame + film) for film in (1, 2) for frame in range(3)}
    assert_same(
        ClipFolder(put("films", files), frames=2, size=8),
        ClipFolder(lay_out(tmp_path / "films", files), frames=2, size=8),
    )
    put("films", {"m.csv": b"id,path\nf,run/film 1\n"})
    by_table = ClipFolder(manifest="memory://films/m.csv", frames=2, size=8)
    assert torch.equal(
        by_table.read(0).inputs["video"], ClipFolder(tmp_path / "films", frames=2, size=8).read(0).inputs["video"]
    )


def test_volumes(tmp_path: Path) -> None:
    import nibabel
    import numpy as np

    values = np.arange(8 * 9 * 10, dtype=np.float32).reshape(8, 9, 10)
    nibabel.save(nibabel.Nifti1Image(values, np.eye(4)), tmp_path / "v.nii.gz")  # type: ignore[no-untyped-call]
    files = {"a/v.nii.gz": (tmp_path / "v.nii.gz").read_bytes()}
    assert_same(VolumeFolder(put("scans", files)), VolumeFolder(lay_out(tmp_path / "scans", files)))


def test_what_vanishes_or_changes_fails_its_record_alone() -> None:
    dataset = ImageFolder(put("set", TREE), 8)
    fsspec.filesystem("memory").rm("/set/train/cat/one.png")
    put("set", {"train/cat/two.jpeg": png(9)})
    (first, *_) = load_batches(dataset, [[0, 1, 2, 3]])
    assert [record.record_id for record in first.records] == ["train/dog/sub/three", "val/dog/four"]
    assert first.failures == (
        (0, "DataError: [SW-D142] one.png does not exist"),
        (1, "DataError: [SW-D146] two.jpeg was changed after the run had listed it"),
    )


class Named(MemoryFileSystem):  # type: ignore[misc]
    """A memory of its own under another protocol."""

    store: ClassVar[dict[str, Any]] = {}
    pseudo_dirs: ClassVar[list[str]] = [""]

    @classmethod
    def _strip_protocol(cls, path: str) -> str:
        return f"/{path.rpartition('://')[2].strip('/')}"


class Failing(Named):
    """Fails as often as it is told, with all that must not be told."""

    protocol = "failing"
    failures = 0

    def get_file(self, rpath: str, lpath: str, **settings: Any) -> None:
        """Break while something is already written."""
        if type(self).failures:
            type(self).failures -= 1
            Path(lpath).write_bytes(b"half")
            raise OSError("reset: https://me:pass@host/x.png?X-Amz-Signature=1f2e AKIAABCDEFGHIJKLMNOP s3cr3t-key")
        super().get_file(rpath, lpath, **settings)


def test_the_files_of_many_folders_are_asked_about_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    put("set", {f"{number}/one.png": png(number) for number in range(8)})
    met, real = threading.Barrier(files.QUESTIONS_AT_ONCE), MemoryFileSystem.info

    def info(self: MemoryFileSystem, path: str, **given: Any) -> Any:
        if threading.current_thread().name != "seewhy-first-answer":
            met.wait(5)  # passes when so many ask at the same time, else breaks
        return real(self, path, **given)

    monkeypatch.setattr(MemoryFileSystem, "info", info)
    wanted = [Address("memory", f"set/{number}/one.png") for number in range(8)]
    assert list(files.described_all(wanted)) == wanted


@pytest.fixture
def failing(monkeypatch: pytest.MonkeyPatch) -> ImageFolder:
    fsspec.register_implementation("failing", Failing, clobber=True)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "s3cr3t-key")
    Failing().pipe_file("/set/x.png", png(1))
    return ImageFolder("failing://set", 8)


def test_a_broken_connection_is_tried_again(failing: ImageFolder) -> None:
    Failing.failures = stores.ATTEMPTS - 1
    assert failing.read(0).record_id == "x"


def test_a_connection_that_stays_broken_is_told_without_secrets(failing: ImageFolder) -> None:
    Failing.failures = stores.ATTEMPTS
    (batch, *_) = load_batches(failing, [[0]])
    assert batch.failures == (
        (0, "DataError: [SW-D145] x.png: the store failed (OSError: reset: https://host/x.png … …)"),
    )


@pytest.mark.parametrize("length", [240, 400])
def test_a_film_whose_frames_have_long_names(length: int, tmp_path: Path) -> None:
    long = {f"val/lift/film/{start}{'x' * length}.png": png(ord(start)) for start in "ab"}
    short = {f"val/lift/film/{start}.png": png(ord(start)) for start in "ab"}
    (remote,) = ClipFolder(put("set", long), frames=2, size=8).read(0).inputs.values()
    (local,) = ClipFolder(lay_out(tmp_path / "set", short), frames=2, size=8).read(0).inputs.values()
    assert torch.equal(remote.double().sum(), local.double().sum())


def test_hugging_face_paths_go_to_its_file_system(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []
    content = png(1)
    git = hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()

    class FakeHub(Named):
        """Describes files as Hugging Face does: large ones by SHA-256, others by git's hash."""

        protocol = "hf"

        def find(self, path: str, **settings: Any) -> Any:
            """With the versions of two files."""
            asked.append(path)
            found = super().find(path, **settings)
            one, two = sorted(found)
            found[one]["blob_id"], found[one]["created"] = git, None
            found[two]["lfs"] = {"sha256": "0" * 64}
            return found

    monkeypatch.setattr("fsspec.get_filesystem_class", lambda protocol: FakeHub)
    FakeHub().pipe_file("/datasets/me/cats/a/1.png", content)
    FakeHub().pipe_file("/datasets/me/cats/a/2.png", content)
    dataset = ImageFolder("hf://datasets/me/cats", 8)
    assert asked == ["/datasets/me/cats"]
    assert dataset.read(0).revision == dataset.revision(0)
    with pytest.raises(DataError, match=r"2\.png was changed"):
        dataset.read(1)


@pytest.mark.parametrize(
    ("address", "code", "said"),
    [
        ("s4://bucket/set", "SW-D140", r"no protocol s4:// \(nearest: s3"),
        ("ftp://host/set", "SW-D140", "ftp:// wants to be told host"),
        ("ftp://me:secret@host/set", "SW-D140", "^ftp://host/set holds a user"),
        ("memory://", "SW-D140", "names no place"),
        ("zip://a::memory://b.zip", "SW-D140", "no single place"),
        ("memory://nothing", "SW-D142", "memory://nothing does not exist"),
        ("memory://set/val/notes.txt", "SW-D142", "is a file"),
        ("gs://bucket/set", "SW-D141", "gs:// needs a package"),
    ],
)
def test_addresses_that_cannot_be_used(address: str, code: str, said: str) -> None:
    put("set", TREE)
    with pytest.raises(DataError) as caught:
        ImageFolder(address)
    assert caught.value.code == code
    assert re.search(said, caught.value.message)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    ("address", "said"),
    [
        ("abfs://photos@account.dfs.core.windows.net/set", "fix: write abfs://CONTAINER/PATH, and the account as"),
        ("github://organisation:repository@main/set", "fix: write github://PATH, and the rest as FSSPEC_GITHUB_ORG"),
    ],
)
def test_of_what_stands_before_an_at_the_form_to_write_is_told(address: str, said: str) -> None:
    with pytest.raises(DataError, match="SW-D140") as caught:
        ImageFolder(address)
    assert said in str(caught.value)


def test_an_address_that_its_store_cannot_read_is_told_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    def strip(path: str) -> str:
        raise ValueError("no such form")

    monkeypatch.setattr(MemoryFileSystem, "_strip_protocol", staticmethod(strip))
    with pytest.raises(DataError, match=r"SW-D140.*memory://set is no address of memory:// \(ValueError: no such form"):
        ImageFolder("memory://set")


def test_what_is_no_secret_of_the_environment_stays_readable(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"TOKENIZERS_PARALLELISM": "false", "MY_TOKEN": "abcdef", "API_TOKENS": "ghijkl"}.items():
        monkeypatch.setenv(name, value)
    assert told(ValueError("false: abcdef, ghijkl")) == "ValueError: false: …, …"


def test_a_missing_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def absent(protocol: str) -> Any:
        raise ImportError("Install s3fs to access S3")

    monkeypatch.setattr("fsspec.get_filesystem_class", absent)
    with pytest.raises(MissingExtraError, match=r"pip install 'seewhy\[s3\]'"):
        ImageFolder("s3://bucket/set")


def test_data_that_is_read_from_this_machine_only() -> None:
    with pytest.raises(DataError, match=r"SW-D148.*root: memory://acdc lies in a store"):
        CmrAcdc("memory://acdc")


def test_an_empty_folder_has_no_pictures() -> None:
    put("set", {"notes.txt": b"x"})
    with pytest.raises(DataError, match=r"SW-D03.*no pictures below memory://set"):
        ImageFolder("memory://set")


@pytest.mark.parametrize("name", ["a/../../x.png", "a//x.png", "a/\0x.png", "./x.png"])
def test_names_that_no_folder_can_hold_are_refused(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    put("set", {"x.png": png(1)})
    described = {"size": 3, "type": "file"}
    monkeypatch.setattr(MemoryFileSystem, "find", lambda self, path, **_: {f"{path}/{name}": described})
    with pytest.raises(DataError, match=r"SW-D140.*1 names below memory://set cannot be"):
        ImageFolder("memory://set")


def test_a_long_name_is_read_from_a_copy_inside_the_cache(tmp_path: Path) -> None:
    name = "x" * 400 + ".png"
    dataset = ImageFolder(put("set", {name: png(1)}), 8)
    assert dataset.read(0).record_id == "x" * 400
    copies = list((tmp_path / "cache").rglob("*.png"))
    assert [len(path.name) for path in copies] == [255]
