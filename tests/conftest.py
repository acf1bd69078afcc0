"""Law 1 of the design, around every test: the surroundings are as they were, and no hook of ours stays behind."""

from __future__ import annotations

import gc
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import settings

from object_server import served
from surroundings import hook_registrations, marks_since, seeded, surroundings

if TYPE_CHECKING:
    from seewhy import ExplanationCache

settings.register_profile("same every time", derandomize=True)
settings.load_profile("same every time")


@pytest.fixture(autouse=True)
def _surroundings_stay() -> Iterator[None]:
    """Seeds the generators for the test, then fails it if a call left a mark on the process or a hook on a model."""
    before = surroundings()
    with seeded(0), hook_registrations() as hooks_left:
        yield
        left = hooks_left()
    marks = [*marks_since(before), *left]
    assert not marks, "a test must leave its surroundings as they were:\n  " + "\n  ".join(marks)


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    """The address of an S3 server of this module's own."""
    with served() as endpoint:
        yield endpoint


@pytest.fixture
def cache(tmp_path: Path) -> Iterator[ExplanationCache]:
    """A cache of explanations of the test's own."""
    from seewhy import ExplanationCache

    with ExplanationCache(tmp_path / "kept") as opened:
        yield opened


@pytest.fixture(scope="module")
def torchs_own_signal_handler() -> None:
    """The first worker of a process makes torch install its SIGCHLD handler, for good."""
    from torch.utils.data import DataLoader

    list(DataLoader([0], num_workers=1))  # type: ignore[arg-type]


@pytest.hookimpl(wrapper=True)
def pytest_fixture_setup(fixturedef: pytest.FixtureDef[Any]) -> Generator[None, Any, Any]:
    """What lives longer than a test is made before that test's generators are seeded: it gets a seed of its own."""
    if fixturedef.scope == "function":
        return (yield)
    with seeded(0):
        return (yield)


def pytest_collection_finish() -> None:
    """What was collected stays for good: a garbage collection inside a test need not look through it again."""
    gc.collect()
    gc.freeze()


def pytest_unconfigure() -> None:
    """At the end of the process everything is collected, in the usual order."""
    gc.unfreeze()


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """What the sweeps over whole libraries covered, in the last lines of the run."""
    for report in (*terminalreporter.getreports("passed"), *terminalreporter.getreports("failed")):
        for name, value in report.user_properties:
            if name == "covered":
                terminalreporter.write_line(f"covered {value}")
