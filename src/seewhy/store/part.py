"""A part of a run: one of several jobs, each of which explains the records whose ids fall to it."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from seewhy.values import StoreError

PARTS: Final = "parts"
"""Where parts lie below the directory that they will be merged into."""
AUTO: Final = "auto"
_WRITTEN: Final = re.compile(r"([0-9]{1,9})/([0-9]{1,9})")
_FOLDER: Final = re.compile(r"(0|[1-9][0-9]{0,8})-of-([1-9][0-9]{0,8})")
_USUAL: Final = (("RANK", "WORLD_SIZE"), ("SLURM_PROCID", "SLURM_NTASKS"))
_ARRAY: Final = ("SLURM_ARRAY_TASK_ID", "SLURM_ARRAY_TASK_COUNT")


@dataclass(frozen=True, order=True)
class Part:
    """Part ``number`` (from 0) ``of`` so many.

    A record's part follows from its id alone, by SHA-256: whatever the machine, the version and the order of records.

    Example:
        >>> thirds = [Part(number, 3) for number in range(3)]
        >>> [[part.holds(name) for part in thirds].index(True) for name in ("cat", "dog", "owl", "bee")]
        [0, 1, 2, 2]
    """

    number: int
    of: int

    def __post_init__(self) -> None:
        if not 0 <= self.number < self.of:
            raise _wrong(f"{self.number}/{self.of}")

    def __str__(self) -> str:
        """As it is written on the command line: ``2/8``."""
        return f"{self.number}/{self.of}"

    def holds(self, record_id: str) -> bool:
        """Whether the record falls to this part."""
        start = hashlib.sha256(record_id.encode("utf-8", "surrogatepass")).digest()[:8]
        return int.from_bytes(start, "big") % self.of == self.number

    def place(self, root: Path) -> Path:
        """The run directory of this part of the run in ``root``."""
        return root / PARTS / f"{self.number}-of-{self.of}"


def part_named(folder: str) -> Part | None:
    """The part whose folder has this name, None where it is no part's.

    Example:
        >>> part_named("2-of-8"), part_named("8-of-8")
        (Part(number=2, of=8), None)
    """
    match = _FOLDER.fullmatch(folder)
    return Part(int(match[1]), int(match[2])) if match and int(match[1]) < int(match[2]) else None


def part_of(written: object, environment: Mapping[str, str] | None = None) -> Part:
    """The part that ``shard=2/8`` or ``shard=auto`` asks for.

    ``auto`` reads what the launcher tells each of its processes in ``environment`` (this process's if None): a Slurm
    array (``SLURM_ARRAY_TASK_ID``), or the tasks of one job: ``RANK`` and ``WORLD_SIZE`` (torchrun), else those of a
    Slurm step (``SLURM_PROCID`` and ``SLURM_NTASKS``). Several tasks in each of several jobs are refused.

    Raises:
        StoreError: ``SW-S41``, it is not written as a number from 0 and a count; ``SW-S42``, the environment does not
            tell one part.

    Example:
        >>> part_of("2/8"), part_of("auto", {"RANK": "3", "WORLD_SIZE": "4"})
        (Part(number=2, of=8), Part(number=3, of=4))
    """
    if isinstance(written, Part):
        return written
    if written == AUTO:
        return _told(os.environ if environment is None else environment)
    match = _WRITTEN.fullmatch(written) if isinstance(written, str) else None
    if match is None or not int(match[1]) < int(match[2]):
        raise _wrong(written)
    return Part(int(match[1]), int(match[2]))


def _told(environment: Mapping[str, str]) -> Part:
    found = [part for pair in _USUAL if (part := _from_pair(environment, *pair))]
    array, tasks = _from_array(environment), next(iter(found), None)
    if array is not None and tasks is not None and min(array.of, tasks.of) > 1:
        raise _untold(
            f"there are an array of {array.of} jobs and {tasks.of} tasks in each", "give each its part: shard=NUMBER/OF"
        )
    if array is not None and (tasks is None or array.of > 1):
        return array
    if tasks is not None:
        return tasks
    for pair in (_USUAL[0], _ARRAY, _USUAL[1]):
        lacking, there = sorted(pair, key=lambda name: name in environment)
        if there in environment and lacking not in environment:
            raise _untold(f"{there} is set and {lacking} is not", f"set {lacking} too, or write shard=NUMBER/OF")
    raise _untold(
        "none of RANK and WORLD_SIZE, SLURM_ARRAY_TASK_ID and SLURM_ARRAY_TASK_COUNT, SLURM_PROCID and SLURM_NTASKS "
        "is set",
        "start it with torchrun or srun or as a Slurm array, or say which part it is: shard=0/8",
    )


def _from_pair(environment: Mapping[str, str], number: str, count: str) -> Part | None:
    if number not in environment or count not in environment:
        return None
    at, of = _whole(environment, number), _whole(environment, count)
    if not at < of:
        raise _untold(f"{number} is {at} and {count} is {of}", "correct them, or write shard=NUMBER/OF")
    return Part(at, of)


def _from_array(environment: Mapping[str, str]) -> Part | None:
    """Arrays may start at any number, with any step; one with gaps does not tell which part is which."""
    if any(name not in environment for name in _ARRAY):
        return None
    at, of = (_whole(environment, name) for name in _ARRAY)
    least = _whole(environment, "SLURM_ARRAY_TASK_MIN", "0")
    step = _whole(environment, "SLURM_ARRAY_TASK_STEP", "1")
    number, rest = divmod(at - least, max(step, 1))
    if rest or not 0 <= number < of:
        raise _untold(
            f"job {at} of an array of {of} that starts at {least} by steps of {step} is no whole part",
            "submit the array as --array=0-7, or write shard=NUMBER/OF",
        )
    return Part(number, of)


def _whole(environment: Mapping[str, str], name: str, usual: str = "") -> int:
    text = environment.get(name, usual)
    if not re.fullmatch(r"[0-9]{1,9}", text):
        raise _untold(f"{name} is {text!r}", "it must be a whole number, or write shard=NUMBER/OF")
    return int(text)


def _wrong(written: object) -> StoreError:
    return StoreError(
        "SW-S41",
        f"shard must be NUMBER/OF with a number from 0, or auto, got {written!r}",
        fix="shard=0/8 to shard=7/8 are the eight parts of a run",
    )


def _untold(what: str, fix: str) -> StoreError:
    return StoreError("SW-S42", f"shard=auto finds no part in the environment: {what}", fix=fix)
