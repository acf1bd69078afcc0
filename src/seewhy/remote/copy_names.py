"""What copies of remote files are called on this machine."""

from __future__ import annotations

import hashlib
import re
from typing import Final

_NAME_BYTES: Final = 255
_ENDING: Final = re.compile(rb"(?:\.[A-Za-z0-9]{1,10}){1,2}\Z")


def safe_name(name: str) -> str:
    """A file's own name where a disk can hold it; else its end, which tells the format, and a hash before it.

    Example:
        >>> safe_name("scan 1.nii.gz"), safe_name("..")
        ('scan 1.nii.gz', '..-34f0828231260469')
        >>> len(safe_name("x" * 500 + ".png")), safe_name("x" * 500 + ".png")[-4:]
        (255, '.png')
    """
    whole = name.encode("utf-8", "surrogatepass")
    plain = name.replace("/", "_").replace("\0", "_").encode("utf-8", "ignore")
    if plain == whole and len(plain) <= _NAME_BYTES and plain.strip(b"."):
        return name
    mark = b"-" + hashlib.blake2b(whole, digest_size=8).hexdigest().encode()
    stem, ending = _split_ending(plain)
    kept = stem[-(_NAME_BYTES - len(mark) - len(ending)) :]
    return (kept + mark + ending).decode("utf-8", "ignore")


def _split_ending(name: bytes) -> tuple[bytes, bytes]:
    ending = _ENDING.search(name)
    at = len(name) if ending is None else ending.start()
    return name[:at], name[at:]
