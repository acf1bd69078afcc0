"""The user's own configuration folder, found before the packaged one; its experiments need no Hydra directives."""

from __future__ import annotations

import os
from importlib import resources
from pathlib import Path
from typing import Any

from hydra._internal.core_plugins.file_config_source import FileConfigSource
from hydra.core.config_search_path import ConfigSearchPath
from hydra.core.plugins import Plugins
from hydra.plugins.config_source import ConfigResult
from hydra.plugins.search_path_plugin import SearchPathPlugin
from omegaconf import DictConfig, OmegaConf, open_dict

from seewhy.cli.user_file import require_settings, told
from seewhy.values import ConfigError

USER_FOLDER = "SEEWHY_CONFIG_DIR"
"""The environment variable through which the folder reaches the plugin, which Hydra creates by itself."""

GROUPS = ("model", "data", "paths", "debug")


class UserConfigSource(FileConfigSource):
    """Files of the user's folder. An experiment's groups are absolute and its keys belong to the root, as in
    ``defaults: [model: mae_vit]``, whether or not the file says so in Hydra's own words."""

    @staticmethod
    def scheme() -> str:
        """The prefix by which Hydra tells sources apart."""
        return "seewhy-user"

    def load_config(self, config_path: str) -> ConfigResult:
        """A file as Hydra expects it."""
        file = Path(self.path) / self._normalize_file_name(config_path)
        with told(file):
            result = super().load_config(config_path)
        require_settings(result.config, file)
        if config_path.startswith("experiment/") and isinstance(result.config, DictConfig):
            result.header.setdefault("package", "_global_")
            result.header["package"] = result.header["package"] or "_global_"
            _make_groups_absolute(result.config)
        return result


def _make_groups_absolute(config: DictConfig) -> None:
    defaults = OmegaConf.to_container(config.get("defaults") or OmegaConf.create([]))
    if isinstance(defaults, list) and defaults:
        with open_dict(config):
            entries = [_absolute(entry) for entry in defaults]
            config.defaults = sorted(entries, key=_is_override)  # Hydra wants these last


def _absolute(entry: Any) -> Any:
    if not isinstance(entry, dict):
        return entry
    return {_absolute_group(group): name for group, name in entry.items()}


def _absolute_group(written: str) -> str:
    group = written.removeprefix("override ").lstrip("/")
    return f"override /{group}" if group in GROUPS or group.startswith("hydra/") else written


def _is_override(entry: Any) -> bool:
    return isinstance(entry, dict) and any(key.startswith("override ") for key in entry)


class UserSearchPath(SearchPathPlugin):
    """Puts the user's folder before everything else."""

    def manipulate_search_path(self, search_path: ConfigSearchPath) -> None:
        """Called by Hydra when it composes."""
        if folder := os.environ.get(USER_FOLDER):
            search_path.prepend(provider="user", path=f"{UserConfigSource.scheme()}://{folder}")


def user_folder(asked: str | None) -> Path | None:
    """The folder named by ``--config-dir``, else ``configs/`` here, else None."""
    if asked is None:
        here = Path("configs")
        return here.resolve() if here.is_dir() else None
    folder = Path(asked)
    if not folder.is_dir():
        raise ConfigError(
            "SW-F20", f"--config-dir {asked!r} is not a folder", fix="name a folder with experiment/…yaml in it"
        )
    return folder.resolve()


def register() -> None:
    """Tell Hydra of both, and OmegaConf where the shipped weights are; repeating it changes nothing."""
    Plugins.instance().register(UserConfigSource)
    Plugins.instance().register(UserSearchPath)
    OmegaConf.register_new_resolver("shipped_weights", _shipped_weights, replace=True)


def _shipped_weights(model: str) -> str | None:
    """The weights of ``demo_cnn`` or ``demo_vit``; None for a model that ships without."""
    path = Path(str(resources.files("seewhy.demo") / "assets" / f"{model.removeprefix('demo_')}.safetensors"))
    return str(path) if path.is_file() else None
