"""When a receipt is believed, and when the run itself has to look: decided on runs made by hand, without torch."""

from __future__ import annotations

import importlib.metadata
import io
import json
import re
import shutil
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from cli_samples import rewrite_unseen
from rich.console import Console

import seewhy
from seewhy.cli.outcome import Outcome, SplitLine
from seewhy.cli.unchanged import PACKAGES, Standing, show_unchanged, standing_of
from seewhy.store import sound_shards
from seewhy.store.files import file_digest
from seewhy.store.receipts import MOST, RECEIPTS, directory_state, read_receipts
from seewhy.store.run_directory import RunDirectory
from seewhy.store.verify import verify
from seewhy.values import RecordRow, StoreError

SHARD = "run/shards/test-00000.parquet"
OUTCOME = Outcome(0, computed=1, seconds=9.0, splits=[SplitLine("test", 1, 0, None)], report="report/index.html")


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """A complete run with one record, its checkpoint, its picture, and the settings that ask for it."""
    monkeypatch.chdir(tmp_path)
    Path("photos").mkdir()
    Path("photos/a.jpg").write_bytes(b"one")
    Path("model.ckpt").write_bytes(b"weights")
    Path("code").mkdir()
    Path("code/__init__.py").write_text("")
    monkeypatch.setattr(seewhy, "__file__", str(tmp_path / "code/__init__.py"))
    with RunDirectory.open(Path("run"), {"seed": 0}) as run:
        run.commit("test", [RecordRow("a", "test", 0, status="failed", error="unreadable")], {})
        run.finish([run.write_file("about.json", b"{}", kind="about")])
    return {
        "model": {"kind": "timm", "name": "resnet18"},
        "data": {"kind": "image_folder", "root": "photos", "batch_size": 4, "num_workers": 0},
        "ckpt_path": "model.ckpt",
        "output_dir": "run",
        "seed": 0,
    }


def now(config: dict[str, Any], **changed: Any) -> Standing:
    standing = standing_of({**config, **changed})
    assert standing is not None
    return standing


def add_a_shard() -> None:
    Path("run/shards/test-00001.parquet").write_bytes(Path(SHARD).read_bytes())


def not_complete() -> None:
    with RunDirectory.open(Path("run"), {"seed": 0}) as run:
        run.commit("test", [RecordRow("b", "test", 1, status="failed", error="unreadable")], {})


CHANGES: dict[str, Callable[[], object]] = {
    "the checkpoint": lambda: rewrite_unseen("model.ckpt"),
    "a picture": lambda: rewrite_unseen("photos/a.jpg"),
    "a picture more": lambda: Path("photos/b.jpg").write_bytes(b"two"),
    "the code": lambda: Path("code/__init__.py").write_text("x = 1\n"),
    "a shard deleted": lambda: Path(SHARD).unlink(),
    "a shard more": add_a_shard,
    "the manifest": lambda: rewrite_unseen("run/manifest.json"),
    "the manifest deleted": lambda: Path("run/manifest.json").unlink(),
    "a derived file": lambda: rewrite_unseen("run/about.json"),
    "a derived file deleted": lambda: Path("run/about.json").unlink(),
    "a record more": not_complete,
    "a writer that died": lambda: Path("run/.lock").write_text("{}"),
    "the receipt": lambda: rewrite_unseen(f"run/{RECEIPTS}"),
    "no receipt": lambda: Path(f"run/{RECEIPTS}").unlink(),
}


def test_a_command_that_ended_well_is_known_again(config: dict[str, Any]) -> None:
    assert now(config).receipt() is None
    now(config).keep(OUTCOME)
    receipt = now(config).receipt()
    assert receipt is not None
    assert verify("run") == []
    with RunDirectory.open(Path("run"), {"seed": 0}):
        pass  # another look that changes nothing
    assert now(config).receipt() == receipt


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_anything_that_changed_leaves_it_to_the_run(config: dict[str, Any], change: Callable[[], object]) -> None:
    now(config).keep(OUTCOME)
    change()
    assert now(config).receipt() is None


