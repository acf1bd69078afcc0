"""What a runner on Ray is told, checked before anything is started."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from seewhy.pipeline.cluster_errors import ClusterError
from seewhy.values import Json


def check_amounts(workers: int | None, num_cpus: float, num_gpus: float | None) -> None:
    """Refuse numbers of workers, CPUs and GPUs that are none (``ClusterError`` SW-Y06)."""
    whole = workers is None or (type(workers) is int and workers >= 1)
    wrong: list[tuple[str, object, str]] = [("workers", workers, "a whole number from 1 on, or null")] * (not whole)
    for name, value, least in (("num_cpus", num_cpus, 0.01), ("num_gpus", num_gpus, 0)):
        number = isinstance(value, int | float) and not isinstance(value, bool) and least <= value < math.inf
        if not number and not (name == "num_gpus" and value is None):
            wrong.append((name, value, f"a number from {least} on"))
    for name, given, expected in wrong:
        raise ClusterError("SW-Y06", f"ray.{name} must be {expected}, got {given!r}", fix=f"correct ray.{name}")


def plain_arguments(arguments: Mapping[str, Json]) -> dict[str, Json]:
    """Arguments as they arrive on another machine; ``ClusterError`` SW-Y06 for what is no JSON."""
    try:
        found: dict[str, Json] = json.loads(json.dumps(dict(arguments), allow_nan=False))
    except (TypeError, ValueError) as error:
        raise ClusterError(
            "SW-Y06", f"the arguments of build must be plain JSON: {error}",
            fix="give names and paths, and let build make the objects",
        ) from error  # fmt: skip
    return found


@dataclass(frozen=True)
class Room:
    """How many workers a cluster is asked for, at least and at most, and the GPUs of each."""

    least: int
    most: int
    num_gpus: float


def room_for(
    machines: Sequence[Mapping[str, float]],
    shards: int,
    *,
    workers: int | None = None,
    num_cpus: float = 1,
    num_gpus: float | None = None,
    grows: bool = False,
) -> Room:
    """The workers that ``machines`` (what each has of ``CPU`` and ``GPU``) hold, no more than there are shards.

    ``workers`` None is as many as there is room for; a cluster that ``grows`` may be asked for more. ``num_gpus`` None
    is one for each worker where any machine has one.

    Raises:
        ClusterError: ``SW-Y02``, there is no room.

    Example:
        >>> room_for([{"CPU": 8.0, "GPU": 1.0}, {"CPU": 8.0}], shards=100, num_cpus=2)
        Room(least=1, most=1, num_gpus=1)
    """
    if num_gpus is None:
        num_gpus = 1 if any(has.get("GPU", 0) >= 1 for has in machines) else 0
    room = sum(_fit(has, num_cpus, num_gpus) for has in machines)
    if not room or (workers is not None and workers > room and not grows):
        there = (
            ", ".join(f"{one.get('CPU', 0):g} CPUs and {one.get('GPU', 0):g} GPUs" for one in machines) or "no machines"
        )
        asked = f"{workers or 1} {'worker' if (workers or 1) == 1 else 'workers'}"
        raise ClusterError(
            "SW-Y02",
            f"there is no room for {asked} with {num_cpus:g} CPUs and {num_gpus:g} GPUs each: there are {there}",
            fix="ask for less: ray.workers, ray.num_cpus, ray.num_gpus",
        )
    most = min(workers or room, shards)
    return Room(min(room, most), most, num_gpus)


def busy_note(free: Mapping[str, float], num_cpus: float, num_gpus: float) -> str:
    """What to say where a cluster has room for no worker now; "" where it has.

    Example:
        >>> busy_note({"CPU": 1.0}, num_cpus=2, num_gpus=0)
        'the cluster is busy: 1 CPUs and 0 GPUs are free, a worker wants 2 and 0; waiting until there is room'
    """
    if _fit(free, num_cpus, num_gpus):
        return ""
    return (
        f"the cluster is busy: {free.get('CPU', 0):g} CPUs and {free.get('GPU', 0):g} GPUs are free, "
        f"a worker wants {num_cpus:g} and {num_gpus:g}; waiting until there is room"
    )


def _fit(has: Mapping[str, float], num_cpus: float, num_gpus: float) -> int:
    """How many workers one machine holds."""
    wanted = ((has.get("CPU", 0.0), num_cpus), (has.get("GPU", 0.0), num_gpus))
    return min(int(there / asked + 1e-9) for there, asked in wanted if asked)
