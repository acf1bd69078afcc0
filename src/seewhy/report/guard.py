"""What every request passes before a page is looked for: where it comes from, how large it is, how many there are."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

from seewhy.report.access import Access
from seewhy.report.arrival import (
    App,
    Arrivals,
    BodyRefusedError,
    Headers,
    Receive,
    Scope,
    Send,
    awaited,
    client_of,
    too_large,
)

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
BODY_SECONDS = 10.0
BODY_RATE = 64 << 10
MOST_REQUESTS = 128
MOST_BODIES = 64
MOST_BODIES_EACH = 32
HEADER_BYTES = 16 << 10
MOST_HEADERS = 100
METHODS = ("GET", "HEAD", "POST")
FROM_HERE = (b"same-origin", b"none")
TOO_MANY = "Too many requests at once; try again in a second."


@dataclass(frozen=True)
class Limits:
    """How much is taken at once: bytes of a body (``bodies`` by path), requests being answered, bodies on their way,
    of all clients and of each address. A body must be there after ``body_seconds`` and what its size takes at
    ``body_rate`` bytes a second."""

    body_bytes: int = BODY_BYTES
    bodies: Mapping[str, int] = field(default_factory=dict)
    body_seconds: float = BODY_SECONDS
    body_rate: float = BODY_RATE
    requests: int = MOST_REQUESTS
    arriving: int = MOST_BODIES
    arriving_each: int = MOST_BODIES_EACH

    def of_body(self, path: str) -> int:
        """The most bytes of a body for a path."""
        return self.bodies.get(path, self.body_bytes)

    def seconds_for(self, size: int) -> float:
        """How long a body may be on its way."""
        return self.body_seconds + size / self.body_rate


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
        self._arrivals = Arrivals(self._limits.arriving, self._limits.arriving_each)
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
        unread = {"connection": "close"} if awaited(headers) else {}  # nobody waits for the body of what is refused
        refusal = self._refusal(scope, headers)
        if refusal is not None and refusal[0] == 401 and _wants_page(headers):
            await refuse(send, 303, refusal[1], {"location": "/login", **unread})
        elif refusal is not None:
            if refusal[0] == 401 and b"authorization" in headers:
                await self._access.slow_down(client_of(scope))
            await refuse(send, *refusal, unread)
        elif self._busy >= self._limits.requests:
            await refuse(send, 503, TOO_MANY, {"retry-after": "1", **unread})
        else:
            await self._answer(scope, headers, receive, send)

    async def _answer(self, scope: Scope, headers: Headers, receive: Receive, send: Send) -> None:
        try:
            body = await self._body(scope, headers, receive)
        except BodyRefusedError as error:
            await refuse(send, error.status, error.text, {"connection": "close", **error.headers})
            return
        if body is None:
            return  # who asked has left
        self._busy += 1
        try:
            await self._app(scope, body, send)
        finally:
            self._busy -= 1

    async def _body(self, scope: Scope, headers: Headers, receive: Receive) -> Receive | None:
        """What gives the body again once it is there whole; None where the client left before."""
        if not awaited(headers):
            return receive
        limit = self._limits.of_body(scope["path"])
        size = int(headers.get(b"content-length", [b"%d" % limit])[0])
        return await self._arrivals.whole(scope, receive, limit, self._limits.seconds_for(size))

    def _refusal(self, scope: Scope, headers: Headers) -> tuple[int, str] | None:
        wrong = self._of_another_site(headers) or _malformed(scope, headers)
        if wrong is not None:
            return wrong
        if scope["method"] not in METHODS:
            return 405, "Pages are read by GET, and questions asked by POST."
        limit = self._limits.of_body(scope["path"])
        if int(headers.get(b"content-length", [b"0"])[0]) > limit:
            return 413, too_large(limit)
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
    held = [len(name) + len(value) for name, value in scope["headers"]]
    if (
        len(held) > MOST_HEADERS
        or sum(held) + len(scope.get("raw_path") or b"") + len(scope["query_string"]) > HEADER_BYTES
    ):
        return 431, f"The headers are more than {MOST_HEADERS} lines or {HEADER_BYTES >> 10} KB."
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
