"""The token of a dashboard that others can reach: shown once by its visitor, then remembered in a cookie."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import logging
import secrets
import time
from collections import Counter
from collections.abc import Mapping
from http.cookies import CookieError, SimpleCookie

SHORTEST_TOKEN = 16
OPEN_PATHS = ("/login", "/static/login.js", "/static/app.js", "/static/app.css")
"""What a visitor may have without a token: the form that asks for it."""
WRONG_SECONDS = 0.5
"""How long a wrong token waits for its answer."""
MOST_WRONG = 4
"""How many wrong tokens of one address wait at once; while they do, no other of it is looked at."""
SILENT_SECONDS = 60.0

logger = logging.getLogger(__name__)


def new_token() -> str:
    """A token nobody guesses: 256 random bits."""
    return secrets.token_urlsafe(32)


class Access:
    """Who may see the pages: everyone who reaches them where ``token`` is None, else those who have shown it.

    The cookie holds a digest of the token, is not readable by scripts, and is sent by pages of this server alone. Its
    name carries the port, since cookies do not tell two dashboards of one machine apart.

    Example:
        >>> access = Access("a token of a dashboard", 8000)
        >>> access.admits("a token of a dashboard"), access.admits("a guess"), access.admits("")
        (True, False, False)
    """

    def __init__(self, token: str | None, port: int, wrong_seconds: float = WRONG_SECONDS) -> None:
        self._token = token
        self._wrong_seconds, self._told = wrong_seconds, -SILENT_SECONDS
        self._wrong: Counter[str] = Counter()
        self._cookie = f"seewhy_{port}"
        self._proof = hashlib.sha256(f"seewhy cookie {token}".encode()).hexdigest()

    @property
    def needs_token(self) -> bool:
        """Whether a token is asked for."""
        return self._token is not None

    def admits(self, token: str) -> bool:
        """Whether a token is the right one; takes the same time for every guess."""
        mine = (self._token or "").encode()
        return hmac.compare_digest(mine, token.encode("utf-8", "surrogatepass")) and self.needs_token

    def overrun(self, client: str) -> bool:
        """Whether so many wrong tokens of an address wait for their answers that no other of it is looked at."""
        return self._wrong[client] >= MOST_WRONG

    async def slow_down(self, client: str) -> None:
        """Wait before a wrong token is answered, so that guesses take time; the log hears of it once a minute."""
        now = time.monotonic()
        if now - self._told >= SILENT_SECONDS:
            self._told = now
            logger.warning("%s showed a wrong token; others within a minute are not told", client)
        self._wrong[client] += 1
        try:
            await asyncio.sleep(self._wrong_seconds)
        finally:
            self._wrong -= Counter([client])

    def set_cookie(self) -> str:
        """The ``Set-Cookie`` header for a visitor who has shown the token."""
        return f"{self._cookie}={self._proof}; Path=/; HttpOnly; SameSite=Strict"

    def refusal(self, path: str, headers: Mapping[bytes, list[bytes]]) -> tuple[int, str] | None:
        """Status and text where a visitor has not shown the token, else None."""
        if not self.needs_token or path in OPEN_PATHS or self._has_cookie(headers) or self._has_header(headers):
            return None
        return 401, "Open the address with its token that `seewhy serve` printed, or /login."

    def _has_cookie(self, headers: Mapping[bytes, list[bytes]]) -> bool:
        for value in headers.get(b"cookie", []):
            try:
                found = SimpleCookie(value.decode("latin-1")).get(self._cookie)
            except CookieError:
                continue
            if found is not None and hmac.compare_digest(
                found.value.encode("latin-1", "replace"), self._proof.encode()
            ):
                return True
        return False

    def _has_header(self, headers: Mapping[bytes, list[bytes]]) -> bool:
        return any(
            self.admits(value[7:].decode("latin-1"))
            for value in headers.get(b"authorization", [])
            if value.lower().startswith(b"bearer ")
        )
