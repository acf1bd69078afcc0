"""``seewhy layers MODEL``: what a trace saw of a model, which layers are the defaults, and why."""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from math import prod
from typing import TYPE_CHECKING

from seewhy.cli.models import OpenedModel, add_model_options, model_request, open_model
from seewhy.cli.printable import printable
from seewhy.values import Json, LayerError

if TYPE_CHECKING:
    from seewhy.models.adapter import Adapter
    from seewhy.models.layer_calls import LayerCall
    from seewhy.models.layers import Choice

HEADER = ("", "layer", "kind", "output", "grid", "layout", "prefix", "gradient")
SHOWN = "layers with a grid on which the score has a gradient:"
KEY = "* default target layer   + can be one too   gradient: whether the score depends on the grid there"


@dataclass(frozen=True)
class Row:
    """One call of one layer as the trace saw it; ``gradient`` is ``yes``, ``prefix only`` or ``no``."""

    layer: str
    kind: str
    shape: tuple[int, ...]
    grid: tuple[int, ...]
    layout: str
    prefix: int
    gradient: str
    candidate: bool
    default: bool


@dataclass(frozen=True)
class Description:
    """A model as :func:`describe` saw it; ``methods`` holds every method with why it does not suit, or ""."""

    outputs: str
    trained: bool
    inputs: dict[str, tuple[int, ...]]
    rows: tuple[Row, ...]
    target_layer: str | None
    target_why: str
    target_layers: Mapping[str, tuple[str | None, str]]
    embedding_layer: str | None
    embedding_why: str
    attention: dict[str, Json]
    methods: dict[str, str]


