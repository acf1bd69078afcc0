"""A report of several pages: each knows where the records of the others are."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from browser_watch import Watch, until

from seewhy.report.static_report import write_report
from seewhy.store.run_reader import RunReader


@pytest.fixture(scope="module")
def pages(browser_run: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """60 records on pages of 25: 2 failed, 6 wrong, then the least confident first."""
    root = tmp_path_factory.mktemp("pages")
    (root / "report").mkdir()
    write_report(RunReader(browser_run), lambda name, data: (root / name).write_bytes(data), per_page=25)
    return root / "report"


def opened(page: Any, path: Path, state: str = "") -> None:
    page.goto(f"{path.as_uri()}{state}")
    page.wait_for_selector("html[data-ready]")


def test_a_search_leads_to_the_page_that_has_the_record(page: Any, pages: Path, watched: Watch) -> None:
    opened(page, pages / "index.html", "#view=records&q=train_049")
    assert page.locator(".card").count() == 0
    assert page.locator(".elsewhere").inner_text() == "Other pages of this report: 1 more, 1 on page 3"
    page.locator(".elsewhere a").click()
    until(page, "location.pathname.endsWith('page-3.html') && document.querySelectorAll('.card').length === 1")
    assert page.locator(".card-id").inner_text() == "train_049"
    assert watched.problems == []


def test_the_map_has_the_records_of_all_pages(page: Any, pages: Path, watched: Watch) -> None:
    opened(page, pages / "index.html", "#view=map&colour=error")
    assert page.locator(".scatter-legend button").all_inner_texts() == ["✓ right (52)", "✗ wrong (6)"]
    page.locator(".point-details summary").click()
    page.locator(".point-details > button").click()
    page.locator(".point-details > button").click()
    page.get_by_role("button", name="train_049").click()
    until(page, "location.pathname.endsWith('page-3.html') && document.body.dataset.view === 'record'")
    assert page.locator("h2").inner_text().startswith("train_049")
    assert watched.problems == []


def test_a_link_to_a_record_of_another_page_says_which(page: Any, pages: Path) -> None:
    opened(page, pages / "index.html", "#view=record&in=train&id=train_049&c=1")
    assert page.locator("main").inner_text().splitlines()[:3:2] == [
        "On another page", "The record train_049 is on page 3 of this report."
    ]  # fmt: skip
    assert page.locator("main p a").first.get_attribute("href") == "page-3.html#view=record&in=train&id=train_049&c=1"


def test_failures_of_another_page_are_links(page: Any, pages: Path) -> None:
    opened(page, pages / "page-2.html")
    href = page.locator(".panel-failed tbody a").first.get_attribute("href")
    assert href == "index.html#view=record&in=test&id=test_011"


def test_classes_lead_to_as_many_records_as_they_say(page: Any, pages: Path) -> None:
    opened(page, pages / "index.html")
    line = page.locator("tr", has_text="owl & fox (2)").first.inner_text().split("\t")
    # of the numbers 2, 5, … 59 eleven failed; those that end in 7 are wrong, of which 17 and 47 are of class 2
    assert [one.strip() for one in line[:4]] == ["owl & fox (2)", "19", "1", "2"]
    page.get_by_role("link", name="owl & fox (2)").click()
    page.wait_for_selector("body[data-view=records]")
    on_this = page.locator(".card").count()
    more = page.locator(".elsewhere").inner_text().split()
    assert on_this + int(more[more.index("more,") - 1]) == 20
    assert page.locator("select[name=label]").input_value() == "2"
