"""Parts of a run in a store go together, or are refused, as on a disk."""

from __future__ import annotations

from pathlib import Path

import fsspec
import pytest
from pipeline_samples import Pictures, conv_net, ids

import seewhy
from memory_store import use_memory
from seewhy.pipeline.merge import merge
from seewhy.pipeline.remote_output import fetch_run, require_usable
from seewhy.remote.address import Address
from seewhy.store.part import Part
from seewhy.values import StoreError

PLACE = "/pieces/run"
ADDRESS = Address("memory", PLACE[1:])
GIVEN = {"generate_attention": False, "generate_report": False, "render": "none", "target_classes": [0]}


@pytest.fixture(autouse=True)
def _fresh(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    use_memory(monkeypatch, tmp_path / "machine")
    monkeypatch.setattr("seewhy.pipeline.lease.SETTLING_SECONDS", 0.0)


def explain(part: Part | None = None) -> seewhy.Summary:
    shard = None if part is None else str(part)
    return seewhy.run(conv_net(), Pictures(ids(4)), ADDRESS.url, shard=shard, **GIVEN)


def put(name: str, data: bytes) -> None:
    fsspec.filesystem("memory").pipe_file(f"{PLACE}/{name}", data)


def refusal(part: Part | None) -> StoreError:
    """What is said before torch is loaded, and by the run itself."""
    there = fsspec.filesystem("memory").find(PLACE)
    with pytest.raises(StoreError) as early:
        require_usable(ADDRESS, part)
    with pytest.raises(StoreError) as late:
        explain(part)
    assert str(early.value) == str(late.value)
    assert fsspec.filesystem("memory").find(PLACE) == there
    return early.value


def test_a_part_of_another_number_and_a_run_over_parts_are_refused() -> None:
    assert explain(Part(0, 2)).address == "memory://pieces/run/parts/0-of-2"
    error = refusal(Part(1, 3))
    assert (error.code, error.message) == (
        "SW-S43", "memory://pieces/run/parts holds parts of a run in 2; 1/3 is one of 3",
    )  # fmt: skip
    error = refusal(None)
    assert (error.code, error.message) == (
        "SW-S44", "memory://pieces/run holds parts of a run that are not merged yet: 0/2",
    )  # fmt: skip
    assert "seewhy fetch memory://pieces/run DIR" in error.fix
    require_usable(ADDRESS, Part(1, 2))


def test_a_part_beside_a_whole_run_is_refused() -> None:
    explain()
    error = refusal(Part(0, 2))
    assert (error.code, error.message) == ("SW-S43", "memory://pieces/run holds a run that no part belongs to")


def test_a_part_beside_files_of_others_is_refused() -> None:
    put("photos/a.png", b"mine")
    assert refusal(Part(0, 2)).code == "SW-S58"


def test_a_run_that_holds_its_parts_is_added_to(tmp_path: Path) -> None:
    for number in range(2):
        explain(Part(number, 2))
    fetch_run(ADDRESS, tmp_path / "here")
    merge(tmp_path / "here")
    for path in (tmp_path / "here").rglob("*"):
        if path.is_file() and path.name[0] != ".":
            put(path.relative_to(tmp_path / "here").as_posix(), path.read_bytes())
    assert (explain().computed, explain().reused) == (0, 4)
