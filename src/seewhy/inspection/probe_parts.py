"""Which records a probe is trained on, and which it is tested on."""

from __future__ import annotations

from collections.abc import Collection
from typing import Final

import torch
from jaxtyping import Int64
from torch import Tensor

from seewhy.features.embeddings.probes import require_labels
from seewhy.features.embeddings.settings import require_seed
from seewhy.inspection.embedding_table import EmbeddingTable
from seewhy.ops import generator
from seewhy.values import EmbeddingError

TRAIN: Final = "train"
HELD_OUT: Final = "held out"

Rows = Int64[Tensor, " m"]


def probe_parts(
    found: EmbeddingTable, train: str | None, test: Collection[str] | None, seed: int
) -> dict[str, tuple[Rows, Rows]]:
    """By the name of what is tested on, the rows to train on and those to test on.

    Of a single split that is not called ``train``, with no other named, half of each class is held out.

    Raises:
        EmbeddingError: ``SW-E07`` no labels, ``SW-E11`` nothing to test on, ``SW-E12`` the seed, ``SW-E22`` no such
            split.
    """
    require_labels(found.labels)
    known = list(dict.fromkeys(found.splits))
    if train is None and TRAIN not in known and test is None and len(known) == 1:
        return {HELD_OUT: _halves(found, seed)}
    name = train or (TRAIN if TRAIN in known else known[0])
    found.require_splits([name])
    asked = [other for other in known if other != name] if test is None else found.require_splits(test)
    if not asked or name in asked:
        raise EmbeddingError(
            "SW-E11",
            f"a probe is trained on {name!r} and tested on other records, there is "
            f"{', '.join(asked) or 'no other split'}",
            fix="name other splits to test on",
        )
    return {other: (found.rows_of(name), found.rows_of(other)) for other in asked}


def _halves(found: EmbeddingTable, seed: int) -> tuple[Rows, Rows]:
    """Half of each class, drawn at random; the odd record is trained on."""
    draw = torch.rand(len(found), generator=generator(require_seed(seed), "held out"))
    labelled, kept = found.labels >= 0, torch.zeros(len(found), dtype=torch.bool)
    for name in torch.unique(found.labels[labelled]).tolist():
        rows = (found.labels == name).nonzero()[:, 0]
        kept[rows[draw[rows].argsort(stable=True)][: (len(rows) + 1) // 2]] = True
    held_out = labelled & ~kept
    if not bool(held_out.any()):
        raise EmbeddingError(
            "SW-E11", "every class has a single record: none is left to test on", fix="take more records"
        )
    return kept.nonzero()[:, 0], held_out.nonzero()[:, 0]
