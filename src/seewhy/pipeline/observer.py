"""Who watches a run."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from seewhy.pipeline.applicable import Applicable
    from seewhy.pipeline.plan import Plan


class Observer(Protocol):
    """Watches a run; what it does cannot change the run."""

    def planned(self, plan: Plan, found: Applicable) -> None:
        """The work is known."""
        ...

    def advanced(self, records: int, failed: int) -> None:
        """A batch was computed; once all are, pictures of some records of earlier runs were drawn."""
        ...

    def committed(self, shard: str) -> None:
        """A shard reached its final name."""
        ...


class Silent:
    """An observer that shows nothing."""

    def planned(self, plan: Plan, found: Applicable) -> None:
        """Nothing is shown."""

    def advanced(self, records: int, failed: int) -> None:
        """Nothing is shown."""

    def committed(self, shard: str) -> None:
        """Nothing is shown."""
