"""Live questions over HTTP: what is asked, what comes back, and errors that are no more than one line."""

from __future__ import annotations

import asyncio
import base64
import json
import logging
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from live_samples import PlainLive, plain_facts
from own_loop import run_alone
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.testclient import TestClient

from seewhy.report.live_desk import LiveDesk
from seewhy.report.live_images import KEPT, MOST_BYTES
from seewhy.report.live_routes import live_routes
from seewhy.values import Json


class Dashboard:
    """A desk of two plain models, and a client of its addresses."""

    def __init__(self, waiting: int = 16, seconds: float = 60) -> None:
        self.models = (PlainLive(), PlainLive())
        self.desk = LiveDesk(self.models, [plain_facts(), plain_facts()], waiting=waiting, seconds=seconds)
        for future in self.desk.offers():
            future.result(10)

        async def page(request: Request) -> PlainTextResponse:
            return PlainTextResponse("the page")

        self.app = Starlette(routes=live_routes(self.desk, page))
        self.client = TestClient(self.app)

    def ask(self, number: int = 1, **more: Json) -> Any:
        """The response to a question about a record."""
        return self.client.post(
            "/live/ask", json={"record": {"split": "test", "id": str(number)}, "method": "plain", **more}
        )


@pytest.fixture
def dashboard() -> Iterator[Dashboard]:
    found = Dashboard()
    yield found
    found.desk.close()


def error_of(response: Any) -> Any:
    return response.json()["error"]


def test_a_question_comes_back_as_a_record(dashboard: Dashboard) -> None:
    found = dashboard.ask(4).json()
    assert (found["id"], found["predicted"], found["right"]) == ("4", 1, False)
    (one,) = found["maps"]
    assert (one["question"], one["layer"], one["scale"], one["unit"]) == ("plain@top", "top", "magnitude", "ells")
    assert (one["peak"], base64.b64decode(one["codes"])) == (4.0, b"\x7f")
    assert found["inputs"][0]["src"].startswith("data:image/jpeg;base64,")
    assert [
        (grade["who"], grade["control"], grade["value"], grade["reason"], grade["better"]) for grade in found["grades"]
    ] == [
        ("plain", False, 0.25, None, "lower"),
        ("random", True, None, "nothing is there", "neither"),
    ]


def test_the_run_is_chosen_by_its_number(dashboard: Dashboard) -> None:
    assert dashboard.ask(run=1).status_code == 200
    assert [len(model.asked) for model in dashboard.models] == [0, 1]
    assert error_of(dashboard.ask(run=2))["code"] == "SW-W41"
    assert error_of(dashboard.ask(run=True))["code"] == "SW-W41"


@pytest.mark.parametrize(
    ("asked", "code"),
    [
        ([1], "SW-W40"),
        ("text", "SW-W40"),
        ({"method": "plain", "recrod": 1}, "SW-W40"),
        ({"method": "plain"}, "SW-W42"),
        ({"record": {"split": "test", "id": "1"}, "image": "x", "method": "plain"}, "SW-W42"),
        ({"record": {"split": "test"}, "method": "plain"}, "SW-W40"),
        ({"record": {"split": "test", "id": 1}, "method": "plain"}, None),
        ({"record": {"split": "test", "id": "1"}}, "SW-W40"),
        ({"record": {"split": "test", "id": "1"}, "method": ["plain"]}, "SW-W40"),
        ({"record": {"split": "test", "id": "1"}, "method": "p" * 5000}, "SW-W40"),
        ({"record": {"split": "test", "id": "1"}, "method": "plain", "target": 1.5}, "SW-W40"),
        ({"record": {"split": "test", "id": "1"}, "method": "plain", "settings": [1]}, "SW-W40"),
        ({"record": {"split": "test", "id": "1"}, "method": "plain", "settings": {"chunk_size": 257}}, "SW-W46"),
        ({"record": {"split": "test", "id": "1"}, "method": "plain", "settings": {"n": 1e9}}, "SW-W46"),
        ({"record": {"split": "test", "id": "1"}, "method": "plain", "settings": {"n": {}}}, "SW-W40"),
        ({"record": {"split": "test", "id": "1"}, "method": "plain", "metrics": "deletion"}, "SW-W40"),
        ({"record": {"split": "test", "id": "1"}, "method": "plain", "metrics": ["m"] * 99}, "SW-W40"),
        ({"image": "a guess", "method": "plain"}, "SW-W43"),
    ],
)
def test_what_is_no_question_is_refused_in_words(dashboard: Dashboard, asked: Json, code: str | None) -> None:
    response = dashboard.client.post("/live/ask", json=asked)
    assert response.status_code == 400
    assert error_of(response)["code"] == (code or "SW-W40")
    assert error_of(response)["fix"]
    assert not dashboard.models[0].asked
    assert dashboard.ask().status_code == 200


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        (
            '{"record": {"split": "a", "id": "b"}, "method": "plain", "settings": {"seed": NaN}}',
            "seed must be a finite",
        ),
        ('{"record": {"split": "a", "id": "b"}, "method": "plain", "target": 1.5}', "target must be a class"),
    ],
)
def test_what_is_wrong_is_named(dashboard: Dashboard, asked: str, words: str) -> None:
    response = dashboard.client.post("/live/ask", content=asked)
    assert (response.status_code, error_of(response)["code"]) == (400, "SW-W40")
    assert words in error_of(response)["message"]


