"""What the dashboard's pages say, that every text is escaped, and that nothing a client names is opened."""

from __future__ import annotations

import io
import json
import re
import shutil
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from dashboard_samples import app_of, client_of, explained, failed, jpeg, write_rows
from dashboard_sockets import ask, dashboard, serving, status_of
from PIL import Image

from seewhy.report.dashboard_run import DashboardRun
from seewhy.values import Preview

SECRET = "cannot open /srv/ada/secret/x.png: '\"><img src=x onerror=alert(1)>"
HOSTILE = "<script>window.__pwned=1</script>"


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    rows = [
        explained("a/1.png", 0), explained("a/2.png", 1, label=0, confidence=0.9), failed("a/3.png", 2),
        explained("vol", 3, previews=(Preview("scan", "slices", jpeg(60, tiles=3), (0, 4, 8), 9),)),
        explained(HOSTILE, 4, split="test", previews=()),
        failed("/srv/ada/secret/x.png", 5, error=SECRET),
    ]  # fmt: skip
    path = write_rows(tmp_path_factory.mktemp("pages") / "run", rows, [explained("t", split="train")])
    about = {"class_names": ["cat", HOSTILE], "labels_match": True, "commands": [["generate_artifacts"]]}
    (path / "about.json").write_text(json.dumps(about))
    return path


def data_of(html: str) -> Any:
    """The JSON that a page carries for its scripts."""
    found = re.search(r'<script type="application/json" id="page">(.*?)</script>', html, re.DOTALL)
    assert found is not None
    return json.loads(found[1])


def number_of(root: Path, record_id: str, split: str = "test") -> int:
    number = DashboardRun(0, root).view().table.number_of(split, record_id)
    assert number is not None
    return number


def test_one_run_is_shown_at_once_and_several_are_listed(root: Path) -> None:
    assert client_of(root).get("/").headers["location"] == "/runs/0"
    page = client_of(root, root).get("/")
    assert (page.status_code, page.text.count('href="/runs/')) == (200, 2)


def test_the_overview_counts_the_records(root: Path) -> None:
    told = data_of(client_of(root).get("/runs/0").text)["run"]
    assert told["counts"] == {"records": 7, "ok": 5, "failed": 2, "failed_by_stage": {"decode": 2}}
    assert {one["name"]: one["accuracy"] for one in told["splits"]} == {"test": 3 / 4, "train": 1.0}


def test_the_gallery_shows_filters_and_pages(root: Path) -> None:
    client = client_of(root)
    page = client.get("/runs/0/records")
    assert page.text.count('class="card card-') == 7
    assert page.text.index("a/3.png") < page.text.index("a/2.png") < page.text.index("a/1.png")
    wrong = client.get("/runs/0/records?result=wrong").text
    assert "1 of 7 records pass these filters" in wrong
    assert f"/runs/0/records/{number_of(root, 'a/2.png')}?result=wrong" in wrong
    assert "No record passes" in client.get("/runs/0/records?q=nothing+like+this").text


def test_a_record_page_carries_the_record_and_its_neighbours(root: Path) -> None:
    number = number_of(root, "a/1.png")
    data = data_of(client_of(root).get(f"/runs/0/records/{number}?sort=id&split=test").text)
    record = data["record"]
    assert (record["id"], record["predicted"], record["right"]) == ("a/1.png", 1, True)
    assert record["maps"][0]["peak"] == 4.0
    assert record["inputs"][0]["src"].startswith(f"/runs/0/records/{number}/0.jpg?v=")
    following = number_of(root, "a/2.png")
    assert data["hrefs"]["next"] == f"/runs/0/records/{following}?split=test&sort=id"
    assert data["hrefs"]["back"] == "/runs/0/records?split=test&sort=id"
    assert client_of(root).get(f"/runs/0/records/{number}.json").json() == record


