"""A traced model that looks before each pass whether its question is still wanted."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from seewhy.core import Inputs
from seewhy.models.adapter import Adapter
from seewhy.report.patience import Patience


class Watch:
    """Whose patience counts now; shared by all adapters of a model."""

    def __init__(self) -> None:
        self._patience = Patience()

    @contextmanager
    def over(self, patience: Patience) -> Iterator[None]:
        """While open, every pass is one of a question with this patience.

        An answer whose question ended on the way is none, whatever part of it was made without the model.
        """
        self._patience = patience
        try:
            yield
            patience.check()
        finally:
            self._patience = Patience()

    def check(self) -> None:
        """Raises ``LiveError`` SW-W45 or SW-W56 where the question is at its end."""
        self._patience.check()


class WatchedAdapter(Adapter):
    """An adapter whose every pass goes by a watch first, as do those of its copies."""

    def __init__(self, watch: Watch, *args: Any, **more: Any) -> None:
        self._watch = watch
        super().__init__(*args, **more)

    def call(self, inputs: Inputs) -> Any:
        """The model's answer; raises what the watch raises."""
        self._watch.check()
        return super().call(inputs)
