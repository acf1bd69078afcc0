"""The shapes that annotations promise are those that flow: checked at run time over the whole registry.

In a process of its own: the checks draw from Python's random numbers, which the first law forbids here.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from law_sweep import CASES

TESTS = Path(__file__).parents[1]
BROKEN = """
from jaxtyping import install_import_hook
with install_import_hook(["seewhy.methods"], "shapes_checker.checked"):
    import torch
    from seewhy.methods.cam import gradcam
gradcam(torch.ones(1, 2, 3, 3), torch.ones(1, 5, 3, 3))
"""


def run(*command: str) -> subprocess.CompletedProcess[str]:
    paths = os.pathsep.join(map(str, (TESTS.parent / "src", TESTS, TESTS / "laws")))
    environment = os.environ | {"PYTHONPATH": paths}
    return subprocess.run([sys.executable, *command], capture_output=True, text=True, env=environment, check=False)


@pytest.mark.slow
def test_every_method_keeps_the_shapes_it_promises() -> None:
    done = run(str(TESTS / "laws" / "shape_sweep.py"))
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"{len(CASES)} cases" in done.stdout


def test_a_broken_promise_is_noticed() -> None:
    assert "TypeCheckError" in run("-c", BROKEN).stderr
