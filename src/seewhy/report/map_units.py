"""What a value of a map is, in words for its legend: the same for maps that a run holds and for live ones."""

from __future__ import annotations

from typing import Final

EVIDENCE: Final = "evidence for this class"
UNSIGNED: Final = "weight for this class, without a sign"
EFFECT: Final = "effect on this class's score"
NORM: Final = "pull on the embedding's norm"
COMPONENT: Final = "strength of the layer's main pattern"
NOISE: Final = "random number"
INNER: Final = "value of the method that is averaged"


def attention_unit(query: str | None) -> str:
    """The unit of attention: who pays it.

    >>> attention_unit("class token"), attention_unit("mean")
    ('attention paid by the class token', 'attention paid by all patches')
    """
    return f"attention paid by {'the class token' if query == 'class token' else 'all patches'}"


def class_unit(index: int | None, *, scale: str = "positive", signed: bool = True) -> str:
    """The unit of a map about a class, or about the norm of the outputs where there is none.

    >>> class_unit(None), class_unit(3), class_unit(3, scale="magnitude"), class_unit(3, signed=False)[:6]
    ("pull on the embedding's norm", 'evidence for this class', "effect on this class's score", 'weight')
    """
    if index is None:
        return NORM
    if scale == "magnitude":
        return EFFECT
    return EVIDENCE if signed else UNSIGNED
