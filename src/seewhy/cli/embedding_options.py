"""What the commands on embeddings have in common: which run, which splits and layer, and where answers go."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from seewhy.cli.printable import printable
from seewhy.features.embeddings.choices import DISTANCES
from seewhy.values import EmbeddingError

if TYPE_CHECKING:
    from seewhy.inspection.embeddings import Embeddings
    from seewhy.values import Json


def add_source(parser: argparse.ArgumentParser, *, writes: str = "") -> None:
    """The run directory and its options; ``writes`` names the file that the answer is kept in."""
    parser.add_argument(
        "run_dir", nargs="?", type=Path, default=Path(), metavar="RUN_DIR",
        help="a run directory (default: the current one), or a .pt, .safetensors or .npy file of vectors",
    )  # fmt: skip
    parser.add_argument("--splits", metavar="NAME,NAME", help="only these splits (default: all)")
    parser.add_argument("--layer", help="of a run with embeddings of several layers (default: the model's own)")
    kept = f" (default: RUN_DIR/embeddings/{writes})" if writes else ""
    parser.add_argument("--output", type=Path, metavar="FILE", help=f"write the answer into this file{kept}")
    parser.add_argument("--json", action="store_true", help="print JSON")


def add_metric(parser: argparse.ArgumentParser, *, of: str = "") -> None:
    """The distance; ``of`` is what alone has one, and then None where it is not given."""
    parser.add_argument(
        "--metric", choices=DISTANCES, default=None if of else "cosine", help=f"the distance{of} (default: cosine)"
    )


def open_embeddings(asked: argparse.Namespace) -> Embeddings:
    """The embeddings that the words name.

    Raises:
        EmbeddingError: ``SW-E31``, the answer would be written over what it is of, or into a run; as
            :meth:`Embeddings.load`. ``StoreError`` SW-S50 for an address.
    """
    from seewhy.cli.local_run import run_here

    asked.run_dir = run_here(asked.run_dir)

    from seewhy.inspection.embeddings import Embeddings

    if asked.output is not None:
        _require_outside(asked.output, asked.run_dir)
    return Embeddings.load(asked.run_dir, names(asked.splits), asked.layer)


def names(words: str | None) -> list[str] | None:
    """``"a,b"`` as a list; None stays None.

    Example:
        >>> names("train, test"), names(None)
        (['train', 'test'], None)
    """
    return None if words is None else [word for part in words.split(",") if (word := part.strip())]


def _require_outside(output: Path, source: Path) -> None:
    from seewhy.store.layout import is_run

    place = output.expanduser().resolve()
    run = next((folder for folder in place.parents if is_run(folder)), None)
    if run is not None:
        raise EmbeddingError(
            "SW-E31", f"--output {output} lies in the run {run}, whose files are its own",
            fix="name a file elsewhere; without --output the answer is kept beside the embeddings",
        )  # fmt: skip
    if place == source.expanduser().resolve():
        raise EmbeddingError("SW-E31", f"--output {output} is the file of vectors itself", fix="name another file")


def refuse_unused(why: str, **given: Any) -> None:
    """Refuse options that would change nothing: each by its name, with what it was given; None was not.

    Raises:
        EmbeddingError: ``SW-E16``.

    Example:
        >>> refuse_unused("pca has none", metric=None, min_dist=None)
    """
    options = {name: f"--{name.replace('_', '-')}" if len(name) > 1 else f"-{name}" for name in given}
    named = [options[name] for name, value in given.items() if value not in (None, [])]
    if named:
        raise EmbeddingError("SW-E16", f"{', '.join(named)} would change nothing: {why}", fix="leave that out")


def keeps(asked: argparse.Namespace, found: Embeddings) -> bool:
    """Whether there is a place for the answer: the file named, or the run."""
    return asked.output is not None or found.run is not None


def print_json(value: Json) -> None:
    """One JSON object, in ASCII: a terminal is steered by no character of it."""
    print(json.dumps(value, indent=2, allow_nan=False))


def number(value: Any, form: str = ".4f") -> str:
    """A number for a table; ``-`` for one that is not defined.

    Example:
        >>> number(0.25), number(float("nan")), number(None)
        ('0.2500', '-', '-')
    """
    return "-" if value is None or value != value else format(value, form)


def plain(value: float | None) -> float | None:
    """A number for JSON; None for one that is not defined."""
    return None if value is None or value != value else float(value)


def about(found: Embeddings) -> str:
    """``240 records of test, train, val, 128 numbers each at head.fc.input``."""
    where = f" at {found.layer}" if found.layer else ""
    splits = ", ".join(dict.fromkeys(found.splits))
    return printable(f"{len(found)} records of {splits}, {found.vectors.shape[1]} numbers each{where}")
