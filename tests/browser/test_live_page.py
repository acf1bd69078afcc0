"""The page of live questions in a real browser, before the real server with the shipped models."""

from __future__ import annotations

import base64
import http.client
import io
import json
import os
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from seewhy.cli.generate import generate_artifacts
from seewhy.data.cluttered_digits import ClutteredDigits
from seewhy.demo.models import build
from seewhy.store.run_reader import RunReader
from seewhy.values import RecordRow

RECORDS = [f"test_{number:05d}" for number in range(8)]
START_SECONDS = 120


@pytest.fixture(scope="module")
def digits_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Eight digits explained by the shipped network."""
    folder = tmp_path_factory.mktemp("live") / "digits"
    words = "experiment=embeddings/demo splits=[test] data.counts={test:8} generate_attention=false"
    assert generate_artifacts([*words.split(), f"output_dir={folder}"]) == 0
    return folder


@pytest.fixture(scope="module")
def start() -> Iterator[Callable[..., str]]:
    """``start(RUN_DIR, "--checkpoint", …)`` serves like a user does; the server's address."""
    running = []

    def begin(*words: str | Path) -> str:
        line = [sys.executable, "-m", "seewhy.cli.main", "serve", *map(str, words), "--port", "0"]
        server = subprocess.Popen(line, stdout=subprocess.PIPE, text=True, env={**os.environ, "OMP_NUM_THREADS": "1"})
        running.append(server)
        assert server.stdout is not None
        said = server.stdout.readline()
        assert " at http://" in said, said
        return said.split(" at ")[1].strip().rstrip("/")

    yield begin
    for server in running:
        server.terminate()
        server.wait(30)
        assert server.stdout is not None
        server.stdout.close()


@pytest.fixture(scope="module")
def served(digits_run: Path, start: Callable[..., str]) -> str:
    return start(digits_run, "--checkpoint", "demo:cnn")


def stored(run: Path) -> dict[str, RecordRow]:
    return {row.record_id: row for row in RunReader(run).rows("test")}


def send(address: str, content: bytes, headers: dict[str, str] | None = None) -> tuple[int, Any]:
    """The status of a POST, and its JSON (or text)."""
    request = urllib.request.Request(address, content, {"content-type": "application/json", **(headers or {})})
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:
            return answer.status, json.loads(answer.read())
    except urllib.error.HTTPError as error:
        text = error.read().decode()
        return error.code, json.loads(text) if text.startswith("{") else text


def announced(served: str, length: int) -> int:
    """The status of a picture of this many bytes, as far as its headers: it is refused before a byte is sent."""
    connection = http.client.HTTPConnection(served.removeprefix("http://"), timeout=60)
    connection.putrequest("POST", "/live/image")
    connection.putheader("Content-Length", str(length))
    connection.endheaders()
    status = connection.getresponse().status
    connection.close()
    return status


def ask(served: str, record_id: str, **more: Any) -> tuple[int, Any]:
    asked = {"record": {"split": "test", "id": record_id}, "method": "gradcam", **more}
    return send(f"{served}/live/ask", json.dumps(asked).encode())


def opened(online: Any, served: str, query: str = "") -> Any:
    online.goto(f"{served}/live{query}")
    online.locator("form.live-form").wait_for()
    return online


def answered(page: Any) -> None:
    page.locator(".live-status", has_text="Answered").wait_for(timeout=60_000)


def digit(record_id: str) -> bytes:
    digits = ClutteredDigits()
    place = next(number for number, ref in enumerate(digits.index()) if ref.record_id == record_id)
    content = io.BytesIO()
    Image.fromarray(digits.picture(digits.read(place).inputs)).save(content, "PNG")
    return content.getvalue()


