"""Where things lie in a run directory, and which directories may become one."""

from __future__ import annotations

import errno
import re
from collections.abc import Iterable
from pathlib import Path, PurePosixPath

from seewhy.store.names import safe_name
from seewhy.store.part import PARTS, part_named
from seewhy.values import StoreError

MANIFEST = "manifest.json"
LOCK = ".lock"
SHARDS = "shards"
_SHARD = re.compile(r"(?P<series>[^.].*)-(?P<number>\d{5,})\.parquet")
_LONGEST_SEGMENT = 255


def shard_name(split: str, number: int) -> str:
    """``("train", 3)`` is ``shards/train-00003.parquet``, relative to the run directory."""
    return f"{SHARDS}/{safe_name(split)}-{number:05d}.parquet"


def committed_shards(root: Path) -> list[str]:
    """The relative names of all shards of a run, each series in the order it was committed."""
    try:
        found = [path.name for path in (root / SHARDS).iterdir() if _SHARD.fullmatch(path.name)]
    except (FileNotFoundError, NotADirectoryError):
        return []
    return [f"{SHARDS}/{name}" for name in sorted(found, key=_series_and_number)]


def number_of(name: str) -> int:
    """The number in a shard's name, -1 where it has none."""
    return _series_and_number(name)[1]


def next_number(names: Iterable[str], split: str) -> int:
    """One past the highest number of a split's shards; ``Train`` and ``train`` count together."""
    return max(taken_numbers(names, split), default=-1) + 1


def taken_numbers(names: Iterable[str], split: str) -> set[int]:
    """The numbers of a split's shards; ``Train`` and ``train`` count together."""
    series = safe_name(split).lower()
    return {number for name, number in map(_series_and_number, names) if name.lower() == series}


def inside(root: Path, relative: str) -> Path:
    """The path of a file below ``root`` (resolved), for writing or reading.

    Raises:
        StoreError: ``SW-S10``, the path would leave the directory, directly or through a link, or names a file that
            belongs to the store itself.
    """
    place = PurePosixPath(relative)
    bad = re.search(r"[\x00-\x1f\\\ud800-\udfff]", relative) or place.is_absolute() or ".." in place.parts
    own = place.parts[:1] in ((MANIFEST,), (LOCK,), (SHARDS,), ())
    long = any(len(part.encode("utf-8", "replace")) > _LONGEST_SEGMENT for part in place.parts)
    if bad or own or long or not (root / place).parent.resolve().is_relative_to(root):
        raise StoreError(
            "SW-S10",
            f"expected a relative path of an artifact inside {root}, came {relative!r}",
            fix="build file names with seewhy.store.names.SafeNames",
        )
    return root / place


def require_suitable(root: Path) -> None:
    """Refuse a directory that must not become a run, before anything is written into it.

    Raises:
        StoreError: ``SW-S08``, it is a file, the home directory or the top of a disk; ``SW-S09``, it holds files that
            are not a run's.
    """
    if root.exists() and not root.is_dir():
        raise StoreError("SW-S08", f"the output directory {root} is a file", fix="choose another output directory")
    if root == Path(root.anchor) or root == Path.home().resolve():
        raise StoreError(
            "SW-S08",
            f"the output directory {root} is the home directory or the top of a disk",
            fix="choose a directory of its own below it",
        )
    strangers = [] if is_run(root) else _visible(root)
    if strangers:
        raise StoreError(
            "SW-S09",
            f"the output directory {root} is not empty and not a run: it holds {', '.join(strangers[:3])}",
            fix="choose a new or empty directory; nothing there was touched",
        )


def is_run(root: Path) -> bool:
    """Whether a directory holds a manifest or committed shards; false for a name that none can have."""
    try:
        return (root / MANIFEST).is_file() or bool(committed_shards(root))
    except ValueError:
        return False
    except OSError as error:
        if error.errno in (errno.ENAMETOOLONG, errno.ELOOP):
            return False
        raise


def run_at(path: Path) -> Path:
    """Where the run at ``path`` lies, absolute and without links. Raises ``StoreError`` SW-S17 where there is none."""
    if not is_run(path):
        raise StoreError("SW-S17", f"{path} holds no run", fix="check the path; a run has a manifest.json")
    return path.resolve()


def _visible(root: Path) -> list[str]:
    """What a directory shows that is not ours: jobs of a multirun are runs of their own in it, and so are parts."""
    entries = root.iterdir() if root.is_dir() else ()
    return sorted(
        path.name
        for path in entries
        if path.name[0] != "." and not (path.is_dir() and (is_run(path) or _holds_parts(path)))
    )


def _holds_parts(folder: Path) -> bool:
    """Whether it is the folder of parts; what else lies in it, such as a scheduler's log, is nobody's business."""
    if folder.name != PARTS:
        return False
    names = [path.name for path in folder.iterdir() if path.name[0] != "."]
    return not names or any(map(part_named, names))


def _series_and_number(name: str) -> tuple[str, int]:
    match = _SHARD.fullmatch(name.rpartition("/")[2])
    return (match["series"], int(match["number"])) if match else (name, -1)
