"""A working folder with the user's configs and a checkpoint in it, and the command itself."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
from cli_samples import MY_EXPERIMENT, tiny_vit, write_experiment, write_lightning_checkpoint

from seewhy.cli.generate import generate_artifacts

CKPT = "path/to/model.ckpt"


@dataclass(frozen=True)
class Ended:
    """How a command ended and what it said."""

    code: int
    out: str
    err: str


Command = Callable[..., Ended]


@pytest.fixture(scope="session")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    return write_lightning_checkpoint(tmp_path_factory.mktemp("checkpoint") / "model.ckpt", tiny_vit()).read_bytes()


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, checkpoint: bytes) -> Path:
    """The working folder, entered."""
    (tmp_path / CKPT).parent.mkdir(parents=True)
    (tmp_path / CKPT).write_bytes(checkpoint)
    write_experiment(tmp_path, "embeddings/my_experiment", MY_EXPERIMENT)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def command(capsys: pytest.CaptureFixture[str]) -> Command:
    """Runs ``generate_artifacts`` with a line of words as a shell would pass them, or with separate words."""

    def run(*words: str) -> Ended:
        capsys.readouterr()
        code = generate_artifacts(words[0].split() if len(words) == 1 else words)
        said = capsys.readouterr()
        return Ended(code, said.out, said.err)

    return run
