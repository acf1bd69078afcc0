"""The key of a cached explanation: everything that decides its numbers, and nothing else."""

from __future__ import annotations

import functools
import hashlib
import sys
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import torch
from torch import Tensor, nn

from seewhy.explain.cache_bytecode import installed
from seewhy.explain.cache_canonical import CannotBeKeyedError, canonical, content_of_tensor, digest_of
from seewhy.explain.cache_structure import Structure, numeric_mode, structure_of
from seewhy.explain.cache_weights import Layout, weights_and_layout
from seewhy.explain.prepared import Prepared
from seewhy.methods.ask import Asked
from seewhy.values import Json

if TYPE_CHECKING:
    from seewhy.explain.explainer import Explainer

PACKAGE: Final = __name__.partition(".")[0]
ROOMS: Final = (
    "*.py",
    *(f"{room}/**/*.py" for room in ("registry", "models", "capture", "methods", "data", "explain")),
)
"""The code that decides what is kept."""
LIBRARIES: Final = ("captum", "zennit", "scikit-image", "scipy", "numpy")
"""Packages beside torch that methods compute through."""


@dataclass(frozen=True)
class ModelNow:
    """A model as it is at this moment: weights, everything else it holds, and where its tensors lie."""

    weights: str
    structure: Structure
    layout: Layout

    @classmethod
    def of(cls, model: nn.Module) -> ModelNow:
        """Look at every weight and value; raises ``CannotBeKeyedError`` where that does not tell what it does."""
        weights, layout = weights_and_layout(model)
        return cls(weights, structure_of(model), layout)

    @property
    def device(self) -> torch.device:
        """Where its first tensor is."""
        return self.layout[0].device if self.layout else torch.device("cpu")

    def digest(self, left_out: Collection[tuple[str, str]]) -> str:
        """Of the weights and all values but those that the model writes itself."""
        values = [[*name, value] for name, value in self.structure.items() if name not in left_out]
        return digest_of([self.weights, sorted(values)])


def question_of(explainer: Explainer, asked: Asked, device: torch.device) -> dict[str, Json]:
    """What all images of a call have in common beside the model: method, settings, layer, how the model is read.

    Raises ``CannotBeKeyedError`` for a function among the settings, or a method that is not of this package.
    """
    model = explainer.study.bare
    names = {id(module): name for name, module in model.named_modules()}
    reading = explainer.reading
    return {
        "seewhy": sources(),
        "torch": str(torch.__version__),
        "libraries": libraries(),
        "asked": _method(asked, names),
        "reading": canonical([reading.task, reading.threshold], names),
        "told": canonical(explainer.study.told, names),
        "device": device.type,
        "mode": numeric_mode(device.type),
    }


def image_of(ready: Prepared) -> Json:
    """What an image was given as, and every value that the model is shown: so that preprocessing is seen by what it
    did."""
    return [ready.kind, *content_of_tensor(ready.pixels)]


def class_number(chosen: Any) -> Json:
    """A class asked about, the same whatever kind of whole number it is; None for the predicted one."""
    whole = isinstance(chosen, np.integer) or (isinstance(chosen, Tensor) and chosen.ndim == 0)
    return canonical(int(chosen) if whole else chosen, {})


def _method(asked: Asked, names: Mapping[int, str]) -> Json:
    """A method with all of its settings, those left at their defaults too, and those of a method inside it."""
    method = asked.method
    home = str(method.function.__module__)
    if home.partition(".")[0] != PACKAGE:
        raise CannotBeKeyedError(f"the method {method.name!r} is of your own code, which may change")
    settings = {**method.settings, **asked.settings}
    inner = {name: _method(value, names) for name, value in settings.items() if isinstance(value, Asked)}
    rest = {name: canonical(value, names) for name, value in settings.items() if name not in inner}
    return [asked.name, method.name, canonical(asked.layer, names), inner | rest]


@functools.cache
def libraries() -> dict[str, Json]:
    """The versions of the packages that methods compute through; None for one that is not there."""
    return {name: _version_of(name) for name in LIBRARIES}


def _version_of(distribution: str) -> str | None:
    try:
        return version(distribution)
    except PackageNotFoundError:
        return None


@functools.cache
def sources() -> str:
    """This package's version, and a digest of its code where it is not installed: two states of it share nothing."""
    package = sys.modules[PACKAGE]
    ours = str(package.__version__)
    if installed(__name__) is not None:
        return ours
    digest = hashlib.sha256()
    home = Path(str(package.__file__)).parent
    for file in sorted(file for room in ROOMS for file in home.glob(room)):
        digest.update(file.read_bytes())
    return f"{ours} {digest.hexdigest()}"