def test_eight_at_once_are_answered_right_and_a_bad_one_gets_an_error(served: str, digits_run: Path) -> None:
    bad = [lambda: ask(served, RECORDS[0], layer="nowhere"), lambda: send(f"{served}/live/ask", b"{")]
    with ThreadPoolExecutor(10) as clients:
        good = [clients.submit(ask, served, record_id) for record_id in RECORDS]
        wrong = [clients.submit(one) for one in bad]
        answers = [one.result() for one in good]
        errors = [one.result() for one in wrong]
    rows = stored(digits_run)
    for record_id, (status, record) in zip(RECORDS, answers, strict=True):
        row = rows[record_id]
        assert (status, record["id"], record["predicted"]) == (200, record_id, row.predicted)
        assert record["confidence"] == pytest.approx(row.confidence, abs=1e-6)
        answer = row.answers["gradcam@norm"]
        known = answer.values[answer.classes.index(row.predicted or 0)]
        assert record["maps"][0]["peak"] == pytest.approx(float(known.max()), rel=1e-5)
    assert [(status, told["error"]["code"]) for status, told in errors] == [(400, "SW-L01"), (400, "SW-W40")]
    assert "norm" in errors[0][1]["error"]["message"] + " ".join(errors[0][1]["error"]["near"])


def test_the_server_lives_on_after_files_that_are_no_pictures(served: str) -> None:
    for content, expected in (
        (b"", (400, "SW-D06")),
        (b"only text", (400, "SW-D06")),
        (digit(RECORDS[0])[:80], (400, "SW-D07")),
    ):
        status, told = send(f"{served}/live/image", content)
        assert (status, told["error"]["code"]) == expected
    assert announced(served, 17 * 1024**2) == 413
    assert ask(served, RECORDS[0])[0] == 200


def test_another_site_cannot_ask(served: str) -> None:
    asked = json.dumps({"record": {"split": "test", "id": RECORDS[0]}, "method": "gradcam"}).encode()
    assert send(f"{served}/live/ask", asked, {"origin": "http://evil.example"})[0] == 403
    assert send(f"{served}/live/ask", asked, {"origin": served})[0] == 200


def test_a_record_is_asked_about_and_the_address_asks_again(
    online: Any, watched: Any, served: str, digits_run: Path
) -> None:
    page = opened(online, served)
    assert page.locator("[name=layer] option").first.inner_text() == "default: norm"
    page.locator("[name=record]").fill(RECORDS[3])
    page.locator("[name=target]").select_option("7")
    page.get_by_text("Grades of the map").click()
    page.locator("[name=metric][value=deletion]").check()
    page.locator(".live-ask").click()
    answered(page)
    row = stored(digits_run)[RECORDS[3]]
    assert f"Predicted class {row.predicted} " in page.locator(".record-head").inner_text()
    assert page.locator("figure canvas[data-state=drawn]").count() == 1
    grades = page.get_by_role("table").filter(has_text="Grades of the maps").inner_text()
    assert all(control in grades for control in ("random", "centre", "edges"))
    query = page.url.partition("?")[2]
    assert all(part in query for part in ("split=test", f"record={RECORDS[3]}", "method=gradcam", "target=7"))
    page.reload()
    answered(page)
    assert page.locator("figcaption", has_text="class 7").count() == 1
    assert (watched.foreign, watched.problems) == ([], [])


def test_a_question_is_asked_with_the_keyboard_alone(online: Any, served: str) -> None:
    page = opened(online, served)
    page.locator("select[name=about]").focus()
    page.keyboard.press("Tab")
    page.keyboard.type(RECORDS[1])
    page.keyboard.press("Tab")
    page.keyboard.type("layercam")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.name") == "layer"
    for _ in range(40):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.className") == "live-ask":
            break
    page.keyboard.press("Enter")
    answered(page)
    assert page.locator("figcaption", has_text="layercam").count() >= 1


