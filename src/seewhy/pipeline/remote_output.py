"""A run whose directory belongs in a store: made in a copy on this machine, sent there shard by shard."""

from __future__ import annotations

import hashlib
import os
import secrets
import shutil
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path, PurePosixPath
from typing import Final

from seewhy.pipeline.fetched_copy import held_copy
from seewhy.pipeline.lease import Lease, holding, require_free
from seewhy.pipeline.mirror import AT_ONCE, Mirror, fetch, is_copy, require_run_or_nothing
from seewhy.pipeline.remote_parts import place_of, require_fits
from seewhy.remote.address import Address, address_of, local_path
from seewhy.remote.cache import cache_folder
from seewhy.remote.failures import Kind, RemoteError
from seewhy.remote.folder_store import FolderStore
from seewhy.remote.stores import is_there
from seewhy.store.files import disk_error, make_directory, write_atomic
from seewhy.store.layout import LOCK, MANIFEST, SHARDS
from seewhy.store.lock import DirectoryLock
from seewhy.store.part import Part
from seewhy.values import StoreError

CODES: Final[Mapping[Kind, str]] = {
    "address": "SW-S50",
    "package": "SW-S50",
    "absent": "SW-S52",
    "denied": "SW-S53",
    "unreachable": "SW-S54",
    "broken": "SW-S55",
    "changed": "SW-S55",
    "cache": "SW-S56",
}
BUCKETS: Final = frozenset({"s3", "s3a", "gs", "gcs", "abfs", "az"})
"""Stores where the first part of a path is made by hand."""
TOKENS: Final = ".writers"
RUN: Final = "run"


@contextmanager
def told(kept: Path | None = None) -> Iterator[None]:
    """What fails with a store inside the block is told as a ``StoreError``; ``kept`` is where the work lies here."""
    try:
        yield
    except RemoteError as error:
        fix = error.fix
        if kept is not None:
            fix = f"{fix}; then run the same command again: what is computed is kept in {kept}"
        raise StoreError(CODES[error.kind], error.message, fix=fix) from error


def output_address(output_dir: str | os.PathLike[str]) -> Address | None:
    """The address of an output directory in a store, None for one on this machine.

    Raises ``StoreError`` SW-S50 for an address that is none, also one with ``..``, ``.`` or ``//`` in it.

    Example:
        >>> str(output_address("s3://bucket/run")), output_address("artifacts")
        ('s3://bucket/run', None)
    """
    with told():
        address = address_of(output_dir)
    if address is not None and not address.path.isprintable():
        raise StoreError(
            "SW-S50",
            f"{address.path!r} has characters that cannot be seen",
            fix="write where the run lies without them",
        )
    if address is not None and (names := {"", ".", ".."}.intersection(address.path.split("/")[1:])):
        written = max(names) or "//"
        raise StoreError(
            "SW-S50",
            f"{address} has {written} in it, which one store resolves and another does not",
            fix=f"write where the run lies, without {written}",
        )
    return address


def output_path(output_dir: str | os.PathLike[str]) -> Path:
    """An output directory on this machine, with ``file://`` taken off."""
    return local_path(output_dir)


def staging_of(address: Address) -> Path:
    """Where this machine keeps its copy of a run: below ``SEEWHY_CACHE_DIR``, outside the size limit of the cache."""
    return cache_folder() / "outputs" / hashlib.sha256(address.url.encode("utf-8", "surrogatepass")).hexdigest()[:16]


def require_usable(address: Address, part: Part | None = None) -> None:
    """Refuse a store that cannot be reached or where this run or part cannot be, before long work starts.

    Raises:
        StoreError: ``SW-S43``, ``SW-S44``, ``SW-S50`` to ``SW-S55``, ``SW-S58``. ``MissingExtraError`` where an extra
            is not installed.
    """
    with told():
        _require_bucket(address)
        require_fits(address, part)
        place = place_of(address, part)
        _require_ours(FolderStore(place), _tokens(staging_of(place)))


def _require_bucket(address: Address) -> None:
    """A folder need not be there yet, a bucket must be."""
    try:
        is_there(address)
    except RemoteError as failure:
        bucket = Address(address.protocol, address.path.partition("/")[0])
        if failure.kind != "absent":
            raise
        if address.protocol in BUCKETS:
            is_there(bucket)


