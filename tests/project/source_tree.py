"""The project's own files, as the tests in this folder read them."""

from __future__ import annotations

import ast
import subprocess
from collections.abc import Iterator
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "src" / "seewhy"
TEXT = {".py", ".md", ".toml", ".cff", ".yaml", ".yml", ".lock", ".txt", ".html", ".js", ".css", ".json", ".sh", ""}


def python_files(*folders: str) -> list[Path]:
    """Every Python file below the folders, sorted."""
    return sorted(path for folder in folders for path in (ROOT / folder).rglob("*.py"))


@cache
def modules() -> list[tuple[str, ast.Module]]:
    """Every module of the package with its place in it: ``("capture/probe.py", tree)``."""
    return [
        (path.relative_to(PACKAGE).as_posix(), ast.parse(path.read_text("utf-8")))
        for path in python_files("src/seewhy")
    ]


def project_files() -> list[Path]:
    """Every text file that belongs to the project: what git tracks or would add, else what an unpacked copy holds."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"],
        cwd=ROOT,
        capture_output=True,
        check=False,
    )
    if listed.returncode == 0:
        paths = [ROOT / name for name in listed.stdout.decode().split("\0") if name]
    else:
        paths = [
            path for folder in ("src", "tests", "docs", "benchmarks", ".ci") for path in (ROOT / folder).rglob("*")
        ]
        paths += ROOT.glob("*.*")
    # uv writes its lock where it runs, with the addresses it used; git ignores it.
    return [path for path in paths if path.is_file() and path.suffix in TEXT and path.name != "uv.lock"]


def imported_names(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """Line and dotted name of everything a module imports, also inside functions."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield from ((node.lineno, f"{node.module}.{alias.name}") for alias in node.names)


def calls(tree: ast.AST) -> Iterator[tuple[int, str, ast.Call]]:
    """Line, dotted callee (``torch.load``, ``x.backward``) and node of every call."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            yield node.lineno, ast.unparse(node.func), node