def test_pictures_come_from_the_shards(root: Path) -> None:
    client = client_of(root)
    first, volume = number_of(root, "a/1.png"), number_of(root, "vol")
    answer = client.get(f"/runs/0/records/{first}/0.jpg")
    assert (answer.content, answer.headers["content-type"]) == (jpeg(100), "image/jpeg")
    assert answer.headers["cache-control"] == "private, max-age=3600"
    assert client.get(f"/runs/0/records/{volume}/0.jpg").content == jpeg(60, tiles=3)
    with Image.open(io.BytesIO(client.get(f"/runs/0/records/{volume}/card.jpg").content)) as tile:
        assert tile.size == (16, 16)
        assert abs(tile.convert("L").getpixel((8, 8)) - 100) <= 2  # the middle one of 60, 100, 140
    assert client.get(f"/runs/0/records/{first}/1.jpg").status_code == 404
    assert client.get(f"/runs/0/records/{number_of(root, HOSTILE)}/card.jpg").status_code == 404


def test_a_record_is_found_by_split_and_id(root: Path) -> None:
    answer = client_of(root).get("/runs/0/find", params={"split": "train", "id": "t"})
    assert answer.headers["location"] == f"/runs/0/records/{number_of(root, 't', 'train')}"
    assert client_of(root).get("/runs/0/find", params={"split": "test", "id": "t"}).status_code == 404


def test_every_text_is_escaped_and_no_place_of_this_machine_is_told(root: Path) -> None:
    client = client_of(root, root)
    number, failing = number_of(root, HOSTILE), number_of(root, "/srv/ada/secret/x.png")
    pages = [
        "/", "/runs/0", "/runs/0/records", f"/runs/0/records?q={HOSTILE}&split={HOSTILE}", f"/runs/0/records/{number}",
        f"/runs/0/records/{failing}", "/runs/0/methods", "/runs/0/made", "/runs/0/map", "/compare",
        f"/compare/records/{number}?a=0&b=1", f"/runs/0/map/{HOSTILE}.json", f"/runs/0/records?sort={HOSTILE}",
        f"/compare?kind={HOSTILE}", f"/nowhere/{HOSTILE}",
    ]  # fmt: skip
    for path in pages:
        text = client.get(path).text
        assert HOSTILE not in text
        assert "<img src=x" not in text
        assert "/srv/ada" not in text
        assert str(root) not in text
    json_text = client.get(f"/runs/0/records/{failing}.json").text
    assert "/srv/ada" not in json_text
    assert "<" not in json_text


def test_paths_are_shown_where_they_are_asked_for(root: Path) -> None:
    from starlette.testclient import TestClient

    from seewhy.report.server import create_app

    app = create_app([DashboardRun(0, root, include_paths=True)], port=8000)
    client = TestClient(app, base_url="http://127.0.0.1:8000", headers={"accept": "text/html"})
    assert "/srv/ada/secret/x.png" in client.get("/runs/0/records").text


def test_the_map_of_embeddings_names_its_records(tmp_path: Path) -> None:
    root = write_rows(tmp_path / "run", [explained("a"), explained("b", 1, label=0)])
    (root / "embeddings").mkdir()
    columns = {"record_id": ["b", "gone", "a"], "split": ["test"] * 3, "x": [1.5, 0.0, -2.0], "y": [0.25, 0.0, 4.0]}
    said = {"method": "pca", "axes": ["PC 1 (60 %)", "PC 2 (9 %)"], "layer": "fc.input"}
    table = pa.table(columns).replace_schema_metadata({"seewhy": json.dumps(said)})
    pq.write_table(table, root / "embeddings" / "projection_pca.parquet")
    told = client_of(root).get("/runs/0/map/pca.json").json()
    assert (told["id"], told["x"], told["y"]) == (["b", "a"], [1.5, -2.0], [0.25, 4.0])
    assert (told["right"], told["label"], told["confidence"]) == ([False, True], [0, 1], [0.75, 0.75])
    assert told["record"] == [number_of(root, "b"), number_of(root, "a")]
    pq.write_table(table, root / "embeddings" / "projection_umap@layer3.parquet")
    assert client_of(root).get("/runs/0/map/umap@layer3.json").json()["name"] == "PCA at layer3"
    pq.write_table(table, root / "embeddings" / "projection_pca_of_train+val@layer3.parquet")
    told = client_of(root).get("/runs/0/map/pca_of_train+val@layer3.json").json()
    assert told["name"] == "PCA of train+val at layer3"
    (root / "embeddings" / "projection_pca.parquet").write_bytes(b"damaged")
    assert client_of(root).get("/runs/0/map/pca.json").status_code == 500