@contextmanager
def mirrored(address: Address, part: Part | None = None) -> Iterator[tuple[Path, Mirror]]:
    """This machine's copy of the run at ``address`` or of a part of it, held for writing on both sides, and what sends
    it there.

    The copy is as the store has it, with what this machine has committed and not sent. At the end, also by an error
    of the run itself, everything is sent that can be.

    Raises:
        StoreError: ``SW-S04`` and ``SW-S51`` held by another, ``SW-S43`` and ``SW-S44`` it does not go with the parts
            that are there, ``SW-S50`` to ``SW-S58`` from the store.
    """
    with told():
        require_fits(address, part)
        place = place_of(address, part)
    staging, token = staging_of(place), secrets.token_hex(8)
    root, folder = staging / RUN, FolderStore(place)
    make_directory(root)
    lock = DirectoryLock(staging / LOCK)
    lock.acquire()
    try:
        with told(root), _held(folder, token, staging) as lease:
            mirror = Mirror(folder, root, lease)
            try:
                _bring_up_to_date(staging, lease, mirror)
                with _sent_at_the_end(mirror):
                    yield root, mirror
            finally:
                mirror.close()
    finally:
        lock.release()


@contextmanager
def _sent_at_the_end(mirror: Mirror) -> Iterator[None]:
    """Send what a block has made, also where it fails; the copy must be known to be no older than what is there."""
    try:
        yield
    except RemoteError:
        raise
    except BaseException:
        with suppress(RemoteError, StoreError, OSError):  # the first error is the one to tell
            mirror.send_all()
        raise
    mirror.send_all()


def fetch_run(address: Address, directory: Path) -> int:
    """Copy a run from a store into ``directory``, its parts too; how many files were fetched.

    Files that are there already, by their bytes, are left. Shards come first, by which a copy is known again, and the
    manifest last: the same call goes on after a kill.

    Raises:
        StoreError: ``SW-S17`` there is no run, ``SW-S50`` to ``SW-S56`` from the store, and what
            :func:`seewhy.pipeline.fetched_copy.held_copy` raises where ``directory`` is not a copy of this run.
    """
    folder = FolderStore(address)
    with told():
        listed = {name: file for name, file in folder.listing().items() if PurePosixPath(name).name[0] != "."}
        if not any(PurePosixPath(name).name == MANIFEST for name in listed):
            raise StoreError("SW-S17", f"{address} holds no run", fix="check the address; a run has a manifest.json")
        with held_copy(folder, listed, directory):
            wanted = [name for name, file in listed.items() if not is_copy(directory / name, file)]
            with ThreadPoolExecutor(AT_ONCE, thread_name_prefix="seewhy-fetch") as threads:
                for turn in range(3):
                    names = [name for name in wanted if _turn(name) == turn]
                    list(threads.map(lambda name: fetch(folder, name, directory / name), names))
    return len(wanted)


def _turn(name: str) -> int:
    """When a file is fetched: a shard, anything else, a manifest."""
    place = PurePosixPath(name)
    return 2 if place.name == MANIFEST else int(place.parent.name != SHARDS)


@contextmanager
def _held(folder: FolderStore, token: str, staging: Path) -> Iterator[Lease]:
    """The lease, whose token is noted first where this copy is as the store has it: a kill in between loses nothing."""
    root, ours = staging / RUN, _tokens(staging)
    copied = _tokens(root)
    last = _require_ours(folder, ours)
    _keep_tokens(staging, [*ours, token])
    if last in copied:
        _keep_tokens(root, [*copied, token])
    with holding(folder, token, ours) as lease:
        lease.copied = lease.follows in copied
        yield lease


def _require_ours(folder: FolderStore, own: Sequence[str]) -> str:
    """Who wrote last; refuses a folder that somebody writes, and one of files that no run was ever written to."""
    last = require_free(folder, own)
    if not last:
        require_run_or_nothing(folder)
    return last


def _bring_up_to_date(staging: Path, lease: Lease, mirror: Mirror) -> None:
    """Leave the copy as it is where nobody else has written since, else fetch the run anew."""
    root = staging / RUN
    copied = mirror.look() and lease.copied
    if not copied:
        try:
            (root / TOKENS).unlink(missing_ok=True)  # first: half a copy is no copy
            shutil.rmtree(root)
            root.mkdir()
        except OSError as error:
            raise disk_error(root, error) from error
    mirror.begin()
    if not copied:
        mirror.pull()
    _keep_tokens(root, [lease.token])
    _keep_tokens(staging, [lease.token])


def _keep_tokens(folder: Path, tokens: Sequence[str]) -> None:
    write_atomic(folder / TOKENS, " ".join(tokens).encode())


def _tokens(folder: Path) -> list[str]:
    """The writers that are noted: beside a copy those of this machine, inside it those whose work it holds."""
    try:
        return (folder / TOKENS).read_text("ascii").split()
    except (OSError, ValueError):
        return []
