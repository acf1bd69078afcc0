"""What a page of the browser did."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

OWN_HOSTS = ("127.0.0.1", "localhost", "::1")
COMPLAINTS = ("error", "warning", "trace")
"""Kinds of a console's messages; Plotly warns by traces."""


@dataclass
class Watch:
    """What a page did: the addresses it asked for beside inline data, and errors of its console or its policy."""

    requests: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)

    @property
    def foreign(self) -> list[str]:
        """Requests to anything but a file or a server of this machine."""
        return [
            url for url in self.requests if urlsplit(url).scheme != "file" and urlsplit(url).hostname not in OWN_HOSTS
        ]

    def attach(self, page: Any) -> None:
        """Listen to a page."""
        page.on("request", lambda request: self._asked(request.url))
        page.on("console", lambda said: self.problems.append(said.text) if said.type in COMPLAINTS else None)
        page.on("pageerror", lambda error: self.problems.append(str(error)))

    def _asked(self, url: str) -> None:
        if not url.startswith(("data:", "blob:")):
            self.requests.append(url)


def until(page: Any, expression: str, seconds: float = 8) -> None:
    """Wait until an expression is true in a page; playwright's own way needs `eval`, which the policy forbids."""
    end = time.monotonic() + seconds
    while not page.evaluate(expression):
        assert time.monotonic() < end, f"this did not become true: {expression}"
        time.sleep(0.02)
