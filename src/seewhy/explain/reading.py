"""What a person may tell of a model that it does not tell itself; the same for every way of asking it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from seewhy.explain.recipe import Given, Recipe
from seewhy.models.outputs import Selector


@dataclass(frozen=True)
class Reading:
    """How to read a model: None leaves each to what the model tells.

    ``preprocessing``: how pictures become inputs. ``class_names`` in the model's order. ``task``: what its outputs are.
    ``threshold``: the probability from which a multi-label model's labels are asked about together.
    ``output_selector``: where the logits are in what the model returns.
    """

    preprocessing: Given | Recipe = None
    class_names: Sequence[str] | None = None
    task: str | None = None
    threshold: float | None = None
    output_selector: Selector | None = None