BAD_PATHS = [
    "/static/../server.py", "/static/..%2fserver.py", "/static/..%2Fserver.py", "/static/%2e%2e/server.py",
    "/static/%252e%252e%252fserver.py", "/static/..%5cserver.py", "/static/..\\server.py", "/static/%c0%ae%c0%ae/x",
    "/static/app.js%00.css", "/static/%00", "/static/", "/static", "/static//app.js", "//static/app.js",
    "/STATIC/app.js", "/static/APP.JS", "/static/htmx.min.js", "/static/dashboard.js", "/static/etc/passwd",
    "/static//etc/passwd", "/etc/passwd", "/manifest.json", "/runs/0/manifest.json", "/runs/0/link/passwd",
    "/runs/0/records/0/../../../link/passwd", "/runs/0/shards/test-00000.parquet", "/runs/../0", "/runs/-1",
    "/runs/1", "/runs/999999999999999999999", "/runs/0x0", "/runs/0/records/-1", "/runs/0/records/99",
    "/runs/0/records/99999999999999999999999999", "/runs/0/records/0/99.jpg", "/runs/0/records/0/-1.jpg",
    "/runs/0/records/0/image.jpg", "/runs/0/map/..%2f..%2fmanifest.json", "/runs/0/map/pca.parquet.json",
    "/runs/0/map/%2e%2e.json", "/runs/0/records/٣", "/runs/0;/records", "/%", "/%zz", "/runs/0/..;/",
]  # fmt: skip


def test_no_path_of_a_client_is_opened(root: Path) -> None:
    if not (root / "link").is_symlink():
        (root / "link").symlink_to("/etc")
    with serving(dashboard(root)) as port:
        for path in BAD_PATHS:
            head = f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nAccept: text/html\r\nConnection: close\r\n\r\n"
            answer = ask(port, head.encode())
            assert status_of(answer) in (400, 404), path
            assert b"root:" not in answer
            assert b"Traceback" not in answer
        assert status_of(ask(port, f"GET /runs/0 HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n\r\n")) == 200


def test_a_damaged_shard_is_a_badge_and_the_rest_is_shown(tmp_path: Path) -> None:
    root = write_rows(tmp_path / "run", [explained("a")], [explained("b")])
    path = root / "shards" / "test-00001.parquet"
    path.write_bytes(path.read_bytes()[:200])
    client = client_of(root)
    for address in ("/runs/0", "/runs/0/records"):
        page = client.get(address)
        assert page.status_code == 200
        assert "! damaged" in page.text
        assert "shards/test-00001.parquet" in page.text
        assert str(tmp_path) not in page.text
    assert page.text.count('class="card card-') == 1


def test_a_shard_damaged_while_it_is_served_is_an_error_in_words(tmp_path: Path) -> None:
    root = write_rows(tmp_path / "run", [explained("a")])
    client = client_of(root)
    assert client.get("/runs/0/records").status_code == 200
    path = root / "shards" / "test-00000.parquet"
    path.write_bytes(path.read_bytes()[:-20])
    for address in ("/runs/0/records/0", "/runs/0/records/0/0.jpg"):
        answer = client.get(address)
        assert answer.status_code in (404, 500)
        assert "SW-" in answer.text
        assert str(tmp_path) not in answer.text
    assert client.get("/runs/0/records").status_code == 200


