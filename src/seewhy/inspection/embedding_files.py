"""Reading embeddings: of a run directory, or of a file of vectors with or without a table beside it."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from seewhy.features.embeddings.usable import require_table
from seewhy.inspection.embedding_table import known_splits, table_of
from seewhy.models.sniff import sniff
from seewhy.models.torch_file import read_torch_file
from seewhy.store.layout import is_run
from seewhy.store.manifest import Manifest, read_manifest
from seewhy.store.names import safe_name
from seewhy.values import EmbeddingError, Json, nearest

FOLDER: Final = "embeddings"
_KIND: Final = "embeddings"
_COLUMNS: Final = ("record_id", "label", "predicted", "confidence")


def read_embeddings(
    path: str | Path, splits: Collection[str] | None = None, layer: str | None = None
) -> dict[str, Any]:
    """The fields of a table of embeddings; see :meth:`seewhy.inspection.embeddings.Embeddings.load`."""
    place = Path(path).expanduser()
    if place.is_dir():
        return _of_run(place, splits, layer)
    if not place.exists():
        raise EmbeddingError(
            "SW-E25", f"there is no {place}", near=nearest(place.name, _beside(place)),
            fix="give a run directory, or a .pt, .safetensors or .npy file of vectors",
        )  # fmt: skip
    named = [what for what, given in (("splits", splits), ("a layer", layer)) if given is not None]
    if named:
        raise EmbeddingError(
            "SW-E16", f"{' and '.join(named)} can be chosen of a run, {place} is a file", fix="leave that out"
        )
    return _of_file(place)


def _of_run(root: Path, splits: Collection[str] | None, layer: str | None) -> dict[str, Any]:
    manifest = _manifest(root)
    chosen, suffix = _layer(root, manifest, layer)
    files = _files(manifest, suffix)
    if not files:
        raise EmbeddingError(
            "SW-E26",
            f"the run {root} has no file of embeddings yet",
            fix="it was cut short: run the same command again",
        )
    wanted = list(files) if splits is None else known_splits(splits, files)
    tables = {name: _table(root / files[name][1]) for name in wanted}
    vectors = {name: _tensor(root / files[name][0]) for name in wanted}
    for name in wanted:
        _require_rows(root, vectors[name], tables[name])
    joined = pa.concat_tables(list(tables.values()))
    class_names, label_names = _names(root)
    return table_of(
        vectors,
        joined["record_id"].to_pylist(),
        labels=joined["label"].to_pylist(),
        predicted=joined["predicted"].to_pylist(),
        confidence=joined["confidence"].to_pylist(),
        layer=chosen,
        suffix=suffix,
        class_names=class_names,
        label_names=label_names,
        whole=set(wanted) == set(files),
        run=root,
        made_from={files[name][0]: manifest.derived[files[name][0]].sha256 for name in wanted},
    )


def _manifest(root: Path) -> Manifest:
    manifest = read_manifest(root.resolve()) if is_run(root) else None
    if manifest is None:
        raise EmbeddingError(
            "SW-E25",
            f"{root} holds no run",
            fix="give the directory that generate_artifacts wrote: it has a manifest.json",
        )
    return manifest


def _layer(root: Path, manifest: Manifest, layer: str | None) -> tuple[str, str]:
    """The layer and what its files carry in their names: nothing for the one that has none of its own."""
    known = [key.partition("@")[2] for key, spec in manifest.questions.items() if spec["kind"] == _KIND]
    if not known:
        raise EmbeddingError(
            "SW-E26", f"the run {root} holds no embeddings", fix="run it again with generate_embeddings=true"
        )
    own = {name: f"@{safe_name(name)}" for name in known if _files(manifest, f"@{safe_name(name)}")}
    default = next((name for name in known if name not in own), None)
    chosen = (default if default is not None else known[0]) if layer is None else layer
    if chosen not in known:
        raise EmbeddingError(
            "SW-E27", f"the run has no embeddings of layer {layer!r}: it has {', '.join(known)}",
            near=nearest(str(layer), known), fix="name one of these layers",
        )  # fmt: skip
    return chosen, own.get(chosen, "")


def _files(manifest: Manifest, suffix: str) -> dict[str, tuple[str, str]]:
    """By split, the file of vectors and the table that describes its rows."""
    end = f"_embeddings{suffix}.pt"
    found = {}
    for name, entry in sorted(manifest.derived.items()):
        split = name.removeprefix(f"{FOLDER}/").removesuffix(end)
        if entry.kind == _KIND and name == f"{FOLDER}/{split}{end}":
            found[split] = (name, f"{FOLDER}/{split}_records{suffix}.parquet")
    return found


def _of_file(file: Path) -> dict[str, Any]:
    found = _vectors(file)
    stem, _, rest = file.stem.rpartition("_embeddings")
    beside = file.with_name(f"{stem}_records{rest}.parquet")
    if not isinstance(found, Tensor) or not stem or not beside.is_file():
        return table_of(found)
    table = _table(beside)
    _require_rows(file.parent, found, table)
    columns = table.to_pydict()
    return table_of(
        found, columns["record_id"], stem, columns["label"], columns["predicted"], columns["confidence"],
        layer=rest.removeprefix("@"),
    )  # fmt: skip


def _vectors(file: Path) -> Tensor | Mapping[str, Tensor]:
    if file.suffix == ".npy":
        try:
            return require_table(np.load(file, allow_pickle=False), f"{file} to hold vectors")
        except (OSError, ValueError, TypeError, EOFError) as error:
            raise _unreadable(file, error) from error
    if (kind := sniff(file)) == "safetensors":
        try:
            tensors = load_file(file)
        except (SafetensorError, OSError, ValueError) as error:
            raise _unreadable(file, error) from error
        return next(iter(tensors.values())) if len(tensors) == 1 else tensors
    found = read_torch_file(file, kind)
    if not isinstance(found, Tensor | Mapping):
        raise EmbeddingError(
            "SW-E28", f"{file} holds a {type(found).__name__}", fix="save a tensor (N, D), or a dict of tensors"
        )
    return found


def _tensor(file: Path) -> Tensor:
    _require_there(file)
    found = _vectors(file)
    if not isinstance(found, Tensor):
        raise EmbeddingError("SW-E28", f"{file} holds no tensor", fix="seewhy verify tells which files were changed")
    return found


def _require_there(file: Path) -> None:
    if not file.is_file():
        raise EmbeddingError("SW-E25", f"there is no {file}, which the run lists", fix="run the same command again")


def _table(file: Path) -> pa.Table:
    _require_there(file)
    try:
        return pq.read_table(file, columns=list(_COLUMNS))
    except (OSError, ValueError, pa.ArrowException) as error:
        raise _unreadable(file, error) from error


def _require_rows(folder: Path, vectors: Tensor, table: pa.Table) -> None:
    if len(vectors) != table.num_rows:
        raise EmbeddingError(
            "SW-E23", f"{folder} has {len(vectors)} vectors and {table.num_rows} records in its table",
            fix="run the same command again; seewhy verify tells which file was changed",
        )  # fmt: skip


def _names(root: Path) -> tuple[tuple[str, ...] | None, tuple[str, ...] | None]:
    """``class_names`` and ``label_names``, as the run tells them; none of a run of an earlier version."""
    try:
        said = json.loads((root / "about.json").read_text("utf-8"))
        classes, labels = _texts(said.get("class_names")), _texts(said.get("label_names"))
        same = said.get("labels_match", True) is not False
    except (OSError, ValueError, AttributeError):
        return None, None
    return classes, None if same else labels or ()


def _texts(said: Json) -> tuple[str, ...] | None:
    return tuple(map(str, said)) if isinstance(said, list) else None


def _unreadable(file: Path, error: Exception) -> EmbeddingError:
    return EmbeddingError("SW-E28", f"{file} cannot be read: {error}", fix="copy it again, or write it anew")


def _beside(place: Path) -> list[str]:
    return sorted(entry.name for entry in place.parent.iterdir()) if place.parent.is_dir() else []
