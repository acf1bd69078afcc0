"""Every example in a docstring runs and shows what it says."""

from __future__ import annotations

import doctest
import importlib
from pathlib import Path

import pytest
from source_tree import PACKAGE, python_files

WITH_EXAMPLES = [path for path in python_files("src/seewhy") if ">>> " in path.read_text("utf-8")]
LENIENT = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE


@pytest.mark.parametrize("path", WITH_EXAMPLES, ids=lambda path: path.relative_to(PACKAGE).as_posix())
def test_the_examples_of_a_module_hold(path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    dotted = ".".join(path.relative_to(PACKAGE.parent).with_suffix("").parts).removesuffix(".__init__")
    outcome = doctest.testmod(importlib.import_module(dotted), optionflags=LENIENT)
    assert outcome.attempted > 0
    assert outcome.failed == 0


def test_no_example_is_skipped() -> None:
    assert [path.name for path in WITH_EXAMPLES if "+SKIP" in path.read_text("utf-8")] == []
