"""Images about to be explained, with their keys; and whether the model was the same when they had been."""

from __future__ import annotations

import weakref
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from torch import nn

from seewhy.explain.cache_canonical import CannotBeKeyedError, digest_of
from seewhy.explain.cache_key import ModelNow, class_number, image_of, question_of
from seewhy.explain.cache_structure import structure_of, writes_itself, written_by_itself
from seewhy.explain.cache_weights import layout_of, weights_of
from seewhy.explain.prepared import Prepared
from seewhy.methods.ask import Asked
from seewhy.models.borrow import alone_with
from seewhy.values import Json

if TYPE_CHECKING:
    from seewhy.explain.explainer import Explainer

CHANGED = "the model changed while it was asked"
_own_writes: weakref.WeakKeyDictionary[nn.Module, frozenset[tuple[str, str]]] = weakref.WeakKeyDictionary()
"""The values that a model was seen to write itself: they do not decide its answers, or nothing would."""


@dataclass(frozen=True)
class Asking:
    """Images, prepared, and a class for each or None, with everything that decides the answers."""

    model: nn.Module
    before: ModelNow
    question: Mapping[str, Json]
    each: Sequence[Mapping[str, Json]]

    @classmethod
    def of(
        cls,
        explainer: Explainer,
        asked: Asked,
        prepared: Sequence[Prepared],
        classes: Sequence[Any],
    ) -> Asking:
        """Look at the model, while nobody asks it, and at the images.

        Raises ``CannotBeKeyedError`` where something cannot be told apart.
        """
        model = explainer.study.bare
        each = [
            {"class": class_number(target), "image": image_of(ready)}
            for ready, target in zip(prepared, classes, strict=True)
        ]
        with alone_with(model):
            before = ModelNow.of(model)
        return cls(model, before, question_of(explainer, asked, before.device), each)

    def keys(self, kind: str) -> list[str]:
        """A key for each image, among entries of this kind."""
        model = self.before.digest(_own_writes.get(self.model, frozenset()))
        return [digest_of({"kind": kind, "model": model, **self.question, **one}) for one in self.each]

    def require_unchanged(self) -> None:
        """Raise ``CannotBeKeyedError`` where the model is not what it was, but for what it writes itself.

        A value counts as written by the model itself where it changed while the model was asked and a method of its
        class, other than ``__init__``, assigns it. Weights are summed again, which sees writes behind torch's back.
        """
        with alone_with(self.model):
            written = written_by_itself(self.before.structure, structure_of(self.model))
            same = layout_of(self.model) == self.before.layout and weights_of(self.model) == self.before.weights
            if not (same and writes_itself(self.model, written)):
                raise CannotBeKeyedError(CHANGED)
        if written:
            _own_writes[self.model] = _own_writes.get(self.model, frozenset()) | written
