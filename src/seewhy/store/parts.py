"""The parts of a run below its directory: which there are, and whether they may stand beside a run that is there."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Set
from pathlib import Path
from typing import Final

from seewhy.store.layout import MANIFEST, is_run, require_suitable
from seewhy.store.manifest import Manifest, read_manifest
from seewhy.store.part import PARTS, Part, part_named
from seewhy.store.places import disk_told, settled
from seewhy.values import StoreError

MERGED: Final = ".merged"
"""Lies beside the run, hidden, once all of its parts are in it, and stays when they are deleted; its text is how many
there were."""
_SHOWN: Final = 5


def part_places(root: Path) -> dict[Part, Path]:
    """The parts below ``root`` and their run directories, in order; none where there are none.

    Raises:
        StoreError: ``SW-S02`` or ``SW-S03``, the file system does not say.
    """
    folder = root / PARTS
    with disk_told(folder):
        entries = folder.iterdir() if folder.is_dir() else ()
        found = {part: path for path in entries if path.is_dir() and (part := part_named(path.name))}
    return dict(sorted(found.items()))


def require_part_fits(root: Path, part: Part) -> None:
    """Refuse to begin a part that could never be merged into ``root``, before anything is written.

    Raises:
        StoreError: ``SW-S43``, parts of another number are there, or a run without parts; ``SW-S02``, ``SW-S03``,
            ``SW-S08`` and ``SW-S09`` as for any run.
    """
    root = settled(root)
    with disk_told(root):
        require_suitable(root)
    require_of_these(root, part, part_places(root), has_run=is_run(root))


def require_of_these(place: object, part: Part, there: Iterable[Part], *, has_run: bool) -> None:
    """Refuse a part that is none of a run ``place`` whose parts ``there`` are known. Raises ``StoreError`` SW-S43.

    Example:
        >>> require_of_these("runs/a", Part(0, 2), [Part(1, 2)], has_run=False)
    """
    counts = {other.of for other in there}
    if strange := counts - {part.of}:
        raise StoreError(
            "SW-S43",
            f"{place}/{PARTS} holds parts of a run in {min(strange)}; {part} is one of {part.of}",
            fix=f"say shard=NUMBER/{min(strange)}, or choose another output_dir",
        )
    if not counts and has_run:
        raise StoreError(
            "SW-S43",
            f"{place} holds a run that no part belongs to",
            fix="leave shard out to add what is missing to it, or choose another output_dir",
        )


def require_place(root: Path, part: Part | None) -> None:
    """Refuse a run, or one part of it, that would get in the way of what is in ``root``.

    Raises:
        StoreError: as :func:`require_merged` for a whole run, as :func:`require_part_fits` for a part.
    """
    if part is None:
        require_merged(root)
    else:
        require_part_fits(root, part)


def require_merged(root: Path) -> None:
    """Refuse to compute in ``root`` what its parts hold already.

    Raises:
        StoreError: ``SW-S44``, a part holds shards that the run does not; ``SW-S02``, ``SW-S03``, ``SW-S08`` and
            ``SW-S09`` as for any run.
    """
    root = settled(root)
    with disk_told(root):
        require_suitable(root)
    places = part_places(root)
    if not places:
        return
    digests = {part: shard_digests(read_manifest(place)) for part, place in places.items()}
    whole = shard_digests(read_manifest(root)) if is_run(root) else None
    require_in_it(root, digests, whole, f"seewhy merge {root}, once all parts are complete")


def require_in_it(place: object, parts: Mapping[Part, Set[str]], whole: Set[str] | None, fix: str) -> None:
    """Refuse a run ``place`` that lacks shards of its parts, each told by their bytes; None where there is no run.

    Raises ``StoreError`` SW-S44, with the first half of what to do.

    Example:
        >>> require_in_it("runs/a", {Part(0, 1): {"9f2c"}}, {"9f2c"}, "merge it")
    """
    waiting = [part for part, digests in parts.items() if digests - (whole or set())]
    if parts and (waiting or whole is None):
        raise StoreError(
            "SW-S44",
            f"{place} holds parts of a run that are not merged yet: {shown([str(part) for part in waiting or parts])}",
            fix=f"{fix}; or choose another output_dir",
        )


def shard_digests(manifest: Manifest | None) -> set[str]:
    """What tells the shards of a run from all others: their bytes."""
    return {entry.sha256 for entry in manifest.shards.values()} if manifest else set()


def incomplete(places: Mapping[Part, Path]) -> list[str]:
    """What is wrong with the parts as they are, one line for each that is not complete; empty where all are."""
    if not places:
        return []
    of = next(iter(places)).of
    lines = [f"{Part(number, of)} is not there" for number in range(of) if Part(number, of) not in places]
    for part, place in places.items():
        manifest = read_manifest(place)
        if manifest is None:
            lines.append(f"{part} has no {MANIFEST}")
        elif manifest.status != "complete":
            known = sum(sum(counts.values()) for counts in manifest.counts.values())
            lines.append(f"{part} is not finished ({known} records so far)")
    return lines


def shown(lines: list[str]) -> str:
    """The first few, and how many more there are."""
    more = f" and {len(lines) - _SHOWN} more" if len(lines) > _SHOWN else ""
    return ", ".join(lines[:_SHOWN]) + more