def add_layers(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """The words of the command."""
    parser = commands.add_parser("layers", help="the layers of a model, the default ones marked, and why they are")
    parser.add_argument("model", metavar="MODEL", help="timm:resnet18, torchvision:resnet50, demo:vit or package.Class")
    add_model_options(parser)
    parser.add_argument("--all", action="store_true", help="every module call, also without a grid or a gradient")
    parser.add_argument("--json", action="store_true", help="print JSON")


def run_layers(asked: argparse.Namespace) -> int:
    """Print the table; 0."""
    opened = open_model(model_request(asked.model, asked))
    found = describe(opened)
    if asked.json:
        print(json.dumps(as_json(asked.model, opened.weights, found, every=asked.all), indent=2))
    else:
        print("\n".join(as_text(asked.model, opened.weights, found, every=asked.all)))
    return 0


def describe(opened: OpenedModel) -> Description:
    """Trace the model on random inputs and tell what was seen."""
    from seewhy.explain.suitable import suitability
    from seewhy.models.adapter import Adapter

    inputs = opened.random_inputs()
    adapter = Adapter(opened.module, inputs, headless=opened.headless or None)
    targets = {name: _choice(partial(adapter.target_layer_of, name)) for name in adapter.spatial_inputs}
    target, target_why = targets[adapter.spatial_inputs[0]]
    embedding, embedding_why = _choice(lambda: adapter.embedding_layer)
    return Description(
        outputs=f"{adapter.trace.outputs} {'features (no head)' if adapter.headless else 'outputs'}",
        trained=opened.trained,
        inputs={name: tuple(tensor.shape[1:]) for name, tensor in inputs.items()},
        rows=_rows(adapter, {layer for layer, _ in targets.values()}),
        target_layers=targets,
        target_layer=target,
        target_why=target_why,
        embedding_layer=embedding,
        embedding_why=embedding_why,
        attention=_attention(adapter),
        methods=suitability(adapter),
    )


def _choice(choose: Callable[[], Choice]) -> tuple[str | None, str]:
    """A default and why it is, or None and why there is none."""
    try:
        found = choose()
    except LayerError as error:
        return None, error.message
    return found.layer, found.why


def _rows(adapter: Adapter, targets: Collection[str | None]) -> tuple[Row, ...]:
    from seewhy.models.layers import candidates

    eligible = {(call.name, call.call) for call in candidates(adapter.trace)}
    return tuple(_row(call, (call.name, call.call) in eligible, targets) for call in adapter.trace.calls)


def _row(call: LayerCall, candidate: bool, targets: Collection[str | None]) -> Row:
    from seewhy.models.layers import Layer

    grid, name = call.grid, str(Layer(call.name, call.call))
    return Row(
        layer=name,
        kind=call.kind,
        shape=call.shape[1:],
        grid=grid.size if grid else (),
        layout=grid.layout.replace("_", " ") if grid else "",
        prefix=grid.prefix if grid else 0,
        gradient="yes" if call.reaches_target else "prefix only" if call.on_path else "no",
        candidate=candidate,
        default=name in targets,
    )


def _attention(adapter: Adapter) -> dict[str, Json]:
    from seewhy.capture.tokens import NoAttention, attention_of

    found = attention_of(adapter)
    if isinstance(found, NoAttention):
        return {"calls": 0, "why": found.reason}
    return {"calls": found.calls, "heads": found.heads, "tokens": found.tokens, "query": found.query}


def as_text(model: str, weights: str, found: Description, *, every: bool) -> list[str]:
    """The description in aligned lines."""
    shown = [row for row in found.rows if every or row.candidate or row.default]
    traced = ", ".join(f"{name} {_times(shape)}" for name, shape in found.inputs.items())
    lines = [f"{model}: {found.outputs}, traced on {traced}, {weights}", "", "all calls:" if every else SHOWN]
    lines += aligned([HEADER, *map(_cells, shown)])
    if not every:
        lines += _left_out(found)
    suits = [name for name, why in found.methods.items() if not why]
    lines += ["", KEY, "", *_targets(found)]
    lines += [f"embedding layer  {found.embedding_layer or 'none'}: {found.embedding_why}"]
    lines += [f"attention        {_attention_text(found.attention)}"]
    lines += [f"methods          {', '.join(suits) or 'none'}"]
    for why in dict.fromkeys(why for why in found.methods.values() if why):
        names = ", ".join(name for name, reason in found.methods.items() if reason == why)
        lines.append(f"not for it       {names}: {why}")
    return lines


def _left_out(found: Description) -> Iterator[str]:
    """What the short table does not show, and which of it trained weights would bring back."""
    hidden = [row for row in found.rows if not (row.candidate or row.default)]
    yield (
        f"{len(hidden)} other calls are not shown (no grid, no gradient on it, layers that only pool, drop or reshape, "
        "linear layers inside a token block); --all shows them"
    )
    without = sum(row.gradient == "no" and prod(row.grid) > 1 for row in hidden)
    if without and not found.trained:
        yield (
            f"{without} of them have a grid, but no gradient with these random weights, as inside a residual branch "
            "that ends in a norm or scale of zero; with --checkpoint FILE those that learnt are shown"
        )


def _cells(row: Row) -> tuple[str, ...]:
    mark = "*" if row.default else "+" if row.candidate else ""
    grid, prefix = _times(row.grid), str(row.prefix) if row.grid else ""
    return mark, row.layer, row.kind, _times(row.shape), grid, row.layout, prefix, row.gradient


def _attention_text(attention: dict[str, Json]) -> str:
    if not attention["calls"]:
        return f"none: {attention['why']}"
    return (
        f"{attention['calls']} calls of {attention['heads']} heads over {attention['tokens']} tokens, "
        f"read at the {attention['query']}"
    )


def aligned(rows: Sequence[Sequence[str]]) -> list[str]:
    """Cells in columns, two spaces apart; what would steer a terminal is written out.

    Example:
        >>> aligned([("a", "b"), ("long", "c")])
        ['a     b', 'long  c']
    """
    shown = [[printable(cell) for cell in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(*shown, strict=True)]
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in shown]


def _targets(found: Description) -> list[str]:
    """A line for the default target layer, or one for each of several inputs."""
    if len(found.target_layers) == 1:
        return [f"target layer     {found.target_layer or 'none'}: {found.target_why}"]
    return [f"target layer of {name}: {layer or 'none'}: {why}" for name, (layer, why) in found.target_layers.items()]


def _times(lengths: Sequence[int]) -> str:
    return "×".join(map(str, lengths))


def as_json(model: str, weights: str, found: Description, *, every: bool) -> dict[str, Json]:
    """The description as plain values."""
    return {
        "model": model,
        "weights": weights,
        "outputs": found.outputs,
        "inputs": {name: list(shape) for name, shape in found.inputs.items()},
        "target_layer": {"layer": found.target_layer, "why": found.target_why},
        "target_layers": {name: {"layer": layer, "why": why} for name, (layer, why) in found.target_layers.items()},
        "embedding_layer": {"layer": found.embedding_layer, "why": found.embedding_why},
        "attention": found.attention,
        "methods": {
            "suitable": [name for name, why in found.methods.items() if not why],
            "not_suitable": {name: why for name, why in found.methods.items() if why},
        },
        "layers": [
            {**vars(row), "shape": list(row.shape), "grid": list(row.grid) or None}
            for row in found.rows
            if every or row.candidate or row.default
        ],
    }
