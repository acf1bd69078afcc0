"""Which version of a file a store holds, as it tells itself, and whether bytes are those of that version."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from seewhy.remote.failures import RemoteError

STRONG: Final = ("sha256", "git", "etag")
"""Kinds of versions that change whenever the content does; a time of change is not one of them."""
_TIMES: Final = ("LastModified", "last_modified", "mtime", "modified", "updated", "created")
_MD5: Final = re.compile(r"[0-9a-f]{32}")


def version_of(info: Mapping[str, Any]) -> str:
    """The version that a store's description of a file names: ``KIND:VALUE``, or empty where it names none.

    Hugging Face tells SHA-256 or git's hash; S3, Google's and Azure's stores and web servers an entity tag (a weak one
    does not count); other stores the time of the last change.

    Example:
        >>> version_of({"ETag": '"9a0364b9e99bb480dd25e1f0284c8555"', "size": 7})
        'etag:9a0364b9e99bb480dd25e1f0284c8555'
        >>> version_of({"created": 12.5, "size": 7})
        'time:12.5/7'
    """
    if sha256 := _field(info.get("lfs"), "sha256"):
        return f"sha256:{sha256}"
    if info.get("blob_id"):
        return f"git:{info['blob_id']}"
    for key in ("ETag", "etag", "xet_hash", "md5Hash"):
        tag = str(info.get(key) or "")
        if tag and not tag.startswith("W/"):
            return f"etag:{tag.strip(chr(34))}"
    moment = next((info[key] for key in _TIMES if info.get(key) is not None), None)
    if isinstance(moment, datetime):
        moment = moment.timestamp()  # some stores tell numbers when they list and dates when they describe
    return "" if moment is None else f"time:{moment}/{info.get('size')}"


def is_strong(version: str) -> bool:
    """Whether equal versions mean equal content."""
    return version.partition(":")[0] in STRONG


def proves(version: str, file: Path) -> bool | None:
    """Whether a file's bytes alone show that they are of this version, or are not: by the hash that the version is.

    None means that the store has to be asked: many entity tags look like a hash and are none.
    """
    kind, _, value = version.partition(":")
    if kind == "sha256":
        return _digest(file, hashlib.sha256()) == value
    if kind == "git":
        return _digest(file, hashlib.sha1(b"blob %d\0" % file.stat().st_size, usedforsecurity=False)) == value
    if kind == "etag" and _MD5.fullmatch(value):
        return _digest(file, hashlib.md5(usedforsecurity=False)) == value or None
    return None


def differ(listed: str, now: str) -> bool:
    """Whether two versions are different; those of different kinds cannot be compared.

    Example:
        >>> differ("etag:9a03", "etag:1f2e"), differ("time:12.5/7", "etag:1f2e")
        (True, False)
    """
    return listed != now and listed.partition(":")[0] == now.partition(":")[0]


def size_of(info: Mapping[str, Any]) -> int | None:
    """The size in bytes, None where the store does not tell it."""
    size = info.get("size")
    return int(size) if isinstance(size, int | float) and size >= 0 else None


def changed(name: str) -> RemoteError:
    """The failure for a file that is no longer the one that was listed."""
    return RemoteError(
        "changed", f"{name} was changed after the run had listed it", fix="run again: it is read as it is then"
    )


def _field(holder: Any, name: str) -> Any:
    return holder.get(name) if isinstance(holder, Mapping) else getattr(holder, name, None)


def _digest(file: Path, digest: Any) -> str:
    with file.open("rb") as opened:
        while piece := opened.read(1 << 20):
            digest.update(piece)
    return str(digest.hexdigest())
