"""What every request passes before a page is looked for: where it comes from, how large it is, how many there are."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection, Mapping, MutableMapping
from dataclasses import dataclass, field
from typing import Any

from seewhy.report.access import Access

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]
Headers = Mapping[bytes, list[bytes]]

POLICY = (
    "default-src 'none'; img-src 'self' data: blob:; style-src 'self'; script-src 'self'; connect-src 'self'; "
    "form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
)
SAFE_HEADERS = {
    "content-security-policy": POLICY,
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "same-origin",  # with none, browsers send forms of our own without their origin
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
}
BODY_BYTES = 64 << 10
BODY_SECONDS = 20.0
MOST_REQUESTS = 128
METHODS = ("GET", "HEAD", "POST")
FROM_HERE = (b"same-origin", b"none")


@dataclass(frozen=True)
class Limits:
    """How much is taken at once: bytes of a body (``bodies`` by path), seconds to send or take a
    part, requests being answered."""

    body_bytes: int = BODY_BYTES
    bodies: Mapping[str, int] = field(default_factory=dict)
    body_seconds: float = BODY_SECONDS
    requests: int = MOST_REQUESTS


class _BodyRefusedError(Exception):
    def __init__(self, status: int, text: str) -> None:
        super().__init__(status, text)
        self.status, self.text = status, text


class _SlowReaderError(Exception):
    """Who asked does not take the answer."""


class Guard:
    """ASGI middleware in front of everything else.

    A request is refused unless its ``Host`` is one of ``hosts`` exactly and there once; an ``Origin`` is this server's
    own, ``Sec-Fetch-Site`` says that no other site asks, on every method; nothing is upgraded; and, where ``access``
    has a token, the visitor has shown it. Refusals are one line of text, and every answer has :data:`SAFE_HEADERS`.
    """

    def __init__(self, app: App, hosts: Collection[str], access: Access, limits: Limits | None = None) -> None:
        self._app = app
        self._hosts = frozenset(host.encode("ascii") for host in hosts)
        self._origins = frozenset(b"http://" + host for host in self._hosts)
        self._access = access
        self._limits = limits or Limits()
        self._busy = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
        elif scope["type"] != "http":
            await send({"type": "websocket.close", "code": 1008})
        else:
            await self._http(scope, receive, _with_headers(send))

    async def _http(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = _headers(scope)
        refusal = self._refusal(scope, headers)
        if refusal is not None and refusal[0] == 401 and _wants_page(headers):
            await refuse(send, 303, refusal[1], {"location": "/login"})
        elif refusal is not None:
            await refuse(send, *refusal)
        elif self._busy >= self._limits.requests:
            await refuse(send, 503, "Too many requests at once; try again in a second.", {"retry-after": "1"})
        else:
            self._busy += 1
            try:
                await self._answer(scope, receive, send)
            finally:
                self._busy -= 1

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        body = _Body(
            receive, self._limits.bodies.get(scope["path"], self._limits.body_bytes), self._limits.body_seconds
        )
        started = False

        async def sending(message: Message) -> None:
            nonlocal started
            if body.refused is None or started:  # else the app tells of its own trouble, and the cause is told below
                started = True
                await _in_time(send(message), self._limits.body_seconds)

        try:
            await self._app(scope, body.receive, sending)
        except _BodyRefusedError:
            if started:
                raise
        except _SlowReaderError:
            return  # the server closes what is not finished
        if body.refused is not None and not started:
            await refuse(send, body.refused.status, body.refused.text, {"connection": "close"})

    def _refusal(self, scope: Scope, headers: Headers) -> tuple[int, str] | None:
        wrong = self._of_another_site(headers) or _malformed(scope, headers)
        if wrong is not None:
            return wrong
        if scope["method"] not in METHODS:
            return 405, "Pages are read by GET, and questions asked by POST."
        limit = self._limits.bodies.get(scope["path"], self._limits.body_bytes)
        if int(headers.get(b"content-length", [b"0"])[0]) > limit:
            return 413, f"The request is larger than {limit} bytes."
        return self._access.refusal(scope["path"], headers)

    def _of_another_site(self, headers: Headers) -> tuple[int, str] | None:
        hosts = headers.get(b"host", [])
        if len(hosts) != 1 or hosts[0].lower() not in self._hosts:
            return 421, "This server does not answer to that name; use the address it printed when it was started."
        origins = headers.get(b"origin", [])
        if any(origin.lower() != b"http://" + hosts[0].lower() for origin in origins) or len(origins) > 1:
            return 403, "Another site may not ask this server."
        if any(site.lower() not in FROM_HERE for site in headers.get(b"sec-fetch-site", [])):
            return 403, "Another site may not ask this server; type or paste its address instead of following a link."
        return None


async def refuse(send: Send, status: int, text: str, headers: Mapping[str, str] | None = None) -> None:
    """Answer with one line of plain text."""
    body = (text + "\n").encode()
    named = {"content-type": "text/plain; charset=utf-8", "content-length": str(len(body)), "cache-control": "no-store"}
    pairs = [(name.encode(), value.encode()) for name, value in (named | dict(headers or {})).items()]
    await send({"type": "http.response.start", "status": status, "headers": pairs})
    await send({"type": "http.response.body", "body": body})


def _headers(scope: Scope) -> Headers:
    found: dict[bytes, list[bytes]] = {}
    for name, value in scope["headers"]:
        found.setdefault(name.lower(), []).append(value.strip())
    return found


def _wants_page(headers: Headers) -> bool:
    return any(b"text/html" in value for value in headers.get(b"accept", []))


def _malformed(scope: Scope, headers: Headers) -> tuple[int, str] | None:
    lengths = headers.get(b"content-length", [])
    if len(set(lengths)) > 1 or any(not length.isdigit() or len(length) > 15 for length in lengths):
        return 400, "The length of the request is not clear."
    if b"upgrade" in headers:
        return 400, "This server speaks HTTP only."
    path: str = scope["path"]
    raw: bytes = scope.get("raw_path") or path.encode("utf-8", "surrogateescape")
    odd = any(ord(letter) < 32 or letter in "\\\x7f\ufffd" or "\ud800" <= letter <= "\udfff" for letter in path)
    if not path.startswith("/") or path.startswith("//") or odd or b"%2f" in raw.lower():
        return 400, "That is no address of this server."
    return None


def _with_headers(send: Send) -> Send:
    async def sending(message: Message) -> None:
        if message["type"] == "http.response.start":
            there = {name.lower() for name, _ in message.get("headers", [])}
            extra = [
                (name.encode(), text.encode()) for name, text in SAFE_HEADERS.items() if name.encode() not in there
            ]
            message = {**message, "headers": [*message.get("headers", []), *extra]}
        await send(message)

    return sending


async def _in_time(sending: Awaitable[None], seconds: float) -> None:
    try:
        await asyncio.wait_for(sending, seconds)
    except TimeoutError:
        raise _SlowReaderError from None


class _Body:
    """The body of a request, up to a number of bytes, each part within some seconds."""

    def __init__(self, receive: Receive, limit: int, seconds: float) -> None:
        self._receive, self._limit, self._seconds = receive, limit, seconds
        self._taken, self._whole = 0, False
        self.refused: _BodyRefusedError | None = None

    async def receive(self) -> Message:
        """The next part; raises where it is too late or too much."""
        if self._whole:
            return await self._receive()
        try:
            message = await asyncio.wait_for(self._receive(), self._seconds)
        except TimeoutError:
            raise self._refusal(408, "The request took too long to arrive.") from None
        self._taken += len(message.get("body", b""))
        self._whole = not message.get("more_body", False)
        if self._taken > self._limit:
            raise self._refusal(413, f"The request is larger than {self._limit} bytes.")
        return message

    def _refusal(self, status: int, text: str) -> _BodyRefusedError:
        self.refused = _BodyRefusedError(status, text)
        return self.refused
