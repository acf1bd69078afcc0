"""The pages of a run: their order, their bytes, what they may do in a browser, and what they say of what is missing."""

from __future__ import annotations

import base64
import hashlib
import json
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from report_small_runs import ABOUT, failed, mapped, page_of, row, seen, write_small_run

from seewhy.cli.main import seewhy
from seewhy.report.elsewhere import TOO_MANY
from seewhy.report.errors import ReportError
from seewhy.report.run_facts import NO_PREVIEWS, UNTOLD
from seewhy.report.static_report import remake_report, write_report
from seewhy.store.run_reader import RunReader
from seewhy.store.verify import verify
from seewhy.values import RecordRow

HOSTILE = "</script><img src=x onerror=alert(1)>\u2028<!--"


def records(count: int = 6) -> Iterator[RecordRow]:
    for number in range(count):
        maps = mapped(np.ones((3, 2, 2)) * number)
        yield row(f"r{number}", position=number, label=number % 3, answers=maps, previews=seen(number))


def pages_of(root: Path, **given: object) -> dict[str, bytes]:
    out: dict[str, bytes] = {}
    assert write_report(RunReader(root), out.__setitem__, **given) == list(out)
    return out


def test_failed_wrong_and_unsure_records_come_first(tmp_path: Path) -> None:
    rows = [
        row("sure", label=1, confidence=0.9),
        row("wrong", label=1, predicted=0, confidence=0.6),
        row("unlabelled", label=None, predicted=1, confidence=0.7),
        row("unsure", label=1, confidence=0.4),
        failed("broken"),
        row("very wrong", label=1, predicted=0, confidence=0.8),
        row("val wrong", split="val", label=1, predicted=0, confidence=0.7),
    ]
    page = page_of(pages_of(write_small_run(tmp_path / "run", rows))["report/index.html"])
    order = [one["id"] for one in page["records"]]
    assert order == ["broken", "very wrong", "val wrong", "wrong", "unsure", "unlabelled", "sure"]
    assert "Failed records come first" in page["page"]["order"]


def test_the_same_run_has_the_same_bytes_wherever_it_lies(tmp_path: Path) -> None:
    one = write_small_run(tmp_path / "run", list(records()))
    other = tmp_path / "elsewhere" / "copy"
    shutil.copytree(one, other)
    assert pages_of(one) == pages_of(other)
    assert str(tmp_path).encode() not in b"".join(pages_of(one).values())


def test_the_order_of_commits_changes_no_byte_of_the_records(tmp_path: Path) -> None:
    forth = page_of(pages_of(write_small_run(tmp_path / "a", list(records())))["report/index.html"])
    back = page_of(pages_of(write_small_run(tmp_path / "b", list(records())[::-1]))["report/index.html"])
    assert forth["records"] == back["records"]


def test_pages_beyond_the_first(tmp_path: Path) -> None:
    out = pages_of(write_small_run(tmp_path / "run", list(records(7))), per_page=3)
    assert list(out) == ["report/index.html", "report/page-2.html", "report/page-3.html"]
    pages = [page_of(html) for html in out.values()]
    assert [len(page["records"]) for page in pages] == [3, 3, 1]
    assert len({one["id"] for page in pages for one in page["records"]}) == 7
    assert [page["page"]["number"] for page in pages] == [1, 2, 3]
    assert pages[1]["page"]["hrefs"] == ["index.html", "page-2.html", "page-3.html"]
    assert pages[1]["run"]["counts"]["records"] == 7


def test_a_cap_says_where_the_rest_is(tmp_path: Path) -> None:
    page = page_of(pages_of(write_small_run(tmp_path / "run", list(records(7))), max_records=2)["report/index.html"])
    assert len(page["records"]) == 2
    assert page["page"]["notice"] == ["The pages show 2 of 7 records; `seewhy serve RUN_DIR` shows all of them."]


def test_counts_below_one_are_refused(tmp_path: Path) -> None:
    root = write_small_run(tmp_path / "run", list(records(1)))
    for given in ({"max_records": 0}, {"per_page": -1}):
        with pytest.raises(ReportError) as caught:
            pages_of(root, **given)
        assert caught.value.code == "SW-P06"


def test_the_policy_names_exactly_the_script_and_the_style(tmp_path: Path) -> None:
    html = pages_of(write_small_run(tmp_path / "run", list(records(1))))["report/index.html"].decode()
    (policy,) = re.findall(r'Content-Security-Policy" content="([^"]*)"', html)
    policy = policy.replace("&#39;", "'")
    for element, directive in (("script", "script-src"), ("style", "style-src")):
        (body,) = re.findall(rf"<{element}>(.*?)</{element}>", html, re.DOTALL)
        told = base64.b64encode(hashlib.sha256(body.encode()).digest()).decode()
        assert f"{directive} 'sha256-{told}';" in policy
    assert policy.startswith("default-src 'none'; img-src data:;")
    assert "unsafe" not in policy


def test_nothing_is_fetched_from_anywhere(tmp_path: Path) -> None:
    html = pages_of(write_small_run(tmp_path / "run", list(records(2))))["report/index.html"].decode()
    addresses = re.findall(r"""(?:src|href|action)\s*=\s*["']([^"'#][^"']*)""", html.partition("<style>")[0])
    assert all(address.startswith("data:") for address in addresses)
    assert "@import" not in html
    assert not re.search(r"url\(\s*['\"]?(?!data:|#)", re.findall(r"<style>(.*?)</style>", html, re.DOTALL)[0])


