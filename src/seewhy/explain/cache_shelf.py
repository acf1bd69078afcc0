"""What explainers ask of a cache: the answers that are there, and to keep those that were computed."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, TypeAlias

import torch

from seewhy.explain.cache_asking import Asking
from seewhy.explain.cache_canonical import CannotBeKeyedError
from seewhy.explain.cache_counts import Counts
from seewhy.explain.cache_entry import packed, unpacked
from seewhy.explain.cache_store import Store
from seewhy.explain.explained import Explained
from seewhy.explain.head import require_names
from seewhy.explain.prepared import Prepared
from seewhy.methods.ask import Asked

if TYPE_CHECKING:
    from seewhy.explain.explainer import Explainer

ANSWER: Final = "answer"
"""The kind of entries that explainers keep."""
Ask: TypeAlias = Callable[[Sequence[Prepared], Sequence[Any]], list[Explained]]


@dataclass(frozen=True)
class Looked:
    """What was there of some images, by number: ``asking`` is None where the cache is passed by."""

    asking: Asking | None = None
    found: Mapping[int, Explained] = field(default_factory=dict)


@dataclass(frozen=True)
class Shelf:
    """Explainers' side of a cache; without a store nothing is there and nothing is kept."""

    store: Store | None
    counts: Counts

    def answers(
        self,
        explainer: Explainer,
        asked: Asked,
        prepared: Sequence[Prepared],
        classes: Sequence[Any],
        ask: Ask,
    ) -> list[Explained]:
        """The answer for each image, in their order: those that are there, and for the others what ``ask`` computes."""
        looked = self.look(explainer, asked, prepared, classes)
        missing = [row for row in range(len(prepared)) if row not in looked.found]
        computed = ask([prepared[row] for row in missing], [classes[row] for row in missing]) if missing else []
        fresh = dict(zip(missing, computed, strict=True))
        self.keep(looked, asked, fresh)
        return [looked.found[row] if row in looked.found else fresh[row] for row in range(len(prepared))]

    def look(
        self,
        explainer: Explainer,
        asked: Asked,
        prepared: Sequence[Prepared],
        classes: Sequence[Any],
    ) -> Looked:
        """The answers that are there, by the images' numbers."""
        asking = None if self.store is None else self.asking(explainer, asked, prepared, classes)
        if asking is None or self.store is None:
            return Looked()
        keys = asking.keys(ANSWER)
        stored = self.store.get(keys)
        found = {
            row: explanation_of(explainer, asked, stored[key], prepared[row], asking.before.device)
            for row, key in enumerate(keys)
            if key in stored
        }
        self.counts.looked(hits=len(found), misses=len(keys) - len(found))
        return Looked(asking, found)

    def keep(self, looked: Looked, asked: Asked, computed: Mapping[int, Explained]) -> None:
        """Keep what was computed, unless the model was changed meanwhile."""
        if looked.asking is None or self.store is None or not computed:
            return
        try:
            looked.asking.require_unchanged()
            keys = looked.asking.keys(ANSWER)
            entries = {keys[row]: packed(found, asked) for row, found in computed.items()}
        except CannotBeKeyedError as reason:
            self.counts.passed_by(str(reason), len(computed))
        else:
            self.counts.kept(self.store.put(entries))

    def asking(
        self,
        explainer: Explainer,
        asked: Asked,
        prepared: Sequence[Prepared],
        classes: Sequence[Any],
    ) -> Asking | None:
        """The question with its keys; None, and counted, where the cache is to be passed by."""
        try:
            return Asking.of(explainer, asked, prepared, classes)
        except CannotBeKeyedError as reason:
            self.counts.passed_by(str(reason), len(prepared))
            return None


def explanation_of(
    explainer: Explainer, asked: Asked, stored: bytes, prepared: Prepared, device: torch.device
) -> Explained:
    """A stored answer; names of classes are no part of its key, so that they are checked as they would be."""
    found = unpacked(stored, prepared, asked, device)
    require_names(found.head.outputs, explainer.class_names)
    return found
