"""Whether parts are those of one run, and what they say together."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import chain
from pathlib import Path
from types import UnionType
from typing import Any, Final

from seewhy.data.records import RecordRef
from seewhy.pipeline.about import ABOUT, earlier_commands
from seewhy.pipeline.part_files import PartFacts, index_digest, read_facts, read_records, unreadable
from seewhy.store.keys import difference
from seewhy.store.layout import MANIFEST
from seewhy.store.manifest import Manifest, read_manifest
from seewhy.store.part import Part
from seewhy.store.parts import incomplete, shown
from seewhy.values import Json, StoreError

ALIKE: Final = ("class_names", "label_names", "labels_match", "default_layers", "crowded_names")
"""What the ``about.json`` of all parts must say alike; choices, such as a batch size that fits, may differ."""
_SAID: Final[Mapping[str, type | UnionType]] = {
    "class_names": list | None,
    "label_names": list | None,
    "labels_match": bool,
    "default_layers": dict,
    "choices": dict,
    "not_applicable": dict,
    "drawings": list,
    "commands": list,
}
"""What the ``about.json`` of a part holds and a merge reads; drawings are not there in one of an earlier version."""
_MOST_LINES: Final = 20


@dataclass(frozen=True)
class PartRead:
    """A complete part: its files that are no rows."""

    place: Path
    manifest: Manifest
    facts: PartFacts
    about: Mapping[str, Any]

    @property
    def says(self) -> dict[str, Json]:
        """What all parts of a run say alike, by what it is."""
        about = {key: self.about.get(key) for key in ALIKE}
        return {"fingerprint": self.manifest.fingerprint, "about": about, **asdict(self.facts)}


def read_parts(places: Mapping[Part, Path]) -> dict[Part, PartRead]:
    """All parts, each complete, of one run.

    Raises:
        StoreError: ``SW-S46`` parts are missing or not finished, ``SW-S47`` parts are not of one run, ``SW-S49`` a
            part's file cannot be read.
    """
    if len(counts := {part.of for part in places}) > 1:
        raise StoreError(
            "SW-S47",
            f"there are parts of runs in {' and '.join(map(str, sorted(counts)))}",
            fix="delete the folders of the parts that were a mistake",
        )
    if lines := incomplete(places):
        raise StoreError(
            "SW-S46",
            f"{len(lines)} of {counts.pop()} parts are missing or not finished: {shown(lines)}",
            fix="run the command with shard= of each of them (a part that has begun goes on), then merge again",
        )
    parts = {part: _read(place) for part, place in places.items()}
    _require_one_run(parts)
    return parts


def whole_index(parts: Mapping[Part, PartRead]) -> tuple[RecordRef, ...]:
    """The records of the whole data set in their order, each from the one part it falls to.

    Raises:
        StoreError: ``SW-S49``, a record is in no part, in two or in the wrong one.
    """
    found: dict[int, RecordRef] = {}
    for part, read in parts.items():
        for position, ref in read_records(read.place):
            if not part.holds(ref.record_id) or position in found:
                raise _wrong_records(f"{read.place} lists {ref.record_id!r}, which does not fall to part {part}")
            found[position] = ref
    index = tuple(found[position] for position in sorted(found))
    facts = next(iter(parts.values())).facts
    if len(index) != facts.records or index_digest(index) != facts.index:
        raise _wrong_records(f"the parts list {len(index)} records, the data set had {facts.records}")
    return index


def merged_about(abouts: Sequence[Mapping[str, Any]], earlier: Path) -> bytes:
    """The ``about.json`` of the whole: what one part says where all say it, commands and drawings of all."""
    said = dict(abouts[0])
    said["choices"] = _choices([about["choices"] for about in abouts])
    if "drawings" in said:
        said["drawings"] = _each_once(drawing for about in abouts for drawing in about.get("drawings", ()))
    commands = [_of_any_part(words) for about in abouts for words in about["commands"]]
    said["commands"] = _each_once([*earlier_commands(earlier), *commands])
    return (json.dumps(said, indent=2, ensure_ascii=False) + "\n").encode("utf-8", "backslashreplace")


def _read(place: Path) -> PartRead:
    manifest = read_manifest(place)
    try:
        about = json.loads((place / ABOUT).read_bytes())
        _require_said(about)
    except (OSError, ValueError, TypeError, RecursionError) as error:
        raise unreadable(place / ABOUT, error) from error
    if manifest is None:
        raise unreadable(place / MANIFEST, "it is not there any more")
    return PartRead(place, manifest, read_facts(place), about)


def _require_said(about: object) -> None:
    """Raise ``ValueError`` where an ``about.json`` is not of the form that :func:`merged_about` brings together."""
    if not isinstance(about, dict):
        raise ValueError("it is no object")
    said = {"drawings": [], **about}
    wrong = [key for key, kind in _SAID.items() if key not in said or not isinstance(said[key], kind)]
    if not wrong:
        texts = {"choices": list(said["choices"].values()), "commands": [*chain(*said["commands"])]}
        wrong = [key for key, found in texts.items() if not all(isinstance(text, str) for text in found)]
    if wrong:
        raise ValueError(f"it has no {' and no '.join(wrong)} as a run writes it")


def _require_one_run(parts: Mapping[Part, PartRead]) -> None:
    first_part, first = next(iter(parts.items()))
    asked = {part: read.manifest.questions for part, read in parts.items() if read.manifest.shards}
    asked_first = next(iter(asked), first_part)
    for part, read in parts.items():
        lines = [f"{line} ({first_part} -> {part})" for line in difference(first.says, read.says)]
        if part in asked:
            lines += [
                f"questions.{line} ({asked_first} -> {part})" for line in difference(asked[asked_first], asked[part])
            ]
        if lines:
            raise StoreError(
                "SW-S47",
                f"parts {first_part} and {part} are not of one run; what differs:\n    "
                + "\n    ".join(lines[:_MOST_LINES]),
                fix="run the part that differs again with the settings of the others; one that belongs to another run, "
                "or saw other data, is deleted first",
            )


def _choices(said: Sequence[Mapping[str, str]]) -> dict[str, str]:
    found: dict[str, list[str]] = {}
    for choices in said:
        for what, how in choices.items():
            if how not in found.setdefault(what, []):
                found[what].append(how)
    return {what: "; in other parts: ".join(hows) for what, hows in found.items()}


def _of_any_part(words: Sequence[str]) -> list[str]:
    """The words of a part's command, with its number left open.

    Example:
        >>> _of_any_part(["generate_artifacts", "shard=2/8", "seed=1"])
        ['generate_artifacts', 'shard=…/8', 'seed=1']
    """
    return [f"shard=…/{word.partition('/')[2]}" if _names_part(word) else word for word in words]


def _names_part(word: str) -> bool:
    return word.startswith("shard=") and "/" in word


def _each_once(items: Iterable[Any]) -> list[Any]:
    found: dict[str, Any] = {}
    for item in items:
        found.setdefault(json.dumps(item, sort_keys=True), item)
    return list(found.values())


def _wrong_records(what: str) -> StoreError:
    return StoreError("SW-S49", what, fix="run the command of that part again, then merge")
