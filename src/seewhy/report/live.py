"""What pages need of a model that is asked while people look. Who asks it is handed in, so that no torch is here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from seewhy.report.patience import LiveError as LiveError
from seewhy.report.patience import Patience
from seewhy.values import Json, RecordRow


@dataclass(frozen=True)
class Question:
    """One question: a record of the data set (split and id) or the bytes of a picture; method, layer, class, metrics.

    ``layer`` is the method's default and ``target`` the predicted class where None. ``patience`` is looked at before
    each pass through the model.
    """

    method: str
    record: tuple[str, str] | None = None
    image: bytes | None = None
    layer: str | None = None
    target: int | str | None = None
    settings: Mapping[str, Json] = field(default_factory=dict)
    metrics: tuple[str, ...] = ()
    patience: Patience = field(default_factory=Patience, compare=False)


@dataclass(frozen=True)
class Answered:
    """The answer, as one row of a run would hold it; ``questions`` are the specifications of its keys.

    ``told`` is for people: which layer and class it is about, whose weights were asked, what is to be known.
    """

    row: RecordRow
    questions: Mapping[str, Json]
    told: Mapping[str, Json]


class Live(Protocol):
    """A model that answers questions about records or pictures. It is asked from one thread at a time."""

    def offers(self) -> Mapping[str, Json]:
        """What may be asked: ``methods``, ``layers``, ``metrics``, ``class_names``, whether ``records`` and ``images``
        can be, each with the reason where not, and what is to be known of the ``weights`` and the ``data``."""
        ...

    def find(self, text: str, most: int) -> Sequence[tuple[str, str]]:
        """Split and id of the first records whose id holds ``text``; none without a data set."""
        ...

    def look(self, image: bytes) -> Mapping[str, Json]:
        """A picture tried before it is asked about: ``width``, ``height`` and ``notes``; raises ``SeewhyError``."""
        ...

    def ask(self, question: Question) -> Answered:
        """The answer; raises ``SeewhyError`` for what cannot be asked, and at the end of the question's patience."""
        ...