def test_hostile_texts_stay_texts(tmp_path: Path) -> None:
    rows = [row(HOSTILE, notes=(HOSTILE,)), failed("b", error=HOSTILE, stage=HOSTILE)]
    about = {**ABOUT, "class_names": [HOSTILE] * 3, "choices": {HOSTILE: HOSTILE}, "commands": [[HOSTILE]]}
    files = {"metrics/verdict.json": json.dumps({HOSTILE: {HOSTILE: {"outcome": HOSTILE}}}).encode()}
    questions = {f"gradcam@{HOSTILE}": {"kind": "gradcam", "method": HOSTILE, "layer": HOSTILE}}
    hostile = pages_of(write_small_run(tmp_path / "a", rows, questions, about=about, files=files))["report/index.html"]
    plain = pages_of(write_small_run(tmp_path / "b", [row("a")]))["report/index.html"]
    for tag in (b"<script", b"</script", b"<img", b"<!--"):
        assert hostile.count(tag) == plain.count(tag)
    assert "\u2028" not in hostile.decode()
    page = page_of(hostile)
    assert page["records"][1]["id"] == HOSTILE
    assert page["run"]["class_names"] == [HOSTILE] * 3
    assert page["run"]["failures"][0]["error"] == HOSTILE


def test_a_run_of_before_says_what_it_lacks(tmp_path: Path) -> None:
    rows = [row("a", answers=mapped(np.ones((3, 2, 2))))]
    page = page_of(pages_of(write_small_run(tmp_path / "run", rows, about=None))["report/index.html"])
    assert page["run"]["no_previews"] == NO_PREVIEWS
    assert page["page"]["notice"] == [UNTOLD]
    assert page["records"][0]["inputs"][0][1] is None


def test_points_lead_to_their_records(tmp_path: Path) -> None:
    root = write_small_run(tmp_path / "run", list(records(4)))
    table = pa.table({
        "record_id": ["r2", "r0", "r9", "r1"], "split": ["test"] * 4,
        "x": pa.array([1.5, -2.0, 9.0, float("nan")], pa.float32()), "y": pa.array([0.0, 3.0, 9.0, 1.0], pa.float32()),
    })  # fmt: skip
    said = {b"seewhy": json.dumps({"method": "pca", "axes": ["PC 1 (31 %)", "PC 2"], "layer": "fc"}).encode()}
    (root / "embeddings").mkdir()
    pq.write_table(table.replace_schema_metadata(said), root / "embeddings" / "projection_pca.parquet")
    page = page_of(pages_of(root)["report/index.html"])
    (points,) = page["points"]
    assert (points["name"], points["axes"]) == ("PCA", ["PC 1 (31 %)", "PC 2"])
    pq.write_table(table.replace_schema_metadata(said), root / "embeddings" / "projection_pca@layer3.parquet")
    both = page_of(pages_of(root)["report/index.html"])["points"]
    assert [one["name"] for one in both] == ["PCA", "PCA at layer3"]
    named = {page["records"][place]["id"]: x for place, x in zip(points["record"], points["x"], strict=True)}
    assert named == {"r2": 1.5, "r0": -2}
    (root / "embeddings" / "projection_pca.parquet").write_bytes(b"PAR1")
    with pytest.raises(ReportError) as caught:
        pages_of(root)
    assert caught.value.code == "SW-P02"


def test_a_report_made_again_belongs_to_the_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root = write_small_run(tmp_path / "run", list(records(3)))
    assert seewhy(["report", str(root)]) == 0
    assert "report/index.html" in capsys.readouterr().out
    assert verify(root) == []
    before = (root / "report" / "index.html").read_bytes()
    assert seewhy(["report", str(root)]) == 0
    assert (root / "report" / "index.html").read_bytes() == before
    manifest = RunReader(root).manifest
    assert manifest is not None
    assert manifest.status == "complete"
    assert manifest.derived["report/index.html"].kind == "report"


def test_a_shorter_report_leaves_no_page_behind(tmp_path: Path) -> None:
    root = write_small_run(tmp_path / "run", list(records(1_001)))
    assert remake_report(root) == ["report/index.html", "report/page-2.html"]
    assert remake_report(root, max_records=5) == ["report/index.html"]
    assert not (root / "report" / "page-2.html").exists()
    assert verify(root) == []


def test_a_run_that_is_not_finished_is_told_as_it_stands(tmp_path: Path) -> None:
    root = write_small_run(tmp_path / "run", list(records(2)), finish=False)
    remake_report(root)
    assert page_of((root / "report" / "index.html").read_bytes())["run"]["status"] == "running"


def test_what_cannot_be_reported_is_refused_in_words(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert seewhy(["report", str(tmp_path)]) == 2
    assert "SW-S17" in capsys.readouterr().err
    root = write_small_run(tmp_path / "run", list(records(1)))
    assert seewhy(["report", str(root), "--max-records", "0"]) == 2
    assert "SW-P06" in capsys.readouterr().err


def test_a_run_without_a_record_that_is_shown_has_a_page(tmp_path: Path) -> None:
    page = page_of(pages_of(write_small_run(tmp_path / "run", [failed("a"), failed("b")]))["report/index.html"])
    assert [one["id"] for one in page["records"]] == ["a", "b"]
    assert page["run"]["splits"][0]["accuracy"] is None


def test_pages_that_cannot_hold_an_index_of_the_others_say_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = write_small_run(tmp_path / "run", list(records(7)))
    first = page_of(pages_of(root, per_page=3)["report/index.html"])["page"]
    assert len(first["elsewhere"]["rows"]) == 4
    assert TOO_MANY not in first["notice"]
    monkeypatch.setattr("seewhy.report.static_report.MOST_BYTES", 50)
    first = page_of(pages_of(root, per_page=3)["report/index.html"])["page"]
    assert (first["elsewhere"], first["notice"]) == (None, [TOO_MANY])
