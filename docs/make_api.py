"""Write the API reference, ``docs/api/*.md``, from the docstrings of what a user may import."""

from __future__ import annotations

import inspect
import re
import textwrap
from collections.abc import Callable, Iterator, Mapping
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

import seewhy
from seewhy.explain.explainer import Explainer
from seewhy.explain.explainers import NAMES
from seewhy.registry import METHODS

PAGES = {
    "explaining": "Explaining pictures",
    "grading": "Grading explanations",
    "embeddings": "Embeddings as a tool",
    "features": "What layers put out",
    "data": "Data sets and files",
    "models": "Models",
    "runs": "Runs, reports, errors",
    "speed": "Speed: cache, batches, profiles",
    "training": "Training",
    "multi_input": "Models of several inputs",
}
ROOMS = {
    "explain": "explaining", "metrics": "grading", "data": "data", "inspection": "features", "features": "features",
    "training": "training", "models": "models", "capture": "models", "core": "models", "pipeline": "runs",
    "report": "runs", "store": "runs", "values": "runs", "multi_input": "multi_input",
    "profiling": "speed",
}  # fmt: skip
ELSEWHERE = {
    "Evaluation": "grading", "ExplanationMetrics": "grading", "evaluate_methods": "grading", "Embeddings": "embeddings",
    "BatchProcessor": "speed", "ExplanationCache": "speed", "optimize_for_inference": "speed",
}  # fmt: skip
"""Names that are not on the page of their room."""
MORE = {"multi_input": "multi_input", "inspection": "features", "training": "training", "visualization": "explaining"}
"""Rooms with names of their own beside the facade's, and the pages those are on."""

HEADINGS = ("Args", "Returns", "Raises", "Example", "Examples", "Attributes", "Yields")
ROLE = re.compile(r":(?:class|func|meth|mod|attr|data|exc):`~?([\w.]+)`")
SECTION = re.compile(rf"(?m)^((?:{'|'.join(HEADINGS)}):[ \t]*\n(?:[ \t]+\S.*\n?|[ \t]*\n)+)")
ENTRY = re.compile(r"^(?P<names>[\w.*]+(?:, [\w.*]+)*)(?: \([^)]*\))?: (?P<about>.*)$")

HEAD = """# {title}

Written from the docstrings by `docs/make_api.py`. Every name is imported as the heading says; `import seewhy` alone
loads nothing heavy. What goes wrong is raised as a `SeewhyError` with [a code](../errors.md).
"""
EXPLAINERS = """## One class for each method

A class asks one method, and is made and used like `seewhy.Explainer`:
`seewhy.GradCAM(model, target_layer="layer4")`, then `explain`, `attribute`, `explain_batch`.
[The table of methods](../methods.md) has the settings of each, and cites its source."""


def pages(without: str = "") -> dict[str, str]:
    """Every page by its name; all but one where one, and what it imports, is too much to wait for."""
    found: dict[str, list[str]] = {page: [] for page in PAGES}
    _told.clear()
    for name, thing in _facade(without):
        page = ELSEWHERE.get(name) or ROOMS[thing.__module__.split(".")[1]]
        found[page].append(entry(f"seewhy.{name}", thing))
    found["explaining"].append(_explainers())
    for room, page in ((room, page) for room, page in MORE.items() if page != without):
        module = import_module(f"seewhy.{room}")
        listed = [name for name in _public(module) if name not in seewhy.__all__]
        found[page] += [entry(f"seewhy.{room}.{name}", getattr(module, name)) for name in listed]
    return {
        page: "\n\n".join([HEAD.format(title=PAGES[page]).rstrip(), *entries]) + "\n"
        for page, entries in found.items()
        if entries
    }


def _facade(without: str = "") -> Iterator[tuple[str, Any]]:
    """What ``seewhy`` offers and its value, but for explainers that are made from the registry."""
    for name in sorted(seewhy.__all__, key=lambda name: (not name[0].islower(), name.lower())):
        if without and without == ROOMS.get(seewhy._HOMES.get(name, "seewhy.").split(".")[1]):
            continue
        thing = getattr(seewhy, name)
        if name in NAMES and "__init__" not in vars(thing):
            continue
        if not name.startswith("_"):
            yield name, thing


def _public(module: ModuleType) -> list[str]:
    """What a room offers: ``__all__``, the names it hands out lazily, or those it imports from its own files."""
    listed = getattr(module, "__all__", None) or getattr(module, "_HOMES", None)
    if listed is None:
        listed = [
            name
            for name, thing in vars(module).items()
            if not name.startswith("_") and getattr(thing, "__module__", "").startswith(f"{module.__name__}.")
        ]
    return sorted(listed)


def _explainers() -> str:
    rows = [
        f"| `seewhy.{name}` | `{method}` | {_inline(METHODS[method].purpose)} |"
        for name, method in sorted(NAMES.items())
    ]
    return "\n".join([EXPLAINERS, "", "| class | method | what it says |", "|---|---|---|", *rows])


def entry(name: str, thing: Any) -> str:
    """A heading, the signature, the documentation, and of a class its methods."""
    parts = [f"## {name}", _fenced(_signature(name.rpartition(".")[2], thing)), markdown(inspect.getdoc(thing) or "")]
    if inspect.isclass(thing):
        parts += [_member(thing, member, value) for member, value in _members(thing)]
    return "\n\n".join(part for part in parts if part)


