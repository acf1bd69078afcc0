"""What of a request can be refused before torch is loaded and the model built."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from seewhy.cli.data_files import PLACES
from seewhy.models.checkpoint_place import CODES as CHECKPOINT_CODES
from seewhy.pipeline.remote_output import output_address, output_path, require_usable
from seewhy.pipeline.render_setting import require_render
from seewhy.remote.address import address_of
from seewhy.remote.failures import RemoteError
from seewhy.remote.stores import file_system
from seewhy.store.part import part_of
from seewhy.store.parts import require_place
from seewhy.values import CheckpointError, DataError

DATA_CODES: Final = {"address": "SW-D140", "package": "SW-D141"}
"""Those of ``seewhy.data.places``, which loads torch."""


def require_possible(config: Mapping[str, Any]) -> None:
    """Refuse what settings, addresses and the output directory alone show to be impossible.

    The model, the data set and whatever else needs torch are checked when they are built.

    Raises:
        ConfigError: ``SW-F330`` no such way to render.
        StoreError: ``SW-S41`` and ``SW-S42`` no part, ``SW-S43`` and ``SW-S44`` one that cannot stand there,
            ``SW-S02``, ``SW-S03``, ``SW-S08`` and ``SW-S09`` an unsuitable directory, ``SW-S50`` to ``SW-S55`` and
            ``SW-S58`` an output address.
        CheckpointError: ``SW-C50`` an address that cannot be used.
        DataError: ``SW-D140`` and ``SW-D141``, likewise.
        MissingExtraError: a store needs an extra.
    """
    if isinstance(render := config.get("render"), str):
        require_render(render)
    _require_addresses(config)
    if isinstance(output_dir := config.get("output_dir"), str):
        _require_place(output_dir, config.get("shard"))


def _require_addresses(config: Mapping[str, Any]) -> None:
    for place in _data_places(config.get("data")):
        try:
            _require_store(place)
        except RemoteError as error:
            raise DataError(DATA_CODES.get(error.kind, "SW-D145"), error.message, fix=error.fix) from error
    if isinstance(checkpoint := config.get("ckpt_path"), str):
        try:
            _require_store(checkpoint)
        except RemoteError as error:
            raise CheckpointError(CHECKPOINT_CODES[error.kind], error.message, fix=error.fix) from error


def _require_store(place: str) -> None:
    if (address := address_of(place)) is not None:
        file_system(address.protocol)


def _data_places(data: object) -> Iterator[str]:
    """The folders and tables of a data group; of the user's own class nobody knows them."""
    if not isinstance(data, Mapping) or not isinstance(kind := data.get("kind"), str):
        return
    for key in PLACES.get(kind, ()):
        if isinstance(place := data.get(key), str):
            yield place


def _require_place(output_dir: str, shard: object) -> None:
    part = None if shard is None else part_of(shard)
    if (address := output_address(output_dir)) is not None:
        require_usable(address, part)
    else:
        require_place(output_path(output_dir), part)
