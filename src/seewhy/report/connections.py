"""How connections are served: uvicorn with bounds on how slow, how many and how large they may be."""

from __future__ import annotations

import asyncio
import socket
from typing import TYPE_CHECKING, Any, Final

from seewhy.report.arrival import App
from seewhy.report.errors import DashboardError
from seewhy.report.guard import HEADER_BYTES, SAFE_HEADERS
from seewhy.values import MissingExtraError

if TYPE_CHECKING:
    from uvicorn import Config

HEADER_SECONDS: Final = 10.0
"""How long a client may take for the lines that say what it wants."""
IDLE_SECONDS: Final = 30
MOST_CONNECTIONS: Final = 512
WRITE_SECONDS: Final = 10.0
WRITE_RATE: Final = 64 << 10
"""What is written must be taken within the seconds and what its size takes at the rate, in bytes a second."""
MOST_PORTS: Final = 100


def _refusal(status: str, text: str) -> bytes:
    """An answer that is written without an application, with the headers of all others."""
    head = {
        "connection": "close", "content-type": "text/plain; charset=utf-8", "content-length": str(len(text) + 1),
        "cache-control": "no-store", **SAFE_HEADERS,
    }  # fmt: skip
    lines = "".join(f"{name}: {value}\r\n" for name, value in head.items())
    return f"HTTP/1.1 {status}\r\n{lines}\r\n{text}\n".encode("ascii")


_FULL = _refusal("503 Service Unavailable", "Too many connections; try again in two seconds.")
_NO_HTTP = _refusal("400 Bad Request", "That is no request this server understands.")


def listen(host: str, port: int, *, tries: int = MOST_PORTS) -> socket.socket:
    """A listening socket on ``port``, or on the next one that is free; 0 takes any.

    Raises:
        DashboardError: ``SW-W08``, the address is not one of this machine, or no port is free.
    """
    refused: OSError | None = None
    tries = tries if 0 <= port < 65536 else 0
    for candidate in range(port, min(port + tries, 65536)):
        try:
            return _bound(host, candidate)
        except OSError as error:
            refused = error
            if isinstance(error, socket.gaierror) or error.errno not in _TAKEN:
                break
    reason = refused.strerror if refused is not None and refused.strerror else "that is no port from 0 to 65535"
    raise DashboardError(
        "SW-W08", f"{host} cannot be listened on from port {port}: {reason}", fix="choose another --port or --host"
    )


_TAKEN = {98, 48, 10048, 13, 10013}  # in use, or not allowed, by their numbers on Linux, macOS and Windows


def _bound(host: str, port: int) -> socket.socket:
    family, kind, protocol, _, address = socket.getaddrinfo(host.strip("[]"), port, type=socket.SOCK_STREAM)[0]
    found = socket.socket(family, kind, protocol)
    try:
        found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        found.bind(address)
        found.listen(512)
    except OSError:
        found.close()
        raise
    return found


def server_config(app: App, **changes: Any) -> Config:
    """The settings of uvicorn: no proxies trusted, no websockets, no access log, bounded headers and waits.

    Raises:
        MissingExtraError: uvicorn is not installed.
    """
    try:
        import uvicorn
    except ModuleNotFoundError as error:
        raise MissingExtraError("uvicorn", "serve") from error
    settings = {
        "http": bounded_protocol(), "ws": "none", "loop": "asyncio", "lifespan": "on", "interface": "asgi3",
        "proxy_headers": False, "server_header": False, "access_log": False, "log_level": "warning",
        "timeout_keep_alive": IDLE_SECONDS, "timeout_graceful_shutdown": 3,
        "h11_max_incomplete_event_size": HEADER_BYTES,
    }  # fmt: skip
    return uvicorn.Config(app, **{**settings, **changes})


def bounded_protocol(
    header_seconds: float = HEADER_SECONDS, most: int = MOST_CONNECTIONS, write_seconds: float = WRITE_SECONDS
) -> type[asyncio.Protocol]:
    """uvicorn's protocol, with bounds.

    It waits ``header_seconds`` for a request's headers, holds ``most`` connections, answers one request of a connection
    at a time (what was sent ahead is dropped with the connection), and cuts off who does not take what is written.
    """
    from h11 import DONE, IDLE
    from uvicorn.protocols.http.h11_impl import H11Protocol

    class Bounded(H11Protocol):
        _waiting: asyncio.TimerHandle | None = None
        _writing: asyncio.TimerHandle | None = None

        def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
            super().connection_made(transport)
            transport.set_write_buffer_limits(high=0)  # else what is left of a short answer is never told of
            if len(self.connections) > most:
                transport.write(_FULL)
                transport.close()
            else:
                self._waiting = self.loop.call_later(header_seconds, self.transport.abort)

        def data_received(self, data: bytes) -> None:
            if self.transport.is_closing():
                return
            super().data_received(data)
            # Who has begun a request and does not end its headers is waited for; who is being answered is not.
            if self.conn.their_state is not IDLE:
                self._stop_waiting()
            elif self._waiting is None:
                self._waiting = self.loop.call_later(header_seconds, self.transport.abort)
            if self.conn.their_state is DONE and self.conn.trailing_data[0].strip():
                self.cycle.keep_alive = False

        def send_400_response(self, msg: str) -> None:
            del msg
            self.transport.write(_NO_HTTP)
            self.transport.close()

        def pause_writing(self) -> None:
            super().pause_writing()
            self.transport.pause_reading()  # who does not take an answer gets no other, which would only wait
            size = self.transport.get_write_buffer_size()
            self._writing = self.loop.call_later(write_seconds + size / WRITE_RATE, self.transport.abort)

        def resume_writing(self) -> None:
            super().resume_writing()
            self._stop_writing()
            if not self.flow.read_paused:
                self.transport.resume_reading()

        def connection_lost(self, exc: Exception | None) -> None:
            self._stop_waiting()
            self._stop_writing()
            super().connection_lost(exc)

        def _stop_waiting(self) -> None:
            if self._waiting is not None:
                self._waiting.cancel()
                self._waiting = None

        def _stop_writing(self) -> None:
            if self._writing is not None:
                self._writing.cancel()
                self._writing = None

    return Bounded
