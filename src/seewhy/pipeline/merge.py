"""The parts of a run brought together: the run that one job would have made, without the model and the data set."""

from __future__ import annotations

import contextlib
import json
import shutil
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from seewhy.pipeline.about import ABOUT
from seewhy.pipeline.applicable import Applicable
from seewhy.pipeline.finish import Ended, Whole, finish_run
from seewhy.pipeline.grade_table import GradedInput
from seewhy.pipeline.part_agreement import PartRead, merged_about, read_parts, whole_index
from seewhy.pipeline.part_files import read_records
from seewhy.pipeline.report_export import REPORT
from seewhy.pipeline.summary import Summary, tally
from seewhy.profiling.profiler import SILENT
from seewhy.report.page import page_name
from seewhy.store.bringing import Bringer, Brought
from seewhy.store.failpoints import reach
from seewhy.store.files import disk_error, write_atomic
from seewhy.store.holding import holding
from seewhy.store.layout import is_run
from seewhy.store.manifest import Manifest, read_manifest
from seewhy.store.part import PARTS, Part
from seewhy.store.parts import MERGED, part_places, shard_digests
from seewhy.store.picture_tables import present_tables
from seewhy.store.places import settled
from seewhy.store.run_directory import RunDirectory
from seewhy.store.run_reader import RunReader
from seewhy.values import StoreError

REMOVED: Final = ".removed-"


@dataclass(frozen=True)
class Merged:
    """What a merge did: ``summary`` is that of the run as it is now, ``removed`` the parts that were deleted, ``left``
    what else lay among them and stays. ``again``: all parts were in the run before."""

    summary: Summary
    parts: int
    brought: Brought
    removed: int = 0
    left: tuple[str, ...] = ()
    again: bool = False


def merge(output_dir: str | Path, *, remove_parts: bool = False) -> Merged:
    """Bring all parts (``shard=i/n``) below ``output_dir`` together: their shards and pictures, and all files that
    describe the run as a whole.

    Rows are those of one run, in other shards. Shards and pictures are linked where the file system can, else copied,
    one shard in memory at a time; the parts stay unless ``remove_parts``, and so does what else lies among them.
    Killed anywhere, the same call goes on; done already, it changes nothing. The command without ``shard=`` then finds
    everything computed.

    Raises:
        StoreError: ``SW-S45`` no parts or a file, ``SW-S46`` parts missing or not finished, ``SW-S47`` parts of
            several runs, ``SW-S48`` the run holds what no part does, ``SW-S49`` a damaged part, ``SW-S04`` a part that
            is being written, and what the disk raises.

    Example:
        >>> from seewhy.values import StoreError
        >>> try:
        ...     merge("no/such/run")
        ... except StoreError as error:
        ...     print(error.code)
        SW-S45
    """
    root, begun = settled(Path(output_dir)), time.monotonic()
    if root.is_file():
        raise StoreError("SW-S45", f"{output_dir} is a file", fix="give the output_dir of the parts, a folder")
    places = part_places(root)
    if not places:
        _require_merged_before(root, output_dir)
    brought, ended = Brought(), Ended()
    again = _whole_already(root, places)
    if not again:
        parts = read_parts(places)
        _require_ours(root, parts)
        brought, ended = _merge(root, parts)
        write_atomic(root / MERGED, f"{len(parts)}\n".encode())
        reach("merge.marked")
    summary = _summary(Path(output_dir), root, ended.graded, begun)
    if not remove_parts:
        return Merged(summary, len(places), brought, again=again)
    left = _remove(root, places)
    return Merged(summary, len(places), brought, len(places), left, again)


def _whole_already(root: Path, places: Mapping[Part, Path]) -> bool:
    """Whether an earlier merge has ended and no part has grown or begun anew since; some may be deleted already."""
    if not _was_merged(root):
        return False
    there = shard_digests(read_manifest(root))
    return all(_in(there, read_manifest(place)) for place in places.values())


def _in(there: set[str], part: Manifest | None) -> bool:
    return part is not None and part.status == "complete" and shard_digests(part) <= there


def _was_merged(root: Path) -> bool:
    return (root / MERGED).is_file() and is_run(root)


