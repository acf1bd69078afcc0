"""How long a browser takes to open a report of 1000 records, beside a page that holds nothing.

    python benchmarks/report_opening.py [--records 1000] [--rounds 15]

Rounds of an empty page, the report's first screen and its records are interleaved. Prints milliseconds until a reader
can act: median, 95th percentile and the ratio to the empty page. The bar is 1 s.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

from playwright.sync_api import sync_playwright

from report import write_run
from seewhy.report.static_report import report_pages
from seewhy.store.run_reader import RunReader

CHROMIUM = "/usr/bin/chromium"
EMPTY = "<!doctype html><html data-ready><title>empty</title><p>nothing</p></html>"
BAR = 1.0


def opening(browser: Any, address: str) -> float:
    """Seconds from asking for a page until it can be used."""
    page = browser.new_page()
    begun = time.perf_counter()
    page.goto(address)
    page.wait_for_selector("html[data-ready]", state="attached")
    seconds = time.perf_counter() - begun
    page.close()
    return seconds


def main() -> None:
    """Make the pages, open them in turn, say what it took."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--records", type=int, default=1000)
    parser.add_argument("--rounds", type=int, default=15)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        write_run(root / "run", asked.records, 10, 7)
        report, empty = root / "index.html", root / "empty.html"
        report.write_bytes(next(html for _, html in report_pages(RunReader(root / "run"))))
        empty.write_text(EMPTY, encoding="utf-8")
        addresses = {
            "empty page": empty.as_uri(),
            "first screen": report.as_uri(),
            "records": f"{report.as_uri()}#view=records",
        }
        taken: dict[str, list[float]] = {name: [] for name in addresses}
        with sync_playwright() as driver:
            browser = driver.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
            for _ in range(asked.rounds):
                for name, address in addresses.items():
                    taken[name].append(opening(browser, address))
            browser.close()
        print(f"{asked.records} records, {report.stat().st_size / 1e6:.2f} MB, {asked.rounds} rounds")
    base = statistics.median(taken["empty page"])
    for name, seconds in taken.items():
        median, slow = statistics.median(seconds), statistics.quantiles(seconds, n=20)[-1]
        verdict = "within" if median <= BAR else "ABOVE"
        print(f"{name}: {1e3 * median:.0f} ms ({1e3 * slow:.0f} at 95 %), {median / base:.1f} x, {verdict} {BAR:g} s")


if __name__ == "__main__":
    main()
