"""Fill the tables of parameters on the pages of ``docs/`` from signatures and docstrings."""

from __future__ import annotations

import inspect
import re
import runpy
import textwrap
from itertools import groupby
from pathlib import Path
from typing import Any

import seewhy

DOCS = Path(__file__).parent
API = runpy.run_path(str(DOCS / "make_api.py"))
ENTRY, INLINE, VALUE = API["ENTRY"], API["_inline"], API["_value"]
REGION = re.compile(r"(<!-- parameters of ([\w.]+) -->\n).*?(<!-- end -->)", re.DOTALL)
"""Where a page has the table of a function, class or method of ``seewhy``."""
ARGS = re.compile(r"(?ms)^Args:\n(.*?)(?=^\S|\Z)")
AS_IN = re.compile(r"^as (?:``(?P<other>\w+)`` )?in :(?P<role>\w+):`(?P<owner>[\w.]+)`")


def filled(text: str) -> str:
    """A page with the tables of its regions written anew."""
    return REGION.sub(lambda found: f"{found[1]}\n{table(found[2])}\n\n{found[3]}", text)


def table(name: str) -> str:
    """Every parameter with its default and its meaning; neighbours of one meaning share a row."""
    parameters = [one for one in inspect.signature(thing(name)).parameters.values() if one.name != "self"]
    rows = [f"| `seewhy.{name}` | default | meaning |", "|---|---|---|"]
    for about, group in groupby(parameters, lambda one: meaning(name, one.name)):
        members = list(group)
        names = ", ".join(f"`{'**' if one.kind is one.VAR_KEYWORD else ''}{one.name}`" for one in members)
        defaults = ", ".join(f"`{VALUE(one.default)}`" for one in members if one.default is not one.empty)
        rows.append("| " + " | ".join(cell.replace("|", "\\|") for cell in (names, defaults, INLINE(about))) + " |")
    return "\n".join(rows)


def thing(name: str) -> Any:
    """What ``seewhy`` has under a dotted name."""
    found: Any = seewhy
    for part in name.split("."):
        found = getattr(found, part)
    return found


def meaning(name: str, parameter: str) -> str:
    """What the docstring says of a parameter, ``as in`` followed to its end; ``KeyError`` where it says nothing."""
    about = meanings(name)[parameter]
    found = AS_IN.match(about)
    if found is None:
        return about
    owner = owner_of(found, name)
    other = found["other"] or parameter
    if other not in inspect.signature(thing(owner)).parameters:
        return about
    return meaning(owner, other) + about[found.end() :]


def owner_of(found: re.Match[str], name: str) -> str:
    """The dotted name in ``seewhy`` of what ``as in`` refers to, on the docstring of ``name``."""
    words = found["owner"].split(".")
    if found["role"] != "meth":
        return words[-1]
    return ".".join(words[-2:] if len(words) > 1 else [name.partition(".")[0], *words])


def meanings(name: str) -> dict[str, str]:
    """The entries of ``Args`` by parameter."""
    args = ARGS.search(inspect.getdoc(thing(name)) or "")
    items = re.split(r"\n(?=\S)", textwrap.dedent(args[1]).strip()) if args else []
    found = [ENTRY.match(" ".join(item.split())) for item in items]
    return {one: entry["about"].rstrip(".") for entry in found if entry for one in entry["names"].split(", ")}


if __name__ == "__main__":
    for page in DOCS.glob("*.md"):
        text = page.read_text("utf-8")
        if filled(text) != text:
            page.write_text(filled(text), "utf-8")
