"""What no file of the project may contain. Each rule is shown to catch an offender before it is applied."""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pytest
from source_tree import ROOT, calls, imported_names, modules, project_files, python_files

Finding = tuple[int, str]
LONGEST = 400
VAGUE = {"helper", "helpers", "util", "utils", "common", "misc"}
# Written in pieces, so that this file does not contain what it forbids.
MACHINE_PATH = re.compile(r"(?<![\w./~}>-])/(?:root|home|Users|work|opt|mnt" + r"|tmp/(?:env|brief))/[\w.]")
REGISTRY = re.compile(
    r"\b(?:pypi|pythonhosted|download\.pytorch|registry\.npmjs|conda\.anaconda|test\.pypi)" + r"\.org\b"
)


def backward_calls(tree: ast.AST) -> Iterator[Finding]:
    """``.backward()`` writes into every parameter's ``.grad``; ``torch.autograd.grad`` does not."""
    return ((line, name) for line, name, _ in calls(tree) if name.endswith(".backward"))


def requires_grad_switches(tree: ast.AST) -> Iterator[Finding]:
    """Only a tap and the trace make leaves, and of copies; a borrowed parameter keeps its flag."""
    return ((line, name) for line, name, _ in calls(tree) if name.endswith(".requires_grad_"))


def broad_handlers(tree: ast.AST) -> Iterator[Finding]:
    """Handlers that swallow what nobody foresaw; cleaning up and raising again swallows nothing."""
    for node in ast.walk(tree):
        if not isinstance(node, ast.ExceptHandler):
            continue
        caught = ast.unparse(node.type) if node.type else "BaseException"
        passes_on = any(isinstance(last, ast.Raise) and last.exc is None for last in node.body[-1:])
        if re.search(r"\bException\b", caught) or (re.search(r"\bBaseException\b", caught) and not passes_on):
            yield node.lineno, f"except {caught}"


def pickle_readers(tree: ast.AST) -> Iterator[Finding]:
    """Ways to run code that a file brings along."""
    readers = {"pickle.load", "pickle.loads", "dill.load", "joblib.load"}
    yield from ((line, name) for line, name, _ in calls(tree) if name in readers)
    yield from ((line, name) for line, name in imported_names(tree) if name in readers)
    for line, name, call in calls(tree):
        switches = {keyword.arg: keyword.value for keyword in call.keywords}
        for switch, harmful in (("weights_only", False), ("allow_pickle", True)):
            value = switches.get(switch)
            if isinstance(value, ast.Constant) and value.value is harmful:
                yield line, f"{name}(…, {switch}={harmful})"


def checkpoint_readers(tree: ast.AST) -> Iterator[Finding]:
    return ((line, name) for line, name, _ in calls(tree) if name == "torch.load")


def prints(tree: ast.AST) -> Iterator[Finding]:
    return ((line, name) for line, name, _ in calls(tree) if name == "print")


def hydra_imports(tree: ast.AST) -> Iterator[Finding]:
    return _imports_of(tree, "hydra", "omegaconf")


def matplotlib_imports(tree: ast.AST) -> Iterator[Finding]:
    return _imports_of(tree, "matplotlib")


def pyplot_imports(tree: ast.AST) -> Iterator[Finding]:
    """pyplot keeps figures and a backend for the whole process; ``matplotlib.figure.Figure`` does not."""
    return _imports_of(tree, "matplotlib.pyplot")


def promises(tree: ast.AST) -> Iterator[Finding]:
    """Work put off: a released function does what its name says."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Raise) and node.exc and "NotImplementedError" in ast.unparse(node.exc):
            yield node.lineno, "NotImplementedError"


def user_assertions(tree: ast.AST) -> Iterator[Finding]:
    """Assertions vanish under ``python -O`` and tell a user nothing."""
    return ((node.lineno, "assert") for node in ast.walk(tree) if isinstance(node, ast.Assert))


def _imports_of(tree: ast.AST, *packages: str) -> Iterator[Finding]:
    for line, name in imported_names(tree):
        if any(f"{name}.".startswith(f"{package}.") for package in packages):
            yield line, f"import {name}"


@dataclass(frozen=True)
class Rule:
    """What is looked for, where in the package it is at home, and code that breaks it."""

    find: Callable[[ast.AST], Iterator[Finding]]
    offender: str
    at_home: tuple[str, ...] = ()


RECORD_BOUNDARIES = (
    "pipeline/",
    "data/batching.py",
    "explain/batch_processor.py",
    "explain/batch_work.py",
    "training/logger_guard.py",
    "report/live_worker.py",
    "remote/stores.py",
)
"""Where a failure is recorded and work goes on: of a record or an image, of a logger, which must not end a training, or
of a live question, which must not end a server. Or where a store's own kinds of error become one of ours."""

