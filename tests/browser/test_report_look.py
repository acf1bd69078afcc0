"""How a report looks and how quickly it is there: light, dark, contrast, a phone, a thousand records."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from browser_page import write_page
from browser_watch import Watch, until

VIEWS = ("overview", "records", "map", "methods", "made", "record&in=test&id=test_007")

CONTRASTS = """() => {
  const parse = (text) => text.match(/[\\d.]+/g).map(Number);
  const light = ([r, g, b]) => [r, g, b].map((one) => one / 255)
    .map((one) => (one <= 0.04045 ? one / 12.92 : ((one + 0.055) / 1.055) ** 2.4))
    .reduce((sum, one, place) => sum + one * [0.2126, 0.7152, 0.0722][place], 0);
  const ground = (element) => {
    for (let one = element; one; one = one.parentElement) {
      const colour = parse(getComputedStyle(one).backgroundColor);
      if (colour.length === 3 || colour[3] === 1) return colour;
    }
    return [255, 255, 255];
  };
  const found = [];
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  for (let text = walker.nextNode(); text; text = walker.nextNode()) {
    const element = text.parentElement;
    if (!text.data.trim() || element.closest('script, svg, option, [disabled]') || !element.checkVisibility()) continue;
    const [one, other] = [light(parse(getComputedStyle(element).color)), light(ground(element))];
    const ratio = (Math.max(one, other) + 0.05) / (Math.min(one, other) + 0.05);
    if (ratio < 4.5) found.push(`${text.data.trim().slice(0, 40)} ${ratio.toFixed(2)}`);
  }
  return found;
}"""

NAMELESS = """() => [...document.querySelectorAll('input, select, button, img, canvas, [role=img]')]
  .filter((one) => one.checkVisibility() && !one.closest('[aria-hidden=true]'))
  .filter((one) => !one.ariaLabel && !one.textContent.trim() && !(one.labels && one.labels.length))
  .filter((one) => one.getAttribute('alt') === null)
  .map((one) => one.outerHTML.slice(0, 90))"""


def opened(page: Any, path: Path, state: str = "") -> Any:
    """A report at a state of its address."""
    page.goto(f"{path.as_uri()}{state}")
    page.wait_for_selector("html[data-ready]")
    return page


def each_view(page: Any) -> Any:
    """Go through the views of the report that is open."""
    for view in VIEWS:
        page.evaluate(f"location.hash = '#view={view}'")
        page.wait_for_selector(f"body[data-view={view.split('&')[0]}]")
        yield view


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_text_has_the_contrast_to_be_read(page: Any, browser_run: Path, scheme: str) -> None:
    page.emulate_media(color_scheme=scheme)
    opened(page, browser_run / "report" / "index.html")
    assert {view: page.evaluate(CONTRASTS) for view in each_view(page)} == {view: [] for view in VIEWS}


def test_dark_follows_the_system_until_a_reader_chooses(page: Any, browser_run: Path) -> None:
    shade = "getComputedStyle(document.body).backgroundColor"
    opened(page, browser_run / "report" / "index.html")
    assert page.evaluate(shade) == "rgb(244, 246, 249)"
    page.emulate_media(color_scheme="dark")
    until(page, f"{shade} === 'rgb(16, 20, 27)'")
    until(page, "document.querySelector('[data-theme-toggle]').ariaLabel === 'Switch to the light theme'")
    page.locator("[data-theme-toggle]").click()
    assert page.evaluate(shade) == "rgb(244, 246, 249)"
    page.reload()
    page.wait_for_selector("html[data-ready]")
    assert page.evaluate(shade) == "rgb(244, 246, 249)"


@pytest.mark.parametrize("width", [360, 768])
def test_nothing_needs_scrolling_sideways(page: Any, browser_run: Path, width: int) -> None:
    page.set_viewport_size({"width": width, "height": 740})
    opened(page, browser_run / "report" / "index.html")
    too_wide = {view: page.evaluate("document.documentElement.scrollWidth") for view in each_view(page)}
    assert too_wide == dict.fromkeys(VIEWS, width)


def test_every_control_and_picture_has_a_name(page: Any, browser_run: Path) -> None:
    opened(page, browser_run / "report" / "index.html")
    assert {view: page.evaluate(NAMELESS) for view in each_view(page)} == {view: [] for view in VIEWS}


def test_a_thousand_records_open_and_answer(page: Any, watched: Watch, tmp_path: Path) -> None:
    path = write_page(tmp_path / "index.html", 1000, lambda number: f"name {number}")
    opened(page, path, "#view=records&result=wrong")
    assert page.locator(".summary").inner_text() == "400 of 1,000 records of this page; 400 wrong, 0 failed."
    assert page.locator(".card").count() == 60
    page.get_by_role("button", name="Last page").click()
    # 400 records on pages of 60: 40 are left for the seventh
    assert page.locator(".card").count() == 40
    assert "page=7" in page.url
    page.get_by_label("Search").fill("name 99")
    # of 99 and 990 to 999 the odd ones are wrong, but those that end in 9, which failed
    until(page, "document.querySelectorAll('.card').length === 4")
    assert page.locator(".card-id").all_inner_texts() == ["name 991", "name 993", "name 995", "name 997"]
    assert page.evaluate("document.querySelectorAll('*').length") <= 3000
    assert watched.problems == []
