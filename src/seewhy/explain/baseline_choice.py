"""The baseline of path methods where values are no colours: a volume's intensities, a signal's volts."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from seewhy.baselines import COLOURS
from seewhy.methods.ask import Asked

WITHOUT_COLOURS: Final = "mean"


def with_known_baseline(asked: Asked, colours_known: bool) -> Asked:
    """The method as asked, or, where its default baseline is a colour and nobody says what that would be, from the
    record's own mean; what was asked for stays as it is.

    Example:
        >>> with_known_baseline(Asked("ig", settings={"steps": 20}), colours_known=False).settings
        {'steps': 20, 'baseline': 'mean'}
    """
    default = asked.method.settings.get("baseline")
    if colours_known or "baseline" in asked.settings or default not in COLOURS:
        return asked
    return replace(asked, settings={**asked.settings, "baseline": WITHOUT_COLOURS})
