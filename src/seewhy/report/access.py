"""The token of a dashboard that others can reach: shown once by its visitor, then remembered in a cookie."""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections.abc import Mapping
from http.cookies import CookieError, SimpleCookie

SHORTEST_TOKEN = 16
OPEN_PATHS = ("/login", "/static/login.js", "/static/app.js", "/static/app.css")
"""What a visitor may have without a token: the form that asks for it."""


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

    def __init__(self, token: str | None, port: int) -> None:
        self._token = token
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
