"""Run directories of commands that work on this machine alone."""

from __future__ import annotations

from pathlib import Path

from seewhy.remote.address import is_url, local_path
from seewhy.store.layout import run_at
from seewhy.values import StoreError


def run_here(place: str | Path) -> Path:
    """The place as a path; ``StoreError`` SW-S50 for an address in a store, which needs a copy here.

    Example:
        >>> run_here("file:///runs/a")
        PosixPath('/runs/a')
    """
    if is_url(place):
        from seewhy.pipeline.remote_output import output_address

        address = output_address(place)
        if address is not None:
            raise StoreError(
                "SW-S50", f"{address} lies in a store; this command works on a run of this machine",
                fix=f"seewhy fetch {address} DIR, then the same command with DIR",
            )  # fmt: skip
    return local_path(place)


def require_run(root: Path) -> None:
    """Refuse a place without a run, before anything heavy is imported to look at it.

    Raises:
        StoreError: ``SW-S17``.
    """
    run_at(root)
