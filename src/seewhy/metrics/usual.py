"""The metrics that are asked for where nobody says which: one or two of every family."""

from __future__ import annotations

from typing import Final

USUAL: Final = (
    "deletion",
    "insertion",
    "average_sensitivity",
    "parameter_randomization",
    "class_sensitivity",
    "gini",
)
WITH_MASK: Final = ("pointing_game", "relevance_mass_accuracy")
"""And these where it is known where the object is."""


def usual_metrics(*, has_mask: bool) -> tuple[str, ...]:
    """The metrics asked for by default.

    >>> "pointing_game" in usual_metrics(has_mask=False)
    False
    """
    return USUAL + WITH_MASK if has_mask else USUAL