def _members(kind: type) -> Iterator[tuple[str, Any]]:
    """Documented public members of a class in the order they are written, the package's own alone."""
    seen = set()
    for base in kind.__mro__:
        own = base.__module__.startswith("seewhy") and (base is kind or base is not Explainer)
        for member, value in vars(base).items() if own else ():
            function = value.fget if isinstance(value, property) else getattr(value, "__func__", value)
            if member.startswith("_") or member in seen or not (inspect.isfunction(function) and function.__doc__):
                continue
            seen.add(member)
            yield member, value


_told: dict[Any, str] = {}
"""The members written so far, and where: what classes inherit from one another is written once."""


def _member(kind: type, member: str, value: Any) -> str:
    if value in _told:
        return f"### {kind.__name__}.{member}\n\nAs `{_told[value]}`."
    _told[value] = f"{kind.__name__}.{member}"
    if isinstance(value, property):
        return f"### {kind.__name__}.{member}\n\n{markdown(inspect.getdoc(value) or '')}"
    shown = _signature(member, getattr(kind, member))
    return f"### {kind.__name__}.{member}\n\n{_fenced(shown)}\n\n{markdown(inspect.getdoc(value) or '')}"


def _signature(name: str, thing: Callable[..., Any]) -> str:
    """``name(a: int, b=1) -> str``; one parameter a line where it is long."""
    try:
        found = inspect.signature(thing)
    except (TypeError, ValueError):
        return name
    parameters = [found_ for found_ in found.parameters.values() if found_.name != "self"]
    written = _with_marks(parameters)
    returns = f" -> {_type(found.return_annotation)}" if not inspect.isclass(thing) else ""
    returns = "" if found.return_annotation is inspect.Signature.empty else returns
    line = f"{name}({', '.join(written)}){returns}"
    return line if len(line) <= 100 else f"{name}(\n" + "".join(f"    {each},\n" for each in written) + f"){returns}"


def _with_marks(parameters: list[inspect.Parameter]) -> list[str]:
    """Each parameter as it is written, with the star before those that have to be named."""
    written, named = [], False
    for parameter in parameters:
        star = {parameter.VAR_POSITIONAL: "*", parameter.VAR_KEYWORD: "**"}.get(parameter.kind, "")
        if parameter.kind is parameter.KEYWORD_ONLY and not named:
            written.append("*")
        named = named or parameter.kind in (parameter.KEYWORD_ONLY, parameter.VAR_POSITIONAL)
        told = parameter.annotation is not parameter.empty
        text = f"{star}{parameter.name}" + (f": {_type(parameter.annotation)}" if told else "")
        if parameter.default is not parameter.empty:
            text += f" = {_value(parameter.default)}" if told else f"={_value(parameter.default)}"
        written.append(text)
    return written


def _type(annotation: Any) -> str:
    return annotation if isinstance(annotation, str) else getattr(annotation, "__name__", str(annotation))


def _value(default: Any) -> str:
    """A default as it may be written; a value without a short form by its type."""
    if isinstance(default, Path):
        return repr(default.as_posix())
    if isinstance(default, Mapping) and not isinstance(default, dict):
        default = dict(default)
    text = repr(default)
    return f"{type(default).__name__}(…)" if " at 0x" in text or len(text) > 60 else text


def markdown(text: str) -> str:
    """A docstring as Markdown: its sections as lists, its examples as code."""
    parts = []
    for block in SECTION.split(text.strip()):
        first, _, rest = block.partition("\n")
        heading = first.rstrip().removesuffix(":")
        if heading in HEADINGS:
            parts.append(f"**{heading}**\n\n{_section(textwrap.dedent(rest).strip())}")
        else:
            parts.append(_prose(block.strip()))
    return "\n\n".join(part for part in parts if part)


def _section(text: str) -> str:
    """What is indented below a heading: names with what they mean as a list, anything else as it is."""
    items = [" ".join(item.split()) for item in re.split(r"\n(?=\S)", text)]
    entries = [ENTRY.match(item) for item in items]
    if text.startswith(">>>") or not all(entries):
        return _prose(text)
    rows = []
    for found in filter(None, entries):
        names = ", ".join(f"`{name}`" for name in found["names"].split(", "))
        rows.append(f"- {names}: {_inline(found['about'])}")
    return "\n".join(rows)


def _prose(text: str) -> str:
    """Paragraphs; those that begin with ``>>>`` are code."""
    parts = []
    for paragraph in re.split(r"\n\s*\n", text):
        code = textwrap.dedent(paragraph).startswith(">>>")
        parts.append(_fenced(textwrap.dedent(paragraph), "pycon") if code else _inline(paragraph))
    return "\n\n".join(parts)


def _inline(text: str) -> str:
    return ROLE.sub(r"`\1`", text).replace("``", "`")


def _fenced(text: str, language: str = "python") -> str:
    return f"```{language}\n{text}\n```"


if __name__ == "__main__":
    folder = Path(__file__).with_name("api")
    folder.mkdir(exist_ok=True)
    for name, text in pages().items():
        (folder / f"{name}.md").write_text(text)
