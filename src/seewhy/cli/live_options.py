"""The words of ``seewhy serve`` that let people ask the model, and the desk they open."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

from seewhy.cli.assignments import assignments
from seewhy.report.live import LiveError

if TYPE_CHECKING:
    from seewhy.cli.models import ModelRequest
    from seewhy.report.live_desk import LiveDesk
    from seewhy.report.run_facts import Facts

DATA: Final = "data."
"""How a word begins that is a setting of the data set, not a run directory."""


def add_live_options(parser: argparse.ArgumentParser) -> None:
    """The options that open models; without ``--checkpoint`` nothing can be asked."""
    live = parser.add_argument_group(
        "live questions", "with a checkpoint for each run, in their order, records and pictures can be asked about"
    )
    live.add_argument(
        "--checkpoint", action="append", default=[], metavar="FILE",
        help="the weights (.ckpt, .pth, .safetensors; demo:cnn and demo:vit are shipped); repeat for a second run",
    )  # fmt: skip
    live.add_argument("--data-root", metavar="DIR", help="where the data set of the runs is, a folder or an address")
    live.add_argument("--model", metavar="NAME", help="what model it is, where the run cannot say: package.Class")
    live.add_argument("--num-classes", type=int, metavar="N", help="with --model: its number of classes")
    live.add_argument(
        "--model-arg", action="append", default=[], metavar="KEY=VALUE", help="with --model: an argument for it"
    )
    live.add_argument(
        "--experiment", metavar="NAME", help="the experiment that the run was made by, in place of --model"
    )
    live.add_argument("--config-dir", metavar="DIR", help="with --experiment: your configurations (default: configs)")
    live.add_argument(
        "--question-seconds", type=float, metavar="N", help="how long one question may take (default: 60)"
    )
    live.add_argument("--device", default="auto", help="auto, cpu, cuda, cuda:1 or mps (default: auto)")


def settings_first(words: Sequence[str]) -> list[str]:
    """The words of the command with settings of the data set first, since argparse takes such words in one place only.

    Example:
        >>> settings_first(["serve", "runs/a", "--checkpoint", "a.ckpt", "data.root=photos"])
        ['serve', 'data.root=photos', 'runs/a', '--checkpoint', 'a.ckpt']
    """
    settings = [word for word in words[1:] if word.startswith(DATA) and "=" in word]
    return [*words[:1], *settings, *(word for word in words[1:] if word not in settings)]


def runs_and_data(words: Sequence[str]) -> tuple[list[Path], list[str]]:
    """Run directories, and settings of the data set (``data.root=photos``), told apart.

    SW-W55 without a run, SW-S50 for the address of one.

    Example:
        >>> runs_and_data(["runs/a", "data.root=photos", "data.size=96"])
        ([PosixPath('runs/a')], ['root=photos', 'size=96'])
    """
    from seewhy.cli.local_run import run_here

    settings = [word for word in words if word.startswith(DATA) and "=" in word]
    directories = [run_here(word) for word in words if word not in settings]
    if not directories:
        raise LiveError("SW-W55", f"{', '.join(settings)} names no run", fix="name the run's directory before it")
    return directories, [word.removeprefix(DATA) for word in settings]


def live_desk(
    asked: argparse.Namespace, directories: Sequence[Path], data: Sequence[str], facts: Sequence[Facts]
) -> LiveDesk | None:
    """The desk where the models of some runs are asked; None without a checkpoint.

    Raises:
        LiveError: ``SW-W53`` more checkpoints than runs, ``SW-W54`` options of a model without a checkpoint.
        SeewhyError: what :func:`seewhy.cli.live.open_live` raises.
    """
    if not asked.checkpoint:
        _require_no_options(asked, data)
        return None
    if len(asked.checkpoint) > len(directories):
        raise LiveError(
            "SW-W53", f"{len(asked.checkpoint)} checkpoints were given for {len(directories)} runs",
            fix="give one --checkpoint for each run, in the order of the runs",
        )  # fmt: skip
    from seewhy.cli.live import LiveOptions, open_live
    from seewhy.report.live_desk import SECONDS, LiveDesk

    seconds = SECONDS if asked.question_seconds is None else asked.question_seconds
    if not seconds > 0:
        raise LiveError("SW-W57", f"--question-seconds is above 0, came {seconds:g}", fix="leave it out for 60 seconds")
    settings = assignments(data, DATA)
    models = [
        open_live(
            directory,
            LiveOptions(
                checkpoint, _model(asked), asked.data_root, settings, asked.experiment, asked.config_dir, asked.device
            ),
        )
        for directory, checkpoint in zip(directories, asked.checkpoint, strict=False)
    ]
    return LiveDesk(models, facts[: len(models)], seconds=seconds)


def _model(asked: argparse.Namespace) -> ModelRequest | None:
    if asked.model is None:
        return None
    from seewhy.cli.inspect_source import architecture_of
    from seewhy.cli.models import ModelRequest

    arguments = assignments(asked.model_arg, "--model-arg")
    return ModelRequest(
        architecture_of(asked.model), num_classes=asked.num_classes, arguments=arguments, device=asked.device
    )


def _require_no_options(asked: argparse.Namespace, data: Sequence[str]) -> None:
    given = {
        "--data-root": asked.data_root, "--model": asked.model, "--experiment": asked.experiment,
        "data.key=value": data, "--model-arg": asked.model_arg, "--num-classes": asked.num_classes,
        "--question-seconds": asked.question_seconds,
    }  # fmt: skip
    named = [name for name, value in given.items() if value not in (None, [], ())]
    if named:
        raise LiveError(
            "SW-W54", f"{', '.join(named)} say what model is asked, but no checkpoint was given",
            fix="add --checkpoint FILE, or leave them out to look at the pages alone",
        )  # fmt: skip
