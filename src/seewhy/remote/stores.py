"""The file systems of fsspec, opened once per process, and asked with bounded patience."""

from __future__ import annotations

import inspect
import os
import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from typing import Any, Final, TypeVar

from seewhy.remote.address import LOCAL, Address
from seewhy.remote.failures import TRANSIENT, RemoteError, failure_of, told
from seewhy.values import MissingExtraError, nearest

CONNECT_SECONDS: Final = 5
READ_SECONDS: Final = 30
FIRST_ANSWER_SECONDS: Final = 18.0
"""How long a store may take for the first, smallest question of all: whether a place is there."""
ATTEMPTS: Final = 3
PAUSES: Final = (0.2, 1.0)

EXTRAS: Final = {"s3": ("s3fs", "s3"), "s3a": ("s3fs", "s3")}
PACKAGES: Final = {
    "hf": "huggingface_hub", "gs": "gcsfs", "gcs": "gcsfs", "abfs": "adlfs", "az": "adlfs", "http": "aiohttp",
    "https": "aiohttp", "sftp": "paramiko", "ssh": "paramiko", "oss": "ossfs", "oci": "ocifs", "webdav": "webdav4",
    "smb": "smbprotocol", "github": "requests", "box": "boxfs", "wandb": "wandbfs",
}  # fmt: skip
"""What to install for a protocol; of those not listed fsspec's own words are shown."""

T = TypeVar("T")
_open: dict[tuple[int, str], Any] = {}


def file_system(protocol: str) -> Any:
    """The file system of a protocol. It belongs to this process: connections do not survive a fork.

    Credentials and other options come from where the store's package looks for them, and from fsspec's configuration.

    Raises ``MissingExtraError`` where seewhy has an extra for it, ``RemoteError`` for an unknown protocol or a
    package that is not installed.
    """
    key = (os.getpid(), protocol)
    if key not in _open:
        _open[key] = _opened(protocol)
    return _open[key]


def ask(address: Address, question: Callable[[Any, str], T], *, shown: str = "", attempts: int = ATTEMPTS) -> T:
    """``question(file_system, path)`` answered, after a few attempts where the store failed or was not reached.

    Raises ``RemoteError`` (``shown`` is what it calls the place) and ``MissingExtraError``.
    """
    system = file_system(address.protocol)
    path = _path(system, address)
    for attempt in range(attempts):
        try:
            return question(system, path)
        except RemoteError:
            raise
        except Exception as error:  # every store raises classes of its own, which only its package has
            failure = failure_of(error, shown or str(address), address.protocol)
            if failure.kind not in TRANSIENT or attempt + 1 == attempts:
                raise failure from error
        time.sleep(PAUSES[min(attempt, len(PAUSES) - 1)])
    raise AssertionError("unreachable: the last attempt returns or raises")


def is_there(address: Address) -> Mapping[str, Any]:
    """What a store says of one place, within :data:`FIRST_ANSWER_SECONDS` whatever its own patience.

    Raises what :func:`ask` raises.
    """
    return _within(FIRST_ANSWER_SECONDS, address, lambda: ask(address, lambda system, path: dict(system.info(path))))


def _path(system: Any, address: Address) -> str:
    try:
        return str(system._strip_protocol(address.url))
    except Exception as error:  # as in `ask`
        raise RemoteError(
            "address",
            f"{address} is no address of {address.protocol}:// ({told(error)})",
            fix=f"write it as the fsspec package for {address.protocol} documents",
        ) from error


def _opened(protocol: str) -> Any:
    import fsspec
    from fsspec.registry import known_implementations, registry

    known = sorted({*known_implementations, *registry})
    if protocol not in known or protocol in LOCAL:
        raise RemoteError(
            "address",
            f"there is no protocol {protocol}://"
            + (f" (nearest: {', '.join(near)})" if (near := nearest(protocol, known, 3)) else ""),
            fix="use s3://, hf://, gs://, memory:// or another protocol of fsspec, or a path",
        )
    try:
        kind = fsspec.get_filesystem_class(protocol)
    except ImportError as error:
        raise _missing(protocol, error) from error
    _require_told(protocol, kind)
    try:
        return kind(**_options(protocol), skip_instance_cache=True)
    except ImportError as error:
        raise _missing(protocol, error) from error
    except Exception as error:  # as in `ask`
        raise failure_of(error, f"{protocol}://", protocol) from error


def _require_told(protocol: str, kind: type[Any]) -> None:
    """Refuse a protocol whose file system wants more than addresses say, as the host of ``ftp://``."""
    from fsspec.config import conf

    wanted = [
        one.name
        for one in list(inspect.signature(kind.__init__).parameters.values())[1:]
        if one.default is one.empty and one.kind in (one.POSITIONAL_OR_KEYWORD, one.KEYWORD_ONLY)
    ]
    if lacking := [name for name in wanted if name not in conf.get(protocol, {})]:
        variables = ", ".join(f"FSSPEC_{protocol.upper()}_{name.upper()}" for name in lacking)
        raise RemoteError(
            "address",
            f"{protocol}:// wants to be told {', '.join(lacking)}, which it does not take from an address",
            fix=f"set {variables} in the environment",
        )


def _options(protocol: str) -> dict[str, Any]:
    """Listings are never remembered, so that a version is the store's own; patience as the user's configuration says,
    else ours."""
    from fsspec.config import conf

    given: Mapping[str, Any] = conf.get(protocol, {})
    options: dict[str, Any] = {"use_listings_cache": False}
    if protocol in EXTRAS:
        ours = {"connect_timeout": CONNECT_SECONDS, "read_timeout": READ_SECONDS, "retries": {"total_max_attempts": 2}}
        options["config_kwargs"] = {**ours, **dict(given.get("config_kwargs") or {})}
    return options


def _missing(protocol: str, error: ImportError) -> Exception:
    if protocol in EXTRAS:
        return MissingExtraError(*EXTRAS[protocol])
    package = PACKAGES.get(protocol)
    return RemoteError(
        "package",
        f"{protocol}:// needs a package that is not installed" + ("" if package else f" ({error})"),
        fix=f"pip install {package}" if package else "install it",
    )


def _within(seconds: float, address: Address, work: Callable[[], T]) -> T:
    answer: Future[T] = Future()

    def run() -> None:
        try:
            answer.set_result(work())
        except Exception as error:  # noqa: BLE001  carried to who waits
            answer.set_exception(error)

    thread = threading.Thread(target=run, name="seewhy-first-answer", daemon=True)
    thread.start()
    thread.join(seconds)
    if answer.done():
        return answer.result()
    raise failure_of(TimeoutError(f"no answer within {seconds:.0f} s"), str(address), address.protocol)
