"""``seewhy selftest [MODEL]``: the axioms and identities on the user's own install, with a verdict for each method."""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from seewhy.cli.assignments import assignments
from seewhy.cli.layers import aligned
from seewhy.cli.models import OpenedModel, add_model_options, model_request, open_model
from seewhy.values import ConfigError, ModelError

if TYPE_CHECKING:
    from seewhy.core import Inputs
    from seewhy.explain.selftest import Finding

DEFAULT_MODEL = "demo:cnn"
SMALL = (64, 64)
CELLS = {"ok": "ok", "FAILED": "FAILED", "not applicable": "-"}


def add_selftest(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """The words of the command."""
    parser = commands.add_parser("selftest", help="try every method on a model against the axioms; 1 if any fails")
    parser.add_argument("model", nargs="?", default=DEFAULT_MODEL, metavar="MODEL", help=f"default: {DEFAULT_MODEL}")
    add_model_options(parser)
    parser.add_argument("--methods", metavar="NAME,NAME", help="only these methods (default: all)")
    parser.add_argument("--image", type=Path, metavar="FILE", help="try on this picture, not on random numbers")
    parser.add_argument(
        "--set", action="append", default=[], metavar="METHOD.KEY=VALUE", help="a method's setting; may be repeated"
    )
    parser.add_argument("--json", action="store_true", help="print JSON")


def run_selftest(asked: argparse.Namespace) -> int:
    """Print the verdicts; 1 if any says FAILED."""
    settings, names = settings_by_method(asked.set), method_names(asked.methods)
    opened = open_model(model_request(asked.model, asked))
    from seewhy.explain.selftest import each_finding, failed

    began = time.monotonic()
    inputs = _inputs(opened, asked.image)
    made = each_finding(
        opened.module, inputs, methods=names, settings=settings,
        normalisation=opened.normalisation, headless=opened.headless or None,
    )  # fmt: skip
    found = list(made if asked.json else _watched(made))
    wrong = failed(found)
    if asked.json:
        print(json.dumps([vars(finding) for finding in found], indent=2))
    else:
        print("\n".join(as_table(found)))
        methods = len({finding.method for finding in found})
        shapes = {"×".join(map(str, tensor.shape[1:])) for tensor in inputs.values()}
        shape = f"{len(inputs)} of {', '.join(sorted(shapes))}" if len(inputs) > 1 else next(iter(shapes))
        print(
            f"\n{methods} methods on {asked.model} ({opened.weights}), inputs {shape}, "
            f"{time.monotonic() - began:.0f} s: "
            f"{len(wrong)} checks FAILED, {sum(finding.verdict == 'ok' for finding in found)} ok"
        )
    return int(bool(wrong))


def settings_by_method(words: Iterable[str]) -> dict[str, dict[str, Any]]:
    """``ig.steps=20`` as ``{"ig": {"steps": 20}}``.

    Raises:
        ConfigError: ``SW-F82`` no value, ``SW-F84`` no method's name in front.

    Example:
        >>> settings_by_method(["ig.steps=20", "ig.baseline=black"])
        {'ig': {'steps': 20, 'baseline': 'black'}}
    """
    found: dict[str, dict[str, Any]] = {}
    for key, value in assignments(words, "--set").items():
        method, dot, setting = key.rpartition(".")
        if not method or not dot or not setting:
            raise ConfigError(
                "SW-F84", f"--set {key} names no method", fix=f"write METHOD.{setting or key}=..., such as ig.steps=20"
            )
        found.setdefault(method, {})[setting] = value
    return found


def method_names(text: str | None) -> list[str]:
    """The names in a list with commas, each once and as it is registered; none for None.

    Raises:
        ConfigError: ``SW-F10``, there is no such method.
    """
    import seewhy.methods  # noqa: F401  (importing the room registers every method)
    from seewhy.registry import METHODS

    words = [] if text is None else text.split(",")
    return list(dict.fromkeys(METHODS[word.strip()].name for word in words))


def _inputs(opened: OpenedModel, image: Path | None) -> Inputs:
    """The picture as the model gets it, or random numbers: few of them where the model takes few, to save minutes."""
    if image is not None:
        from seewhy.explain.prepared import prepare
        from seewhy.explain.recipe import find_recipe

        recipe = find_recipe(opened.module, None if opened.asked_size is None else {"size": opened.asked_size})
        return {"image": prepare(image, recipe).pixels.unsqueeze(0)}
    if opened.asked_size is None and len(opened.size) == 2:
        from seewhy.models.adapter import Adapter

        small = opened.random_inputs(SMALL)
        with suppress(ModelError):
            Adapter(opened.module, small, headless=opened.headless or None)
            return small
    return opened.random_inputs()


def _watched(found: Iterable[Finding]) -> Iterable[Finding]:
    """Findings, with the method under trial named on a terminal."""
    shown = ""
    for finding in found:
        if sys.stderr.isatty() and finding.method != shown:
            shown = finding.method
            print(f"\r\x1b[K{shown} ...", end="", file=sys.stderr, flush=True)
        yield finding
    if shown:
        print("\r\x1b[K", end="", file=sys.stderr)


def as_table(found: list[Finding]) -> list[str]:
    """A row for each method, a column for each check, and below it every failure and every method left out."""
    checks = list(dict.fromkeys(finding.check for finding in found))
    cells: dict[str, Mapping[str, str]] = {}
    for finding in found:
        cells[finding.method] = {**cells.get(finding.method, {}), finding.check: CELLS[finding.verdict]}
    rows = [[name, *(row.get(check, "") for check in checks)] for name, row in cells.items()]
    left_out = [finding for finding in found if finding.check == "answers" and finding.verdict == "not applicable"]
    wrong = [finding for finding in found if finding.verdict == "FAILED"]
    notes = [f"{finding.method}: not applicable: {finding.detail}" for finding in left_out]
    notes += [f"{finding.method}, {finding.check}: FAILED: {finding.detail}" for finding in wrong]
    return [*aligned([["method", *checks], *rows]), *([""] if notes else []), *notes]
