"""Lightning has two names for one code, ``lightning.pytorch`` and ``pytorch_lightning``: which one a program uses."""

from __future__ import annotations

import sys
from importlib import import_module
from importlib.util import find_spec
from typing import Any, Final

from seewhy.values import MissingExtraError

NAMESPACES: Final = ("lightning.pytorch", "pytorch_lightning")


def lightning_module() -> Any:
    """The name that the program has imported already, else the first that is installed.

    A trainer refuses modules made under the other name; callbacks and loggers work in both.

    Raises:
        MissingExtraError: neither is installed.
    """
    imported = [name for name in NAMESPACES if name in sys.modules]
    installed = [name for name in NAMESPACES if imported == [] and find_spec(name.partition(".")[0]) is not None]
    for name in (*imported, *installed):
        return import_module(name)
    raise MissingExtraError("lightning", "lightning")
