"""Write the page of commands, ``docs/commands.md``, from the commands' own parsers and the shipped configuration."""

from __future__ import annotations

import argparse
import re
from collections.abc import Iterator
from pathlib import Path

from seewhy.cli import analyze_features, compare_features, gradcam, inspect_features, main

CONFIGURATION = Path(main.__file__).parents[1] / "conf"
OTHERS = {
    "gradcam": gradcam.parser,
    "inspect_features": inspect_features.parser,
    "analyze_features": analyze_features.parser,
    "compare_features": compare_features.parser,
}
SETTING = re.compile(r"^(?P<indent> *)(?P<name>[\w_]+):(?P<value>(?: [^#]*)?)(?:# (?P<about>.*))?$")

HEAD = """# Commands

`seewhy COMMAND` for pictures, models and runs; `generate_artifacts` for a whole data set, with settings instead of
options; `gradcam` for models of several inputs; `inspect_features`, `analyze_features` and `compare_features` for what
layers put out. A command exits with 0 when all went well, 1 when a record failed or a check found something, 2 when the
request was refused before any work ([the errors](errors.md)), 130 after Ctrl-C. This page is written from the commands
themselves by `docs/make_commands.py`.
"""
SETTINGS = """## generate_artifacts

Settings are written `name=value`, in any order. `model=NAME`, `data=NAME` and `experiment=NAME` choose a file of
settings, of the folder `configs` where you stand or of the package; `--config-dir DIR` names another folder, `--cfg
job` prints what was composed, `-m` runs every combination of lists of values. What is given on the command line wins
over the experiment, which wins over the defaults below. `???` has to be given."""


def page() -> str:
    """The whole page."""
    parts = [HEAD.rstrip()]
    for name, parser in _commands(main._parser()):
        parts.append(_command(f"seewhy {name}", parser))
    parts.append(SETTINGS)
    parts.append(_settings("### Every run", CONFIGURATION / "generate_artifacts.yaml"))
    for group, key in (("model", "model"), ("data", "data")):
        parts += [
            _settings(f"### {group}={path.stem}", path, key) for path in sorted((CONFIGURATION / group).glob("*.yaml"))
        ]
    parts += [_command(name, make()) for name, make in OTHERS.items()]
    return "\n\n".join(parts) + "\n"


def _commands(parser: argparse.ArgumentParser) -> Iterator[tuple[str, argparse.ArgumentParser]]:
    """Each sub-command of a parser but for the one that only hands over to ``generate_artifacts``."""
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            about = {choice.dest: choice.help for choice in action._choices_actions}
            for name, child in action.choices.items():
                child.description = child.description or about.get(name)
                if len(child._actions) > 1:
                    yield name, child


def _command(name: str, parser: argparse.ArgumentParser) -> str:
    """A heading, what it does, and a row for each argument."""
    rows = [_argument(action) for action in parser._actions if action.dest != "help"]
    about = (parser.description or "").strip()
    return "\n".join([f"## {name}\n", about[:1].upper() + about[1:] + ("" if about.endswith(".") else "."), "", *rows])


def _argument(action: argparse.Action) -> str:
    """A line of a list: the names, what is given behind them, and the help."""
    shown = action.metavar or ("|".join(map(str, action.choices)) if action.choices else action.dest.upper())
    value = "" if action.nargs == 0 else f" {shown}" if isinstance(shown, str) else " " + " ".join(shown)
    names = ", ".join(f"`{option}{value}`" for option in action.option_strings) or f"`{value.strip()}`"
    needed = " (has to be given)" if action.required and action.option_strings else ""
    about = (action.help or "").replace("%(default)s", str(action.default)).replace("%%", "%")
    return f"- {names}{needed}{': ' if about else ''}{about}"


def _settings(heading: str, path: Path, group: str = "") -> str:
    """A table of the settings of a configuration file, with their defaults and comments; Hydra's own are left out."""
    rows = ["| setting | default | |", "|---|---|---|"]
    within: list[str] = [group] if group else []
    for line in path.read_text("utf-8").splitlines():
        found = SETTING.match(line)
        if not found or found["name"] == "defaults":
            continue
        if found["name"] == "hydra":
            break
        depth = len(found["indent"]) // 2 + bool(group)
        within[depth:] = [found["name"]]
        value = found["value"].strip()
        if value and found["name"] != "kind":
            rows.append(f"| `{'.'.join(within)}` | `{value}` | {_cell(found['about'] or '')} |")
    return "\n".join([f"{heading}\n", *rows])


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


if __name__ == "__main__":
    Path(__file__).with_name("commands.md").write_text(page())
