"""200 texts that would run as script or load something, in every place of a report that shows a text."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import pytest
from browser_page import write_page
from browser_watch import Watch

RUN = "window.__pwned=1"
CORES = (
    f"<script>{RUN}</script>",
    f"<img src=x onerror={RUN}>",
    f"<svg onload={RUN}>",
    f"<svg><animate onbegin={RUN} attributeName=x dur=1s>",
    f"<body onload={RUN}>",
    f"<iframe srcdoc='<script>parent.{RUN[7:]}</script>'></iframe>",
    f"<iframe src=javascript:parent.{RUN[7:]}></iframe>",
    f"<details open ontoggle={RUN}>x</details>",
    f"<input autofocus onfocus={RUN}>",
    f"<a href=javascript:{RUN}>x</a>",
    f"javascript:{RUN}",
    f"java\tscript:{RUN}",
    f"data:text/html,<script>{RUN}</script>",
    f"<math><mtext><img src=x onerror={RUN}></mtext></math>",
    f"<object data=javascript:{RUN}></object>",
    f"<form action=javascript:{RUN}><button>x</button></form>",
    f"<style>@import 'http://evil.invalid/{RUN}';</style>",
    "<link rel=stylesheet href=http://evil.invalid/x.css>",
    "<img src=http://evil.invalid/x.png>",
    "//evil.invalid/x.png",
    "http://evil.invalid/x.png",
    "<meta http-equiv=refresh content='0;url=http://evil.invalid/'>",
    "<base href=http://evil.invalid/>",
    f"{{{{ constructor.constructor('{RUN}')() }}}}",
    f"${{{RUN}}}",
)
SHELLS = (
    "{}",
    "</script>{}",
    "-->{}<!--",
    "\"'>{}",
    "</title></style></textarea>{}",
    "]]>{}\u2028",
    "\\u003c{}\\",
    "__proto__{}\n&lt;",
)
HOSTILE = [shell.format(core) for shell, core in itertools.product(SHELLS, CORES)]

WALK = """async () => {
  const page = seewhy.unpack(JSON.parse(document.getElementById('page').textContent));
  const views = ['overview', 'records', 'map', 'methods', 'made'].map((view) => seewhy.hashOf({view}));
  const records = page.records.map((one) => seewhy.hashOf({view: 'record', in: one.split, id: one.id}));
  const counts = [];
  for (const hash of [...views, ...records]) {
    location.hash = hash;
    await new Promise((done) => setTimeout(done, 0));
    while (location.hash !== hash) await new Promise((done) => setTimeout(done, 1));
    for (const one of document.querySelectorAll('details')) one.open = true;
    await new Promise((done) => setTimeout(done, 0));
    counts.push([document.body.dataset.view, document.querySelectorAll('main *, header *').length,
                 document.querySelectorAll('script').length]);
  }
  return counts;
}"""


def walked(page: Any, path: Path) -> list[list[Any]]:
    """How many elements each view of a report has, and each of its records."""
    page.goto(path.as_uri())
    page.wait_for_selector("html[data-ready]")
    counts: list[list[Any]] = page.evaluate(WALK)
    return counts


def test_hostile_texts_are_texts(page: Any, watched: Watch, tmp_path: Path) -> None:
    assert len(set(HOSTILE)) == 200
    hostile = write_page(tmp_path / "hostile" / "index.html", 200, lambda number: HOSTILE[number % 200])
    benign = write_page(tmp_path / "benign" / "index.html", 200, lambda number: f"name {number % 200}")
    found = walked(page, hostile)
    assert page.evaluate("window.__pwned") is None
    assert [url for url in watched.requests if not url.startswith(hostile.as_uri())] == []
    assert watched.problems == []
    assert len(found) == 205
    assert found == walked(page, benign)


@pytest.mark.parametrize(
    "address",
    [
        "javascript:alert(1)",
        "//evil.invalid/x",
        "http://evil.invalid/",
        "\\\\evil\\x",
        "data:text/html,x",
        " javascript:x",
    ],
)
def test_no_address_leaves_the_folder(page: Any, browser_run: Path, address: str) -> None:
    page.goto((browser_run / "report" / "index.html").as_uri())
    page.wait_for_selector("html[data-ready]")
    assert page.evaluate("seewhy.safeHref", address) is None
    assert page.evaluate("seewhy.safeHref", "../gradcam/a/class_0.png") == "../gradcam/a/class_0.png"


def test_a_policy_forbids_what_a_page_does_not_need(page: Any, browser_run: Path) -> None:
    page.goto((browser_run / "report" / "index.html").as_uri())
    page.wait_for_selector("html[data-ready]")
    blocked = page.evaluate("""async () => {
      const seen = [];
      document.addEventListener('securitypolicyviolation', (event) => seen.push(event.effectiveDirective));
      const script = document.createElement('script');
      script.textContent = 'window.__pwned = 1';
      document.body.append(script);
      const image = document.createElement('img');
      image.src = 'http://evil.invalid/x.png';
      document.body.append(image);
      await fetch('http://evil.invalid/').catch(() => null);
      await new Promise((done) => setTimeout(done, 50));
      return [seen.sort(), window.__pwned ?? null];
    }""")
    assert blocked == [["connect-src", "img-src", "script-src-elem"], None]
