"""Registered things by name: an unknown one raises with the nearest names, and none is registered twice."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Generic, Protocol, TypeVar

from seewhy.values import ConfigError, nearest


class Named(Protocol):
    """Anything with a name, and other names it answers to."""

    @property
    def name(self) -> str: ...

    @property
    def also(self) -> tuple[str, ...]: ...


Entry = TypeVar("Entry", bound=Named)


class Names(Mapping[str, Entry], Generic[Entry]):
    """Entries of one ``kind`` by name, whatever its case.

    Raises ``ConfigError`` with the code ``unknown`` for a name nobody has, ``taken`` for one that is registered twice.
    """

    def __init__(self, kind: str, *, unknown: str, taken: str) -> None:
        self._kind, self._unknown, self._taken = kind, unknown, taken
        self._entries: dict[str, Entry] = {}
        self._names: dict[str, str] = {}

    def __getitem__(self, name: str) -> Entry:
        known = self._names.get(str(name).lower())
        if known is None:
            raise ConfigError(
                self._unknown,
                f"there is no {self._kind} {name!r}",
                near=nearest(str(name), self._names),
                fix=f"choose one of {', '.join(sorted(self._entries))}",
            )
        return self._entries[known]

    def __contains__(self, name: object) -> bool:
        return str(name).lower() in self._names

    def __iter__(self) -> Iterator[str]:
        return iter(self._entries)

    def __len__(self) -> int:
        return len(self._entries)

    def add(self, entry: Entry) -> None:
        """Register an entry under names not yet taken."""
        for name in (entry.name, *entry.also):
            if name in self._names:
                raise ConfigError(self._taken, f"the {self._kind} name {name!r} is taken", fix="choose another name")
            self._names[name] = entry.name
        self._entries[entry.name] = entry
