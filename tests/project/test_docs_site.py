"""The site of ``docs/``: every page is reachable, every link leads somewhere, nothing is loaded from elsewhere."""

from __future__ import annotations

import re
import runpy
import shutil
import subprocess
import sys
from collections import Counter
from functools import cache
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import markdown
import pytest
import yaml
from source_tree import ROOT

import seewhy

DOCS = ROOT / "docs"
SEED_PAGES = (
    "methods.md", "feature-visualization.md", "callbacks.md", "task-adapters.md", "metrics.md",
    "interactive-visualizations.md", "optimization.md",
)  # fmt: skip
"""The pages that AutoTimm's guide refers to."""
LOADED = {"img": "src", "script": "src", "link": "href", "iframe": "src", "source": "src", "video": "src"}
HARMLESS_LINKS = ("canonical", "alternate", "prev", "next")


class Page(HTMLParser):
    """What a page refers to: ``links``, the ``anchors`` it has, and what a browser ``loads`` for it."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.links: list[str] = []
        self.anchors: set[str] = set()
        self.loads: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        self.anchors.update(value for value in (given.get("id"), given.get("name")) if value)
        if tag == "a" and given.get("href"):
            self.links.append(str(given["href"]))
        address = given.get(LOADED.get(tag, ""))
        if address and not (tag == "link" and given.get("rel") in HARMLESS_LINKS):
            self.loads.append(address)


@cache
def pages() -> dict[str, Page]:
    """Every page below ``docs`` as the site's Markdown reads it, by its path there."""
    read = {}
    for path in sorted(DOCS.rglob("*.md")):
        html = markdown.markdown(path.read_text("utf-8"), extensions=["attr_list", "tables", "toc", "fenced_code"])
        read[path.relative_to(DOCS).as_posix()] = Page(html)
    return read


def configuration() -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load((ROOT / "mkdocs.yml").read_text("utf-8"))
    return found


def in_navigation(entry: Any) -> list[str]:
    """The pages of an entry of the navigation, in their order."""
    if isinstance(entry, str):
        return [entry]
    return [page for child in (entry.values() if isinstance(entry, dict) else entry) for page in in_navigation(child)]


def broken(place: str, page: Page) -> list[str]:
    """The links and pictures of a page that lead nowhere; other sites are not asked."""
    wrong = []
    for link in (*page.links, *page.loads):
        parts = urlsplit(link)
        if parts.scheme or parts.netloc:
            continue
        target = (DOCS / place).parent / unquote(parts.path) if parts.path else DOCS / place
        name = target.resolve().relative_to(DOCS).as_posix() if target.resolve().is_relative_to(DOCS) else None
        anchors = pages()[name].anchors if name in pages() else set()
        if name is None or not target.exists() or (parts.fragment and parts.fragment not in anchors):
            wrong.append(link)
    return wrong


def test_every_page_is_in_the_navigation_once() -> None:
    listed = in_navigation(configuration()["nav"])
    assert {page: count for page, count in Counter(listed).items() if count > 1} == {}
    assert sorted(listed) == sorted(pages())


def test_the_pages_that_other_guides_refer_to_are_there() -> None:
    assert [page for page in SEED_PAGES if page not in pages()] == []


def test_every_link_and_anchor_of_the_pages_leads_somewhere() -> None:
    assert {place: wrong for place, page in pages().items() if (wrong := broken(place, page))} == {}


def test_the_readme_and_its_like_link_to_pages_that_are_there() -> None:
    for name in ("README.md", "CONTRIBUTING.md", "SECURITY.md"):
        page = Page(markdown.markdown((ROOT / name).read_text("utf-8"), extensions=["tables", "toc", "fenced_code"]))
        own = [link for link in (*page.links, *page.loads) if not urlsplit(link).scheme]
        assert [link for link in own if link[0] != "#" and not (ROOT / urlsplit(link).path).exists()] == [], name


