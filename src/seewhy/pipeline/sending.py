"""A run that is watched and sent to its store as it goes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from seewhy.pipeline.mirror import Mirror
from seewhy.pipeline.observer import Observer

if TYPE_CHECKING:
    from seewhy.pipeline.applicable import Applicable
    from seewhy.pipeline.plan import Plan


class Sending:
    """An observer of a run that sends each shard; everything else it hands on."""

    def __init__(self, observer: Observer, mirror: Mirror) -> None:
        self._observer, self._mirror = observer, mirror

    def planned(self, plan: Plan, found: Applicable) -> None:
        """Handed on."""
        self._observer.planned(plan, found)

    def advanced(self, records: int, failed: int) -> None:
        """Handed on."""
        self._observer.advanced(records, failed)

    def committed(self, shard: str) -> None:
        """Send the shard, and tell the observer."""
        self._mirror.send_shard(shard)
        self._observer.committed(shard)
