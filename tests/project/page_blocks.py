"""Pages of the documentation as programs: what their code blocks are, and how they are run in their order."""

from __future__ import annotations

import os
import re
import shlex
import signal
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from urllib.request import urlopen

from source_tree import ROOT

from seewhy.cli.analyze_features import analyze_features
from seewhy.cli.compare_features import compare_features
from seewhy.cli.generate import generate_artifacts
from seewhy.cli.gradcam import gradcam
from seewhy.cli.inspect_features import inspect_features
from seewhy.cli.main import seewhy


def serve_once(words: Sequence[str]) -> int:
    """``seewhy serve`` as a person runs it: started, its first page opened, ended by Ctrl-C; its exit code."""
    command = [sys.executable, "-m", "seewhy.cli.main", *words, "--port", "0"]
    environment = {**os.environ, "PYTHONUNBUFFERED": "1"}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as server:
        try:
            line = next((line for line in server.stdout or () if "http://" in line), "")
            with urlopen(re.findall(r"http://\S+", line)[0], timeout=30) as page:
                assert page.status == 200
                assert b"<html" in page.read()
        finally:
            server.send_signal(signal.SIGINT)
        return server.wait(timeout=30)


BLOCK = re.compile(r"^```(python|bash)\n(.*?)^```", re.MULTILINE | re.DOTALL)
COMMANDS: dict[str, Callable[[Sequence[str]], int]] = {
    "seewhy": seewhy,
    "generate_artifacts": generate_artifacts,
    "gradcam": gradcam,
    "inspect_features": inspect_features,
    "analyze_features": analyze_features,
    "compare_features": compare_features,
}


@dataclass(frozen=True)
class Block:
    """A code block of a page: its language and its text."""

    language: str
    text: str

    def run(self, names: dict[str, object]) -> None:
        """Run it; ``names`` are what Python blocks before it defined. A command has to exit with 0."""
        if self.language == "python":
            exec(compile(self.text, "page", "exec"), names)
            return
        for line in self.text.replace("\\\n", " ").splitlines():
            words = shlex.split(line, comments=True)
            if words:
                command = serve_once if words[:2] == ["seewhy", "serve"] else COMMANDS[words[0]]
                assert command(words[1:]) == 0, line


def text_of(page: str) -> str:
    """The text of a page below ``docs``, by its path there."""
    return (ROOT / "docs" / page).read_text("utf-8")


def blocks_of(text: str) -> list[Block]:
    """The code blocks of a text that can be run, in their order."""
    return [Block(*found) for found in BLOCK.findall(text)]


def run_page(page: str) -> dict[str, object]:
    """Run every block of a page in the folder at hand; what its Python defined."""
    names: dict[str, object] = {"__name__": "page"}
    found = blocks_of(text_of(page))
    assert found, f"{page} has no code"
    for block in found:
        block.run(names)
    return names
