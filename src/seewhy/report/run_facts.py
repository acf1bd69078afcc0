"""What a run directory says of itself beside its rows: the manifest, ``about.json``, the grades, the class names."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Final, Protocol

from seewhy.report.errors import ReportError
from seewhy.report.redaction import Redactor, absolute_paths
from seewhy.store.manifest import Manifest
from seewhy.values import Json

GRADES: Final = "grades"
EMBEDDINGS: Final = "embeddings"
NO_PREVIEWS: Final = (
    "This run was made before records kept a small picture of their inputs, so that maps are drawn on a plain ground. "
    "Run the same command again in a new directory for pictures."
)

UNTOLD: Final = (
    "This run has no about.json, so that class names and its command are not known; labels are taken to be "
    "the model's classes."
)


class Described(Protocol):
    """A run directory that is read: a ``RunReader``, or what knows no more than its manifest."""

    root: Path

    @property
    def manifest(self) -> Manifest | None:
        """The manifest as it is now."""
        ...


_KINDS: Final = {"choices": dict, "not_applicable": dict, "default_layers": dict, "commands": list}


@dataclass(frozen=True)
class Facts:
    """What pages say of a run as a whole, read once.

    ``class_names`` are the model's, ``label_names`` the data set's. ``grades`` and ``verdicts`` are
    ``metrics/summary.json`` and ``verdict.json``, None where nothing was graded.
    ``known_about``: the run has an ``about.json``; where it has none, class names and commands are not known.
    """

    manifest: Manifest
    redact: Redactor
    class_names: tuple[str, ...] | None = None
    label_names: tuple[str, ...] | None = None
    labels_match: bool = True
    known_about: bool = False
    choices: Mapping[str, str] = field(default_factory=dict)
    not_applicable: Mapping[str, str] = field(default_factory=dict)
    commands: Sequence[Sequence[str]] = ()
    default_layers: Mapping[str, str] = field(default_factory=dict)
    grades: Mapping[str, Any] | None = None
    verdicts: Mapping[str, Any] | None = None

    @classmethod
    def of(cls, reader: Described, *, include_paths: bool = False) -> Facts:
        """The facts of a run directory.

        Raises:
            ReportError: ``SW-P01``, no manifest, or the run is gone; ``SW-P02``, a file that describes it is damaged.
        """
        manifest = reader.manifest
        if manifest is None and not reader.root.is_dir():
            raise ReportError(
                "SW-P01", f"the run directory {reader.root.name} is gone", fix="put it back, or name where it is now"
            )
        if manifest is None:
            raise ReportError(
                "SW-P01",
                f"{reader.root.name} has committed records but no manifest.json, so that nothing says what it is",
                fix="run the same command again: the manifest is rebuilt from the shards",
            )
        about = read_described(reader.root, "about.json") or {}
        for key, kind in _KINDS.items():
            if not isinstance(about.get(key, kind()), kind):
                raise _damaged("about.json", f"{key} is no {kind.__name__}")
        known = (str(reader.root), *absolute_paths([manifest.fingerprint, about]))
        return cls(
            manifest=manifest,
            redact=Redactor(known, include_paths),
            class_names=_names(about.get("class_names")),
            label_names=_names(about.get("label_names")),
            labels_match=bool(about.get("labels_match", True)),
            known_about=bool(about),
            choices=about.get("choices", {}),
            not_applicable=about.get("not_applicable", {}),
            commands=about.get("commands", ()),
            default_layers=about.get("default_layers", {}),
            grades=read_described(reader.root, "metrics/summary.json"),
            verdicts=read_described(reader.root, "metrics/verdict.json"),
        )

    @property
    def questions(self) -> Mapping[str, Mapping[str, Any]]:
        """Each question with its specification."""
        return self.manifest.questions

    @cached_property
    def told_of_records(self) -> tuple[str, ...]:
        """The questions whose answers pages of records show: all but embeddings."""
        return tuple(sorted(key for key, spec in self.questions.items() if spec.get("kind") != EMBEDDINGS))

    @cached_property
    def several_inputs(self) -> bool:
        """Whether the model has several inputs, so that names tell them apart."""
        return any("inputs" in spec or (spec.get("kind") == "attention" and "input" in spec) for spec in self._maps)

    @cached_property
    def default_layers_of_maps(self) -> frozenset[str]:
        """The layers that explain the inputs where nobody names one; names of methods leave them out."""
        return frozenset(filter(None, self.default_layers.get("gradcam", "").split(",")))

    def better(self, metric: str) -> str | None:
        """Whether higher or lower values of a metric are better; None where the run does not say."""
        return self._directions.get(metric)

    @property
    def _maps(self) -> list[Mapping[str, Any]]:
        return [spec for spec in self.questions.values() if spec.get("kind") not in (EMBEDDINGS, GRADES)]

    @cached_property
    def _directions(self) -> dict[str, str | None]:
        splits = (self.grades or {}).get("splits", {})
        return {
            metric: told.get("better")
            for inputs in splits.values()
            for found in inputs.values()
            for metric, told in found.get("metrics", {}).items()
        }


def read_described(root: Path, relative: str) -> dict[str, Any] | None:
    """A JSON file that describes a run as a whole, None where there is none.

    Raises:
        ReportError: ``SW-P02``, it cannot be read.
    """
    path = root / relative
    try:
        found: Json = json.loads(path.read_bytes(), parse_constant=_refuse)
    except FileNotFoundError:
        return None
    except (OSError, ValueError, RecursionError) as error:
        raise _damaged(relative, str(error)) from error
    if not isinstance(found, dict):
        raise _damaged(relative, f"it holds a {type(found).__name__}, no mapping")
    return found


def _names(told: Json) -> tuple[str, ...] | None:
    return None if told is None else tuple(map(str, told))


def _refuse(constant: str) -> Json:
    raise ValueError(f"{constant} is no JSON")


def _damaged(relative: str, reason: str) -> ReportError:
    return ReportError(
        "SW-P02",
        f"{relative} of the run is damaged: {reason}",
        fix="delete it and run the same command again: it is made again from the shards",
    )
