"""Lightning's trainer, told its loggers by name."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib.util import find_spec
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final

from seewhy.training.lightning_choice import lightning_module
from seewhy.values import ConfigError, MissingExtraError, nearest

if TYPE_CHECKING:
    from lightning.pytorch import Trainer
else:
    Trainer = lightning_module().Trainer

Settings = Mapping[str, Any]


class AutoTrainer(Trainer):
    """Lightning's ``Trainer`` that takes loggers by name: ``tensorboard``, ``wandb``, ``mlflow``, ``csv``.

    Everything is kept on this machine unless it is told otherwise: W&B runs offline, MLflow writes to ``mlflow.db`` and
    ``mlartifacts`` in the root folder. It is made under the name of Lightning that the program imported first,
    ``lightning.pytorch`` where it imported none.

    Args:
        logger: a name, a logger, or several of either; True and False as Lightning knows them.
        default_root_dir: where everything is written; the working folder if None.
        logger_settings: by a logger's name, what its class takes: ``{"wandb": {"project": "eyes", "offline": False}}``.
        others: everything else that Lightning's ``Trainer`` takes.

    Raises:
        ConfigError: ``SW-F186`` no such logger, ``SW-F187`` settings for a logger that is not used.
        MissingExtraError: Lightning, or what a logger needs, is not installed.

    Example:
        >>> AutoTrainer(logger="tensorbord")  # doctest: +IGNORE_EXCEPTION_DETAIL
        Traceback (most recent call last):
        ConfigError: SW-F186 there is no logger 'tensorbord'
    """

    def __init__(
        self,
        *,
        logger: Any = None,
        default_root_dir: Any = None,
        logger_settings: Mapping[str, Settings] = MappingProxyType({}),
        **others: Any,
    ) -> None:
        root = Path.cwd() if default_root_dir is None else Path(default_root_dir)
        found = named_loggers(logger, root, logger_settings)
        super().__init__(logger=found, default_root_dir=default_root_dir, **others)


def named_loggers(logger: Any, root: Path, settings: Mapping[str, Settings] = MappingProxyType({})) -> Any:
    """Loggers for their names, on files under ``root``; what is no name is passed on.

    Raises:
        ConfigError: ``SW-F186``, ``SW-F187``.
        MissingExtraError: what a logger needs is not installed.
    """
    several = isinstance(logger, list | tuple)
    given = list(logger) if several else [logger]
    names = [one for one in given if isinstance(one, str)]
    for name in names:
        if name not in LOGGERS:
            raise ConfigError(
                "SW-F186",
                f"there is no logger {name!r}",
                near=nearest(name, LOGGERS),
                fix=f"use {', '.join(LOGGERS)}, or pass a logger of Lightning's",
            )
    for name in settings:
        if name not in names:
            raise ConfigError(
                "SW-F187",
                f"logger_settings has settings for {name!r}, which is not among the loggers {names}",
                near=nearest(name, names),
                fix="name the logger, or drop its settings",
            )
    made = [LOGGERS[one](root, settings.get(one, {})) if isinstance(one, str) else one for one in given]
    return made if several else made[0]


def _tensorboard(root: Path, settings: Settings) -> Any:
    if find_spec("tensorboard") is None and find_spec("tensorboardX") is None:
        raise MissingExtraError("tensorboard", "tensorboard")
    return lightning_module().loggers.TensorBoardLogger(**{"save_dir": root, **settings})


def _csv(root: Path, settings: Settings) -> Any:
    return lightning_module().loggers.CSVLogger(**{"save_dir": root, **settings})


def _wandb(root: Path, settings: Settings) -> Any:
    _require("wandb", "wandb")
    root.mkdir(parents=True, exist_ok=True)
    return lightning_module().loggers.WandbLogger(**{"save_dir": root, "offline": True, **settings})


def _mlflow(root: Path, settings: Settings) -> Any:
    for package in ("mlflow", "sqlalchemy", "alembic"):
        _require(package, "mlflow")
    root.mkdir(parents=True, exist_ok=True)
    local = {
        "tracking_uri": f"sqlite:///{root.resolve() / 'mlflow.db'}",
        "artifact_location": (root.resolve() / "mlartifacts").as_uri(),
    }
    elsewhere = "tracking_uri" in settings
    return lightning_module().loggers.MLFlowLogger(**{**({} if elsewhere else local), **settings})


def _require(package: str, extra: str) -> None:
    if find_spec(package) is None:
        raise MissingExtraError(package, extra)


LOGGERS: Final[Mapping[str, Callable[[Path, Settings], Any]]] = {
    "tensorboard": _tensorboard,
    "wandb": _wandb,
    "mlflow": _mlflow,
    "csv": _csv,
}
"""Names of loggers and how they are made."""
