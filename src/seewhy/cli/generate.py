"""``generate_artifacts``: embeddings, maps and grades of a data set, configured through Hydra."""

from __future__ import annotations

import logging
import os
import posixpath
import sys
import tempfile
import traceback
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import hydra
from hydra.core.hydra_config import HydraConfig
from hydra.errors import HydraException
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException
from rich.console import Console

from seewhy.cli.arguments import as_typed, options_first, quoted, require_one_task, take_config_dir
from seewhy.cli.hydra_errors import explained, require_given
from seewhy.cli.outcome import show_outcome
from seewhy.cli.runner import ray_settings
from seewhy.cli.search_path import USER_FOLDER, register, user_folder
from seewhy.cli.signals import Stop
from seewhy.cli.unchanged import Standing, show_unchanged, standing_of
from seewhy.store.part import part_of
from seewhy.values import SeewhyError

EXIT_REFUSED = 2
INTERRUPTED = 130


def main() -> None:
    """The console script."""
    sys.exit(generate_artifacts(sys.argv[1:]))


def generate_artifacts(words: Sequence[str]) -> int:
    """Run the command with these words; the exit code.

    0 when all is well, 1 when a record failed, 2 when the request was refused, 130 or 143 after a signal.
    """
    console = Console(stderr=True)
    codes: list[int] = []
    folder: Path | None = None
    try:
        rest, asked_folder = take_config_dir(words)
        require_one_task(rest)
        folder = user_folder(asked_folder)
        with tempfile.TemporaryDirectory() as scratch:  # a sweep leaves its multirun.yaml there, not beside the user
            words = [*options_first(quoted(rest)), f"hydra.sweep.dir='{scratch}'"]
            with hydra_environment(folder, ["generate_artifacts", *words]):
                _compose_and_run(codes)
    except SeewhyError as error:
        return _refuse(console, error)
    except (HydraException, OmegaConfBaseException) as error:
        return _refuse(console, explained(error, folder))
    except KeyboardInterrupt:
        return max([INTERRUPTED, *codes])
    return max(codes, default=0)


def _compose_and_run(codes: list[int]) -> None:
    register()

    @hydra.main(version_base="1.3", config_path="pkg://seewhy.conf", config_name="generate_artifacts")
    def job(config: DictConfig) -> None:
        codes.append(_job(config))
        if codes[-1] > 128:  # by a signal: no further job of a multirun is begun
            raise KeyboardInterrupt

    job()


def _job(config: DictConfig) -> int:
    """One job of a run or multirun; one that is refused does not keep the others from running."""
    console = Console(stderr=True)
    try:
        require_given(config)
        plain: dict[str, Any] = OmegaConf.to_container(config, resolve=True, throw_on_missing=True)  # type: ignore[assignment]
        job = HydraConfig.get()
        if job.mode == RunMode.MULTIRUN and plain.get("shard") is None:  # the parts of a run lie side by side anyway
            plain["output_dir"] = posixpath.join(plain["output_dir"], str(job.job.num))  # an address stays one
        ray_settings(plain)  # who computes has no effect on what is there, and is refused all the same
        if isinstance(plain.get("shard"), str):
            plain["shard"] = str(part_of(plain["shard"]))
        standing = standing_of(plain)
        if standing is not None and (receipt := standing.receipt()) is not None:
            return show_unchanged(console, standing, receipt)
        return run_request(plain, console, ["generate_artifacts", *as_typed(job.overrides.task)], standing)
    except SeewhyError as error:
        if OmegaConf.select(config, "debug.enabled"):
            traceback.print_exception(error)
        return _refuse(console, error)
    except OmegaConfBaseException as error:
        return _refuse(console, explained(error, None))


def run_request(
    config: Mapping[str, Any], console: Console, command: Sequence[str], standing: Standing | None = None
) -> int:
    """Carry out one composed configuration, which ``command`` asks for, and show what came of it.

    ``standing`` is what it depends on, as it was before: kept, so that the same command finds nothing to do.
    """
    from seewhy.cli.refused_early import require_possible

    require_possible(config)

    from seewhy.cli.build import build_dataset, build_loaded_model
    from seewhy.cli.grade_table import grade_lines
    from seewhy.cli.progress import Watcher, outcome_of
    from seewhy.cli.runner import runner_of
    from seewhy.cli.schema import request_of
    from seewhy.pipeline.run import run

    def say(text: str) -> None:
        console.print(text, markup=False, highlight=False, soft_wrap=True)

    request, runner = request_of(config), runner_of(config, say)
    built, report = build_loaded_model(request)
    say(report.summary())
    dataset = build_dataset(request, built.preprocessing)
    with Stop() as stop, Watcher(console) as watcher:
        summary = run(
            built.module, dataset, request.output_dir,
            headless=(built.headless or None) if request.headless is None else request.headless,
            class_names=built.class_names, facts=built.facts, observer=watcher, stop=stop, settings=request.settings,
            command=command, runner=runner,
        )  # fmt: skip
    outcome = replace(outcome_of(summary), graded=list(grade_lines(summary.graded)))
    if standing is not None:
        standing.keep(outcome)  # before anything is printed: the reader of a pipe may be gone
    show_outcome(console, outcome, summary.output_dir)
    if summary.profile:
        say(summary.profile)
    return stop.exit_code if summary.interrupted else summary.exit_code


def _refuse(console: Console, error: SeewhyError) -> int:
    console.print(f"error {error}", style="bold red", markup=False, highlight=False, soft_wrap=True)
    return EXIT_REFUSED


@contextmanager
def hydra_environment(folder: Path | None, argv: list[str]) -> Iterator[None]:
    """What Hydra reads from the process, for the time of one command: its words, our folder, errors as exceptions.

    Its logging configuration silences every logger there is and the root below errors, and takes the root's handlers;
    all of it is put back.
    """
    root, level, handlers = logging.root, logging.root.level, list(logging.root.handlers)
    known = [one for one in root.manager.loggerDict.values() if isinstance(one, logging.Logger)]
    speaking = [logger for logger in known if not logger.disabled]
    wanted = {"HYDRA_FULL_ERROR": "1", USER_FOLDER: str(folder or "")}
    before = {name: os.environ.get(name) for name in wanted}
    argv_before = sys.argv
    os.environ.update(wanted)
    sys.argv = argv
    try:
        yield
    finally:
        for logger in speaking:
            logger.disabled = False
        root.setLevel(level)
        root.handlers[:] = handlers
        sys.argv = argv_before
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


if __name__ == "__main__":
    main()