def _require_merged_before(root: Path, output_dir: str | Path) -> None:
    """Without parts there is something to say of a run only where they were merged, and deleted since."""
    if _was_merged(root):
        return
    held = "a run that was never in parts" if is_run(root) else "no parts of a run"
    raise StoreError(
        "SW-S45",
        f"{output_dir} holds {held}: there is nothing to merge",
        fix="give the output_dir of the commands that made the parts: the same command with shard=0/4, shard=1/4, "
        "shard=2/4 and shard=3/4 makes four",
    )


def _require_ours(root: Path, parts: Mapping[Part, PartRead]) -> None:
    ours = set[str]().union(*(shard_digests(read.manifest) for read in parts.values()))
    if strange := shard_digests(read_manifest(root)) - ours:
        raise StoreError(
            "SW-S48",
            f"{root} holds {len(strange)} shards that come from no part, beside parts that hold new ones",
            fix="delete the parts and go on with the command without shard=, which adds what is missing; or move the "
            "folder parts into another directory and merge that",
        )


def _merge(root: Path, parts: Mapping[Part, PartRead]) -> tuple[Brought, Ended]:
    index = whole_index(parts)
    first = next(iter(parts.values()))
    whole = Whole(_found(first), index, first.about["class_names"], first.facts.report)
    with RunDirectory.open(root, first.manifest.fingerprint) as directory:
        bringer = Bringer(directory, shard_digests(read_manifest(root)))
        for part, read in parts.items():
            bringer.bring(part, read.place, {ref.record_id: ref.split for _, ref in read_records(read.place)})
        page = merged_about([read.about for read in parts.values()], root / ABOUT)
        about = directory.write_file(ABOUT, page, kind="about")
        reader = RunReader(root)
        _, failures = tally(reader, labels_match=first.about["labels_match"])
        ended = finish_run(whole, directory, reader, about, failures, SILENT)
        directory.finish(present_tables(root))
    return bringer.brought, ended


def _found(first: PartRead) -> Applicable:
    """What the exports need to know of the model."""
    return Applicable(
        target_layers=dict(first.facts.target_layers),
        default_layers=dict(first.about["default_layers"]),
        choices=dict(first.about["choices"]),
        not_applicable=dict(first.about["not_applicable"]),
    )


def _summary(output_dir: Path, root: Path, graded: tuple[GradedInput, ...], begun: float) -> Summary:
    said = _said(root)
    splits, failures = tally(RunReader(root), labels_match=bool(said["labels_match"]))
    page = f"{REPORT}/{page_name(1)}"
    records = sum(count.ok + count.failed for count in splits.values())
    return Summary(
        output_dir=output_dir,
        selected=records,
        computed=0,
        reused=records,
        seconds=time.monotonic() - begun,
        splits=splits,
        failures=failures,
        choices=said["choices"],
        not_applicable=said["not_applicable"],
        graded=graded,
        report=output_dir / page if (root / page).is_file() else None,
    )


def _said(root: Path) -> Mapping[str, Any]:
    try:
        said = json.loads((root / ABOUT).read_bytes())
        return {"labels_match": said["labels_match"], **{key: dict(said[key]) for key in ("choices", "not_applicable")}}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise StoreError(
            "SW-S49", f"{root / ABOUT} cannot be read: {error}",
            fix="run the command without shard=: it writes the file anew and computes nothing twice",
        ) from error  # fmt: skip


@contextlib.contextmanager
def _held(place: Path, there: set[str]) -> Iterator[None]:
    """Hold a part that a run with the shards ``there`` can do without: no job is at work on it, or has been since."""
    with holding(place):
        if not _in(there, read_manifest(place)):
            raise StoreError(
                "SW-S46", f"{place} has changed since it was merged", fix="let its command end, then merge again"
            )
        yield


def _remove(root: Path, places: Mapping[Part, Path]) -> tuple[str, ...]:
    """Delete the parts, each by a name that says so first: a kill leaves none that looks like one. What is left?"""
    folder = root / PARTS
    try:
        if not folder.is_dir():
            return ()
        there = shard_digests(read_manifest(root))
        for place in places.values():  # all of them, before the first is deleted
            with _held(place, there):
                pass
        for place in places.values():
            with _held(place, there):
                place.rename(folder / f"{REMOVED}{place.name}")
            reach("merge.removing")
        for gone in folder.glob(f"{REMOVED}*"):
            shutil.rmtree(gone)
            reach("merge.removed")
        left = tuple(sorted(f"{PARTS}/{path.name}" for path in folder.iterdir()))
        if not left:
            folder.rmdir()
    except OSError as error:
        raise disk_error(folder, error) from error
    return left
