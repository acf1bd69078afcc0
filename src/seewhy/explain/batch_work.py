"""One call over many images: each prepared on its own, asked together, and an error that stays with its image."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from seewhy.explain.batch_error import BatchError
from seewhy.explain.explained import Explained
from seewhy.explain.explainer import Explainer
from seewhy.explain.prepared import ASSUMED, ImageLike, Prepared, prepare
from seewhy.explain.recipe import Recipe
from seewhy.explain.warning import warn_caller
from seewhy.memory import is_out_of_memory, release
from seewhy.methods.ask import Asked
from seewhy.profiling import PerformanceProfiler
from seewhy.values import SeewhyError


@dataclass(frozen=True)
class BatchWork:
    """What is asked of which images: errors come back as values, in the place of the image they belong to."""

    explainer: Explainer
    asked: Asked
    images: Sequence[ImageLike]
    classes: Sequence[Any]
    recipe: Recipe
    dtype: torch.dtype
    keeps_going: bool
    profiler: PerformanceProfiler

    def prepare(self, position: int) -> Prepared | SeewhyError:
        """One image as the model gets it; may be called from any thread."""
        with self.profiler.profile("prepare", device=False):
            try:
                return prepare(self.images[position], self.recipe, self.dtype)
            except SeewhyError as error:
                return error
            except Exception as error:  # noqa: BLE001  the record boundary: an image's own code is called
                return _failed("preparing it", error)

    def answers(self, positions: Sequence[int], prepared: Sequence[Prepared | SeewhyError]) -> list[Any]:
        """An :class:`Explained` or an error for each, in their order; ends at the first error unless it keeps going."""
        found: dict[int, Explained | SeewhyError] = {}
        good: dict[int, Prepared] = {}
        for position, one in zip(positions, prepared, strict=True):
            if isinstance(one, Prepared):
                good[position] = one
                continue
            found[position] = one
            if not self.keeps_going:
                break
        with self.profiler.profile("explain"):
            found.update(zip(good, self._asked_together(list(good), list(good.values())), strict=False))
        return [found[position] for position in positions if position in found]

    def _asked_together(self, positions: list[int], prepared: list[Prepared]) -> list[Explained | SeewhyError]:
        """Halves are asked where the whole fails, for an image's sake or for lack of memory, down to one."""
        if not positions:
            return []
        try:
            classes = [self.classes[position] for position in positions]
            return list(self.explainer.explain_prepared(self.asked, prepared, classes))
        except SeewhyError as error:
            if len(positions) == 1:
                return [error]
            is_memory = is_out_of_memory(error)
        except Exception as error:  # noqa: BLE001  the record boundary: the model's own code is called
            is_memory = is_out_of_memory(error)
            if len(positions) == 1:
                return [_does_not_fit(error) if is_memory else _failed("asking the model", error)]
        if is_memory:
            release()
        half = (len(positions) + 1) // 2
        first = self._asked_together(positions[:half], prepared[:half])
        if not self.keeps_going and any(isinstance(one, SeewhyError) for one in first):
            return first
        return first + self._asked_together(positions[half:], prepared[half:])


def told_once(recipe: Recipe, images: Sequence[ImageLike]) -> Recipe:
    """The recipe without its word that it is assumed, which is said here, once and in the caller's thread."""
    if recipe.assumed and not all(isinstance(image, Tensor) for image in images):
        warn_caller(ASSUMED)
    return replace(recipe, assumed=False)


def _failed(while_doing: str, error: Exception) -> BatchError:
    failed = BatchError(
        "SW-O07",
        f"{while_doing} raised {type(error).__name__}: {error}".partition("\n")[0],
        fix="see the error it was raised from",
    )
    failed.__cause__, failed.reason = error, error
    return failed


def _does_not_fit(error: BaseException) -> BatchError:
    return BatchError(
        "SW-O04",
        f"it does not fit into memory alone: {error}".partition("\n")[0],
        fix="use a smaller input, a method that asks for less (gradcam), or a device with more memory",
    )