RULES = [
    Rule(backward_calls, "loss.backward()"),
    Rule(requires_grad_switches, "x.requires_grad_()", ("capture/", "models/trace.py")),
    Rule(broad_handlers, "try: f()\nexcept (OSError, Exception): pass", RECORD_BOUNDARIES),
    Rule(broad_handlers, "try: f()\nexcept: x = 1", RECORD_BOUNDARIES),
    Rule(pickle_readers, "import pickle\npickle.load(file)"),
    Rule(pickle_readers, "from pickle import loads"),
    Rule(pickle_readers, "torch.load(path, weights_only=False)"),
    Rule(pickle_readers, "np.load(path, allow_pickle=True)"),
    Rule(checkpoint_readers, "torch.load(path, weights_only=True)", ("models/checkpoint.py", "models/torch_file.py")),
    Rule(prints, "print('hello')", ("cli/",)),
    Rule(hydra_imports, "def f():\n    from omegaconf import OmegaConf", ("cli/",)),
    Rule(hydra_imports, "import hydra.utils", ("cli/",)),
    Rule(
        matplotlib_imports,
        "from matplotlib.figure import Figure",
        ("render/plots", "render/analysis_figures", "training/"),
    ),
    Rule(pyplot_imports, "from matplotlib import pyplot as plt"),
    Rule(promises, "def f():\n    raise NotImplementedError('later')"),
    Rule(user_assertions, "assert images.ndim == 4"),
]


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: f"{rule.find.__name__}: {rule.offender!r}")
def test_each_rule_catches_its_offender(rule: Rule) -> None:
    assert len(list(rule.find(ast.parse(rule.offender)))) == 1


@pytest.mark.parametrize("rule", {rule.find: rule for rule in RULES}.values(), ids=lambda rule: rule.find.__name__)
def test_the_package_keeps_each_rule(rule: Rule) -> None:
    findings = [
        f"{place}:{line}: {what}"
        for place, tree in modules()
        if not place.startswith(rule.at_home or ("nowhere",))
        for line, what in rule.find(tree)
    ]
    assert findings == []


def test_cleaning_up_and_raising_again_is_no_broad_handler() -> None:
    assert list(broad_handlers(ast.parse("try: f()\nexcept BaseException:\n    undo()\n    raise"))) == []


def test_no_file_has_a_name_that_says_nothing() -> None:
    assert [str(path) for path in python_files("src", "tests", "benchmarks") if path.stem in VAGUE] == []


def test_every_folder_of_modules_is_a_package_so_that_the_import_contracts_see_it() -> None:
    folders = {path.parent for path in python_files("src/seewhy")}
    assert [folder.name for folder in sorted(folders) if not (folder / "__init__.py").exists()] == []


def test_no_file_is_too_long_to_hold_one_concept() -> None:
    lengths = {path: len(path.read_text("utf-8").splitlines()) for path in python_files("src", "tests", "benchmarks")}
    assert {path.relative_to(ROOT).as_posix(): n for path, n in lengths.items() if n > LONGEST} == {}


def test_no_work_is_left_for_later_in_a_comment() -> None:
    marker = re.compile(r"#.*\b(?:TODO|FIXME|XXX|HACK)\b")
    assert _lines_matching(marker, python_files("src", "benchmarks")) == []


@pytest.mark.parametrize("text", ["see /home/" + "me/data", "'/root/" + ".cache'", "(/work/" + "main)"])
def test_a_path_of_one_machine_is_recognised(text: str) -> None:
    assert MACHINE_PATH.search(text)


@pytest.mark.parametrize("text", ["a.org/x/work/y", "src/work/x", "/data/photos", "/etc/passwd", "/opt", "~/opt/x"])
def test_other_paths_are_not_taken_for_one(text: str) -> None:
    assert not MACHINE_PATH.search(text)


def test_a_registry_is_recognised() -> None:
    assert REGISTRY.search("https://files.pythonhosted" + ".org/packages")


def test_no_file_names_a_registry_or_a_path_of_one_machine() -> None:
    files = project_files()
    assert ROOT / "pyproject.toml" in files
    assert _lines_matching(MACHINE_PATH, files) + _lines_matching(REGISTRY, files) == []


def _lines_matching(pattern: re.Pattern[str], files: list) -> list[str]:
    return [
        f"{path.relative_to(ROOT).as_posix()}:{number}: {line.strip():.100}"
        for path in files
        for number, line in enumerate(path.read_text("utf-8").splitlines(), start=1)
        if pattern.search(line)
    ]
