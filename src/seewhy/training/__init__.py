"""Inside Lightning: callbacks that watch a training, a trainer that takes loggers by name, and a module for several
inputs that explains itself, with its data and an example trained in seconds.

Importing this room brings no Lightning; asking for a name does.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from seewhy.training.auto_trainer import AutoTrainer as AutoTrainer
    from seewhy.training.configuration import read_config as read_config
    from seewhy.training.data_module import DataModule as DataModule
    from seewhy.training.example import newest_checkpoint as newest_checkpoint
    from seewhy.training.example import trained_example as trained_example
    from seewhy.training.explaining import ExplainsInputs as ExplainsInputs
    from seewhy.training.feature_monitor import FeatureMonitorCallback as FeatureMonitorCallback
    from seewhy.training.interpretation_callback import InterpretationCallback as InterpretationCallback
    from seewhy.training.net_module import NetModule as NetModule

_HOMES = {
    "AutoTrainer": "auto_trainer",
    "ExplainsInputs": "explaining",
    "FeatureMonitorCallback": "feature_monitor",
    "InterpretationCallback": "interpretation_callback",
    "NetModule": "net_module",
    "DataModule": "data_module",
    "read_config": "configuration",
    "trained_example": "example",
    "newest_checkpoint": "example",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *_HOMES])
