"""What a runner on Ray is told, checked before anything is started."""

from __future__ import annotations

import json
from collections.abc import Mapping

from seewhy.values import ConfigError, Json


def check_amounts(workers: int | None, num_cpus: float, num_gpus: float | None) -> None:
    """Refuse numbers of workers, CPUs and GPUs that are none (``ConfigError`` SW-Y06)."""
    whole = workers is None or (type(workers) is int and workers >= 1)
    wrong: list[tuple[str, object, str]] = [("workers", workers, "a whole number from 1 on, or null")] * (not whole)
    for name, value, least in (("num_cpus", num_cpus, 0.01), ("num_gpus", num_gpus, 0)):
        number = isinstance(value, int | float) and not isinstance(value, bool) and value >= least
        if not number and not (name == "num_gpus" and value is None):
            wrong.append((name, value, f"a number from {least} on"))
    for name, given, expected in wrong:
        raise ConfigError("SW-Y06", f"ray.{name} must be {expected}, got {given!r}", fix=f"correct ray.{name}")


def plain_arguments(arguments: Mapping[str, Json]) -> dict[str, Json]:
    """Arguments as they arrive on another machine; ``ConfigError`` SW-Y06 for what is no JSON."""
    try:
        found: dict[str, Json] = json.loads(json.dumps(dict(arguments), allow_nan=False))
    except (TypeError, ValueError) as error:
        raise ConfigError(
            "SW-Y06", f"the arguments of build must be plain JSON: {error}",
            fix="give names and paths, and let build make the objects",
        ) from error  # fmt: skip
    return found
