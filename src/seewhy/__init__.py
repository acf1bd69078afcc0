"""seewhy: see why your vision model decided.

The names below are imported when they are first used: ``import seewhy`` itself loads neither torch nor anything heavy.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from seewhy.capture.probe import Probe as Probe
    from seewhy.core import Wants as Wants
    from seewhy.data.cluttered_digits import ClutteredDigits as ClutteredDigits
    from seewhy.data.cmr_acdc import CmrAcdc as CmrAcdc
    from seewhy.data.custom import CustomDataset as CustomDataset
    from seewhy.data.image_folder import ImageFolder as ImageFolder
    from seewhy.data.manifest import Manifest as Manifest
    from seewhy.models.adapter import Adapter as Adapter
    from seewhy.pipeline.run import run as run
    from seewhy.pipeline.summary import Summary as Summary
    from seewhy.store.run_reader import RunReader as RunReader
    from seewhy.store.verify import verify as verify
    from seewhy.values import SeewhyError as SeewhyError

__version__ = "0.1.0"

_HOMES = {
    "Adapter": "seewhy.models.adapter",
    "ClutteredDigits": "seewhy.data.cluttered_digits",
    "CmrAcdc": "seewhy.data.cmr_acdc",
    "CustomDataset": "seewhy.data.custom",
    "ImageFolder": "seewhy.data.image_folder",
    "Manifest": "seewhy.data.manifest",
    "Probe": "seewhy.capture.probe",
    "RunReader": "seewhy.store.run_reader",
    "SeewhyError": "seewhy.values",
    "Summary": "seewhy.pipeline.summary",
    "Wants": "seewhy.core",
    "run": "seewhy.pipeline.run",
    "verify": "seewhy.store.verify",
}

__all__ = [*_HOMES, "__version__"]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'seewhy' has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted(__all__)
