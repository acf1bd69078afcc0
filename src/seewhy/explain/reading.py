"""What a person may tell of a model that it does not tell itself; the same for every way of asking it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import cast

from torch import nn

from seewhy.explain.class_choice import names_of
from seewhy.explain.recipe import Given, Recipe, find_recipe
from seewhy.models.outputs import Selector
from seewhy.values import ModelError


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

    def settled(self, model: nn.Module) -> Reading:
        """The same with what the model tells of pictures and names; raises ``ModelError`` SW-M20 for no model."""
        require_model(model)
        given = self.preprocessing
        recipe = given if isinstance(given, Recipe) else find_recipe(model, given)
        return replace(self, preprocessing=recipe, class_names=names_of(model, self.class_names))

    @property
    def recipe(self) -> Recipe:
        """How pictures become inputs, once settled."""
        return cast(Recipe, self.preprocessing)


def require_model(model: object) -> None:
    """Raise ``ModelError`` SW-M20 for what is no model: a name, a class, None."""
    if not isinstance(model, nn.Module):
        told = model.__name__ if isinstance(model, type) else repr(model)
        raise ModelError(
            "SW-M20",
            f"expected a model, a torch.nn.Module, got {type(model).__name__} {told[:80]}",
            fix="pass an nn.Module (an instance, not its class), or seewhy.load_model(checkpoint, model=...)",
        )