def test_a_picture_is_dropped_in(online: Any, served: str, digits_run: Path) -> None:
    page = opened(online, served)
    page.locator("[name=about]").select_option("image")
    drop_in(page, digit(RECORDS[2]), "mine.png")
    page.locator(".live-drop", has_text="mine.png, 64 × 64 pixels").wait_for()
    page.locator(".live-ask").click()
    answered(page)
    assert f"Predicted class {stored(digits_run)[RECORDS[2]].predicted} " in page.locator(".record-head").inner_text()
    drop_in(page, b"no picture", "<img src=x onerror=window.__pwned=1>.png")
    alert = page.get_by_role("alert")
    alert.wait_for()
    assert "SW-D06" in alert.inner_text()
    assert page.evaluate("window.__pwned === undefined")
    drop_in(page, 17 << 20, "big.png")
    page.get_by_text("big.png is larger than 16 MB").wait_for()
    page.locator(".live-ask").click()
    page.get_by_text("Drop in a picture first.").wait_for()


def drop_in(page: Any, content: bytes | int, name: str) -> None:
    """What a file manager does when a file (a number: of so many zeros) is let go over the drop zone."""
    drop = """([values, name]) => {
        const moved = new DataTransfer();
        moved.items.add(new File([new Uint8Array(values)], name, { type: "image/png" }));
        const zone = document.querySelector(".live-drop");
        zone.dispatchEvent(new DragEvent("dragover", { dataTransfer: moved, bubbles: true, cancelable: true }));
        zone.dispatchEvent(new DragEvent("drop", { dataTransfer: moved, bubbles: true, cancelable: true }));
    }"""
    page.evaluate(drop, [content if isinstance(content, int) else list(content), name])


def test_an_error_names_the_nearest_record_and_the_page_goes_on(online: Any, served: str) -> None:
    page = opened(online, served)
    page.locator("[name=record]").fill("tst_00000")
    page.locator(".live-ask").click()
    alert = page.get_by_role("alert")
    alert.wait_for()
    assert "Nearest: " in alert.inner_text()
    page.locator("[name=record]").fill(RECORDS[0])
    page.locator(".live-ask").click()
    answered(page)
    assert page.get_by_role("alert").count() == 0


def test_it_fits_a_phone_in_the_dark(online: Any, served: str) -> None:
    online.set_viewport_size({"width": 360, "height": 740})
    online.emulate_media(color_scheme="dark")
    page = opened(online, served, f"?split=test&record={RECORDS[0]}")
    answered(page)
    assert page.evaluate("document.documentElement.scrollWidth") <= 360
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(16, 20, 27)"


def test_two_checkpoints_answer_side_by_side_and_what_changed_is_told(
    online: Any, watched: Any, digits_run: Path, start: Callable[..., str], tmp_path: Path
) -> None:
    torch.manual_seed(0)
    torch.save(build("cnn").state_dict(), tmp_path / "other.ckpt")
    both = start(digits_run, digits_run, "--checkpoint", "demo:cnn", "--checkpoint", tmp_path / "other.ckpt")
    records = [ask(both, RECORDS[0], run=run)[1] for run in (0, 1)]
    assert [record["live"]["weights"]["same"] for record in records] == [True, False]
    page = opened(online, both, f"?split=test&record={RECORDS[0]}")
    answered(page)
    assert page.locator(".record").count() == 2
    changes = page.get_by_role("table").filter(has_text="What changed").inner_text()
    assert "other weights than the run's" in changes
    assert "correlation" in changes
    change = 100 * (records[1]["confidence"] - records[0]["confidence"])
    assert f"{abs(change):.3g}" in changes
    assert (watched.foreign, watched.problems) == ([], [])


def test_the_likeness_of_two_maps_is_their_correlation(online: Any, served: str) -> None:
    page = opened(online, served)
    values = np.array([[127, 64], [0, -127]], np.int8)
    expected = np.corrcoef([127.0, 64, 0, -127], [127.0, 64, 0, -254])[0, 1]
    script = """codes => {
        const fixed = { codes, height: 2, width: 2, tiles: 1, peak: 127, statistics: { nonfinite: 0 } };
        const map = (trough) => ({ ...fixed, trough });
        return [seewhy.likeness(map(127), map(127)), seewhy.likeness(map(127), map(254))];
    }"""
    same, other = page.evaluate(script, base64.b64encode(values.tobytes()).decode())
    assert same == pytest.approx(1)
    assert other == pytest.approx(expected, abs=1e-6)
