"""``seewhy serve``: the pages of some runs in a browser, and questions to their models."""

from __future__ import annotations

import argparse
import contextlib
import sys
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from seewhy.cli.live_options import add_live_options, live_desk, runs_and_data

if TYPE_CHECKING:
    import socket

    from uvicorn import Config

    from seewhy.report.dashboard_run import DashboardRun
    from seewhy.report.live_desk import LiveDesk

PORT = 8700
QUIET_SECONDS = 1.0
LAST_SECONDS = 30.0


def add_serve(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """The words of the command."""
    parser = commands.add_parser("serve", help="look at runs in a browser: records, maps, two runs side by side")
    parser.add_argument(
        "directories",
        nargs="+",
        metavar="RUN_DIR",
        help="runs; with --checkpoint also data.key=value, their data set's settings",
    )
    parser.add_argument(
        "--host", default="127.0.0.1", help="where to listen (default: 127.0.0.1, which only this machine reaches)"
    )
    parser.add_argument("--port", type=int, default=PORT, help=f"default {PORT}, or the next one that is free")
    parser.add_argument(
        "--name", action="append", default=[], metavar="NAME", help="a further name of this machine that is answered to"
    )
    parser.add_argument("--token", help="what visitors must show (default: made anew for any --host but this machine)")
    parser.add_argument("--include-paths", action="store_true", help="show absolute paths (default: their last part)")
    parser.add_argument("--open", action="store_true", help="open the pages in the browser")
    add_live_options(parser)


def run_serve(asked: argparse.Namespace) -> int:
    """Serve until interrupted; the exit code."""
    from seewhy.report.access import SHORTEST_TOKEN, new_token
    from seewhy.report.allowed_hosts import allowed_hosts, is_loopback
    from seewhy.report.connections import listen, server_config
    from seewhy.report.errors import DashboardError

    if asked.token is not None and len(asked.token) < SHORTEST_TOKEN:
        raise DashboardError(
            "SW-W09", f"a token has at least {SHORTEST_TOKEN} characters", fix="leave --token out: a good one is made"
        )
    directories, data = runs_and_data(asked.directories)
    runs = _opened(directories, asked.include_paths)
    from seewhy.report.server import create_app

    desk = live_desk(asked, directories, data, [run.facts() for run in runs] if asked.checkpoint else [])
    open_to_all = not is_loopback(asked.host)
    token = asked.token or (new_token() if open_to_all else None)
    listening = listen(asked.host, asked.port)
    with listening:
        port = listening.getsockname()[1]
        app = create_app(runs, port=port, hosts=allowed_hosts(asked.host, port, asked.name), token=token, live=desk)
        _announce(asked, len(runs), port, token, open_to_all)
        try:
            return _serve(server_config(app), listening, desk)
        finally:
            if desk is not None:
                _end(desk)


def _opened(directories: Sequence[Path], include_paths: bool) -> list[DashboardRun]:
    """The runs, whose records are being read while everything else is imported."""
    from seewhy.report.dashboard_run import DashboardRun
    from seewhy.report.row_source import RowSource

    source = RowSource()
    runs = [
        DashboardRun(number, path, include_paths=include_paths, source=source)
        for number, path in enumerate(directories)
    ]
    for run in runs:
        threading.Thread(target=run.view, name="seewhy-index", daemon=True).start()
    return runs


def _announce(asked: argparse.Namespace, count: int, port: int, token: str | None, open_to_all: bool) -> None:
    if asked.port not in (0, port):
        print(f"port {asked.port} is taken, using {port}", file=sys.stderr)
    if open_to_all:
        print(
            f"warning: {asked.host} can be reached from other machines, without encryption; whoever has the token sees "
            "these runs",
            file=sys.stderr,
        )
    host = f"[{asked.host}]" if ":" in asked.host and not asked.host.startswith("[") else asked.host
    shown = "localhost" if host in ("0.0.0.0", "[::]") else host
    address = f"http://{shown}:{port}/" + (f"login#token={token}" if token else "")
    print(f"seewhy serves {count} run{'s' * (count > 1)} at {address}", flush=True)
    if asked.open:
        import webbrowser

        webbrowser.open(address)


def _serve(config: Config, listening: socket.socket, desk: LiveDesk | None) -> int:
    import uvicorn

    class Server(uvicorn.Server):
        async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
            if desk is not None:
                desk.close()  # first, so that whoever waits for an answer hears of it
            await super().shutdown(sockets)

    with contextlib.suppress(KeyboardInterrupt):
        Server(config).run(sockets=[listening])
    return 0


def _end(desk: LiveDesk) -> None:
    """Wait until the model is out of its pass: a thread in the midst of one cannot end with the interpreter."""
    desk.close()
    if not desk.worker.join(QUIET_SECONDS):
        print("waiting for the model's last pass; Ctrl-C again leaves it", file=sys.stderr, flush=True)
        with contextlib.suppress(KeyboardInterrupt):
            desk.worker.join(LAST_SECONDS)
