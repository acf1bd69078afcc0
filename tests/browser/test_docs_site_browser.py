"""The site of ``docs/``, built and opened from a disk: its pages load nothing from elsewhere, and its search finds."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from browser_watch import Watch

ROOT = Path(__file__).parents[2]


@pytest.fixture
def site(tmp_path: Path) -> Path:
    """The site, built beside a copy of the pages."""
    shutil.copytree(ROOT / "docs", tmp_path / "docs", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "mkdocs.yml", tmp_path)
    command = [sys.executable, "-m", "zensical", "build", "--strict", "--clean"]
    subprocess.run(command, cwd=tmp_path, check=True, capture_output=True, timeout=280)
    return tmp_path / "site"


@pytest.mark.slow
def test_the_site_reads_and_searches_without_a_network(site: Path, page: Any, watched: Watch) -> None:
    for name in ("index", "tutorial", "methods", "api/explaining", "gallery"):
        page.goto((site / f"{name}.html").as_uri())
        page.wait_for_selector("h1")
    page.goto((site / "index.html").as_uri())
    page.keyboard.press("Control+k")
    field = page.get_by_role("combobox", name="Search")
    field.press_sequentially("gaze points", delay=60)  # a letter at a time, as a person types: each asks the worker
    page.get_by_text("Gaze points do not lie where people looked").first.wait_for()
    assert field.input_value() == "gaze points"
    assert watched.foreign == []
    assert watched.problems == []
