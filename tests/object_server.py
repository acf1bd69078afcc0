"""A real S3 server on this machine, and pictures to put into it."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from io import BytesIO
from typing import Any

import numpy as np
import pytest
from fsspec.config import conf
from PIL import Image

from seewhy.remote import stores

SECRET = "secret-of-the-test-server"


@contextmanager
def served() -> Iterator[str]:
    """The address of a server that forgets everything at the end."""
    from moto.server import ThreadedMotoServer

    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    try:
        host, port = server.get_host_and_port()
        yield f"http://{host}:{port}"
    finally:
        server.stop()


def use(monkeypatch: pytest.MonkeyPatch, endpoint: str, cache: object) -> None:
    """Point the process at a server, and its cache at a folder, until the test ends."""
    for name, value in {
        "AWS_ENDPOINT_URL": endpoint,
        "AWS_ACCESS_KEY_ID": "AKIAABCDEFGHIJKLMNOP",
        "AWS_SECRET_ACCESS_KEY": SECRET,
        "AWS_DEFAULT_REGION": "us-east-1",
        "SEEWHY_CACHE_DIR": str(cache),
        "NO_PROXY": "127.0.0.1",
    }.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(stores, "_open", {})


def without_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ask a store that fails again at once, and let its client not do so itself."""
    monkeypatch.setattr(stores, "PAUSES", (0.0,))
    monkeypatch.setitem(conf, "s3", {"config_kwargs": {"retries": {"total_max_attempts": 1}}})


def put(bucket: str, files: Mapping[str, bytes]) -> None:
    """Store files, making the bucket where it is not there."""
    system: Any = stores.file_system("s3")
    if not system.exists(bucket):
        system.mkdir(bucket)
    for name, content in files.items():
        system.pipe_file(f"{bucket}/{name}", content)


def png(seed: int, size: int = 12) -> bytes:
    """A picture of random pixels."""
    held = BytesIO()
    Image.fromarray(np.random.default_rng(seed).integers(0, 256, (size, size, 3), np.uint8)).save(held, "PNG")
    return held.getvalue()
