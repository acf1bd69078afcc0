"""Asking in smaller chunks where memory does not suffice: the size of a chunk never changes an answer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

from seewhy.capture.probe import Probe
from seewhy.core import Explanation, Inputs
from seewhy.memory import is_out_of_memory, release
from seewhy.registry import Method
from seewhy.values import ModelError

FIRST_TRY: Final = 16
"""Where a method chooses the size of a chunk itself and that was too much."""


def in_smaller_chunks(
    method: Method, probe: Probe, inputs: Inputs, settings: Mapping[str, Any], **layer: str
) -> Explanation:
    """What a method that asks answers; out of memory it is asked again in chunks half as large, down to one.

    ``facts["chunk_size"]`` tells the size that fitted where it is not the one asked for. Raises ``ModelError`` SW-M24
    where one at a time is too much, and for a method without chunks what it raised itself.
    """
    known = {**method.settings, **settings}
    size: int | None = None
    while True:
        given = {**settings, **layer} if size is None else {**settings, **layer, "chunk_size": size}
        try:
            found: Explanation = method.function(probe, inputs, **given)
        except (RuntimeError, MemoryError) as error:
            if "chunk_size" not in known or not is_out_of_memory(error):
                raise
            before = size or known["chunk_size"] or 2 * FIRST_TRY
            if before <= 1:
                raise _does_not_fit(method, error) from error
        else:
            return found if size is None else replace(found, facts={**found.facts, "chunk_size": size})
        size = before // 2
        release()


def _does_not_fit(method: Method, error: BaseException) -> ModelError:
    return ModelError(
        "SW-M24",
        f"the method {method.name!r} does not fit into memory one at a time: {error}".partition("\n")[0],
        fix="explain fewer records at once, use a smaller input or a device with more memory; gradcam asks for less",
    )
