"""Cases to grade: a model, some records, and what a method says of them."""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn

import seewhy.methods  # noqa: F401  (importing the room registers every method)
from seewhy.capture.probe import Probe
from seewhy.core import Attribution, Inputs, Target
from seewhy.methods.ask import Asked
from seewhy.metrics.case import Case
from seewhy.models.adapter import Adapter
from seewhy.pixels import Normalisation
from seewhy.targets import Logit


def case_of(
    model: nn.Module,
    inputs: Inputs,
    method: str = "gradcam",
    *,
    target: Target | None = None,
    normalisation: Normalisation | None = None,
    settings: dict[str, Any] | None = None,
    **others: Any,
) -> Case:
    """What a method says of these records, about the predicted class if no question is given."""
    adapter = Adapter(model, inputs, normalisation=normalisation)
    probe, _ = Probe(adapter, [target or Logit()]).settled(inputs)
    asked = Asked(method, settings=settings or {})
    return Case(probe, inputs, asked(probe, inputs).target(), asked, name=next(iter(inputs)), **others)


def case_with(model: nn.Module, inputs: Inputs, maps: Tensor, *, target: Target | None = None, **others: Any) -> Case:
    """Given maps ``(B, *s)`` for these records; explaining again gives the first record's map, whatever is asked."""
    from seewhy.core import Explanation

    adapter = Adapter(model, inputs)
    probe, scores = Probe(adapter, [target or Logit()]).settled(inputs)
    name = next(iter(inputs))

    def explain(asked: Probe, given: Inputs) -> Explanation:
        found = asked.score(given)
        return Explanation({name: maps[:1].expand(len(found), found.shape[1], *maps.shape[1:])}, found)

    return Case(probe, inputs, Attribution({name: maps}, scores[0]), explain, name=name, **others)
