"""Make the pictures of the report and the dashboard: the demonstration's digits, seen through a real browser.

    python docs/make_screenshots.py [--output-dir docs/gallery] [--run-dir DEMO_DIRECTORY]

Needs Debian's chromium, playwright, and the packages of `seewhy[serve]`. Without --run-dir the demonstration is run
first. Each picture is a JPEG of at most 200 KB.
"""

from __future__ import annotations

import argparse
import contextlib
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from playwright.sync_api import sync_playwright

from seewhy.demo.models import Kind, asset
from seewhy.store.run_reader import RunReader

CHROMIUM = "/usr/bin/chromium"
LARGEST = 200_000
QUALITIES = (88, 80, 70, 60)
LAPTOP, PHONE = (1280, 800), (390, 780)
TALL = (1280, 1180)
LOOKS_OF_A_REPORT = {
    "report_overview": ("", LAPTOP, "light"),
    "report_records": ("#view=records", LAPTOP, "dark"),
    "report_record": ("#view=record&in=test&id={wrong}", LAPTOP, "light"),
    "report_map": ("#view=map&colour=class", LAPTOP, "light"),
    "report_phone": ("#view=record&in=test&id={wrong}", PHONE, "dark"),
}
LOOKS_OF_A_DASHBOARD = {
    "dashboard_records": ("runs/0/records?result=wrong", LAPTOP, "light"),
    "dashboard_compare": ("compare?a=0&b=1", LAPTOP, "light"),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--output-dir", type=Path, default=Path(__file__).parent / "gallery")
    parser.add_argument("--run-dir", type=Path, help="what `seewhy demo` wrote")
    asked = parser.parse_args()
    asked.output_dir.mkdir(parents=True, exist_ok=True)
    with contextlib.ExitStack() as stack:
        folder = asked.run_dir or Path(stack.enter_context(tempfile.TemporaryDirectory()))
        if asked.run_dir is None:
            command("demo", "--output-dir", str(folder))
        driver = stack.enter_context(sync_playwright())
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        stack.callback(browser.close)
        report = (folder / "cnn" / "report" / "index.html").resolve().as_uri()
        wrong = mistake(folder / "cnn")
        for name, (state, size, scheme) in LOOKS_OF_A_REPORT.items():
            with page_of(browser, size, scheme) as page:
                page.goto(report + state.format(wrong=wrong))
                page.wait_for_selector("html[data-ready]")
                take(page, asked.output_dir / f"{name}.jpg")
        address = stack.enter_context(served(folder, "cnn", "vit"))
        for name, (path, size, scheme) in LOOKS_OF_A_DASHBOARD.items():
            with page_of(browser, size, scheme) as page:
                page.goto(address + path)
                take(page, asked.output_dir / f"{name}.jpg")
        alone = stack.enter_context(served(folder, "cnn"))
        with page_of(browser, TALL, "light") as page:
            ask_live(page, alone, wrong)
            take(page, asked.output_dir / "dashboard_live.jpg")


def command(*words: str) -> None:
    """A command of seewhy, as from a shell."""
    subprocess.run([sys.executable, "-m", "seewhy.cli.main", *words], check=True)


def mistake(run: Path) -> str:
    """The test record whose wrong prediction was the surest."""
    rows = [row for row in RunReader(run).rows("test", questions=[]) if row.predicted != row.label]
    return max(rows, key=lambda row: row.confidence or 0).record_id


@contextlib.contextmanager
def page_of(browser: Any, size: tuple[int, int], scheme: str) -> Iterator[Any]:
    """A fresh page of a size, light or dark."""
    width, height = size
    context = browser.new_context(viewport={"width": width, "height": height}, color_scheme=scheme)
    yield context.new_page()
    context.close()


@contextlib.contextmanager
def served(folder: Path, *kinds: Kind) -> Iterator[str]:
    """The dashboard of some of the demonstration's runs with their models; its address."""
    runs = [str(folder / kind) for kind in kinds]
    checkpoints = [word for kind in kinds for word in ("--checkpoint", str(asset(kind)))]
    words = [sys.executable, "-m", "seewhy.cli.main", "serve", *runs, *checkpoints, "--port", "0"]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            told = next((line for line in process.stdout if "http://" in line), "")
            found = re.search(r"http://\S+", told)
            if found is None:
                sys.exit("the dashboard did not start")
            yield found[0]
        finally:
            process.terminate()


def ask_live(page: Any, address: str, record_id: str) -> None:
    """Ask the model about a record, and wait for the answer."""
    page.goto(f"{address}live")
    page.locator("[name=record]").fill(record_id)
    page.locator("button.live-ask").click()
    page.wait_for_selector("canvas.heat", timeout=120_000, state="attached")
    page.evaluate("scrollTo(0, 0)")


def take(page: Any, path: Path) -> None:
    """A picture of what is in view, in the best quality that is small enough."""
    page.wait_for_timeout(500)
    for quality in QUALITIES:
        data = page.screenshot(type="jpeg", quality=quality)
        if len(data) <= LARGEST:
            break
    path.write_bytes(data)
    print(f"{path}: {len(data)} bytes")


if __name__ == "__main__":
    main()
