"""What can go wrong with a remote store, told in one way whatever library raised it, and without secrets."""

from __future__ import annotations

import errno
import os
import re
import socket
from collections.abc import Iterator
from typing import Final, Literal

Kind = Literal["address", "package", "absent", "denied", "unreachable", "broken", "changed", "cache"]

TRANSIENT: Final = frozenset({"unreachable", "broken"})
"""What another attempt may cure."""

ABSENT: Final = frozenset({"RepositoryNotFoundError", "RevisionNotFoundError", "EntryNotFoundError", "NotFound"})
DENIED: Final = frozenset({
    "NoCredentialsError", "PartialCredentialsError", "CredentialRetrievalError", "ProfileNotFound",
    "TokenRetrievalError", "SSOTokenLoadError", "UnauthorizedSSOTokenError", "NoAuthTokenError", "GatedRepoError",
    "Forbidden", "Unauthorized", "DefaultCredentialsError", "RefreshError", "ClientAuthenticationError",
    "LocalTokenNotFoundError",
})  # fmt: skip
UNREACHABLE: Final = frozenset({
    "EndpointConnectionError", "ConnectTimeoutError", "ConnectionClosedError", "ReadTimeoutError",
    "ProxyConnectionError", "HTTPClientError", "ClientConnectionError", "ConnectError", "TransportError",
    "ConnectTimeout", "FSTimeoutError", "OfflineModeIsEnabled", "ServiceRequestError", "NewConnectionError",
})  # fmt: skip
"""Classes by name: importing them would import a library for every store there is."""

GONE: Final = (404, 410)
FULL: Final = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EROFS})
_SECRET: Final = re.compile(
    r"(?i)\b(?:AKIA|ASIA)[0-9A-Z]{16}\b|\bhf_[A-Za-z0-9]{8,}|"
    r"(?:x-amz-[\w-]+|signature|sig|awsaccesskeyid|token|secret|password|authorization|credential)=[^\s&'\"]+"
)
_FROM_ENVIRONMENT: Final = re.compile(r"(?i)SECRET|TOKENS?(?![A-Z])|PASSWORD|ACCESS_KEY|CREDENTIAL")
_LONGEST: Final = 200


class RemoteError(Exception):
    """A store that cannot be used as asked. ``kind`` says why; the rooms above turn it into an error with a code."""

    def __init__(self, kind: Kind, message: str, *, fix: str = "") -> None:
        self.kind: Kind = kind
        self.message = message
        self.fix = fix
        super().__init__(kind, message, fix)

    def __str__(self) -> str:
        return self.message

    def __reduce__(self) -> tuple[object, ...]:
        return (_rebuilt, (self.kind, self.message, self.fix))


def failure_of(error: BaseException, place: str, protocol: str) -> RemoteError:
    """What a library raised about a place, told without secrets."""
    error = _behind(error)
    kind = _kind(error)
    if kind == "cache":
        return RemoteError(
            "cache",
            f"{place}: the local copy cannot be written ({os.strerror(getattr(error, 'errno', 0) or 0)})",
            fix="free space, or set SEEWHY_CACHE_DIR to a folder with more and SEEWHY_CACHE_GB to how much it may take",
        )
    said = {
        "absent": (f"{place} does not exist", "check the address, and that you may list it"),
        "denied": (f"{place}: access is denied ({told(error)})", _credentials(protocol)),
        "unreachable": (
            f"{place}: the store cannot be reached ({told(error)})",
            f"check the network{', AWS_ENDPOINT_URL' if protocol in ('s3', 's3a') else ''} and that the server runs",
        ),
        "broken": (f"{place}: the store failed ({told(error)})", "try again; what was read is kept"),
    }
    message, fix = said[kind]
    return RemoteError(kind, message, fix=fix)


def told(error: BaseException) -> str:
    """The type and message of an error in one printable line, without secrets."""
    text = str(error)
    for name, value in os.environ.items():
        if len(value) >= 4 and _FROM_ENVIRONMENT.search(name):
            text = text.replace(value, "…")
    text = re.sub(r"(\w+://)[^\s/'\"]*@", r"\1", re.sub(r"(https?://[^\s?'\"]*)\?[^\s'\"]*", r"\1", text))
    line = " ".join("".join(char if char.isprintable() else " " for char in _SECRET.sub("…", text)).split())
    return f"{type(error).__name__}: {line[:_LONGEST]}" if line else type(error).__name__


def _rebuilt(kind: Kind, message: str, fix: str) -> RemoteError:
    return RemoteError(kind, message, fix=fix)


def _kind(error: BaseException) -> Kind:
    for cause in _chain(error):
        if isinstance(cause, OSError) and cause.errno in FULL:
            return "cache"
    for cause in _chain(error):
        names, status = {kind.__name__ for kind in type(cause).__mro__}, _status(cause)
        if isinstance(cause, PermissionError) or names & DENIED or status in (401, 403):
            return "denied"
        if isinstance(cause, FileNotFoundError) or names & ABSENT or status in GONE:
            return "absent"
        if isinstance(cause, ConnectionError | TimeoutError | socket.gaierror) or names & UNREACHABLE:
            return "unreachable"
    return "broken"


def _behind(error: BaseException) -> BaseException:
    """Web servers' package calls a file absent whenever it got no answer; the reason it gives then tells more."""
    reason = error.__cause__ if isinstance(error, FileNotFoundError) else None
    if reason is None or {kind.__name__ for kind in type(reason).__mro__} & ABSENT:
        return error
    answered = _status(reason) not in (None, *GONE)
    return reason if answered or _kind(reason) in ("denied", "unreachable") else error


def _chain(error: BaseException) -> Iterator[BaseException]:
    seen: list[BaseException] = []
    cause: BaseException | None = error
    while cause is not None and cause not in seen:
        seen.append(cause)
        yield cause
        cause = cause.__cause__ or (None if cause.__suppress_context__ else cause.__context__)


def _status(error: BaseException) -> object:
    status = getattr(error, "status", None)
    return status if isinstance(status, int) else getattr(getattr(error, "response", None), "status_code", None)


def _credentials(protocol: str) -> str:
    if protocol in ("s3", "s3a"):
        return "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE; for public data FSSPEC_S3_ANON=true"
    if protocol == "hf":
        return "run `hf auth login`, or set HF_TOKEN, and accept the terms of a gated repository"
    return f"give the credentials as the fsspec package for {protocol} documents"