def test_no_two_pages_have_one_title_and_none_repeats_a_heading() -> None:
    texts = {place: (DOCS / place).read_text("utf-8") for place in pages()}
    titles = Counter(text.splitlines()[0] for text in texts.values())
    assert [title for title, count in titles.items() if count > 1 or not title.startswith("# ")] == []
    for place, text in texts.items():
        headings = Counter(re.findall(r"^#{2,3} .+$", re.sub(r"^```.*?^```", "", text, flags=re.M | re.S), re.M))
        assert [heading for heading, count in headings.items() if count > 1] == [], place


def test_a_broken_link_would_be_found() -> None:
    text = '<a href="errors.md#no-such">x</a><a href="absent.md">x</a><a href="../pyproject.toml">x</a>'
    assert broken("index.md", Page(text)) == ["errors.md#no-such", "absent.md", "../pyproject.toml"]
    assert broken("index.md", Page('<a href="errors.md#f-settings">x</a><a href="https://a.org/">x</a>')) == []


def test_the_page_of_commands_is_as_the_commands_say() -> None:
    page = runpy.run_path(str(DOCS / "make_commands.py"))["page"]()
    assert (DOCS / "commands.md").read_text("utf-8") == page, "run: python docs/make_commands.py"


@pytest.mark.parametrize("without", ["training", pytest.param("", marks=pytest.mark.slow)])
def test_the_pages_of_the_api_are_as_the_docstrings_say(without: str) -> None:
    """First without the page that takes seconds, since it imports Lightning."""
    made = runpy.run_path(str(DOCS / "make_api.py"))["pages"](without=without)
    kept = {path.stem: path.read_text("utf-8") for path in (DOCS / "api").glob("*.md") if path.stem != without}
    assert kept == made, "run: python docs/make_api.py"


def test_every_name_of_the_facade_is_in_the_reference_once() -> None:
    text = "\n".join(path.read_text("utf-8") for path in (DOCS / "api").glob("*.md"))
    headed = Counter(re.findall(r"^## seewhy\.(\w+)$", text, re.M))
    tabled = Counter(re.findall(r"^\| `seewhy\.(\w+)` \|", text, re.M))
    names = [name for name in seewhy.__all__ if not name.startswith("_")]
    assert [name for name in names if not headed[name] and not tabled[name]] == []
    assert [name for name, count in headed.items() if count > 1] == []
    assert " at 0x" not in text


@pytest.mark.slow
def test_the_site_builds_and_a_browser_would_load_nothing_from_elsewhere(tmp_path: Path) -> None:
    """Built in a copy, since a build writes beside its configuration."""
    shutil.copytree(DOCS, tmp_path / "docs", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "mkdocs.yml", tmp_path)
    command = [sys.executable, "-m", "zensical", "build", "--strict", "--clean"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False, timeout=280)
    assert done.returncode == 0, done.stdout + done.stderr
    site = tmp_path / "site"
    built = {path.relative_to(site).as_posix(): Page(path.read_text("utf-8")) for path in site.rglob("*.html")}
    assert {page.removesuffix(".md") + ".html" for page in pages()} <= set(built)
    assert {place: page.loads for place, page in built.items() if any(urlsplit(one).netloc for one in page.loads)} == {}
    absent = {
        place: wrong
        for place, page in built.items()
        if (wrong := [one for one in page.loads if not one.startswith("data:") and not found(site, place, one)])
    }
    assert absent == {}
    for style in site.rglob("*.css"):
        assert re.findall(r"(?:url\(|@import)\s*[\"']?(?:https?:)?//", style.read_text("utf-8")) == [], style.name
    assert list(site.rglob("*.py")) == []


def found(site: Path, place: str, address: str) -> bool:
    """Whether what a page loads is in the site."""
    path = unquote(urlsplit(address).path)
    return ((site if path.startswith("/") else (site / place).parent) / path.lstrip("/")).exists()
