"""Asks every method of every subject while each call is checked against its annotations; prints what disagreed."""

from __future__ import annotations

import sys
import warnings

from beartype.roar import BeartypeException
from jaxtyping import TypeCheckError, install_import_hook

CHECKED = ["seewhy.methods", "seewhy.capture", "seewhy.core", "seewhy.ops", "seewhy.pixels", "seewhy.targets"]


def disagreements() -> list[str]:
    """One line per case that a check refused."""
    with install_import_hook(CHECKED, "shapes_checker.checked"):
        from law_sweep import CASES, named
    refused = []
    for case in CASES:
        try:
            case.explain(case.subject.model(), case.subject.inputs())
        except (TypeCheckError, BeartypeException) as error:
            refused.append(f"{named(case)}: {error}")
    print(len(CASES), "cases")
    return refused


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    found = disagreements()
    print("\n".join(found))
    sys.exit(bool(found))
