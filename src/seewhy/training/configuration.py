"""The configuration of a LightningModule of several inputs: a TOML file or its dict, with tables DataModule, NetModule.

The tables and their keys are those that System C's configurations have; keys of other programs are left alone.
"""

from __future__ import annotations

import difflib
import os
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from importlib.resources import files
from pathlib import Path
from typing import Any, Final, TypeVar

from seewhy.values import ConfigError, Json, nearest

LIKE_A_MISTAKE: Final = 0.85  # how alike an unknown key and a known one are before it counts as misspelt
Table = TypeVar("Table", "DataTable", "NetTable")


@dataclass(frozen=True)
class DataTable:
    """The table ``DataModule``. ``image_shape`` is ``[height, width, channels]`` of every input."""

    image_shape: list[int] = field(default_factory=lambda: [224, 224, 1])
    n_class: int = 4
    inputs: list[str] = field(default_factory=lambda: ["mnv", "fluid", "ga", "drusen"])
    class_names: list[str] = field(default_factory=list)
    batch_size: int = 16
    shuffle: bool = True
    split_ratio: list[float] = field(default_factory=lambda: [0.6, 0.2, 0.2])
    data_path: str = ""
    label_path: str = ""
    counts: dict[str, int] = field(default_factory=dict)
    seed: int = 0

    def names(self) -> list[str]:
        """``class_names``; those of the four grades of the example, or numbers, where none are given."""
        if self.class_names:
            return self.class_names
        four = ["Normal", "Early", "Intermediate", "Late"]
        return four if self.n_class == len(four) else [str(number) for number in range(self.n_class)]


@dataclass(frozen=True)
class NetTable:
    """The table ``NetModule``. Checkpoints go to ``log_dir/model_name``; the name says nothing of the backbone."""

    model_name: str = "model"
    log_dir: str = "logs"
    lr: float = 1e-3
    backbone_name: str = "efficientnet_b0"
    backbone_kwargs: dict[str, Any] = field(default_factory=dict)
    hidden: int = 512
    max_epochs: int = 10

    @property
    def checkpoint_dir(self) -> Path:
        """Where this model's checkpoints are."""
        return Path(self.log_dir) / self.model_name


@dataclass(frozen=True)
class TrainingConfig:
    """A checked configuration, and the plain values it was made from, as a checkpoint keeps them."""

    data: DataTable
    net: NetTable
    plain: dict[str, Json]


def read_config(path: str | os.PathLike[str] | None = None) -> dict[str, Json]:
    """A TOML file as a dict; the packaged example of four inputs without a path.

    Raises:
        ConfigError: ``SW-F105`` a file that cannot be read as TOML.

    Example:
        >>> read_config()["DataModule"]["inputs"]
        ['mnv', 'fluid', 'ga', 'drusen']
    """
    source = files("seewhy.conf") / "examples" / "amd.toml" if path is None else Path(path).expanduser()
    try:
        return tomllib.loads(source.read_text("utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ConfigError(
            "SW-F105",
            f"the configuration {path} cannot be read: {getattr(error, 'strerror', None) or error}",
            fix="name a TOML file with the tables [DataModule] and [NetModule]",
            near=_siblings(source) if isinstance(source, Path) else (),
        ) from error


def check_config(config: Mapping[str, Any] | TrainingConfig) -> TrainingConfig:
    """A configuration's values, checked, with defaults for what it leaves open; one that was checked stays as it is.

    Raises:
        ConfigError: ``SW-F106`` a value of the wrong type or out of range, or class names that are not ``n_class``
            different ones; ``SW-F107`` a misspelt key or table.
    """
    if isinstance(config, TrainingConfig):
        return config
    tables = {"DataModule": DataTable, "NetModule": NetTable}
    _check_spelling("a table", config, tables)
    for name in tables:
        if not isinstance(config.get(name, {}), Mapping):
            raise _wrong(name, "a table", config[name])
    data = _table(DataTable, "DataModule", config.get("DataModule", {}))
    _check_data(data)
    return TrainingConfig(data, _table(NetTable, "NetModule", config.get("NetModule", {})), as_plain(config))


def as_plain(value: Any) -> Any:
    """Dicts, lists, numbers and texts only: what a checkpoint may hold and still be read without running code."""
    if isinstance(value, Mapping):
        return {str(key): as_plain(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [as_plain(inner) for inner in value]
    return value if value is None or isinstance(value, bool | int | float | str) else str(value)


def _table(kind: type[Table], name: str, given: Mapping[str, Any]) -> Table:
    known = {one.name: one for one in fields(kind)}
    _check_spelling(f"a key of {name}", given, known)
    defaults = kind()
    values = {key: as_plain(value) for key, value in given.items() if key in known}
    for key, value in values.items():
        expected = type(getattr(defaults, key))
        accepted = (int, float) if expected is float else (expected,)
        if not isinstance(value, accepted) or (isinstance(value, bool) and expected is not bool):
            raise _wrong(f"{name}.{key}", f"of type {expected.__name__}", value)
        if isinstance(value, int | float) and expected is not bool and value <= 0 and key != "seed":
            raise _wrong(f"{name}.{key}", "above 0", value)
    return kind(**values)


def _check_data(data: DataTable) -> None:
    shape = data.image_shape
    if len(shape) != 3 or not all(type(length) is int and length > 0 for length in shape):
        raise _wrong("DataModule.image_shape", "[height, width, channels]", shape)
    if data.class_names and (len(data.class_names) != data.n_class or len(set(data.class_names)) != data.n_class):
        raise ConfigError(
            "SW-F106",
            f"DataModule.class_names are {', '.join(map(str, data.class_names))}, n_class is {data.n_class}",
            fix="give every class one name of its own, in the order of the model's outputs",
        )


def _check_spelling(what: str, given: Mapping[str, Any], known: Mapping[str, Any]) -> None:
    for key in given:
        alike = difflib.get_close_matches(str(key), list(known), n=1, cutoff=LIKE_A_MISTAKE)
        if key not in known and alike and alike[0] not in given:
            raise ConfigError(
                "SW-F107", f"{key!r} is no name of {what}, but looks like one", near=alike, fix=f"write {alike[0]}"
            )


def _wrong(key: str, expected: str, value: Any) -> ConfigError:
    return ConfigError("SW-F106", f"{key} must be {expected}, got {value!r}", fix=f"correct {key} in the configuration")


def _siblings(path: Path) -> list[str]:
    return nearest(path.name, sorted(one.name for one in path.parent.iterdir())) if path.parent.is_dir() else []
