"""The only list of methods in the project: one decorator lifts a pure function into it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal, TypeVar

from seewhy.values import ConfigError, nearest

Reads = Literal["activations", "gradients", "attention"]
Function = TypeVar("Function", bound=Callable[..., Any])


@dataclass(frozen=True)
class Method:
    """A registered attribution method and the facts everything else is derived from.

    ``reads`` names what one pass must leave behind for it; ``signed`` says whether negative values mean something;
    ``linear`` whether it is linear in the target; ``cite`` where the formula stands.
    """

    name: str
    function: Callable[..., Any]
    reads: tuple[Reads, ...]
    signed: bool
    linear: bool
    cite: str

    @property
    def purpose(self) -> str:
        """The first line of the function's documentation."""
        return (self.function.__doc__ or "").strip().partition("\n")[0]


class Methods(Mapping[str, Method]):
    """All registered methods by name; an unknown name raises with the nearest ones."""

    def __init__(self) -> None:
        self._methods: dict[str, Method] = {}

    def __getitem__(self, name: str) -> Method:
        try:
            return self._methods[name]
        except KeyError:
            raise ConfigError(
                "SW-F10",
                f"there is no method {name!r}",
                near=nearest(name, self._methods),
                fix="choose a listed method",
            ) from None

    def __iter__(self) -> Iterator[str]:
        return iter(self._methods)

    def __len__(self) -> int:
        return len(self._methods)

    def add(self, entry: Method) -> None:
        """Register a method under a name not yet taken."""
        if entry.name in self._methods:
            raise ConfigError("SW-F11", f"the method name {entry.name!r} is taken", fix="choose another name")
        self._methods[entry.name] = entry


METHODS = Methods()


def method(
    name: str, *, reads: tuple[Reads, ...], signed: bool, cite: str, linear: bool = False
) -> Callable[[Function], Function]:
    """Register the decorated pure function as an attribution method and return it unchanged."""

    def register(function: Function) -> Function:
        METHODS.add(Method(name, function, reads, signed, linear, cite))
        return function

    return register
