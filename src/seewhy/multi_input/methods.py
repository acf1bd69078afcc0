"""The methods that explain several inputs at once, and what each is called in figures, files and folders."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final

from seewhy.values import ConfigError, nearest

DEFAULT_SAMPLES: Final = 50
DEFAULT_NOISE_LEVEL: Final = 0.15


@dataclass(frozen=True)
class InputsMethod:
    """``name`` in the registry; ``token`` in names of single files, ``folder`` in those of folders; ``noisy``: it
    averages over noise."""

    name: str
    title: str
    colormap: str
    token: str
    folder: str
    noisy: bool = False

    def settings(self, n_samples: int, noise_level: float) -> dict[str, Any]:
        """What it is asked with, of the settings that all methods are given."""
        return {"num_samples": n_samples, "noise_level": noise_level} if self.noisy else {}


METHODS: Final = MappingProxyType(
    {
        "gradcam": InputsMethod("gradcam", "Grad-CAM", "jet", "gradcam", "gradcam"),
        "gradcam++": InputsMethod("gradcam++", "Grad-CAM++", "jet", "gradcamplusplus", "gradcampp"),
        "smoothgrad": InputsMethod("smoothgrad", "SmoothGrad", "hot", "smoothgrad", "smoothgrad", noisy=True),
        "vargrad": InputsMethod("vargrad", "VarGrad", "plasma", "vargrad", "vargrad", noisy=True),
    }
)
TOGETHER: Final = MappingProxyType({"both": ("gradcam", "gradcam++"), "all": tuple(METHODS)})
"""Names for several methods at once."""


def methods_called(name: str, known: Sequence[str] = (*METHODS, *TOGETHER)) -> tuple[InputsMethod, ...]:
    """The method of a name, or those that ``both`` and ``all`` stand for.

    Raises:
        ConfigError: ``SW-F121``, none of ``known``.

    Example:
        >>> [method.title for method in methods_called("both")]
        ['Grad-CAM', 'Grad-CAM++']
    """
    if name not in known:
        raise ConfigError(
            "SW-F121",
            f"Unsupported method: {name!r}",
            near=nearest(str(name), known),
            fix=f"choose {', '.join(known[:-1])} or {known[-1]}" if len(known) > 1 else f"choose {known[0]}",
        )
    return tuple(METHODS[one] for one in TOGETHER.get(name, (name,)))
