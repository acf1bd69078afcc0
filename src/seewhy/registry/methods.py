"""The only list of methods in the project: one decorator lifts a pure function into it."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial, update_wrapper
from typing import Any, Literal, TypeVar

from seewhy.registry.names import Names
from seewhy.values import ConfigError, nearest

Reads = Literal["activations", "gradients", "attention", "attention_gradients", "inputs", "input_gradients"]
Channels = Literal["sum", "largest"]
ShareBy = Literal["sum", "mean", "nothing"]
Function = TypeVar("Function", bound=Callable[..., Any])
GIVEN = {"probe", "inputs", "query", "prefix"}
"""Parameters that asking fills in; the keyword-only rest of a method's signature are its settings."""


@dataclass(frozen=True)
class Method:
    """A registered attribution method and the facts everything else is derived from.

    A method either ``reads`` what one pass leaves behind, as a pure function of tensors, or ``asks`` the model again:
    then its function takes ``(probe, inputs)`` and returns an ``Explanation``. ``signed`` says whether negative values
    mean something; ``linear`` whether it is linear in the target; ``cite`` where the formula stands. ``channels`` is
    how a map is made of an input-space answer per channel: their sum, or the largest magnitude. ``also`` are other
    names. A method that stands for whole ``libraries`` answers to ``captum.Saliency`` too, with that name as its
    setting ``name``.

    ``share_by`` says how the evidence in maps of several inputs compares: by their sums, where a value is a part of the
    score or of its gradient; by their means, where it is the score lost with a window around it; by nothing, where each
    input has a unit of its own.

    ``contributes`` says what a value claims: that the place adds so much to the score, or (False) that the score would
    change by so much for each unit by which the input changed there. The second is a claim about the first only when
    multiplied by how far the input is from what would replace it. ``asks_about_class`` is False of a method that asks
    the model, but not about a class.
    """

    name: str
    function: Callable[..., Any]
    reads: tuple[Reads, ...]
    asks: bool
    signed: bool
    linear: bool
    channels: Channels
    cite: str
    also: tuple[str, ...]
    libraries: tuple[str, ...] = ()
    share_by: ShareBy = "nothing"
    contributes: bool = True
    asks_about_class: bool = True

    @property
    def about_class(self) -> bool:
        """Whether another class can have another map: not where only activations or attention are read."""
        return self.asks_about_class and (not self.reads or not set(self.reads) <= {"activations", "attention"})

    @property
    def purpose(self) -> str:
        """The first line of the function's documentation."""
        return (self.function.__doc__ or "").strip().partition("\n")[0]

    @property
    def settings(self) -> dict[str, Any]:
        """The settings a user may give and their defaults (``inspect.Parameter.empty`` where one must be given)."""
        parameters = inspect.signature(self.function).parameters.values()
        return {
            parameter.name: parameter.default
            for parameter in parameters
            if parameter.kind is parameter.KEYWORD_ONLY and parameter.name not in GIVEN
        }

    @property
    def needs_layer(self) -> bool:
        """Whether it explains through a layer with a grid."""
        return "activations" in self.reads or "gradients" in self.reads or "layer" in self.settings

    @property
    def needs_attention(self) -> bool:
        """Whether it explains through the attention over all tokens."""
        return "attention" in self.reads or "attention_gradients" in self.reads

    def check(self, settings: Mapping[str, Any]) -> None:
        """Raise ``ConfigError`` SW-F12 for a setting the method does not have."""
        for name in settings:
            if name not in self.settings:
                known = ", ".join(self.settings) or "none"
                raise ConfigError(
                    "SW-F12",
                    f"the method {self.name!r} has no setting {name!r}; its settings: {known}",
                    near=nearest(name, self.settings),
                    fix="use one of these",
                )


class Methods(Names[Method]):
    """All registered methods by name; a method that stands for a library also answers to what is in it."""

    def __init__(self) -> None:
        super().__init__("method", unknown="SW-F10", taken="SW-F11")

    def __getitem__(self, name: str) -> Method:
        entry = None if super().__contains__(name) else self._of_library(str(name))
        return super().__getitem__(name) if entry is None else entry

    def __contains__(self, name: object) -> bool:
        return super().__contains__(name) or self._of_library(str(name)) is not None

    def _of_library(self, name: str) -> Method | None:
        """The method that stands for the library before the first dot or colon, asked for what is behind it."""
        library, dot, _ = name.replace(":", ".").partition(".")
        for entry in self._entries.values():
            if dot and library in entry.libraries:
                function = update_wrapper(partial(entry.function, name=name), entry.function)
                return replace(entry, name=name, function=function)
        return None


METHODS = Methods()


def method(
    name: str,
    *,
    reads: tuple[Reads, ...] = (),
    asks: bool = False,
    signed: bool,
    cite: str,
    linear: bool = False,
    channels: Channels = "sum",
    also: tuple[str, ...] = (),
    libraries: tuple[str, ...] = (),
    share_by: ShareBy | None = None,
    contributes: bool = True,
    asks_about_class: bool = True,
) -> Callable[[Function], Function]:
    """Register the decorated function as an attribution method and return it unchanged.

    ``share_by`` is by default ``"sum"`` for a method that reads gradients, ``"nothing"`` for another.
    """
    by_default: ShareBy = "sum" if {"gradients", "input_gradients"} & set(reads) else "nothing"
    shared = share_by or by_default

    def register(function: Function) -> Function:
        facts = (reads, asks, signed, linear, channels, cite, also, libraries, shared, contributes, asks_about_class)
        METHODS.add(Method(name, function, *facts))
        return function

    return register
