"""What is wrong with a configuration file of the user's own, told with its place and line."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import yaml  # type: ignore[import-untyped]
from hydra.errors import HydraException
from omegaconf import Container, DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from seewhy.values import ConfigError


@contextmanager
def told(file: Path) -> Iterator[None]:
    """What keeps the file from being read inside the block is told as ``ConfigError`` SW-F32."""
    try:
        yield
    except HydraException:
        raise
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = f", line {mark.line + 1}, column {mark.column + 1}" if mark else ""
        raise _wrong(f"{file}{line}", error.problem or "it is no YAML") from error
    except yaml.YAMLError as error:
        raise _wrong(str(file), _first_line(error)) from error
    except UnicodeDecodeError as error:
        raise _wrong(str(file), "it is no text in UTF-8", "save it as UTF-8") from error
    except (OmegaConfBaseException, ValueError, OSError) as error:
        raise _wrong(str(file), _first_line(error)) from error


def require_settings(config: Container, file: Path) -> None:
    """Refuse a file that holds no settings by name, or whose ``defaults`` are no list of groups and their options.

    Raises ``ConfigError`` SW-F32.
    """
    if not isinstance(config, DictConfig):
        raise _wrong(str(file), "it is a list", "write settings by name, for example seed: 1")
    defaults = OmegaConf.to_container(config).get("defaults")  # type: ignore[union-attr]
    if defaults is None:
        return
    if not isinstance(defaults, list):
        raise _wrong(str(file), f"defaults must be a list, got {defaults!r}", _DEFAULTS)
    for entry in defaults:
        if not _is_entry(entry):
            raise _wrong(str(file), f"an entry of defaults must be GROUP: OPTION, got {entry!r}", _DEFAULTS)


_DEFAULTS = "for example\n    defaults:\n      - model: timm\n      - data: image_folder"


def _is_entry(entry: object) -> bool:
    if isinstance(entry, str):
        return True
    options = list(entry.values()) if isinstance(entry, dict) else []
    several = isinstance(entry, dict) and len(options) == 1 and isinstance(options[0], list)
    named = options[0] if several else options
    return len(options) == 1 and all(name is None or isinstance(name, str) for name in named)


def _first_line(error: BaseException) -> str:
    text = str(error).strip() or str(error.__cause__ or "").strip() or type(error).__name__
    return text.splitlines()[0]


def _wrong(place: str, what: str, fix: str = "correct the file, or name another") -> ConfigError:
    return ConfigError("SW-F32", f"{place}: {what}", fix=fix)
