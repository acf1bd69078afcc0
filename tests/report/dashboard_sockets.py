"""A dashboard on a real port, and requests to it written byte by byte."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import uvicorn

from seewhy.report.allowed_hosts import allowed_hosts
from seewhy.report.arrival import App
from seewhy.report.connections import bounded_protocol, listen, server_config
from seewhy.report.dashboard_run import DashboardRun
from seewhy.report.server import create_app


@contextlib.contextmanager
def serving(make: Callable[[int], App], **settings: Any) -> Iterator[int]:
    """Serve ``make(port)`` in a thread; the port."""
    listener = listen("127.0.0.1", 0)
    port = listener.getsockname()[1]
    server = uvicorn.Server(
        server_config(make(port), **{"log_level": "critical", "timeout_graceful_shutdown": 1, **settings})
    )
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
    thread.start()
    until = time.monotonic() + 10
    while not server.started and time.monotonic() < until:
        time.sleep(0.01)
    try:
        yield port
    finally:
        server.should_exit = True
        thread.join(10)
        listener.close()


def dashboard(root: Path, *, token: str | None = None, **more: Any) -> Callable[[int], App]:
    """What :func:`serving` takes, for one run."""
    return lambda port: create_app(
        [DashboardRun(0, root)], port=port, hosts=allowed_hosts("127.0.0.1", port), token=token, **more
    )


def impatient(seconds: float, most: int = 512, write_seconds: float = 10.0) -> dict[str, Any]:
    """Settings of a server that waits ``seconds`` for headers and holds ``most`` connections."""
    return {"http": bounded_protocol(seconds, most, write_seconds)}


def ask(port: int, data: bytes | str, *, timeout: float = 10.0) -> bytes:
    """Everything the server says to some bytes, until it closes or falls silent."""
    with socket.create_connection(("127.0.0.1", port), timeout) as connection:
        connection.sendall(data.encode() if isinstance(data, str) else data)
        return read_answer(connection)


def read_answer(connection: socket.socket) -> bytes:
    """One answer with as much of a body as it says it has."""
    found = b""
    while b"\r\n\r\n" not in found:
        piece = connection.recv(65536)
        if not piece:
            return found
        found += piece
    head, _, body = found.partition(b"\r\n\r\n")
    lengths = [int(line.split(b":")[1]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-length:")]
    while lengths and len(body) < lengths[0]:
        piece = connection.recv(65536)
        if not piece:
            break
        body += piece
    return head + b"\r\n\r\n" + body


def status_of(answer: bytes) -> int:
    """The status of an answer, 0 where the connection was closed without one."""
    return int(answer.split(b" ")[1]) if answer.startswith(b"HTTP/") else 0
