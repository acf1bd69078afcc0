"""Putting a checkpoint's weights into a freshly built model: the only place where a model's weights are written."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from os import PathLike
from pathlib import Path

import torch
from torch import Tensor, nn

from seewhy.models.checkpoint import read_state_dict
from seewhy.models.matching import Coverage, Mismatch, first_names, match
from seewhy.models.unwrap import Prefer
from seewhy.values import CheckpointError, Json

_HEADS = ("head", "fc", "classifier", "last_linear", "logits")
_POSITIONS = ("pos_embed", "pos_embedding", "position_embedding", "relative_position")
_SAME_ARCHITECTURE = 0.5


@dataclass(frozen=True)
class LoadReport:
    """What was loaded from where: the file's SHA-256, how it covered the model, and what was skipped."""

    path: str
    sha256: str
    coverage: Coverage
    notes: tuple[str, ...]

    def summary(self) -> str:
        """A few lines for a person."""
        return "\n".join([f"{self.path}: {self.coverage.summary()}", *(f"  - {note}" for note in self.notes)])

    def to_json(self) -> dict[str, Json]:
        """Facts for a manifest; no path, so that a moved file is the same file."""
        return {"sha256": self.sha256, "coverage": self.coverage.to_json(), "notes": list(self.notes)}


def load_checkpoint(
    model: nn.Module,
    path: str | PathLike[str],
    *,
    min_coverage: float = 0.9,
    drop: Sequence[str] = (),
    require: Sequence[str] = (),
    prefer: Prefer = "model",
) -> LoadReport:
    """Load a checkpoint's weights into a freshly built model, and say how well they fit.

    Prefixes (``module.``, ``model.``, ``_orig_mod.`` …) are exchanged as needed. ``drop`` and ``require`` are patterns
    of tensor names: dropped ones keep their initial values whatever the checkpoint holds (and what only the checkpoint
    has under such a name is ignored); required ones must be in the checkpoint even above ``min_coverage``. Nothing is
    written when anything is refused.

    Raises:
        CheckpointError: whatever :func:`read_state_dict` raises; ``SW-C12`` weights that are not finite, ``SW-C20`` too
            few tensors match, ``SW-C21`` a shape differs, ``SW-C22`` a required tensor is missing.
    """
    state = read_state_dict(path, prefer=prefer)
    path = state.place
    coverage = match(state.tensors, model, drop=drop)
    _check_shapes(path, coverage)
    _check_coverage(path, coverage, min_coverage, list(state.tensors))
    _check_required(path, coverage, require)
    weights = {ours: state.tensors[theirs] for ours, theirs in coverage.sources.items()}
    _check_finite(path, weights, {name for name, _ in model.named_parameters(remove_duplicate=False)})
    model.load_state_dict(weights, strict=False)
    told = path if state.fetched is None else f"{path} ({state.fetched / 1e6:.3g} MB)"
    return LoadReport(told, state.sha256, coverage, (*state.notes, *_notes(coverage)))


def _check_shapes(path: str | PathLike[str], coverage: Coverage) -> None:
    if not coverage.mismatched:
        return
    shown = "; ".join(f"{m.name}: {m.checkpoint} in the file, {m.model} in the model" for m in coverage.mismatched[:5])
    other = coverage.fraction < _SAME_ARCHITECTURE
    fix = "this looks like another architecture; check model.name" if other else _shape_hint(coverage.mismatched[0])
    raise CheckpointError(
        "SW-C21",
        f"{Path(path).name} does not fit the model: {len(coverage.mismatched)} tensors have another shape ({shown}); "
        f"{len(coverage.matched)} of {coverage.counted} match",
        fix=fix,
    )


def _shape_hint(mismatch: Mismatch) -> str:
    name, theirs, ours = mismatch.name, mismatch.checkpoint, mismatch.model
    parts = name.split(".")
    if any(part.startswith(_POSITIONS) for part in parts):
        return (
            f"the file was trained at another input or patch size ({_longest(theirs)} positions, the model has "
            f"{_longest(ours)}); set the model's img_size (data.size) to the size it was trained at"
        )
    if any(part in _HEADS for part in parts) and theirs[1:] == ours[1:] and theirs:
        return f"the file was trained with {theirs[0]} classes: set model.num_classes={theirs[0]}"
    if len(theirs) == len(ours) >= 3 and theirs[0] == ours[0] and theirs[2:] == ours[2:] and theirs[1] != ours[1]:
        return f"the file was trained on {theirs[1]} input channels: set in_chans={theirs[1]}"
    return "build the model with the settings it was trained with"


def _longest(shape: tuple[int, ...]) -> int:
    return shape[-2] if len(shape) >= 2 else max(shape, default=0)


def _check_coverage(path: str | PathLike[str], coverage: Coverage, least: float, names: Sequence[str]) -> None:
    if coverage.matched and coverage.fraction >= least:
        return
    raise CheckpointError(
        "SW-C20",
        f"{Path(path).name} does not fit the model: only {len(coverage.matched)} of {coverage.counted} tensors match "
        f"({coverage.fraction:.0%}, at least {least:.0%} are needed); "
        f"missing: {first_names(coverage.missing) or 'none'}; "
        f"only in the file: {first_names(coverage.unexpected) or 'none'} (of {len(names)})",
        fix="check the model's name and settings against the training run, or lower min_coverage if this is intended",
    )


def _check_required(path: str | PathLike[str], coverage: Coverage, require: Sequence[str]) -> None:
    absent = [name for name in coverage.missing if any(fnmatchcase(name, pattern) for pattern in require)]
    if absent:
        raise CheckpointError(
            "SW-C22",
            f"{Path(path).name} lacks {first_names(absent)}, without which the model's answers would be random; "
            f"only in the file: {first_names(coverage.unexpected) or 'nothing else'}",
            fix="for a file without a classification head set model.num_classes=0; otherwise build the model it is for",
        )


def _check_finite(path: str | PathLike[str], weights: Mapping[str, Tensor], parameters: set[str]) -> None:
    """Refuse NaN anywhere and infinity in parameters; buffers may hold -inf on purpose, as attention masks do."""
    broken = [name for name, tensor in weights.items() if not _usable(tensor, name in parameters)]
    if broken:
        raise CheckpointError(
            "SW-C12",
            f"{Path(path).name}: {len(broken)} tensors hold NaN or infinite values: {first_names(broken)}",
            fix="the training run diverged or the file is damaged; use an earlier checkpoint",
        )


def _usable(tensor: Tensor, is_parameter: bool) -> bool:
    if not tensor.is_floating_point() and not tensor.is_complex():
        return True
    usable = torch.isfinite(tensor) if is_parameter else ~torch.isnan(tensor)
    return bool(usable.all())


def _notes(coverage: Coverage) -> list[str]:
    notes = []
    if coverage.missing:
        notes.append(f"left at their initial values: {first_names(coverage.missing)}")
    if coverage.dropped:
        notes.append(f"dropped: {first_names(coverage.dropped)}")
    if coverage.alternatives:
        chosen, others = coverage.stripped, ", ".join(map(repr, coverage.alternatives))
        notes.append(f"the prefix {chosen!r} was chosen; {others} would have matched as many tensors")
    return notes
