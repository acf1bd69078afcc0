"""Texts of data, such as ids, that a terminal can be shown: what would steer it is written out."""

from __future__ import annotations


def printable(text: str) -> str:
    r"""The text with each character that is no letter, mark or plain space as its escape.

    Example:
        >>> printable("caf\u00e9 \x1b[31m")
        'café \\x1b[31m'
    """
    return "".join(one if one.isprintable() else one.encode("unicode_escape").decode("ascii") for one in text)


def printable_lines(text: str) -> str:
    """The same of a text of several lines.

    Example:
        >>> printable_lines("one\\ntwo").count("\\n")
        1
    """
    return "\n".join(map(printable, text.split("\n")))