@pytest.mark.parametrize("number", ["1_0", "\u0663", "+1", "-1"])
def test_a_run_is_named_in_plain_digits(dashboard: Dashboard, number: str) -> None:
    assert dashboard.client.get("/live/records", params={"run": number}).status_code == 400


def test_the_question_of_who_leaves_ends_at_the_next_pass(dashboard: Dashboard) -> None:
    model = dashboard.models[0]
    model.patient = False
    body = json.dumps({"record": {"split": "test", "id": "2"}, "method": "plain"}).encode()
    run_alone(_leaves(dashboard.app, body))
    model.patient = True
    assert dashboard.ask(3).json()["id"] == "3"
    assert dashboard.desk.worker.open == 0


def test_a_question_that_takes_too_long_is_told_so() -> None:
    dashboard = Dashboard(seconds=0.2)
    dashboard.models[0].patient = False
    response = dashboard.ask()
    assert (response.status_code, error_of(response)["code"]) == (504, "SW-W56")
    dashboard.models[0].patient = True
    assert dashboard.ask().status_code == 200
    dashboard.desk.close()


@pytest.mark.parametrize("body", [b"", b"{", b"\xff\xfe", b"[" * 100_000, b"NaN"])
def test_a_body_that_is_no_json_object_is_refused(dashboard: Dashboard, body: bytes) -> None:
    response = dashboard.client.post("/live/ask", content=body)
    assert (response.status_code, error_of(response)["code"]) == (400, "SW-W40")


def test_the_nearest_key_is_named(dashboard: Dashboard) -> None:
    assert error_of(dashboard.client.post("/live/ask", json={"metod": "plain"}))["near"][0] == "method"


def test_an_unexpected_error_is_one_message_without_traceback_or_path(
    dashboard: Dashboard, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.ERROR):
        response = dashboard.ask(method="broken")
    assert response.status_code == 500
    assert error_of(response)["code"] == "SW-W59"
    assert "RuntimeError" in error_of(response)["message"]
    assert "secret" not in response.text
    assert "Traceback" not in response.text
    assert any("weights.pt" in str(one.exc_info) for one in caplog.records)
    assert dashboard.ask(2).json()["id"] == "2"


def test_a_path_in_an_error_or_a_note_keeps_its_last_part_only(dashboard: Dashboard) -> None:
    response = dashboard.ask(method="unknown")
    assert (response.status_code, error_of(response)["code"]) == (400, "SW-W48")
    assert "/data/ada" not in response.text
    notes = dashboard.ask().json()["live"]["notes"]
    assert notes == ["read from …/a.png"]


def test_eight_at_once_are_answered_in_turn_each_with_its_own_answer(dashboard: Dashboard) -> None:
    model = dashboard.models[0]
    with ThreadPoolExecutor(8) as clients:
        found = list(clients.map(lambda number: dashboard.ask(number).json(), range(8)))
    assert [one["id"] for one in found] == [str(number) for number in range(8)]
    assert [one["maps"][0]["peak"] for one in found] == [float(number) for number in range(8)]
    assert model.most_at_once == 1


