"""``seewhy render``: the pictures of a run drawn later, from its shards; the model is not needed."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from seewhy.cli.assignments import assignments
from seewhy.cli.live_options import DATA, runs_and_data
from seewhy.cli.printable import printable_lines
from seewhy.values import ConfigError, nearest

if TYPE_CHECKING:
    from seewhy.data.records import Dataset
    from seewhy.pipeline.rendering import Drawable, Rendered, Wish
    from seewhy.store.run_reader import RunReader

SHOWN_FAILURES = 5


def add_render(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """The words of the command."""
    parser = commands.add_parser(
        "render", help="draw the pictures that a run with render=none or sample left out, without its model"
    )
    parser.add_argument(
        "directories",
        nargs="+",
        metavar="RUN_DIR",
        help="the run; then data.key=value, settings of its data set (data.root=DIR: where it is)",
    )
    parser.add_argument(
        "--data-root", metavar="DIR", help="where the data set is, as data.root=DIR: a folder or an address"
    )
    parser.add_argument("--split", action="append", metavar="NAME", help="of this split only; may be repeated")
    parser.add_argument("--record", action="append", metavar="ID", help="of this record only; may be repeated")
    parser.add_argument(
        "--class", action="append", dest="classes", metavar="CLASS",
        help="maps of this class only, a name or a number; may be repeated",
    )  # fmt: skip
    parser.add_argument("--limit", type=int, metavar="N", help="of at most so many records that lack some")
    parser.add_argument("--threads", type=int, default=2, metavar="N", help="that draw at once (default: 2)")


def run_render(asked: argparse.Namespace) -> int:
    """Draw what is missing; 0 when all was drawn, 1 when a record could not be, as a signal asks when stopped."""
    directories, words = runs_and_data(asked.directories)
    _check(asked, directories)
    from seewhy.cli.local_run import require_run

    root = directories[0]
    require_run(root)

    from rich.console import Console

    from seewhy.cli.drawn_records import DrawnRecords
    from seewhy.cli.signals import Stop
    from seewhy.pipeline.rendering import Drawable, Rendering
    from seewhy.pipeline.rendering_ground import Previews, Records
    from seewhy.store.additions import adding_to
    from seewhy.store.picture_tables import KIND, present_tables
    from seewhy.store.remakable import write_remakable
    from seewhy.store.run_reader import RunReader

    with adding_to(root) as additions, Stop("the pictures at hand") as stop:
        reader, drawable = RunReader(additions.root), Drawable.of(additions.root)
        for table in present_tables(additions.root):
            additions.take_note(table)
        wish = _wish(asked, reader, drawable)
        dataset = _dataset(reader, asked.data_root, assignments(words, DATA))
        if dataset is None:
            print(
                "the data set is not at hand (data.root=DIR says where it is): pictures are drawn over the previews "
                "stored in the run, at most 256 pixels, and say so"
            )

        def write(relative: str, data: bytes, *, kind: str, record_id: str) -> Any:
            return write_remakable(additions.root, relative, data, kind=kind, record_id=record_id)

        def keep(relative: str, data: bytes) -> None:
            additions.write_file(relative, data, kind=KIND)

        grounds = Previews() if dataset is None else Records(dataset)
        drawn = DrawnRecords(Console(stderr=True))
        done = Rendering(reader, drawable, grounds, write, keep, asked.threads).draw(wish, stop, drawn)
    _say(done, root)
    return stop.exit_code if done.stopped else int(bool(done.failures))


def _check(asked: argparse.Namespace, directories: Sequence[Path]) -> None:
    if len(directories) > 1:
        raise ConfigError(
            "SW-F331", f"{len(directories)} run directories were given: {', '.join(map(str, directories))}",
            fix="draw one after the other",
        )  # fmt: skip
    for name in ("limit", "threads"):
        value = getattr(asked, name)
        if value is not None and value < 1:
            raise ConfigError("SW-F331", f"--{name} is at least 1, came {value}", fix=f"for example --{name} 2")


def _wish(asked: argparse.Namespace, reader: RunReader, drawable: Drawable) -> Wish:
    from seewhy.pipeline.rendering import Wish

    for split in asked.split or ():
        _require(split, reader.splits, "split")
    if asked.record:
        known = {record_id for split in reader.splits for record_id in reader.records(split)}
        for record_id in asked.record:
            _require(record_id, known, "record")
    chosen = frozenset(asked.record or ())
    return Wish(
        splits=None if asked.split is None else frozenset(asked.split),
        chosen=(lambda record_id: record_id in chosen) if chosen else (lambda _: True),
        limit=asked.limit,
        classes=None if asked.classes is None else _classes(asked.classes, drawable, reader),
    )


def _classes(words: Sequence[str], drawable: Drawable, reader: RunReader) -> frozenset[int]:
    """Names and numbers as numbers."""
    names = drawable.class_names or ()
    outputs = len(names) or _outputs(reader)
    for word in words:
        if word not in names and not (word.isdecimal() and int(word) < outputs):
            _require(word, names or [str(number) for number in range(outputs)], "class")
    return frozenset(names.index(word) if word in names else int(word) for word in words)


def _outputs(reader: RunReader) -> int:
    """How many classes the model has, by the first record that was explained."""
    rows = (row for split in reader.splits for row in reader.rows(split))
    return next((len(row.probabilities) for row in rows if row.probabilities is not None), 0)


def _require(word: str, known: Any, what: str) -> None:
    if word not in known:
        raise ConfigError(
            "SW-F331", f"the run has no {what} {word!r}", near=nearest(word, known), fix=f"use a {what} of the run"
        )


def _dataset(reader: RunReader, root: str | None, given: Mapping[str, Any]) -> Dataset | None:
    """The data set of the run, where it can be opened: with the settings that the run's manifest tells."""
    from seewhy.cli.build import dataset_of
    from seewhy.cli.live_data import PLACES, live_dataset
    from seewhy.pipeline.rendering_ground import require_same_data

    manifest = reader.manifest
    told = manifest.fingerprint if manifest is not None else {}
    data = told.get("data", {})
    if "_target_" not in given and given.get("kind", data.get("data")) == "picture_list":
        further = [name for name in given if name not in (*PLACES, "kind")]
        _refuse_unused(
            further, "have no effect: pictures that were named one by one are read as the run's were", "leave them out"
        )
    if "_target_" in given:
        dataset: Dataset | None = dataset_of(given, None, told.get("frames_first", ()))
    else:
        dataset = live_dataset(data, root, given, None)
    if dataset is None:
        _refuse_unused(
            given, "say how the data set is read, but not where",
            "add data.root=DIR, or leave them out to draw over the previews stored in the run",
        )  # fmt: skip
        return None
    require_same_data(dataset, data)
    return dataset


def _refuse_unused(names: Collection[str], why: str, fix: str) -> None:
    if names:
        raise ConfigError("SW-F331", f"{', '.join(f'{DATA}{name}' for name in names)} {why}", fix=fix)


def _say(done: Rendered, root: Path) -> None:
    print(f"{root}: {done.pictures} pictures of {done.records} records drawn" + (", stopped" * done.stopped))
    for record_id, reason in done.failures[:SHOWN_FAILURES]:
        print(printable_lines(f"not drawn: {record_id}: {reason}"), file=sys.stderr)
    if len(done.failures) > SHOWN_FAILURES:
        print(f"and {len(done.failures) - SHOWN_FAILURES} more records were not drawn", file=sys.stderr)
