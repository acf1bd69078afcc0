"""Names on disk for ids: never escape a directory, never collide, stay readable where they can.

An id made of ``A-Z a-z 0-9 _ . -`` is its own name (``patient_123``); folders become ``+`` (``cat/img1`` is
``cat+img1``), a character that no such id contains. Every other id becomes its letters and a hash of the whole id.
"""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections import Counter
from collections.abc import Container, Iterable

from seewhy.values import StoreError

LONGEST = 100
_SEGMENT = r"[A-Za-z0-9_][A-Za-z0-9_.-]*"
_READABLE = re.compile(rf"{_SEGMENT}(?:/{_SEGMENT})*")
_LOOKS_HASHED = re.compile(r"-[0-9a-f]{16}\Z")
_DEVICES = {"CON", "PRN", "AUX", "NUL", *(f"{port}{n}" for port in ("COM", "LPT") for n in range(10))}


def safe_name(identifier: str, crowded: Container[str] = ()) -> str:
    """One path segment for ``identifier``, at most 100 characters of ASCII.

    ``crowded`` holds lower-case names that several ids would share on a file system that ignores case; those ids get
    their hash, all of them, so that no name ever passes from one id to another.

    >>> safe_name("patient_123"), safe_name("cat/img1")
    ('patient_123', 'cat+img1')
    """
    readable = _readable(identifier)
    if readable is None or readable.lower() in crowded:
        return _hashed(identifier)
    return readable


class SafeNames:
    """The names of all ids of a data set, the same in whatever order they come.

    Raises:
        StoreError: ``SW-S14``, an id is not valid Unicode and could not be written into a table.

    >>> names = SafeNames(["a", "A", "b"])
    >>> names["b"], names["a"] == "a"
    ('b', False)
    """

    def __init__(self, ids: Iterable[str]) -> None:
        folded = Counter(_folded(identifier) for identifier in set(ids))
        self._crowded = frozenset(name for name, count in folded.items() if count > 1)

    @classmethod
    def crowded_by(cls, names: Iterable[str]) -> SafeNames:
        """The names of a data set of which only what :attr:`crowded` said is known."""
        made = cls(())
        made._crowded = frozenset(names)
        return made

    @property
    def crowded(self) -> tuple[str, ...]:
        """The lower-case names that several ids would share, sorted."""
        return tuple(sorted(self._crowded))

    def __getitem__(self, identifier: str) -> str:
        return safe_name(identifier, self._crowded)


def require_unicode(identifier: str) -> None:
    """Refuse an id that UTF-8 cannot hold, such as a file name of undecodable bytes."""
    try:
        identifier.encode("utf-8")
    except UnicodeEncodeError as error:
        raise StoreError(
            "SW-S14",
            f"the id {identifier!r} is not valid Unicode (character {error.start}), so no table can hold it",
            fix="rename the file or the record",
        ) from error


def _folded(identifier: str) -> str:
    require_unicode(identifier)
    return safe_name(identifier).lower()


def _readable(identifier: str) -> str | None:
    fits = len(identifier) <= LONGEST and _READABLE.fullmatch(identifier) and not identifier.endswith(".")
    if not fits or _LOOKS_HASHED.search(identifier) or identifier.partition(".")[0].upper() in _DEVICES:
        return None
    return identifier.replace("/", "+")


def _hashed(identifier: str) -> str:
    plain = unicodedata.normalize("NFKD", identifier).encode("ascii", "ignore").decode("ascii")
    slug = re.sub(r"[^A-Za-z0-9_]+", "_", plain).strip("_")[:80] or "record"
    return f"{slug}-{hashlib.sha256(identifier.encode('utf-8', 'surrogatepass')).hexdigest()[:16]}"
