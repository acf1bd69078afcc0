"""Who is waited for, and how long: slow bodies, slow readers, crowds of connections and requests, by raw sockets."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from dashboard_samples import PORT, client_of, explained, write_rows
from dashboard_sockets import ask, dashboard, impatient, read_answer, serving, status_of
from own_loop import run_alone

from seewhy.report.access import Access
from seewhy.report.arrival import App, Message, Receive, Scope, Send
from seewhy.report.guard import Guard, Limits

OWN = "Host: 127.0.0.1:PORT\r\n"


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_rows(tmp_path_factory.mktemp("waiting") / "run", [explained("a"), explained("b", 1)])


@pytest.fixture(scope="module")
def port(run: Path) -> Iterator[int]:
    with serving(dashboard(run)) as number:
        yield number


def post(port: int, length: int = 50, sent: str = "abc") -> bytes:
    """The head of a form and the beginning of its body."""
    return f"POST /login HTTP/1.1\r\n{OWN}Content-Length: {length}\r\n\r\n{sent}".replace("PORT", str(port)).encode()


def get(port: int, path: str = "/runs/0") -> bytes:
    return f"GET {path} HTTP/1.1\r\n{OWN}\r\n".replace("PORT", str(port)).encode()


def test_a_form_of_a_token_is_small(run: Path) -> None:
    client = client_of(run)
    assert client.post("/login", content=b"x" * 1024).status_code == 303
    assert client.post("/login", content=b"x" * 1025).status_code == 413


def test_a_body_must_be_there_whole_in_its_time_however_steadily_it_drips(run: Path) -> None:
    with serving(dashboard(run, limits=Limits(body_seconds=0.5))) as port:
        assert status_of(ask(port, post(port))) == 408
        with socket.create_connection(("127.0.0.1", port), 10) as dripping:
            dripping.sendall(post(port))
            began = time.monotonic()
            with contextlib.suppress(OSError):
                while time.monotonic() - began < 5:
                    dripping.sendall(b"a")
                    time.sleep(0.1)
            assert time.monotonic() - began < 3


def test_time_for_a_body_grows_with_its_size() -> None:
    assert Limits().seconds_for(16 << 20) == 10 + 256


def test_bodies_on_their_way_hold_up_no_page(run: Path) -> None:
    with serving(dashboard(run, limits=Limits(requests=1, arriving_each=2))) as port:
        with contextlib.ExitStack() as held:
            for _ in range(2):
                waiting = held.enter_context(socket.create_connection(("127.0.0.1", port)))
                waiting.sendall(post(port))
            time.sleep(0.3)
            assert status_of(ask(port, get(port))) == 200
            third = ask(port, post(port))
            assert (status_of(third), b"connection: close" in third) == (503, True)
        time.sleep(0.3)
        assert status_of(ask(port, post(port, 3))) == 303


def waits_for_ever(gate: asyncio.Event) -> App:
    """An application whose answer nobody lives to see."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        del scope, receive, send
        await gate.wait()

    return app


def test_too_many_requests_at_once_are_told_to_come_back() -> None:
    said: list[Any] = []

    async def receive() -> Message:
        return {"type": "http.disconnect"}

    async def send(message: Message) -> None:
        said.append(message)

    async def both() -> None:
        gate = asyncio.Event()
        guard = Guard(waits_for_ever(gate), ["here"], Access(None, PORT), Limits(requests=1))
        scope = {"type": "http", "method": "GET", "path": "/", "query_string": b"", "headers": [(b"host", b"here")]}
        first = asyncio.create_task(guard(dict(scope), receive, send))
        await asyncio.sleep(0)
        await guard(dict(scope), receive, send)
        gate.set()
        await first

    run_alone(both())
    assert said[0]["status"] == 503
    assert (b"retry-after", b"1") in said[0]["headers"]


def test_who_leaves_before_a_body_is_there_is_no_news(run: Path, capfd: pytest.CaptureFixture[str]) -> None:
    with serving(dashboard(run), log_level="error") as port:
        with socket.create_connection(("127.0.0.1", port)) as leaving:
            leaving.sendall(post(port))
            time.sleep(0.2)
        time.sleep(0.2)
        assert status_of(ask(port, get(port))) == 200
    assert capfd.readouterr().err == ""


def large(size: int) -> Callable[[int], App]:
    """An application whose every answer has ``size`` bytes."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            del receive
            await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"%d" % size)]})
            await send({"type": "http.response.body", "body": bytes(size)})

    return lambda port: app


@pytest.mark.parametrize("head", [b"", b"Connection: close\r\n"])
def test_who_does_not_take_an_answer_is_cut_off(head: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("seewhy.report.connections.WRITE_RATE", 1 << 30)
    size = 32 << 20
    with serving(large(size), **impatient(10, write_seconds=0.5)) as port:
        with socket.socket() as lazy:
            lazy.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
            lazy.settimeout(10)
            lazy.connect(("127.0.0.1", port))
            lazy.sendall(b"GET / HTTP/1.1\r\nHost: a\r\n" + head + b"\r\n")
            time.sleep(1.5)
            assert taken(lazy) < size
        with socket.create_connection(("127.0.0.1", port), 10) as ready:
            ready.sendall(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
            assert taken(ready) > size


def taken(connection: socket.socket) -> int:
    """How many bytes are there to take until the connection ends."""
    count = 0
    with contextlib.suppress(ConnectionResetError):
        while piece := connection.recv(1 << 20):
            count += len(piece)
    return count


def test_one_request_of_a_connection_is_answered_at_a_time(port: int) -> None:
    with socket.create_connection(("127.0.0.1", port), 10) as eager:
        eager.sendall(get(port, "/runs/0/records/0.json") * 50)
        answers = b""
        with contextlib.suppress(ConnectionResetError):
            while piece := eager.recv(1 << 16):
                answers += piece
    assert answers.count(b"HTTP/1.1 200") == 1


def test_answers_that_need_no_application_carry_the_policy_too(run: Path) -> None:
    with serving(dashboard(run), **impatient(10, most=0)) as port:
        full = ask(port, get(port))
    with serving(dashboard(run)) as port:
        odd = ask(port, "hello\r\n\r\n")
    assert (status_of(full), status_of(odd)) == (503, 400)
    for answer in (full, odd):
        assert b"content-security-policy: default-src 'none'" in answer
        assert b"x-content-type-options: nosniff" in answer


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


def test_twenty_forms_at_once_from_one_address_are_taken(port: int) -> None:
    with contextlib.ExitStack() as held:
        asking = [held.enter_context(socket.create_connection(("127.0.0.1", port), 10)) for _ in range(20)]
        for one in asking:
            one.sendall(post(port, 3, ""))
        for one in asking:
            one.sendall(b"abc")
        assert {status_of(read_answer(one)) for one in asking} == {303}
