"""The composed configuration as plain, checked values: every unknown key is named beside the nearest known one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from seewhy.pipeline.settings import Settings
from seewhy.remote.address import as_place
from seewhy.values import CheckpointError, ConfigError, nearest

_ELSEWHERE = {"batch_size", "num_workers", "writer_threads"}
_SETTINGS = {field.name for field in fields(Settings)} - _ELSEWHERE
_OTHERS = {
    "experiment", "ckpt_path", "output_dir", "accelerator", "min_coverage", "model", "data", "paths", "debug", "hydra",
    "headless", "recheck", "runner", "ray",
}  # fmt: skip
_TYPES: dict[str, tuple[type, ...]] = {
    "generate_embeddings": (bool,), "generate_gradcam": (bool,), "generate_attention": (bool,),
    "generate_metrics": (bool,), "generate_report": (bool,), "metrics": (dict, type(None)), "retry_failed": (bool,),
    "recheck": (bool,), "render": (str,), "render_sample": (int,), "profile": (bool,), "shard": (str, type(None)),
    "runner": (str,),
    "seed": (int,), "min_coverage": (int, float), "output_dir": (str,), "accelerator": (str,),
    "target_layer": (str, list, type(None)), "embedding_layer": (str, type(None)), "target_classes": (str, list, int),
    "attention_layers": (list, int), "splits": (str, list, type(None)), "record_id": (str, int, list, type(None)),
    "frames_first": (str, list, type(None)),
    "ckpt_path": (str, type(None)), "headless": (bool, type(None)), "model": (dict,), "data": (dict,),
}  # fmt: skip


@dataclass(frozen=True)
class Request:
    """One run as the command line asks for it."""

    settings: Settings
    model: Mapping[str, Any]
    data: Mapping[str, Any]
    checkpoint: str | Path
    output_dir: str | Path
    accelerator: str
    min_coverage: float
    headless: bool | None
    debug: bool


def request_of(config: Mapping[str, Any]) -> Request:
    """Check a composed configuration. Raises ``ConfigError`` before a model is built."""
    _check_keys(config)
    for key, types in _TYPES.items():
        if (key in config and not isinstance(config[key], types)) or (
            isinstance(config.get(key), bool) and bool not in types
        ):
            expected = " or ".join("null" if kind is type(None) else kind.__name__ for kind in types)
            raise ConfigError("SW-F21", f"{key} must be {expected}, got {config[key]!r}", fix=f"correct {key}=...")
    data = dict(config["data"])
    debug = bool(config["debug"]["enabled"]) if isinstance(config.get("debug"), Mapping) else False
    workers = data.pop("num_workers", 4)
    given = {key: config[key] for key in _SETTINGS if key in config}
    given["precision"] = str(config.get("precision", "32"))
    settings = Settings.of(**given, batch_size=data.pop("batch_size", 32), num_workers=0 if debug else workers)
    return Request(
        settings=settings,
        model=config["model"],
        data=data,
        checkpoint=_checkpoint(config.get("ckpt_path")),
        output_dir=as_place(config["output_dir"]),
        accelerator=config.get("accelerator", "auto"),
        min_coverage=float(config.get("min_coverage", 0.9)),
        headless=config.get("headless"),
        debug=debug,
    )


def _check_keys(config: Mapping[str, Any]) -> None:
    known = sorted(_SETTINGS | _OTHERS)
    for key in config:
        if key not in known:
            raise ConfigError(
                "SW-F01", f"there is no setting {key!r}", near=nearest(str(key), known),
                fix="generate_artifacts --cfg job shows them all",
            )  # fmt: skip


def _checkpoint(path: str | None) -> str | Path:
    if not path:
        raise CheckpointError(
            "SW-C30",
            "ckpt_path must be given: an untrained model explains nothing",
            fix="add ckpt_path=path/to/model.ckpt",
        )
    return as_place(path)
