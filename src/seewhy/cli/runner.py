"""``runner=local|ray`` and ``ray.*``: who computes the shards of a run."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from seewhy.pipeline.cluster_errors import ClusterError
from seewhy.pipeline.runners import Runner
from seewhy.values import nearest

RUNNERS: Final = ("local", "ray")
RAY_SETTINGS: Final = ("address", "workers", "num_cpus", "num_gpus")
WORKER_PARTS: Final = "seewhy.cli.worker_parts:parts"


def runner_of(config: Mapping[str, Any]) -> Runner | None:
    """The runner of a composed configuration; None is this process.

    Raises:
        ClusterError: ``SW-Y07`` no such runner, ``SW-Y08`` no such setting, and what
            :class:`seewhy.pipeline.ray.RayRunner` refuses.
    """
    name, settings = config.get("runner", "local"), config.get("ray") or {}
    if name not in RUNNERS:
        raise ClusterError(
            "SW-Y07", f"there is no runner {name!r}", near=nearest(str(name), RUNNERS),
            fix="runner=local is this process, runner=ray a cluster",
        )  # fmt: skip
    _check_settings(settings)
    if name == "local":
        return None
    from seewhy.pipeline.ray import RayRunner

    given = {key: value for key, value in settings.items() if value is not None}
    if config.get("accelerator") == "cpu":
        given.setdefault("num_gpus", 0)
    return RayRunner(WORKER_PARTS, {"config": dict(config)}, **given)


def _check_settings(settings: object) -> None:
    if not isinstance(settings, Mapping):
        raise ClusterError("SW-Y08", f"ray must be settings by name, got {settings!r}", fix="for example ray.workers=4")
    for key in settings:
        if key not in RAY_SETTINGS:
            raise ClusterError(
                "SW-Y08", f"there is no setting ray.{key}", near=nearest(str(key), RAY_SETTINGS),
                fix=f"known are {', '.join(RAY_SETTINGS)}",
            )  # fmt: skip
    address = settings.get("address")
    if address is not None and not isinstance(address, str):
        raise ClusterError("SW-Y08", f"ray.address must be a text, got {address!r}", fix="write ray.address=HOST:6379")
