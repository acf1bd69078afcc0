"""A web server on this machine: what it answers is told as what it is, and no answer is not "does not exist"."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from torch import nn

from object_server import png
from seewhy.data.image_folder import ImageFolder
from seewhy.data.manifest import Manifest
from seewhy.models.load import load_checkpoint
from seewhy.remote import stores
from seewhy.values import CheckpointError, DataError


class Answers(BaseHTTPRequestHandler):
    """``/403/anything`` is answered with 403, ``/200/anything`` with a picture."""

    def do_GET(self) -> None:
        status = int(self.path.split("/")[1])
        content = png(1) if status == 200 else b""
        self.send_response(status)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(content)

    do_HEAD = do_GET

    def log_message(self, *_: object) -> None:
        """Nothing is said."""


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Answers) as serving:
        thread = threading.Thread(target=serving.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield f"http://127.0.0.1:{serving.server_address[1]}"
        finally:
            serving.shutdown()
            thread.join()


@pytest.fixture(autouse=True)
def _patience(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("SEEWHY_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setattr(stores, "PAUSES", (0.0,))


def place(server: str, status: int | None) -> str:
    """An address where that is answered; None is a port on which nobody listens."""
    return f"{server}/{status}" if status else "http://127.0.0.1:9"


SAID = [
    (None, "SW-D144", "SW-C53", "cannot be reached .ClientConnectorError"),
    (401, "SW-D143", "SW-C52", "access is denied .ClientResponseError: 401"),
    (403, "SW-D143", "SW-C52", "access is denied .ClientResponseError: 403"),
    (404, "SW-D142", "SW-C51", "does not exist"),
    (410, "SW-D142", "SW-C51", "does not exist"),
    (503, "SW-D145", "SW-C54", "the store failed .ClientResponseError: 503"),
]


@pytest.mark.parametrize(("status", "data", "checkpoint", "said"), SAID)
def test_what_a_server_answers(server: str, status: int | None, data: str, checkpoint: str, said: str) -> None:
    address = place(server, status)
    with pytest.raises(DataError, match=f"{data}.*{address}/set.*{said}"):
        ImageFolder(f"{address}/set")
    with pytest.raises(CheckpointError, match=f"{checkpoint}.*{address}/last.ckpt.*{said}"):
        load_checkpoint(nn.Linear(2, 2), f"{address}/last.ckpt")


@pytest.mark.parametrize(("status", "code"), [(None, "SW-D144"), (403, "SW-D143"), (404, "SW-D05"), (503, "SW-D145")])
def test_a_picture_of_a_table(server: str, tmp_path: Path, status: int | None, code: str) -> None:
    table = tmp_path / "m.csv"
    table.write_text(f"id,path\n1,{server}/200/a.png\n2,{place(server, status)}/b.png\n")
    with pytest.raises(DataError) as caught:
        Manifest(table, size=8)
    assert caught.value.code == code
    table.write_text(f"id,path\n1,{server}/200/a.png\n")
    assert Manifest(table, size=8).read(0).record_id == "1"


@pytest.mark.parametrize("address", ["s4://bucket/last.ckpt", "https://me:secret@host/last.ckpt", "gs://b/last.ckpt"])
def test_an_address_of_a_checkpoint_that_cannot_be_used(address: str) -> None:
    with pytest.raises(CheckpointError, match="SW-C50") as caught:
        load_checkpoint(nn.Linear(2, 2), address)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(("name", "value"), [("SEEWHY_CACHE_GB", "much"), ("SEEWHY_CACHE_DIR", "{tmp}/file/below")])
def test_a_cache_that_cannot_be(
    server: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    (tmp_path / "file").write_text("no folder")
    monkeypatch.setenv(name, value.format(tmp=tmp_path))
    with pytest.raises(DataError, match=f"(?s)SW-D147.*{name}"):
        Manifest(f"{server}/200/m.csv")
    with pytest.raises(CheckpointError, match=f"(?s)SW-C54.*{name}"):
        load_checkpoint(nn.Linear(2, 2), f"{server}/200/last.ckpt")
