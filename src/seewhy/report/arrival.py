"""Bodies on their way: each whole within its time, and few at once, so that none of them holds a page up."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from typing import Any

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]
Headers = Mapping[bytes, list[bytes]]


class BodyRefusedError(Exception):
    """A body that is not taken: the status of the answer, its text and further headers."""

    def __init__(self, status: int, text: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(status, text)
        self.status, self.text, self.headers = status, text, dict(headers or {})


def awaited(headers: Headers) -> bool:
    """Whether a request says that a body follows.

    >>> awaited({b"content-length": [b"0"]}), awaited({b"transfer-encoding": [b"chunked"]})
    (False, True)
    """
    lengths = headers.get(b"content-length", [])
    return b"transfer-encoding" in headers or any(length.strip(b"0") for length in lengths)


def client_of(scope: Scope) -> str:
    """The address that a request came from."""
    return str((scope.get("client") or ("",))[0])


def too_large(limit: int) -> str:
    """What is said of a body above its limit.

    >>> too_large(1 << 10), too_large(16 << 20)
    ('What was sent is larger than 1 KB.', 'What was sent is larger than 16 MB.')
    """
    return f"What was sent is larger than {f'{limit >> 20} MB' if limit >= 1 << 20 else f'{limit / 1024:.3g} KB'}."


class Arrivals:
    """Takes bodies before their requests are answered: ``most`` at once, ``each`` from one address."""

    def __init__(self, most: int, each: int) -> None:
        self._most, self._each = most, each
        self._open: Counter[str] = Counter()

    async def whole(self, scope: Scope, receive: Receive, limit: int, seconds: float) -> Receive | None:
        """What gives a body of at most ``limit`` bytes again; None where the client left before it was there.

        Raises:
            BodyRefusedError: 408 it took longer than ``seconds``, 413 it is larger, 503 too many are on their way.
        """
        client = client_of(scope)
        if self._open.total() >= self._most or self._open[client] >= self._each:
            raise BodyRefusedError(503, "Too many requests are arriving; try again in a second.", {"retry-after": "1"})
        self._open[client] += 1
        try:
            body = await asyncio.wait_for(_read(receive, limit), seconds)
        except TimeoutError:
            raise BodyRefusedError(408, "The request took too long to arrive.") from None
        finally:
            self._open -= Counter([client])
        return None if body is None else _again(body, receive)


async def _read(receive: Receive, limit: int) -> bytes | None:
    parts, taken = [], 0
    while True:
        message = await receive()
        if message["type"] != "http.request":
            return None
        parts.append(message.get("body", b""))
        taken += len(parts[-1])
        if taken > limit:
            raise BodyRefusedError(413, too_large(limit))
        if not message.get("more_body", False):
            return b"".join(parts)


def _again(body: bytes, receive: Receive) -> Receive:
    """Gives the whole body once, then what the server says next: that the client left."""
    held = [body]

    async def given() -> Message:
        return {"type": "http.request", "body": held.pop(), "more_body": False} if held else await receive()

    return given
