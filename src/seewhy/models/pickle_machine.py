"""A pickle's opcodes carried out on plain values alone: names are looked up in a given table, nothing is imported.

Python's own unpickler calls what is on its stack and hands a file's state to ``__setstate__`` of any object. Here a
call goes to one of the given builders or nowhere, and state to a :class:`Draft` or nowhere.
"""

from __future__ import annotations

import pickletools
from collections.abc import Callable, Mapping
from typing import IO, Any, Final

MOST_OPCODES: Final = 1_000_000
_PLAIN_KEYS: Final = (str, int, float, bool, type(None))
_VALUES: Final = {
    *("BININT", "BININT1", "BININT2", "LONG1", "LONG4", "BINFLOAT"),
    *("BINUNICODE", "SHORT_BINUNICODE", "BINUNICODE8", "BINBYTES", "SHORT_BINBYTES", "BINBYTES8", "BYTEARRAY8"),
}
_CONSTANTS: Final = {"NONE": None, "NEWTRUE": True, "NEWFALSE": False, "EMPTY_TUPLE": ()}
_TUPLES: Final = {"TUPLE1": 1, "TUPLE2": 2, "TUPLE3": 3}


class AsksForCodeError(Exception):
    """The pickle names something that is not among the builders, or would make an object of it."""


class NotPlainError(ValueError):
    """The opcodes do not fit one another, or hold what plain values never need."""


class TooMuchError(Exception):
    """More values, deeper nesting or more bytes than a file of its size should hold."""


class Named:
    """A name that the pickle put on the stack, and what stands for it."""

    __slots__ = ("name", "stands_for")

    def __init__(self, name: str, stands_for: Any) -> None:
        self.name = name
        self.stands_for = stands_for


class Draft:
    """What a builder may give where the pickle hands over the rest later; ``fill`` takes that once."""

    __slots__ = ()

    def fill(self, state: Any) -> None:
        """Take the state; raises ``NotPlainError`` if it is not what was expected."""
        raise NotPlainError(f"state ({type(state).__name__}) for a value that has none")


