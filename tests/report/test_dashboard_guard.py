"""Who may ask a dashboard: hosts, origins, methods and upgrades by raw sockets, bodies, waits and crowds."""

from __future__ import annotations

import contextlib
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from dashboard_samples import PORT, client_of, explained, write_rows
from dashboard_sockets import ask, dashboard, impatient, read_answer, serving, status_of

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


def test_a_body_that_does_not_arrive_is_not_waited_for(run: Path) -> None:
    with serving(dashboard(run, limits=Limits(body_seconds=0.3))) as port:
        head = f"POST /login HTTP/1.1\r\n{OWN}Content-Length: 50\r\n\r\nabc".replace("PORT", str(port))
        assert status_of(ask(port, head)) == 408


def test_too_many_requests_at_once_are_told_to_come_back(run: Path) -> None:
    with serving(dashboard(run, limits=Limits(requests=1))) as port:
        slow = f"POST /login HTTP/1.1\r\n{OWN}Content-Length: 50\r\n\r\nabc".replace("PORT", str(port))
        with socket.create_connection(("127.0.0.1", port)) as waiting:
            waiting.sendall(slow.encode())
            time.sleep(0.3)
            answer = ask(port, f"GET /runs/0 HTTP/1.1\r\n{OWN}\r\n".replace("PORT", str(port)))
            assert status_of(answer) == 503
            assert b"retry-after: 1" in answer
        time.sleep(0.3)
        assert status_of(ask(port, f"GET /runs/0 HTTP/1.1\r\n{OWN}\r\n".replace("PORT", str(port)))) == 200


def test_slow_headers_are_cut_off_and_block_nobody(run: Path) -> None:
    with serving(dashboard(run), **impatient(0.5)) as port:
        slow = [socket.create_connection(("127.0.0.1", port), 10) for _ in range(50)]
        for connection in slow:
            connection.sendall(b"GET / HTTP/1.1\r\nHost: ")
        assert status_of(ask(port, f"GET /runs/0 HTTP/1.1\r\n{OWN}\r\n".replace("PORT", str(port)))) == 200
        for connection in slow:
            with contextlib.suppress(ConnectionResetError):
                assert connection.recv(100) == b""
            connection.close()


def test_a_kept_connection_is_not_cut_off_between_requests(run: Path) -> None:
    with serving(dashboard(run), **impatient(0.3)) as port:
        request = f"GET /runs/0/records/0.json HTTP/1.1\r\n{OWN}\r\n".replace("PORT", str(port)).encode()
        with socket.create_connection(("127.0.0.1", port), 10) as connection:
            for _ in range(3):
                connection.sendall(request)
                assert status_of(read_answer(connection)) == 200
                time.sleep(0.4)


def test_more_connections_than_the_bound_are_told_to_come_back(run: Path) -> None:
    with serving(dashboard(run), **impatient(10, most=4)) as port:
        held = [socket.create_connection(("127.0.0.1", port), 10) for _ in range(4)]
        time.sleep(0.2)
        answer = ask(port, f"GET / HTTP/1.1\r\n{OWN}\r\n".replace("PORT", str(port)))
        assert status_of(answer) in (503, 0)
        for connection in held:
            connection.close()
        time.sleep(0.2)
        assert status_of(ask(port, f"GET / HTTP/1.1\r\n{OWN}\r\n".replace("PORT", str(port)))) == 303


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