def test_beyond_the_bound_the_answer_is_503_and_says_when_to_ask_again() -> None:
    dashboard = Dashboard(waiting=2)
    model = dashboard.models[0]
    model.gate.clear()
    with ThreadPoolExecutor(2) as clients:
        waiting = [clients.submit(dashboard.ask, number) for number in (1, 2)]
        while dashboard.desk.worker.open < 2:
            pass
        refused = dashboard.ask(3)
        assert (refused.status_code, error_of(refused)["code"]) == (503, "SW-W45")
        assert int(refused.headers["retry-after"]) > 0
        model.gate.set()
        assert sorted(one.result(10).json()["id"] for one in waiting) == ["1", "2"]
    assert dashboard.ask(3).status_code == 200
    dashboard.desk.close()


def test_who_leaves_is_not_asked_for(dashboard: Dashboard) -> None:
    model = dashboard.models[0]
    model.gate.clear()
    first = dashboard.desk.asked({"record": {"split": "test", "id": "1"}, "method": "plain"})
    body = json.dumps({"record": {"split": "test", "id": "2"}, "method": "plain"}).encode()
    run_alone(_leaves(dashboard.app, body))
    model.gate.set()
    assert first.result(10)["id"] == "1"
    assert dashboard.ask(3).json()["id"] == "3"
    assert [question.record for question in model.asked] == [("test", "1"), ("test", "3")]


async def _leaves(app: Any, body: bytes) -> None:
    """Ask, and be gone before the answer."""
    messages = [{"type": "http.request", "body": body, "more_body": False}, {"type": "http.disconnect"}]

    async def receive() -> Any:
        return messages.pop(0) if len(messages) > 1 else messages[0]

    async def send(message: Any) -> None:
        del message

    scope = {
        "type": "http", "method": "POST", "path": "/live/ask", "raw_path": b"/live/ask", "query_string": b"",
        "headers": [], "http_version": "1.1", "scheme": "http", "server": ("127.0.0.1", 80), "client": ("127.0.0.1", 1),
        "root_path": "",
    }  # fmt: skip
    await asyncio.wait_for(app(scope, receive, send), 20)


def test_a_dropped_picture_is_asked_about_by_its_handle(dashboard: Dashboard) -> None:
    kept = dashboard.client.post("/live/image", content=b"picture").json()
    assert (kept["width"], kept["height"]) == (7, 1)
    asked = {"image": kept["handle"], "method": "plain"}
    assert dashboard.client.post("/live/ask", json=asked).json()["id"] == "7"
    for number in range(KEPT):
        dashboard.client.post("/live/image", content=b"another %d" % number)
    response = dashboard.client.post("/live/ask", json=asked)
    assert (response.status_code, error_of(response)["code"]) == (400, "SW-W43")


def test_a_file_above_the_limit_and_what_is_no_picture_are_refused_and_not_kept(dashboard: Dashboard) -> None:
    response = dashboard.client.post("/live/image", content=bytes(MOST_BYTES + 1))
    assert (response.status_code, error_of(response)["code"]) == (413, "SW-W44")
    response = dashboard.client.post("/live/image", content=b"x")
    assert (response.status_code, error_of(response)["message"]) == (400, "no picture in …/a.png")
    assert dashboard.client.post("/live/image?run=7", content=b"a").status_code == 400


def test_offers_and_records_are_plain_lists(dashboard: Dashboard) -> None:
    assert [one["title"] for one in dashboard.client.get("/live/offers").json()] == ["plain", "plain"]
    found = dashboard.client.get("/live/records?text=9").json()["records"]
    assert found[:2] == [{"split": "test", "id": "9"}, {"split": "test", "id": "19"}]
    assert dashboard.client.get("/live/records?text=9&run=x").status_code == 400
    assert dashboard.client.get("/live").text == "the page"


def test_addresses_answer_to_their_method_alone(dashboard: Dashboard) -> None:
    assert dashboard.client.get("/live/ask").status_code == 405
    assert dashboard.client.get("/live/image").status_code == 405
    assert dashboard.client.post("/live/offers").status_code == 405
