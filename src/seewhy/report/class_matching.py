"""Which class of one run is which of another: by name where both have names, else by number, and what is not known."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from seewhy.report.record_table import NO_CLASS, Integers

Names = Sequence[str] | None
MOST_NAMED: Final = 5


@dataclass(frozen=True)
class Matching:
    """The second run's classes in the first's numbers; ``words`` say what is to be known of it, empty where nothing is.

    ``second`` holds at each class of the second the same class's number in the first, or a negative number that no
    class has. None leaves numbers as they are. ``known`` is False where nobody can tell which class is which.
    """

    second: Integers | None = None
    known: bool = True
    words: str = ""

    def in_first(self, classes: Integers) -> Integers:
        """The second run's class numbers as the first run counts them; :data:`NO_CLASS` stays."""
        if self.second is None:
            return classes
        named = (classes >= 0) & (classes < len(self.second))
        found = np.where(classes == NO_CLASS, NO_CLASS, -1 - classes)
        found[named] = self.second[classes[named]]
        return found


def match_classes(first: Names, second: Names, *, first_seen: int = 0, second_seen: int = 0) -> Matching:
    """How the classes of two runs belong together; ``…_seen`` are how many classes the records show at least.

    Example:
        >>> found = match_classes(["cat", "dog"], ["dog", "cat", "cow"])
        >>> found.in_first(np.array([0, 1, 2])).tolist()
        [1, 0, -3]
        >>> found.words
        'Classes are matched by name, since the runs number them otherwise; only in the second run: cow.'
        >>> match_classes(["cat", "dog"], None, second_seen=3).known
        False
    """
    if first is None or second is None:
        return _by_number(first, second, first_seen, second_seen)
    if tuple(first) == tuple(second):
        return Matching()
    if len(set(first)) < len(first) or len(set(second)) < len(second):
        return Matching(known=False, words=f"{UNKNOWN}: some classes of a run have one name, and the names differ.")
    there = {name: number for number, name in enumerate(first)}
    numbers = np.array([there.get(name, -1 - number) for number, name in enumerate(second)], np.int64)
    others = [_only("first", first, second), _only("second", second, first)]
    words = "; ".join(["Classes are matched by name, since the runs number them otherwise", *filter(None, others)])
    if not set(first) & set(second):
        words = "The runs have no class in common by name, so that every prediction is another one"
    return Matching(numbers, words=f"{words}.")


UNKNOWN: Final = "It is not known which class of one run is which of the other"


def _by_number(first: Names, second: Names, first_seen: int, second_seen: int) -> Matching:
    counts = [len(names) if names is not None else seen for names, seen in ((first, first_seen), (second, second_seen))]
    if first is None and second is None:
        return Matching(words="Neither run has class names: classes are matched by number.")
    which, (named, unnamed) = ("first", (counts[1], counts[0])) if first is None else ("second", (counts[0], counts[1]))
    if unnamed > named:
        return Matching(known=False, words=f"{UNKNOWN}: the {which} has no class names, and more classes.")
    return Matching(words=f"The {which} run has no class names: classes are matched by number.")


def _only(which: str, names: Sequence[str], others: Sequence[str]) -> str:
    alone = [name for name in names if name not in set(others)]
    more = f" and {len(alone) - MOST_NAMED} more" if len(alone) > MOST_NAMED else ""
    return f"only in the {which} run: {', '.join(alone[:MOST_NAMED])}{more}" if alone else ""
