"""How a data set's input values came from pixels."""

from __future__ import annotations

from collections.abc import Mapping

from seewhy.data.records import Dataset
from seewhy.pixels import Normalisation


def normalisation_of(dataset: Dataset) -> Normalisation | dict[str, Normalisation] | None:
    """The normalisation of a data set's inputs, by name where each has its own; None where the data set does not say.

    Example:
        >>> from seewhy.data.cluttered_digits import ClutteredDigits
        >>> normalisation_of(ClutteredDigits(counts={"test": 1}))
        Normalisation(mean=(0.5, 0.5, 0.5), std=(0.5, 0.5, 0.5))
    """
    own = getattr(dataset, "normalisation", None)
    if isinstance(own, Normalisation):
        return own
    through = getattr(dataset, "preprocessing", None)
    if isinstance(through, Mapping):
        each = {str(name): getattr(one, "normalisation", None) for name, one in through.items()}
        return {name: one for name, one in each.items() if isinstance(one, Normalisation)}
    found = getattr(through, "normalisation", None)
    return found if isinstance(found, Normalisation) else None
