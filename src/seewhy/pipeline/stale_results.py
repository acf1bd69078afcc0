"""Results beside the embeddings that were made from other embeddings than the run has now."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from pathlib import Path, PurePosixPath
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from seewhy.pipeline.applicable import Applicable, layer_suffix
from seewhy.pipeline.questions import EmbeddingQuestion
from seewhy.store.layout import inside
from seewhy.store.run_directory import RunDirectory
from seewhy.values import Artifact, Json


def remove_stale_results(directory: RunDirectory, exported: Collection[Artifact], found: Applicable) -> None:
    """Delete what `seewhy cluster`, `project` and the like kept of a run that has grown or changed since.

    ``exported`` are the files that the run itself has just written. A result of all splits is stale when any file of
    embeddings is another, or a new one is there; one of some splits when theirs are. What was deleted is told among the
    run's choices.
    """
    current = {one.path: one.sha256 for one in exported if one.kind == EmbeddingQuestion.kind}
    own = {one.path for one in exported}
    default = found.default_layers.get(EmbeddingQuestion.kind, "")
    removed = []
    for name in sorted(directory.derived):
        if PurePosixPath(name).parts[0] == "embeddings" and name not in own:
            place = inside(directory.root, name)
            if not place.is_file():
                directory.remove_derived(name)  # a kill between the deletion and the manifest
            elif _stale(_facts(place), current, default):
                directory.remove_derived(name)
                removed.append(PurePosixPath(name).name)
    if removed:
        found.choices["results of earlier embeddings"] = f"removed, make them again: {', '.join(removed)}"


def _stale(facts: Mapping[str, Any], current: Mapping[str, str], default: str) -> bool:
    made_from = facts.get("made_from")
    if not isinstance(made_from, Mapping):
        return False
    if facts.get("whole", True) is False:
        return not made_from.items() <= current.items()
    end = f"_embeddings{layer_suffix(str(facts.get('layer', '')), default)}.pt"
    return dict(made_from) != {name: digest for name, digest in current.items() if name.endswith(end)}


def _facts(place: Path) -> Mapping[str, Json]:
    """What a result says of itself; nothing where it cannot be read, which `seewhy verify` tells."""
    try:
        if place.suffix == ".parquet":
            said = json.loads((pq.read_schema(place).metadata or {}).get(b"seewhy", b"{}"))
        else:
            said = json.loads(place.read_bytes()) if place.suffix == ".json" else {}
    except (pa.ArrowException, OSError, ValueError):
        return {}
    return said if isinstance(said, Mapping) else {}
