"""The pages that say how to add a method or a metric, followed to the letter in a copy of the project."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from source_tree import ROOT

FILE = re.compile(r"^`([\w/]+\.py)`\n\n```python\n(.*?)^```", re.MULTILINE | re.DOTALL)
BLOCK = re.compile(r"^```(sh|python)\n(.*?)^```", re.MULTILINE | re.DOTALL)
COMMANDS = ("seewhy", "python")


@dataclass
class Copy:
    """A copy of what the pages speak of: the package, its tests and its documentation."""

    folder: Path

    def run(self, *command: str) -> str:
        """What a command says; fails the test with all of it if the command fails."""
        scripts = Path(sys.executable).parent
        environment = {
            **os.environ,
            "PYTHONPATH": str(self.folder / "src"),
            "PATH": f"{scripts}{os.pathsep}{os.environ['PATH']}",
            "OMP_NUM_THREADS": "1",
        }
        done = subprocess.run(
            command, cwd=self.folder, env=environment, capture_output=True, text=True, check=False, timeout=280
        )
        assert done.returncode == 0, f"{' '.join(command)}\n{done.stdout[-4000:]}\n{done.stderr[-4000:]}"
        return done.stdout + done.stderr

    def follow(self, page: str) -> dict[str, str]:
        """Write the files that a page shows, then run what it runs, in its order: what each command said."""
        text = (ROOT / "docs" / "how-to" / page).read_text("utf-8")
        files = FILE.findall(text)
        for place, content in files:
            target = self.folder / place
            assert not target.exists(), f"{page} would overwrite {place}"
            target.write_text(content)
        said: dict[str, str] = {}
        for kind, content in BLOCK.findall(FILE.sub("", text)):
            if kind == "python":
                said["python"] = self.run(sys.executable, "-c", content)
                continue
            for line in content.splitlines():
                assert line.split()[0] in COMMANDS, line
                said[line] = self.run(*line.split())
        assert [place.split("/")[0] for place, _ in files] == ["src", "tests"]
        return said


@pytest.fixture
def copy(tmp_path: Path) -> Copy:
    """The project in a folder of its own, with a photograph in it."""
    for name in ("src", "tests", "docs"):
        shutil.copytree(ROOT / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md"):
        shutil.copy(ROOT / name, tmp_path / name)
    pixels = np.random.default_rng(0).integers(0, 255, (64, 64, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(tmp_path / "photo.png")
    return Copy(tmp_path)


def answer(said: dict[str, str], start: str) -> str:
    (found,) = [text for command, text in said.items() if command.startswith(start)]
    return found


def passed(said: dict[str, str], start: str) -> int:
    (count,) = re.findall(r"(\d+) passed", answer(said, start))
    return int(count)


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_a_method_added_as_the_page_says_is_everywhere(copy: Copy) -> None:
    said = copy.follow("add-a-method.md")
    assert passed(said, "python -m pytest -q -k") > 20  # its own 4, and the laws on every kind of model
    assert "| `activation_attention` |" in (copy.folder / "docs" / "methods.md").read_text()
    assert "activation_attention" in answer(said, "seewhy explain")
    (row,) = (line for line in answer(said, "seewhy evaluate").splitlines() if line.startswith("activation_attention "))
    assert row.split()[2] == "1.00", "the class it is asked about changes nothing"
    assert "Use activation_attention" not in answer(said, "seewhy evaluate")
    assert said["python"].strip() == "activation_attention torch.Size([1, 56, 56])"  # 224 pixels, a stem of stride 4
    told = copy.run(sys.executable, "-c", "import seewhy.methods, seewhy.registry as r; print(*r.METHODS)")
    assert "activation_attention" in told.split()


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_a_metric_added_as_the_page_says_is_everywhere(copy: Copy) -> None:
    said = copy.follow("add-a-metric.md")
    assert passed(said, "python -m pytest -q -k") > 10  # its own 6, and the laws on every kind of input
    assert "| `hoyer` |" in (copy.folder / "docs" / "metrics.md").read_text()
    assert "hoyer" in answer(said, "seewhy metrics")
    assert "hoyer" in answer(said, "seewhy evaluate")
    table = said["python"].splitlines()
    assert table[0].split() == ["hoyer"]
    assert [line.split()[0] for line in table[1:]] == ["gradcam", "random", "centre", "edges"]


def test_the_pages_show_files_and_lines_that_can_be_followed() -> None:
    for page, folder in (("add-a-method.md", "methods"), ("add-a-metric.md", "metrics")):
        text = (ROOT / "docs" / "how-to" / page).read_text("utf-8")
        (source, code), (test, _) = FILE.findall(text)
        assert source.startswith(f"src/seewhy/{folder}/")
        assert test.startswith(f"tests/{folder}/")
        assert not (ROOT / source).exists()
        compile(code, source, "exec")
        assert [kind for kind, _ in BLOCK.findall(FILE.sub("", text))] == ["sh", "sh", "python"]