class PickleMachine:
    """Runs one pickle.

    Args:
        names: what may be named, by dotted name: a function takes part in calls, any other value only stands there.
        persistent: what takes the arguments of a persistent reference; such are refused if None.
    """

    def __init__(self, names: Mapping[str, Any], persistent: Callable[[Any], Any] | None = None) -> None:
        self._names = names
        self._persistent = persistent
        self._stack: list[Any] = []
        self._marks: list[int] = []
        self._memo: dict[int, Any] = {}

    def run(self, stream: IO[bytes]) -> Any:
        """The value of the pickle that begins here; the stream is left just behind it.

        Raises:
            AsksForCodeError, NotPlainError, TooMuchError: as these classes say.
            ValueError, LookupError: damaged bytes.
        """
        for count, (opcode, argument, _) in enumerate(pickletools.genops(stream)):
            if count > MOST_OPCODES:
                raise TooMuchError(f"more than {MOST_OPCODES:,} steps")
            if opcode.name == "STOP":
                return self._pop()
            self._step(opcode.name, argument)
        raise NotPlainError("it ends too early")

    def _step(self, name: str, argument: Any) -> None:
        if name in _VALUES:
            self._stack.append(argument)
        elif name in _CONSTANTS:
            self._stack.append(_CONSTANTS[name])
        elif name in _TUPLES:
            self._stack.append(tuple(reversed([self._pop() for _ in range(_TUPLES[name])])))
        elif (action := _ACTIONS.get(name)) is not None:
            action(self, argument)
        elif name in {"NEWOBJ", "NEWOBJ_EX", "OBJ", "INST"} or name.startswith("EXT"):
            raise AsksForCodeError(f"an object of {_shown(argument, self._stack)}")
        elif name not in {"PROTO", "FRAME"}:
            raise NotPlainError(f"its opcode {name} is not that of a plain value")

    def _pop(self) -> Any:
        if len(self._stack) <= (self._marks[-1] if self._marks else 0):
            raise NotPlainError("it takes a value that it did not give")
        return self._stack.pop()

    def _since_mark(self) -> list[Any]:
        if not self._marks:
            raise NotPlainError("it closes what it did not open")
        start = self._marks.pop()
        taken = self._stack[start:]
        del self._stack[start:]
        return taken

    def _top(self, kind: type) -> Any:
        if not self._stack or type(self._stack[-1]) is not kind:
            raise NotPlainError(f"it fills something that is no {kind.__name__}")
        return self._stack[-1]

    def _mark(self, _: Any) -> None:
        self._marks.append(len(self._stack))

    def _push_list(self, _: Any) -> None:
        self._stack.append([])

    def _push_dict(self, _: Any) -> None:
        self._stack.append({})

    def _tuple(self, _: Any) -> None:
        taken = self._since_mark()
        self._stack.append(tuple(taken))

    def _discard(self, _: Any) -> None:
        self._pop()

    def _discard_marked(self, _: Any) -> None:
        self._since_mark()

    def _append(self, _: Any) -> None:
        value = self._pop()
        self._top(list).append(value)

    def _extend(self, _: Any) -> None:
        taken = self._since_mark()
        self._top(list).extend(taken)

    def _set_one(self, _: Any) -> None:
        value, key = self._pop(), self._pop()
        self._set([key, value])

    def _set_several(self, _: Any) -> None:
        self._set(self._since_mark())

    def _set(self, pairs: list[Any]) -> None:
        into = self._top(dict)
        if len(pairs) % 2:
            raise NotPlainError("a dict has a key without a value")
        for key, value in zip(pairs[::2], pairs[1::2], strict=True):
            if type(key) not in _PLAIN_KEYS:
                raise NotPlainError(f"a dict has a {type(key).__name__} for a key")
            into[key] = value

    def _remember(self, place: Any) -> None:
        if not self._stack:
            raise NotPlainError("it remembers a value that it did not give")
        self._memo[len(self._memo) if place is None else place] = self._stack[-1]

    def _recall(self, place: Any) -> None:
        self._stack.append(self._memo[place])

    def _global(self, argument: Any) -> None:
        self._name(".".join(str(argument).split(" ", 1)))

    def _stack_global(self, _: Any) -> None:
        name, module = self._pop(), self._pop()
        if type(name) is not str or type(module) is not str:
            raise NotPlainError("a name that is no text")
        self._name(f"{module}.{name}")

    def _name(self, dotted: str) -> None:
        if dotted not in self._names:
            raise AsksForCodeError(dotted)
        self._stack.append(Named(dotted, self._names[dotted]))

    def _reduce(self, _: Any) -> None:
        arguments, called = self._pop(), self._pop()
        if type(called) is not Named or type(arguments) is not tuple:
            raise NotPlainError("it calls something that is no name")
        if not callable(called.stands_for):
            raise AsksForCodeError(f"a call of {called.name}")
        try:
            self._stack.append(called.stands_for(*arguments))
        except (TypeError, AttributeError) as error:
            raise NotPlainError(f"{called.name} was given what it does not take ({error})") from error

    def _build(self, _: Any) -> None:
        state = self._pop()
        if not self._stack or not isinstance(self._stack[-1], Draft):
            raise NotPlainError("state for a value that has none")
        self._stack[-1].fill(state)

    def _persistent_id(self, _: Any) -> None:
        if self._persistent is None:
            raise NotPlainError("it refers to something outside itself")
        self._stack.append(self._persistent(self._pop()))


def _shown(argument: Any, stack: list[Any]) -> str:
    """The class that an object was asked of, as far as the pickle names it."""
    if isinstance(argument, str):
        return argument.replace(" ", ".")
    return next((value.name for value in reversed(stack) if type(value) is Named), "a class outside the file")


_ACTIONS: Final[Mapping[str, Callable[[PickleMachine, Any], None]]] = {
    "MARK": PickleMachine._mark,
    "EMPTY_LIST": PickleMachine._push_list,
    "EMPTY_DICT": PickleMachine._push_dict,
    "TUPLE": PickleMachine._tuple,
    "POP": PickleMachine._discard,
    "POP_MARK": PickleMachine._discard_marked,
    "APPEND": PickleMachine._append,
    "APPENDS": PickleMachine._extend,
    "SETITEM": PickleMachine._set_one,
    "SETITEMS": PickleMachine._set_several,
    "MEMOIZE": PickleMachine._remember,
    "BINPUT": PickleMachine._remember,
    "LONG_BINPUT": PickleMachine._remember,
    "BINGET": PickleMachine._recall,
    "LONG_BINGET": PickleMachine._recall,
    "GLOBAL": PickleMachine._global,
    "STACK_GLOBAL": PickleMachine._stack_global,
    "REDUCE": PickleMachine._reduce,
    "BUILD": PickleMachine._build,
    "BINPERSID": PickleMachine._persistent_id,
}
