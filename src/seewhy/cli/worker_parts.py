"""The model and the data set of a composed configuration, built again by each worker of a cluster."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from seewhy.pipeline.worker import Parts


def parts(config: Mapping[str, Any]) -> Parts:
    """What ``generate_artifacts`` builds of the same configuration."""
    from seewhy.cli.build import build_dataset, build_loaded_model
    from seewhy.cli.schema import request_of

    request = request_of(config)
    built, _ = build_loaded_model(request)
    headless = (built.headless or None) if request.headless is None else request.headless
    return Parts(built.module, build_dataset(request, built.preprocessing), headless, built.class_names)
