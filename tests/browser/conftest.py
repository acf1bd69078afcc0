"""A real browser, one for the whole session: pages that are watched, and servers that answer them."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from browser_runs import write_browser_run
from browser_truth import write_truth_run
from browser_watch import OWN_HOSTS, Watch

CHROMIUM = Path("/usr/bin/chromium")
PATIENCE = 10_000


@pytest.fixture(scope="session")
def browser() -> Iterator[Any]:
    """Debian's chromium, driven by playwright; skipped where either is absent."""
    playwright = pytest.importorskip("playwright.sync_api", reason="browser tests need the package playwright")
    if not CHROMIUM.exists():
        pytest.skip(f"browser tests need {CHROMIUM}: `make browser` installs it on Debian")
    with playwright.sync_playwright() as driver:
        chromium = driver.chromium.launch(executable_path=str(CHROMIUM), args=["--no-sandbox"])
        yield chromium
        chromium.close()


@pytest.fixture
def watched() -> Watch:
    """What :func:`page` or :func:`online` did."""
    return Watch()


@pytest.fixture
def page(browser: Any, watched: Watch) -> Iterator[Any]:
    """A fresh page of 1280 by 900 without any network, for files."""
    yield from _opened(browser, watched, offline=True)


@pytest.fixture
def online(browser: Any, watched: Watch) -> Iterator[Any]:
    """A fresh page that reaches servers of this machine, and nothing else."""
    yield from _opened(browser, watched, offline=False)


def _opened(browser: Any, watched: Watch, *, offline: bool) -> Iterator[Any]:
    context = browser.new_context(viewport={"width": 1280, "height": 900}, offline=offline, color_scheme="light")
    context.set_default_timeout(PATIENCE)
    if not offline:
        context.route(lambda url: urlsplit(url).hostname not in OWN_HOSTS, lambda route: route.abort())
    page = context.new_page()
    watched.attach(page)
    yield page
    context.close()


@pytest.fixture
def serve() -> Iterator[Callable[..., str]]:
    """``serve(lambda port: app)`` runs an ASGI app on a free port of 127.0.0.1 and gives its address."""
    uvicorn = pytest.importorskip("uvicorn", reason="servers need the package uvicorn")
    running: list[tuple[Any, threading.Thread, socket.socket]] = []

    def start(make: Callable[[int], Any]) -> str:
        listener = socket.create_server(("127.0.0.1", 0))
        port = listener.getsockname()[1]
        server = uvicorn.Server(
            uvicorn.Config(make(port), log_config=None, lifespan="auto", timeout_graceful_shutdown=1)
        )
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
        thread.start()
        until = time.monotonic() + 10
        while not server.started:
            if time.monotonic() > until or not thread.is_alive():
                pytest.fail("the server did not start")
            time.sleep(0.01)
        running.append((server, thread, listener))
        return f"http://127.0.0.1:{port}"

    yield start
    for server, thread, listener in running:
        server.should_exit = True
        thread.join(10)
        listener.close()


@pytest.fixture(scope="session")
def browser_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run directory of 60 records with failures, mistakes, hostile names and pictures, and its report."""
    return write_browser_run(tmp_path_factory.mktemp("browser") / "run")


@pytest.fixture(scope="session")
def truth_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run directory of records whose maps anyone can work out, and its report."""
    return write_truth_run(tmp_path_factory.mktemp("truth") / "run")