def test_a_damaged_manifest_leaves_the_records_to_see(tmp_path: Path) -> None:
    root = write_rows(tmp_path / "run", [explained("a")])
    (root / "manifest.json").write_text("{}")
    client = client_of(root)
    assert client.get("/runs/0/records").status_code == 200
    answer = client.get("/runs/0")
    assert (answer.status_code, "SW-S11" in answer.text) == (500, True)


def test_an_unexpected_error_is_one_message_without_a_traceback(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise ZeroDivisionError(f"in {root}")

    monkeypatch.setattr("seewhy.report.dashboard_pages.page_of", broken)
    client = client_of(root)
    answer = client.get("/runs/0/records")
    assert answer.status_code == 500
    assert "SW-W07" in answer.text
    assert "Traceback" not in answer.text
    assert str(root) not in answer.text
    assert client.get("/runs/0").status_code == 200


def test_errors_are_json_for_who_asks_for_json(root: Path) -> None:
    answer = client_of(root).get("/runs/0/records/77.json")
    assert (answer.status_code, answer.json()["error"]["code"]) == (404, "SW-W04")
    assert client_of(root).get("/runs/0/map/tsne.json").json()["error"]["code"] == "SW-W05"


def test_scripts_and_styles_are_kept_by_their_contents(root: Path) -> None:
    client = client_of(root)
    page = client.get("/runs/0/records").text
    addresses = re.findall(r'(?:src|href)="(/static/[^"]+)"', page)
    assert len(addresses) == 3
    for address in addresses:
        answer = client.get(address)
        assert answer.status_code == 200
        assert "immutable" in answer.headers["cache-control"]
    assert client.get("/static/app.js").headers["cache-control"] == "no-cache"
    assert not re.findall(r"https?://(?!htmx)", page)


def test_a_page_without_scripts_still_filters(root: Path) -> None:
    page = client_of(root).get("/runs/0/records").text
    form = re.search(r'<form id="filters".*?</form>', page, re.DOTALL)
    assert form is not None
    assert 'method="get" action="/runs/0/records"' in form[0]
    assert "<button>" in form[0]


def test_old_runs_say_that_they_have_no_pictures(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = DashboardRun(0, root)
    monkeypatch.setattr(run.view().shards[0], "has_previews", False)
    number = number_of(root, "a/1.png")
    assert (run.previews(number), run.has_pictures(run.view(), number)) == ((), False)
    assert run.record(number)["inputs"][0]["src"] is None


def test_the_guard_is_outside_of_everything(root: Path) -> None:
    from seewhy.report.guard import Guard

    assert isinstance(app_of(root), Guard)


def test_a_record_leads_to_questions_where_a_model_can_be_asked(root: Path) -> None:
    from live_samples import PlainLive

    from seewhy.report.live_desk import LiveDesk

    run = DashboardRun(0, root)
    desk = LiveDesk([PlainLive()], [run.facts()])
    try:
        number, secret = number_of(root, "a/1.png"), number_of(root, "/srv/ada/secret/x.png")
        client = client_of(root, live=desk)
        assert 'href="/live?split=test&amp;record=a%2F1.png"' in client.get(f"/runs/0/records/{number}").text
        assert "/live?" not in client.get(f"/runs/0/records/{secret}").text
        assert client.get("/live").status_code == 200
        assert client_of(root).get("/live").status_code == 404
    finally:
        desk.close()


def test_a_run_that_is_gone_is_said_to_be_gone(tmp_path: Path) -> None:
    root = write_rows(tmp_path / "run", [explained("a")])
    client = client_of(root)
    assert client.get("/runs/0").status_code == 200
    shutil.rmtree(root)
    answer = client.get("/runs/0/records/0.json")
    assert (answer.status_code, answer.json()["error"]["code"]) == (500, "SW-P01")
    assert "the run directory run is gone" in answer.json()["error"]["message"]
