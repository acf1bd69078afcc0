"""The report in a real browser: what it asks of the network, what it shows first, filters, links and keys."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from browser_watch import Watch, until


def opened(page: Any, root: Path, state: str = "") -> Any:
    """The report of a run, at a state of its address."""
    page.goto(f"{(root / 'report' / 'index.html').as_uri()}{state}")
    page.wait_for_selector("html[data-ready]")
    return page


def shown_ids(page: Any) -> list[str]:
    """The records of the cards, in their order."""
    ids: list[str] = page.locator(".card .card-id").all_inner_texts()
    return ids


def state_of(page: Any) -> dict[str, str]:
    """The state in the address."""
    return {name: values[0] for name, values in parse_qs(urlsplit(page.url).fragment).items()}


def test_nothing_is_asked_of_the_network_and_nothing_goes_wrong(page: Any, watched: Watch, browser_run: Path) -> None:
    opened(page, browser_run)
    for view in ("records", "map", "methods", "made", "record&in=test&id=test_007", "overview"):
        page.evaluate(f"location.hash = '#view={view}'")
        page.wait_for_selector(f"body[data-view={view.split('&')[0]}]")
    assert [urlsplit(url).path for url in watched.requests] == [str(browser_run / "report" / "index.html")]
    assert watched.problems == []


def test_the_first_screen_has_failures_first_then_what_was_right(page: Any, browser_run: Path) -> None:
    opened(page, browser_run)
    numbers = page.locator(".tile-number").all_inner_texts()
    assert [one.replace("\n\n", "\n").split("\n") for one in numbers] == [
        ["! 2", "failed"], ["60", "records"], ["89.7 %", "accuracy (52 of 58)"], ["✗ 6", "wrong"],
    ]  # fmt: skip
    lines = page.locator(".panel-failed tbody tr").all_inner_texts()
    assert lines[0].split("\t")[:3] == ["test_011", "test", "read"]
    assert "<script>alert(2)</script> is no picture" in lines[0]
    page.get_by_role("link", name="train_045").click()
    page.wait_for_selector("body[data-view=record]")
    assert "MemoryError: one record does not fit" in page.locator(".error-text").inner_text()


@pytest.mark.parametrize(
    ("state", "expected"),
    [
        ("result=wrong", {"test_007", "test_017", "test_027", "test_037", "train_047", "train_057"}),
        ("result=wrong&split=train", {"train_047", "train_057"}),
        ("result=failed", {"test_011", "train_045"}),
        ("q=memoryerror", {"train_045"}),
        ("q=img src", {"<img src=x onerror=alert(1)>"}),
        # 0.4 + 0.5 * n / 50: of 0.88 and more are 48 and 49, and nothing of 50 to 59
        ("low=0.88", {"train_048", "train_049"}),
        # 7, 37, … are of class 1, said to be 2
        ("result=wrong&label=1&split=test", {"test_007", "test_037"}),
        ("result=wrong&predicted=1&split=test", {"test_027"}),
    ],
)
def test_a_link_reproduces_what_filters_show(page: Any, browser_run: Path, state: str, expected: set[str]) -> None:
    opened(page, browser_run, f"#view=records&{state}")
    assert set(shown_ids(page)) == expected


def test_filters_search_and_order_are_kept_in_the_address(page: Any, browser_run: Path) -> None:
    opened(page, browser_run, "#view=records")
    page.get_by_label("Result").select_option("right")
    page.get_by_label("Split").select_option("train")
    page.get_by_label("Order").select_option("surest")
    page.get_by_label("Search").fill("train_04")
    until(page, "location.hash.includes('q=train_04')")
    assert state_of(page) == {"view": "records", "result": "right", "split": "train", "sort": "surest", "q": "train_04"}
    surest_first = [
        "train_049",
        "train_048",
        "train_046",
        "train_044",
        "train_043",
        "train_042",
        "train_041",
        "train_040",
    ]
    assert shown_ids(page) == surest_first
    page.get_by_label("Confidence to, in percent").fill("85")
    page.keyboard.press("Tab")
    # 0.4 + 0.5 * 45 / 50 = 0.85 failed; 44 has 0.84
    assert shown_ids(page) == surest_first[3:]
    page.get_by_role("button", name="Clear filters").click()
    until(page, "location.hash === '#view=records'")
    assert page.locator(".summary").inner_text() == "All 60 records of this page; 6 wrong, 2 failed."


def test_a_card_leads_to_its_record_and_to_the_next_of_those_found(page: Any, browser_run: Path) -> None:
    opened(page, browser_run, "#view=records&result=wrong&split=test&sort=id")
    page.locator(".card a").first.click()
    page.wait_for_selector("body[data-view=record]")
    assert page.locator("h2").inner_text().split() == ["test_007", "✗", "wrong"]
    assert page.locator(".record-nav .quiet").inner_text() == "1 of 4"
    page.get_by_role("button", name="Next").click()
    until(page, "document.querySelector('h2').textContent.startsWith('test_017')")
    page.keyboard.press("ArrowLeft")
    until(page, "document.querySelector('h2').textContent.startsWith('test_007')")
    page.keyboard.press("Escape")
    page.wait_for_selector("body[data-view=records]")
    assert len(shown_ids(page)) == 4


def test_what_the_model_looked_at_is_told_from_the_page_alone(page: Any, browser_run: Path) -> None:
    opened(page, browser_run, "#view=record&in=test&id=test_007")
    lead = page.locator(".record-head .lead").inner_text()
    assert lead.startswith("Predicted owl & fox (2) with 47.0 %; the true class is <b>dog</b> (1).")
    titles = page.locator(".figures figcaption").all_inner_texts()
    assert titles == ["The input", "gradcam · owl & fox (2): predicted", "gradcam · <b>dog</b> (1): true"]
    assert page.locator(".legend-unit").first.inner_text().startswith("evidence for this class")
    first = page.locator(".panels tbody tr").first.inner_text().split("\t")
    assert first[:2] == ["1", "owl & fox (2): predicted"]
    assert first[2].strip() == "47.0 %"


def test_a_point_of_the_map_opens_its_record(page: Any, browser_run: Path) -> None:
    opened(page, browser_run, "#view=map")
    canvas = page.locator("canvas.scatter")
    box = canvas.bounding_box()
    # records lie on a grid of 10 by 6, in place by their numbers; one scale fits both axes within a margin of 24
    scale = min((box["width"] - 48) / 9, (box["height"] - 48) / 5)
    across = box["x"] + box["width"] / 2 + scale * (7 - 4.5)
    down = box["y"] + box["height"] / 2 - scale * (2 - 2.5)
    page.mouse.move(across + 2, down + 2)
    assert page.locator(".scatter-tip").inner_text() == "test_027: <b>dog</b> (1), 67.0 %, true cat (0)"
    page.mouse.click(across + 2, down + 2)
    page.wait_for_selector("body[data-view=record]")
    assert state_of(page)["id"] == "test_027"


def test_the_map_has_a_list_for_those_without_a_pointer(page: Any, browser_run: Path) -> None:
    opened(page, browser_run, "#view=map&colour=error")
    assert page.locator(".scatter-legend button").all_inner_texts() == ["✓ right (52)", "✗ wrong (6)"]
    page.get_by_role("button", name="right (52)").press("Enter")
    until(page, "document.querySelector('.point-details summary').textContent.includes('6 points')")
    page.locator(".point-details summary").press("Enter")
    until(page, "document.querySelectorAll('.point-list button').length === 6")
    buttons = page.locator(".point-list button")
    assert sorted(one.split(" · ")[0] for one in buttons.all_inner_texts())[:2] == ["test_007", "test_017"]
    buttons.first.press("Enter")
    page.wait_for_selector("body[data-view=record]")
    assert page.locator(".badge").first.inner_text() == "✗ wrong"


def test_the_whole_way_by_keyboard(page: Any, browser_run: Path) -> None:
    opened(page, browser_run)
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent") == "Skip to the content"
    page.keyboard.press("Tab")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent") == "Records"
    page.keyboard.press("Enter")
    page.wait_for_selector("body[data-view=records]")
    page.keyboard.press("/")
    page.keyboard.type("train_057")
    until(page, "document.querySelectorAll('.card').length === 1")
    for _ in range(12):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.closest('.card') !== null"):
            break
    outline = page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
    assert outline == "solid"
    page.keyboard.press("Enter")
    page.wait_for_selector("body[data-view=record]")
    assert page.evaluate("document.activeElement.tagName") == "H2"
    page.locator("select[name=class]").focus()
    page.keyboard.press("ArrowDown")
    assert page.evaluate("document.activeElement.name") == "class"
    assert page.locator("h2").inner_text().startswith("train_057")
