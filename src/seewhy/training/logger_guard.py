"""The boundary between watching and training: what goes wrong in watching is counted and told, and training goes on."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable
from typing import Any, Final

from seewhy.values import SeewhyError

KEPT: Final = 20
"""Problems whose words are kept; the others are counted."""
_log = logging.getLogger("seewhy.training")


class Guard:
    """Runs what must not end a training, and remembers what failed.

    Each kind of failure is told once, through :mod:`logging`: a warning could be turned into an error and end the
    training after all.

    Example:
        >>> import logging
        >>> logging.getLogger("seewhy.training").addHandler(logging.NullHandler())
        >>> guard = Guard("my callback")
        >>> guard.attempt("dividing", lambda: 1 / 0), guard.attempt("adding", lambda: 1 + 1)
        (False, True)
        >>> guard.count, guard.problems
        (1, ('dividing: ZeroDivisionError: division by zero',))
    """

    def __init__(self, owner: str) -> None:
        self.owner = owner
        self._told: Counter[str] = Counter()
        self._problems: dict[str, None] = {}

    @property
    def count(self) -> int:
        """How often something failed."""
        return self._told.total()

    @property
    def problems(self) -> tuple[str, ...]:
        """What failed and why, the first :data:`KEPT` different ones."""
        return tuple(self._problems)

    def attempt(self, what: str, action: Callable[[], Any]) -> bool:
        """Whether ``action`` went through; ``what`` names it."""
        try:
            action()
        except Exception as error:  # noqa: BLE001  watching must not end the training, whatever a logger raises
            self.failed(what, error)
            return False
        return True

    def failed(self, what: str, why: Exception | str) -> None:
        """Count a failure, and tell of it if it is the first of its kind."""
        self._told[what] += 1
        problem = f"{what}: {_words(why)}"
        if len(self._problems) < KEPT:
            self._problems[problem] = None
        if self._told[what] == 1:
            _log.warning("%s: %s failed, and training goes on (told once): %s", self.owner, what, _words(why))


def _words(why: Exception | str) -> str:
    if isinstance(why, str):
        return why
    text = f"{why.code} {why.message}" if isinstance(why, SeewhyError) else str(why)
    return f"{type(why).__name__}: {text}"[:500]