def test_a_damaged_shard_is_refused_and_gets_no_receipt(config: dict[str, Any]) -> None:
    now(config).keep(OUTCOME)
    told = Path("run", RECEIPTS).read_bytes()
    rewrite_unseen(SHARD)
    for asked in ({}, {"seed": 1}, {"recheck": True}):
        with pytest.raises(StoreError, match=r"SW-S06.*test-00000\.parquet.*not those that were committed"):
            now(config, **asked).receipt()
        now(config, **asked).keep(OUTCOME)
    assert Path("run", RECEIPTS).read_bytes() == told
    rewrite_unseen(SHARD)
    assert now(config).receipt() is None  # whole again, but not as it lay
    now(config).keep(OUTCOME)
    assert now(config).receipt() is not None


def test_a_shard_damaged_before_there_was_a_receipt_is_refused(config: dict[str, Any]) -> None:
    rewrite_unseen(SHARD)
    with pytest.raises(StoreError, match="SW-S06"):
        now(config).receipt()


def test_shards_that_lie_as_noted_are_hashed_again_only_for_a_full_look(
    config: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    now(config).keep(OUTCOME)
    hashed: list[str] = []
    monkeypatch.setattr(sound_shards, "file_digest", lambda path: hashed.append(path.name) or file_digest(path))
    assert now(config, seed=1).receipt() is None
    assert hashed == []
    assert now(config, recheck=True).receipt() is None
    assert hashed == ["test-00000.parquet"]


def replace_a_picture() -> None:
    Path("run/new.png").write_bytes(b"other")
    Path("run/new.png").rename("run/gradcam/a/class_0.png")


PICTURES: dict[str, Callable[[], object]] = {
    "all deleted": lambda: [shutil.rmtree(f"run/{folder}") for folder in ("gradcam", "attention_maps")],
    "those of a record": lambda: shutil.rmtree("run/gradcam/a"),
    "one": lambda: Path("run/gradcam/a/class_0.png").unlink(),
    "one of a flat folder": lambda: Path("run/attention_maps/a_attention.png").unlink(),
    "replaced": replace_a_picture,
}


@pytest.mark.parametrize("change", PICTURES.values(), ids=PICTURES)
def test_pictures_that_are_gone_are_left_to_the_run(config: dict[str, Any], change: Callable[[], object]) -> None:
    with RunDirectory.open(Path("run"), {"seed": 0}) as run:
        for name in ("gradcam/a/class_0.png", "attention_maps/a_attention.png"):
            run.write_file(name, b"picture", kind="gradcam")
        run.finish()
    now(config).keep(OUTCOME)
    assert now(config).receipt() is not None
    Path("run/parts").mkdir()  # no pictures of this run
    assert now(config).receipt() is not None
    change()
    assert now(config).receipt() is None


@pytest.mark.parametrize(
    "changed",
    [
        {"seed": 1},
        {"splits": ["test"]},
        {"generate_report": False},
        {"ckpt_path": "photos/a.jpg"},
        {"model": {"kind": "timm", "name": "resnet34"}},
        {"data": {"kind": "image_folder", "root": "photos", "batch_size": 8}},
        {"recheck": True},
        {"output_dir": "elsewhere"},
    ],
    ids=str,
)
def test_another_request_is_left_to_the_run(config: dict[str, Any], changed: dict[str, Any]) -> None:
    now(config).keep(OUTCOME)
    assert now(config, **changed).receipt() is None


def test_settings_that_change_no_result_make_no_other_request(config: dict[str, Any]) -> None:
    now(config, recheck=True).keep(OUTCOME)
    busier: dict[str, Any] = {
        "data": config["data"] | {"num_workers": 8},
        "debug": {"enabled": True},
        "writer_threads": 5,
        "runner": "ray",
        "ray": {"address": "ray://head:10001"},
    }
    assert now(config, **busier).receipt() is not None
    assert now(config, output_dir=str(Path("run").resolve())).receipt() is not None


def test_another_version_of_a_library_is_left_to_the_run(
    config: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    now(config).keep(OUTCOME)
    there = importlib.metadata.version
    monkeypatch.setattr(importlib.metadata, "version", lambda name: "99" if name == "torch" else there(name))
    assert now(config).receipt() is None


def test_every_package_that_a_run_may_use_is_asked_for_its_version() -> None:
    project = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text("utf-8"))["project"]
    extras = project["optional-dependencies"]
    named = [*project["dependencies"], *extras["parity"]]
    for extra in ("analysis", "captum", "faiss", "hf", "medical", "report", "umap", "video"):
        named += extras[extra]
    assert {re.split(r"[<>=\[]", line)[0] for line in named} <= set(PACKAGES)


def test_a_file_that_changes_while_the_run_reads_is_noticed(config: dict[str, Any]) -> None:
    before = now(config)
    Path("photos/a.jpg").write_bytes(b"meanwhile")
    before.keep(OUTCOME)
    assert now(config).receipt() is None


def test_commands_that_take_turns_are_all_remembered(config: dict[str, Any]) -> None:
    seeds = range(MOST + 1)
    for seed in seeds:
        now(config, seed=seed).keep(OUTCOME)
    now(config, seed=1).keep(OUTCOME)
    assert [now(config, seed=seed).receipt() is not None for seed in seeds] == [False, *[True] * MOST]
    assert len(read_receipts(Path("run"))) == MOST


@pytest.mark.parametrize(
    ("asked", "outcome"),
    [
        ({}, {"interrupted": True}),
        ({}, {"report": None}),
        ({"retry_failed": True}, {"failed": 1}),
    ],
    ids=["interrupted", "no report", "failed records to be asked again"],
)
def test_a_command_that_would_do_something_again_leaves_no_receipt(
    config: dict[str, Any], asked: dict[str, Any], outcome: dict[str, Any]
) -> None:
    now(config, **asked).keep(Outcome(**{**OUTCOME.to_json(), "splits": (), **outcome}))
    assert not Path("run", RECEIPTS).exists()


def test_a_run_that_somebody_holds_gets_no_receipt(config: dict[str, Any]) -> None:
    standing = now(config)
    with RunDirectory.open(Path("run"), {"seed": 0}):
        standing.keep(OUTCOME)
        assert directory_state(Path("run")) is None
    assert not Path("run", RECEIPTS).exists()


def test_a_receipt_that_cannot_be_written_costs_nothing(config: dict[str, Any]) -> None:
    Path("run", RECEIPTS).mkdir()
    now(config).keep(OUTCOME)
    assert now(config).receipt() is None


def test_a_receipt_names_no_place_of_the_machine(config: dict[str, Any], tmp_path: Path) -> None:
    now(config).keep(OUTCOME)
    text = Path("run", RECEIPTS).read_text()
    assert str(tmp_path) not in text
    assert "photos" not in text
    assert set(json.loads(text)["receipts"][0]) == {"request", "data", "directory", "ended", "told"}


def test_what_is_said_is_what_the_run_said_and_the_code_is_its_code(config: dict[str, Any]) -> None:
    failed = Outcome(
        3, 2, 9.0, [SplitLine("test", 5, 1, 0.5)], 1, ["test/a: read: gone"], ["batch size: less", "classes: all"],
        ["grades"], report="report/index.html",
    )  # fmt: skip
    now(config).keep(failed)
    standing, console = now(config), Console(file=io.StringIO(), width=200)
    receipt = standing.receipt()
    assert receipt is not None
    assert show_unchanged(console, standing, receipt) == 1
    lines = console.file.getvalue().splitlines()  # type: ignore[attr-defined]
    assert lines[0].startswith(f"nothing has changed since {receipt.ended}: ")
    assert "1 files of data" in lines[0]
    assert [cell.strip() for cell in lines[5].strip("│ ").split("│")] == ["test", "5", "1", "50.0%"]
    assert lines[7:] == [
        "0 computed, 5 reused, in 0.0 s",
        "classes: all",
        "1 records failed (all in run/failures.json):",
        "  test/a: read: gone",
        f"artifacts: {Path('run').resolve()}",
        f"report: {Path('run/report/index.html').resolve()} (open it in a browser)",
        "grades",
    ]


@pytest.mark.parametrize(
    "changed",
    [
        {"model": {"kind": "custom", "_target_": "my.Net"}},
        {"model": {"kind": "timm", "kwargs": {"act_layer": {"_target_": "my.Act"}}}},
        {"model": None},
        {"data": {"kind": "custom", "_target_": "my.Data"}},
        {"data": {"kind": "image_folder", "root": "nowhere"}},
        {"data": {"kind": "image_folder", "root": "https://example.org/photos"}},
        {"ckpt_path": "https://example.org/model.ckpt"},
        {"ckpt_path": "nowhere.ckpt"},
        {"ckpt_path": None},
        {"output_dir": "s3://bucket/run"},
        {"shard": "auto"},
        {"profile": True},
        {"seed": float("nan")},
        {"seed": 1j},
    ],
    ids=str,
)
def test_what_cannot_be_told_is_left_to_the_run(config: dict[str, Any], changed: dict[str, Any]) -> None:
    assert standing_of({**config, **changed}) is None
