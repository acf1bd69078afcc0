"""Hydra's complaints in our own words, with the nearest names."""

from __future__ import annotations

import re
from collections.abc import Iterator
from importlib import resources
from pathlib import Path

from hydra import compose, initialize_config_module
from hydra.core.global_hydra import GlobalHydra
from hydra.errors import MissingConfigException
from omegaconf import DictConfig, OmegaConf

from seewhy.values import ConfigError, nearest

_NO_SUCH_KEY = re.compile(r"Could not override '([^']+)'|Key '([^']+)' is not in struct")

_CALLED_ELSEWHERE = {"model.name": ("model.backbone",), "model.backbone": ("model.name",)}
"""What a setting is called in models of another kind."""


def explained(error: Exception, folder: Path | None) -> ConfigError:
    """A Hydra or OmegaConf error as a ``ConfigError`` that names what to write; ``folder`` is the user's own."""
    text = str(error).strip()
    if isinstance(error, MissingConfigException) and error.missing_cfg_file:
        return _absent(error.missing_cfg_file, folder)
    if match := _NO_SUCH_KEY.search(text):
        key = match.group(1) or match.group(2)
        known = known_keys()
        elsewhere = f" here; another {key.partition('.')[0]} has it" if key in known else ""
        return ConfigError(
            "SW-F01", f"there is no setting {key!r}{elsewhere}",
            near=[*_CALLED_ELSEWHERE.get(key, ()), *nearest(key, (name for name in known if name != key))],
            fix="generate_artifacts --cfg job shows them all; +key=value adds an argument for your own class",
        )  # fmt: skip
    return ConfigError(
        "SW-F30", f"the configuration cannot be composed: {text}", fix="generate_artifacts --cfg job --resolve shows it"
    )


def _absent(file: str, folder: Path | None) -> ConfigError:
    """A file that was named and is in neither folder, nor in a plugin of Hydra."""
    group, _, name = file.partition("/")
    if group == "hydra":
        return ConfigError(
            "SW-F29", f"no plugin of Hydra that is installed here has {file}",
            fix=f"install the one that has it (pip install hydra-submitit-launcher for submitit_slurm), or leave "
            f"{file.rpartition('/')[0]} out",
        )  # fmt: skip
    options = options_of(group, folder) if name else []
    if not options:
        return ConfigError("SW-F29", f"there is no configuration {file!r}", fix="name an experiment: experiment=NAME")
    return ConfigError(
        "SW-F29", f"there is no {group} {name!r}; there are {', '.join(options)}", near=nearest(name, options),
        fix=f"put your own into configs/{group}/NAME.yaml, or name its folder with --config-dir",
    )  # fmt: skip


def require_given(config: DictConfig) -> None:
    """Raise ``ConfigError`` SW-F31 that names every mandatory setting which was left out, at once."""
    missing = sorted(OmegaConf.missing_keys(config))
    if not missing:
        return
    places = ("data.root", "data.manifest")  # one of the two says where the records are
    if {"root", "manifest"} <= set(config.data) and not any(OmegaConf.select(config, key) for key in places):
        missing.append("data.root")
    if not OmegaConf.select(config, "ckpt_path"):
        missing.append("ckpt_path")
    raise ConfigError(
        "SW-F31", f"{', '.join(missing)} must be given", fix=f"add {' '.join(f'{key}=...' for key in missing)}"
    )


def options_of(group: str, folder: Path | None) -> list[str]:
    """The names a group offers, in the user's folder and packaged, those in sub-folders included."""
    roots = [Path(str(resources.files("seewhy.conf"))), *([folder] if folder else [])]
    files = [(path, root / group) for root in roots for path in (root / group).rglob("*.yaml")]
    return sorted({path.relative_to(base).with_suffix("").as_posix() for path, base in files})


def known_keys() -> list[str]:
    """Every key of the packaged configuration, dotted."""
    GlobalHydra.instance().clear()
    with initialize_config_module(version_base="1.3", config_module="seewhy.conf"):
        keys: set[str] = set()
        for group in ("model", "data"):
            for name in options_of(group, None):
                config = compose("generate_artifacts", [f"{group}={name}", "experiment=extract_features"])
                keys.update(_dotted(OmegaConf.to_container(config, resolve=False)))
    return sorted(keys)


def _dotted(config: object, prefix: str = "") -> Iterator[str]:
    for key, value in config.items() if isinstance(config, dict) else ():
        yield f"{prefix}{key}"
        yield from _dotted(value, f"{prefix}{key}.")
