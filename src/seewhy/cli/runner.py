"""``runner=local|ray`` and ``ray.*``: who computes the shards of a run."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Final

from seewhy.values import nearest

if TYPE_CHECKING:
    from seewhy.pipeline.cluster_errors import ClusterError
    from seewhy.pipeline.runners import Runner

RUNNERS: Final = ("local", "ray")
RAY_SETTINGS: Final = {"address": None, "workers": None, "num_cpus": 1, "num_gpus": None}
"""By name, as they are where nobody says."""
WORKER_PARTS: Final = "seewhy.cli.worker_parts:parts"


def runner_of(config: Mapping[str, Any], say: Callable[[str], None]) -> Runner | None:
    """The runner of a composed configuration, which tells ``say`` what it waits for; None is this process.

    Raises:
        ClusterError: as :func:`ray_settings`, and what :class:`seewhy.pipeline.ray.RayRunner` refuses.
    """
    given = ray_settings(config)
    if given is None:
        return None
    from seewhy.pipeline.ray import RayRunner

    return RayRunner(WORKER_PARTS, {"config": dict(config)}, say=say, **given)


def ray_settings(config: Mapping[str, Any]) -> dict[str, Any] | None:
    """What ``ray`` is told, checked without Ray, torch or a cluster; None where this process computes.

    Raises:
        ClusterError: ``SW-Y07`` no such runner, ``SW-Y08`` no such setting, ``SW-Y06`` an amount that is none,
            ``SW-Y01`` an address of no known form, ``SW-Y11`` settings for Ray where this process computes.
    """
    name, settings = config.get("runner", "local"), config.get("ray", {})
    if name not in RUNNERS:
        raise _wrong(
            "SW-Y07", f"there is no runner {name!r}", near=nearest(str(name), RUNNERS),
            fix="runner=local is this process, runner=ray a cluster",
        )  # fmt: skip
    _check_names(settings)
    if name == "local":
        _require_effect(settings)
        return None
    from seewhy.pipeline.cluster_address import asked_address
    from seewhy.pipeline.ray_options import check_amounts

    given = {key: value for key, value in settings.items() if value is not None}
    if config.get("accelerator") == "cpu":
        given.setdefault("num_gpus", 0)
    check_amounts(given.get("workers"), given.get("num_cpus", 1), given.get("num_gpus"))
    asked_address(given.get("address"))
    return given


def _check_names(settings: object) -> None:
    if not isinstance(settings, Mapping):
        raise _wrong("SW-Y08", f"ray must be settings by name, got {settings!r}", fix="for example ray.workers=4")
    for key in settings:
        if key not in RAY_SETTINGS:
            raise _wrong(
                "SW-Y08", f"there is no setting ray.{key}", near=nearest(str(key), RAY_SETTINGS),
                fix=f"known are {', '.join(RAY_SETTINGS)}",
            )  # fmt: skip
    address = settings.get("address")
    if address is not None and not isinstance(address, str):
        raise _wrong("SW-Y08", f"ray.address must be a text, got {address!r}", fix="write ray.address=HOST:6379")


def _require_effect(settings: Mapping[str, Any]) -> None:
    if said := [key for key, usual in RAY_SETTINGS.items() if settings.get(key) not in (None, usual)]:
        names = ", ".join(f"ray.{key}={settings[key]}" for key in said)
        raise _wrong(
            "SW-Y11", f"{names} {'has' if len(said) == 1 else 'have'} no effect with runner=local",
            fix=f"add runner=ray, or set {' '.join(f'ray.{key}=null' for key in said)}",
        )  # fmt: skip


def _wrong(code: str, message: str, *, fix: str, near: Any = ()) -> ClusterError:
    from seewhy.pipeline.cluster_errors import ClusterError

    return ClusterError(code, message, near=near, fix=fix)
