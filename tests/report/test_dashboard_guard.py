"""Who may ask a dashboard: hosts, origins, methods and upgrades by raw sockets, bodies, waits and crowds."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from dashboard_samples import PORT, client_of, explained, write_rows
from dashboard_sockets import ask, dashboard, serving, status_of
from own_loop import run_alone

from seewhy.report.access import Access
from seewhy.report.allowed_hosts import allowed_hosts, is_loopback
from seewhy.report.errors import DashboardError
from seewhy.report.guard import Limits

TOKEN = "a token that is long enough"


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_rows(tmp_path_factory.mktemp("guarded") / "run", [explained("a"), explained("b", 1)])


@pytest.fixture(scope="module")
def port(run: Path) -> Iterator[int]:
    with serving(dashboard(run)) as number:
        yield number


HOSTS = {
    "127.0.0.1:PORT": 200, "localhost:PORT": 200, "[::1]:PORT": 200, "LOCALHOST:PORT": 200, " 127.0.0.1:PORT ": 200,
    "evil.com": 421, "evil.com:PORT": 421, "127.0.0.1.evil.com:PORT": 421, "localhost.evil.com:PORT": 421,
    "localhost.:PORT": 421, "0.0.0.0:PORT": 421, "[::]:PORT": 421, "[::ffff:127.0.0.1]:PORT": 421, "::1:PORT": 421,
    "[0:0:0:0:0:0:0:1]:PORT": 421, "127.1:PORT": 421, "2130706433:PORT": 421, "0177.0.0.1:PORT": 421,
    "127.0.0.1": 421, "localhost": 421, "127.0.0.1:1": 421, "127.0.0.1:PORT0": 421, "127.0.0.1:PORT@evil.com": 421,
    "user@127.0.0.1:PORT": 421, "127.0.0.1:PORT, evil.com": 421, "127.0.0.1:PORT/": 421, "": 421,
}  # fmt: skip


@pytest.mark.parametrize("host", HOSTS)
def test_only_its_own_names_are_answered(port: int, host: str) -> None:
    given = host.replace("PORT", str(port))
    answer = ask(port, f"GET /runs/0/records/0.json HTTP/1.1\r\nHost: {given}\r\n\r\n")
    assert status_of(answer) == HOSTS[host]
    assert (b'"id":"a"' in answer) == (HOSTS[host] == 200)


OWN = "Host: 127.0.0.1:PORT\r\n"
ORIGINS = {
    "Origin: http://127.0.0.1:PORT\r\n": True,
    "Sec-Fetch-Site: same-origin\r\n": True, "Sec-Fetch-Site: none\r\n": True,
    "X-Forwarded-Host: evil.com\r\n": True, "Forwarded: host=evil.com\r\n": True,
    "Origin: null\r\n": False, "Origin: http://evil.com\r\n": False, "Origin: https://127.0.0.1:PORT\r\n": False,
    "Origin: http://127.0.0.1\r\n": False, "Origin: http://localhost:PORT\r\n": False,
    "Origin: http://127.0.0.1:PORT.evil.com\r\n": False, "Origin: file://\r\n": False, "Origin: \r\n": False,
    "Origin: http://127.0.0.1:PORT\r\nOrigin: http://evil.com\r\n": False,
    "Sec-Fetch-Site: cross-site\r\n": False, "Sec-Fetch-Site: same-site\r\n": False, "Sec-Fetch-Site: what\r\n": False,
    "Origin: http://127.0.0.1:PORT\r\nSec-Fetch-Site: cross-site\r\n": False,
}  # fmt: skip
METHODS = {"GET": 200, "HEAD": 200, "POST": 405, "PUT": 405, "DELETE": 405, "OPTIONS": 405, "PATCH": 405, "TRACE": 405}


@pytest.mark.parametrize("method", METHODS)
def test_another_site_is_refused_by_every_method(port: int, method: str) -> None:
    for lines, allowed in ORIGINS.items():
        head = f"{method} /runs/0/records/0.json HTTP/1.1\r\n{OWN}{lines}Connection: close\r\n\r\n"
        answer = ask(port, head.replace("PORT", str(port)))
        assert status_of(answer) == (METHODS[method] if allowed else 403), lines
        assert b"access-control-allow" not in answer.lower()


REQUESTS = {
    "no host": ("GET / HTTP/1.1\r\n\r\n", {400, 421}),
    "no host in HTTP/1.0": ("GET / HTTP/1.0\r\n\r\n", {421}),
    "two hosts": (f"GET / HTTP/1.1\r\n{OWN}Host: evil.com\r\n\r\n", {400, 421}),
    "two equal hosts": (f"GET / HTTP/1.1\r\n{OWN}{OWN}\r\n", {400, 421}),
    "a folded host": ("GET / HTTP/1.1\r\nHost:\r\n 127.0.0.1:PORT\r\n\r\n", {400, 421, 200, 303}),
    "an absolute address": (f"GET http://evil.com/ HTTP/1.1\r\n{OWN}\r\n", {400}),
    "its own absolute address": (f"GET http://127.0.0.1:PORT/ HTTP/1.1\r\n{OWN}\r\n", {400}),
    "a host in the path": (f"GET //evil.com/ HTTP/1.1\r\n{OWN}\r\n", {400}),
    "a tunnel": (f"CONNECT evil.com:443 HTTP/1.1\r\n{OWN}\r\n", {400, 405}),
    "a star": (f"OPTIONS * HTTP/1.1\r\n{OWN}\r\n", {400, 405}),
    "a websocket": (
        f"GET /live HTTP/1.1\r\n{OWN}Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
        "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n", {400},
    ),
    "a websocket of another site": (
        f"GET / HTTP/1.1\r\n{OWN}Origin: http://evil.com\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n",
        {400, 403},
    ),
    "another protocol": (f"GET / HTTP/1.1\r\n{OWN}Upgrade: h2c\r\nConnection: Upgrade\r\n\r\n", {400}),
    "two lengths": (f"POST /login HTTP/1.1\r\n{OWN}Content-Length: 3\r\nContent-Length: 4\r\n\r\nabcd", {400}),
    "a negative length": (f"POST /login HTTP/1.1\r\n{OWN}Content-Length: -1\r\n\r\n", {400}),
    "a length and chunks": (
        f"POST /login HTTP/1.1\r\n{OWN}Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", {303, 400},
    ),
    "no HTTP": ("hello\r\n\r\n", {400}),
    "encryption": (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n", {400}),
    "endless headers": (f"GET / HTTP/1.1\r\n{OWN}X: " + "y" * 70_000, {400, 0}),
}  # fmt: skip


@pytest.mark.parametrize("name", REQUESTS)
def test_odd_requests_are_refused_and_the_server_lives_on(port: int, name: str) -> None:
    data, statuses = REQUESTS[name]
    raw = data.encode() if isinstance(data, str) else data
    answer = ask(port, raw.replace(b"PORT", str(port).encode()))
    assert status_of(answer) in statuses
    assert b"Traceback" not in answer
    assert status_of(ask(port, f"GET /runs/0 HTTP/1.1\r\n{OWN}\r\n".replace("PORT", str(port)))) == 200


def test_every_answer_carries_the_policy(run: Path) -> None:
    client = client_of(run)
    answers = [
        client.get("/runs/0"), client.get("/nowhere"), client.get("/runs/0/records/0/0.jpg"),
        client.get("/static/app.js"), client.get("/", headers={"host": "evil.com"}), client.put("/"),
        client.get("/runs/0/records?page=x"),
    ]  # fmt: skip
    assert [answer.status_code for answer in answers] == [200, 404, 200, 200, 421, 405, 400]
    for answer in answers:
        policy = answer.headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "script-src 'self'" in policy
        assert "unsafe" not in policy
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["referrer-policy"] == "same-origin"
        assert answer.headers["x-frame-options"] == "DENY"


def test_a_body_has_a_bound(run: Path) -> None:
    client = client_of(run, limits=Limits(body_bytes=1000, bodies={"/login": 2000}))
    assert client.post("/runs/0", content=b"x" * 1001).status_code == 413
    assert client.post("/login", content=b"x" * 2000).status_code == 303
    assert client.post("/login", content=iter([b"x" * 1500, b"x" * 1500])).status_code == 413


def test_headers_have_a_bound_in_number_and_size(port: int) -> None:
    def headed(lines: list[str]) -> int:
        head = "".join(f"{line}\r\n" for line in lines)
        return status_of(ask(port, f"GET /runs/0 HTTP/1.1\r\n{OWN}{head}\r\n".replace("PORT", str(port))))

    assert headed([f"X-{number}: a" for number in range(99)]) == 200
    assert headed([f"X-{number}: a" for number in range(100)]) == 431
    assert headed(["X: " + "a" * 15_000]) == 200
    assert headed(["X: " + "a" * 16_500]) in (431, 400)


@pytest.mark.parametrize("digits", ["9" * 10, "9" * 5000, "1_0", "\u0663"])
@pytest.mark.parametrize("path", ["/runs/{}", "/runs/0/records/{}", "/runs/0/records/0/{}.jpg", "/compare/records/{}"])
def test_numbers_that_lead_nowhere_are_no_page(run: Path, path: str, digits: str) -> None:
    assert client_of(run).get(path.format(digits)).status_code == 404


def test_a_token_is_asked_for_and_remembered(run: Path) -> None:
    client = client_of(run, token=TOKEN)
    refused = client.get("/runs/0")
    assert (refused.status_code, refused.headers["location"]) == (303, "/login")
    for path in ("/runs/0/records/0.json", "/runs/0/records/0/0.jpg", "/static/htmx.js", "/live/offers"):
        assert client.get(path, headers={"accept": "*/*"}).status_code == 401
    assert client.get("/login").status_code == 200
    wrong = client.post("/login", data={"token": "a guess"})
    assert (wrong.status_code, "set-cookie" in wrong.headers) == (403, False)
    entered = client.post("/login", data={"token": TOKEN})
    cookie = entered.headers["set-cookie"]
    assert entered.status_code == 303
    assert {"HttpOnly", "SameSite=Strict", "Path=/"} <= {part.strip() for part in cookie.split(";")}
    assert TOKEN not in cookie
    assert client.get("/runs/0").status_code == 200
    assert client.get("/runs/0", headers={"origin": "http://evil.com"}).status_code == 403


def test_a_token_may_come_as_a_header_but_not_in_the_address(run: Path) -> None:
    client = client_of(run, token=TOKEN)
    headers = {"accept": "*/*"}
    assert client.get("/runs/0", headers={**headers, "authorization": f"Bearer {TOKEN}"}).status_code == 200
    assert client.get("/runs/0", headers={**headers, "authorization": f"Bearer {TOKEN[:-1]}"}).status_code == 401
    assert client.get(f"/runs/0?token={TOKEN}", headers=headers).status_code == 401
    assert (
        client.get(
            "/runs/0", headers={**headers, "cookie": f"seewhy_{PORT}=guess; x=\x80".encode("latin-1")}
        ).status_code
        == 401
    )


def test_wrong_tokens_take_time_and_are_told_once(run: Path, caplog: pytest.LogCaptureFixture) -> None:
    client = client_of(run, token=TOKEN)
    began = time.monotonic()
    assert client.post("/login", data={"token": "a guess"}).status_code == 403
    assert time.monotonic() - began > 0.4
    wrong = {"accept": "*/*", "authorization": "Bearer a guess"}
    assert client.get("/runs/0", headers=wrong).status_code == 401
    assert time.monotonic() - began > 0.9
    assert [one.levelname for one in caplog.records if "wrong token" in one.message] == ["WARNING"]


def test_many_wrong_tokens_of_one_address_are_not_looked_at_at_once() -> None:
    async def crowd() -> None:
        access = Access(TOKEN, PORT, wrong_seconds=0.2)
        waiting = [asyncio.create_task(access.slow_down("1.2.3.4")) for _ in range(4)]
        await asyncio.sleep(0)
        assert access.overrun("1.2.3.4")
        assert not access.overrun("1.2.3.5")
        await asyncio.gather(*waiting)
        assert not access.overrun("1.2.3.4")

    run_alone(crowd())


def test_names_of_machines_are_exact_and_checked() -> None:
    assert "imaging.local:8000" in allowed_hosts("127.0.0.1", 8000, ["Imaging.local"])
    assert "192.0.2.7:8000" in allowed_hosts("192.0.2.7", 8000)
    assert "[2001:db8::1]:8000" in allowed_hosts("2001:db8::1", 8000)
    assert {"localhost", "localhost:80"} <= allowed_hosts("127.0.0.1", 80)
    assert not any(host.startswith(("0.0.0.0", "[::]")) for host in allowed_hosts("0.0.0.0", 8000))
    for name in ("*", "a/b", "a b", "user@x", "", "0.0.0.0"):
        with pytest.raises(DashboardError) as refused:
            allowed_hosts("127.0.0.1", 8000, [name])
        assert refused.value.code == "SW-W03"


@pytest.mark.parametrize(
    ("host", "own"),
    [("127.0.0.1", True), ("127.9.9.9", True), ("::1", True), ("[::1]", True), ("localhost", True), ("0.0.0.0", False),
     ("::", False), ("192.168.0.1", False), ("localhost.evil.com", False)],
)  # fmt: skip
def test_what_only_this_machine_reaches(host: str, own: bool) -> None:
    assert is_loopback(host) is own
