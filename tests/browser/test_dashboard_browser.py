"""The dashboard in a real browser: filters, paging, records, the map, two runs, hostile texts, dark and narrow."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from browser_runs import ABOUT, failed, row, write_rows
from browser_watch import Watch
from playwright.sync_api import Error
from test_report_hostile import CORES, SHELLS

from seewhy.report.allowed_hosts import allowed_hosts
from seewhy.report.dashboard_run import DashboardRun
from seewhy.report.server import create_app

READY = "document.documentElement.dataset.ready === ''"
CARDS = "document.querySelectorAll('.card').length"
Serve = Callable[..., str]


def served(serve: Serve, *roots: Path, token: str | None = None) -> str:
    return serve(
        lambda port: create_app(
            [DashboardRun(number, root) for number, root in enumerate(roots)],
            port=port, hosts=allowed_hosts("127.0.0.1", port), token=token,
        )
    )  # fmt: skip


def go(page: Any, address: str) -> None:
    page.goto(address)
    soon(page, READY)


def soon(page: Any, expression: str) -> None:
    """Wait until an expression is true, also while the page goes from one address to another."""
    end = time.monotonic() + 8
    while True:
        with contextlib.suppress(Error):  # what is asked while a page is left has no answer
            if page.evaluate(expression):
                return
        assert time.monotonic() < end, f"this did not become true: {expression}"
        time.sleep(0.02)


def canvas_sum(page: Any) -> float:
    return float(
        page.evaluate(
            "(() => { const c = document.querySelector('canvas.heat'); const d = c.getContext('2d')"
            ".getImageData(0, 0, c.width, c.height).data; return d.reduce((sum, value) => sum + value, 0); })()"
        )
    )


def test_from_the_first_page_to_what_the_model_looked_at(
    online: Any, watched: Watch, serve: Serve, browser_run: Path
) -> None:
    base = served(serve, browser_run)
    go(online, base)
    assert online.url == f"{base}/runs/0"
    online.click("a.tile-wrong")
    soon(online, f"{READY} && {CARDS} === 6")
    online.locator(".card a").first.click()
    soon(online, f"{READY} && document.querySelector('canvas.heat') !== null")
    assert "the true class is" in online.inner_text("article.record")
    assert canvas_sum(online) > 0
    before = online.url
    online.keyboard.press("ArrowRight")
    soon(online, f"location.href !== {before!r} && {READY}")
    online.keyboard.press("Escape")
    soon(online, f"location.pathname === '/runs/0/records' && {READY}")
    assert online.url.endswith("?result=wrong")
    assert (watched.problems, watched.foreign) == ([], [])


def test_filters_act_at_once_and_stay_in_the_address(
    online: Any, watched: Watch, serve: Serve, browser_run: Path
) -> None:
    base = served(serve, browser_run)
    go(online, f"{base}/runs/0/records")
    assert online.evaluate(CARDS) == 60
    online.select_option("[name=result]", "failed")
    soon(online, f"{CARDS} === 2")
    assert online.url == f"{base}/runs/0/records?result=failed"
    online.select_option("[name=split]", "train")
    soon(online, f"{CARDS} === 1")
    online.keyboard.press("Escape")
    online.locator("h2").first.click()
    online.keyboard.press("/")
    assert online.evaluate("document.activeElement.id") == "search"
    online.select_option("[name=result]", "")
    online.fill("#search", "memoryerror")
    soon(online, f"{CARDS} === 1 && document.querySelector('.card-failed') !== null && location.search.includes('q=')")
    online.go_back()
    soon(online, "!location.search.includes('q=')")
    soon(online, f"{CARDS} > 1")
    online.reload()
    soon(online, READY)
    assert (watched.problems, watched.foreign) == ([], [])


def test_the_map_opens_records(online: Any, watched: Watch, serve: Serve, browser_run: Path) -> None:
    base = served(serve, browser_run)
    go(online, f"{base}/runs/0/map")
    soon(online, "document.querySelector('canvas.scatter') !== null")
    online.locator("details.point-details summary").click()
    soon(online, "document.querySelectorAll('.point-list button').length > 0")
    online.locator(".point-list button").first.click()
    soon(online, f"location.pathname.startsWith('/runs/0/records/') && {READY}")
    assert (watched.problems, watched.foreign) == ([], [])


def test_two_runs_are_drawn_side_by_side(
    online: Any, watched: Watch, serve: Serve, browser_run: Path, tmp_path: Path
) -> None:
    other = write_rows(
        tmp_path / "other", {"test": [row(number, "test", maps=np.ones((3, 4, 4), np.float32)) for number in range(40)]}
    )
    base = served(serve, browser_run, other)
    go(online, f"{base}/compare?a=0&b=1")
    online.get_by_role("link", name="test_011").click()
    soon(online, f"location.pathname.startsWith('/compare/records/') && {READY}")
    assert online.locator("#pair > section").count() == 2
    online.get_by_role("link", name="Next ›").click()
    soon(online, f"{READY} && document.querySelectorAll('#pair canvas.heat').length >= 2")
    online.locator("#pair > section:first-child [name=colormap]").select_option("magma")
    soon(online, "document.querySelector('#pair > section:last-child [name=colormap]').value === 'magma'")
    assert (watched.problems, watched.foreign) == ([], [])


def test_the_token_in_the_fragment_lets_in(online: Any, serve: Serve, browser_run: Path) -> None:
    token = "a token that is long enough"
    base = served(serve, browser_run, token=token)
    online.goto(f"{base}/runs/0")
    assert online.url == f"{base}/login"
    online.goto(f"{base}/login#token={token.replace(' ', '%20')}")
    soon(online, f"location.pathname === '/runs/0' && {READY}")
    assert token not in online.evaluate("location.href + document.cookie")


@pytest.mark.parametrize(("scheme", "width"), [("dark", 360), ("light", 390)])
def test_pages_fit_a_phone_and_follow_the_system(
    browser: Any, serve: Serve, browser_run: Path, scheme: str, width: int
) -> None:
    base = served(serve, browser_run, browser_run)
    context = browser.new_context(viewport={"width": width, "height": 700}, color_scheme=scheme)
    page = context.new_page()
    for path in ("/", "/runs/0", "/runs/0/records", "/runs/0/records/0", "/runs/0/map", "/compare"):
        go(page, base + path)
        assert page.evaluate("document.documentElement.scrollWidth") <= width, path
        ground = page.evaluate("getComputedStyle(document.body).backgroundColor")
        light = sum(int(part) for part in ground[4:-1].split(",")) > 3 * 128
        assert light == (scheme == "light")
    context.close()


def test_two_hundred_hostile_texts_stay_texts(online: Any, watched: Watch, serve: Serve, tmp_path: Path) -> None:
    texts = [shell.format(core) for core in CORES for shell in SHELLS]
    assert len(texts) == 200
    rows = [
        row(number, "test", record_id=f"{text} {number}", notes=(text,)) if number % 2 else
        failed(number, "test", text) for number, text in enumerate(texts)
    ]  # fmt: skip
    about = {**ABOUT, "class_names": texts[:3], "choices": dict(zip(texts[3:100], texts[100:197], strict=True))}
    hostile = write_rows(tmp_path / "hostile", {"test": rows}, about=about)
    plain = write_rows(
        tmp_path / "plain",
        {"test": [row(n, "test", notes=("n",)) if n % 2 else failed(n, "test", "e") for n in range(200)]},
        about={**ABOUT, "choices": {f"what {n}": f"how {n}" for n in range(97)}},
    )
    base = served(serve, hostile, plain)
    count = "document.querySelectorAll('*').length"
    for path in (
        "",
        "/records?sort=position",
        "/records?sort=position&page=2",
        "/records/1",
        "/records/2",
        "/made",
        "/map",
    ):
        counts = []
        for run in (0, 1):
            go(online, f"{base}/runs/{run}{path}")
            if path == "/map":
                soon(online, "document.querySelector('canvas.scatter') !== null")
            counts.append(online.evaluate(count))
            assert online.evaluate("window.__pwned === undefined")
        assert counts[0] == counts[1], path
    go(online, f"{base}/compare?a=0&b=1")
    assert online.evaluate("window.__pwned === undefined")
    assert watched.foreign == []
    assert [one for one in watched.problems if "pwned" in one or "evil" in one] == []
