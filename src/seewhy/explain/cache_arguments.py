"""What people give a cache: a folder, a size, an explanation, and a method with the model that it explains."""

from __future__ import annotations

import dataclasses
import math
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from seewhy.explain.cache_store import make_folder
from seewhy.explain.class_choice import class_list
from seewhy.explain.prepared import ImageLike, Prepared, prepare
from seewhy.explain.reading import Reading
from seewhy.methods.ask import Asked
from seewhy.values import CacheError

if TYPE_CHECKING:
    from seewhy.explain.explainer import Explainer


def folder_named(cache_dir: Any) -> Path:
    """A folder's path; raises ``CacheError`` SW-K07 for what names none.

    >>> folder_named(5)
    Traceback (most recent call last):
    seewhy.values.CacheError: [SW-K07] cache_dir must be the path of a folder, got 5
      fix: write ExplanationCache('a/folder')
    """
    text = os.fspath(cache_dir) if isinstance(cache_dir, str | os.PathLike) else None
    if not isinstance(text, str) or not text or "\0" in text:
        raise CacheError(
            "SW-K07",
            f"cache_dir must be the path of a folder, got {cache_dir!r}",
            fix="write ExplanationCache('a/folder')",
        )
    try:
        return Path(text).expanduser()
    except RuntimeError as error:
        raise CacheError("SW-K07", f"cache_dir {text!r}: {error}", fix="write ExplanationCache('a/folder')") from error


def require_folder(folder: Path) -> None:
    """Create a cache's folder; raises ``CacheError`` SW-K01 for a file, SW-K02 where nothing can be written."""
    if folder.exists() and not folder.is_dir():
        raise CacheError(
            "SW-K01", f"cache_dir must be a folder, got a file: {folder}", fix="name a folder; it is created"
        )
    try:
        make_folder(folder)
    except OSError as error:
        raise CacheError(
            "SW-K02",
            f"cache_dir {folder} cannot be created or written to ({error.strerror or error})",
            fix="name a folder of your own, or pass enabled=False",
        ) from error


def require_size(max_size_mb: Any) -> float:
    """A size in mebibytes; raises ``CacheError`` SW-K03 for what is none."""
    number = isinstance(max_size_mb, int | float) and not isinstance(max_size_mb, bool)
    if not number or not math.isfinite(max_size_mb) or max_size_mb <= 0:
        raise CacheError(
            "SW-K03", f"max_size_mb must be a number above 0, got {max_size_mb!r}", fix="set max_size_mb=1000"
        )
    return float(max_size_mb)


def require_numbers(explanation: Any) -> NDArray[Any]:
    """An explanation as an array; raises ``CacheError`` SW-K05 for what holds no numbers.

    >>> require_numbers([1, 2])
    Traceback (most recent call last):
    seewhy.values.CacheError: [SW-K05] an explanation is an array or a tensor of numbers, got list
      fix: put what .explain(...) gives
    """
    if isinstance(explanation, Tensor):
        values = explanation.detach().cpu()
        explanation = (
            values if values.dtype.itemsize > 2 or not values.is_floating_point() else values.float()
        ).numpy()
    if isinstance(explanation, np.ndarray) and explanation.dtype.kind in "biuf" and explanation.dtype.itemsize <= 8:
        return explanation.astype(explanation.dtype.newbyteorder("="), copy=False)
    told = f"an array of {explanation.dtype}" if isinstance(explanation, np.ndarray) else type(explanation).__name__
    raise CacheError(
        "SW-K05",
        f"an explanation is an array or a tensor of numbers, got {told}",
        fix="put what .explain(...) gives",
    )


def require_cache(cache: Any) -> None:
    """Raise ``CacheError`` SW-K06 for what is no cache."""
    if cache is None:
        return
    from seewhy.explain.cache import ExplanationCache

    if not isinstance(cache, ExplanationCache):
        raise CacheError(
            "SW-K06",
            f"cache must be a seewhy.ExplanationCache, got {type(cache).__name__}",
            fix="write cache=seewhy.ExplanationCache('a/folder')",
        )


def asked_by_hand(
    image: ImageLike, method: str | Explainer, target_class: Any, others: Mapping[str, Any]
) -> tuple[Explainer, Asked, Sequence[Prepared], Sequence[Any]]:
    """The explainer that would be asked, how, about what; raises ``CacheError`` SW-K04 for a name without a model."""
    from seewhy.explain.explainer import Explainer
    from seewhy.explain.explainers import make_explainer

    if isinstance(method, Explainer):
        explainer, asked = method, method.asked(others)
    else:
        if not isinstance(method, str) or others.get("model") is None:
            raise CacheError(
                "SW-K04",
                f"the method {method!r} was given without the model it explains: a cache that does not know the model "
                "would be stale at the first change of a weight",
                fix="pass an explainer, or the method's name with model=model",
            )
        readings = {field.name for field in dataclasses.fields(Reading)}
        reading = Reading(**{name: value for name, value in others.items() if name in readings})
        apart = {"model", "target_layer", *readings}
        settings = {name: value for name, value in others.items() if name not in apart}
        explainer = make_explainer(method, others["model"], others.get("target_layer"), reading, settings)
        asked = explainer.asked({})
    prepared = prepare(image, explainer.recipe, explainer.study.dtype)
    return explainer, asked, [prepared], class_list(target_class, 1, explainer.class_names)
