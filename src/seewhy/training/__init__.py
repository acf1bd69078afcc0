"""Inside Lightning: a module for several inputs that explains itself, its data, and an example trained in seconds.

Importing this room brings no Lightning; asking for a name does.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from seewhy.training.configuration import read_config as read_config
    from seewhy.training.data_module import DataModule as DataModule
    from seewhy.training.example import newest_checkpoint as newest_checkpoint
    from seewhy.training.example import trained_example as trained_example
    from seewhy.training.explaining import ExplainsInputs as ExplainsInputs
    from seewhy.training.net_module import NetModule as NetModule

_HOMES = {
    "ExplainsInputs": "explaining",
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
