"""Where a checkpoint lies: a path, or an address whose file is fetched whole before anything in it is looked at."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from seewhy.remote.address import address_of, is_url, local_path
from seewhy.remote.failures import Kind, RemoteError
from seewhy.remote.files import copy_of, described
from seewhy.values import CheckpointError

CODES: Final[Mapping[Kind, str]] = {
    "address": "SW-C50",
    "package": "SW-C50",
    "absent": "SW-C51",
    "denied": "SW-C52",
    "unreachable": "SW-C53",
    "broken": "SW-C54",
    "changed": "SW-C54",
    "cache": "SW-C54",
}


@dataclass(frozen=True)
class CheckpointPlace:
    """``path`` on this machine, what the file is called where it came from, and how many bytes were fetched."""

    path: Path
    called: str
    fetched: int | None = None


@contextmanager
def checkpoint_on_disk(place: str | os.PathLike[str]) -> Iterator[CheckpointPlace]:
    """A checkpoint's file, for as long as the block lasts; one at ``s3://…``, ``hf://…`` is fetched into the cache.

    Errors raised inside name the address, not the copy. Raises ``CheckpointError``: SW-C50 an address that cannot be
    used, SW-C51 no such file, SW-C52 access denied, SW-C53 a store that cannot be reached, SW-C54 a fetch that failed;
    ``MissingExtraError`` where a store's package is absent.
    """
    if not is_url(place):
        yield CheckpointPlace(Path(place), str(place))
        return
    try:
        address = address_of(place)
        if address is None:
            yield CheckpointPlace(local_path(place), str(place))
            return
        file = described(address)
        with copy_of(file) as copy:
            try:
                yield CheckpointPlace(copy, str(address), copy.stat().st_size)
            except CheckpointError as error:
                message = error.message.replace(str(copy), str(address))
                raise CheckpointError(error.code, message, fix=error.fix, near=error.near) from error
    except RemoteError as error:
        raise CheckpointError(CODES[error.kind], error.message, fix=error.fix) from error
