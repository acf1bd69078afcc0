"""What a runner on Ray refuses before anything is started: none of this starts Ray."""

from __future__ import annotations

import os
import signal
import socket
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from nobody import nobody
from seewhy.pipeline.cluster_address import asked_address, require_answer
from seewhy.pipeline.cluster_errors import ClusterError
from seewhy.pipeline.process_marks import signals_kept, standard_error_without
from seewhy.pipeline.ray import ABOUT_ITS_LOG, RayRunner
from seewhy.pipeline.ray_options import Room, room_for
from seewhy.values import MissingExtraError

SETTINGS_FRAME = bytes([0, 0, 0, 4, 0, 0, 0, 0, 0])
BUILD = "worker_samples:digits"


@contextmanager
def server(answer: bytes) -> Iterator[str]:
    """Something that says ``answer`` to whoever connects, then hangs up."""
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def serve() -> None:
            connection, _ = listening.accept()
            with connection:
                connection.recv(64)
                connection.sendall(answer)

        thread = threading.Thread(target=serve)
        thread.start()
        yield f"127.0.0.1:{listening.getsockname()[1]}"
        thread.join()


def test_a_server_of_rays_kind_is_let_through() -> None:
    with server(SETTINGS_FRAME) as address:
        require_answer(address)


@pytest.mark.parametrize("answer", [b"HTTP/1.1 400 Bad Request\r\n\r\n", b"", b"\x00\x00"])
def test_another_server_is_none_of_ray(answer: bytes) -> None:
    with server(answer) as address, pytest.raises(ClusterError, match="SW-Y01") as refused:
        require_answer(address)
    assert address in refused.value.message


def test_where_nobody_listens_the_runner_is_refused_at_once() -> None:
    with nobody() as address, pytest.raises(ClusterError, match="SW-Y01") as refused:
        RayRunner(BUILD, {}, address=address)
    assert "nothing answers" in refused.value.message


@pytest.mark.parametrize("host", ["a..b", "a" * 64, "a\0b"])
def test_a_host_that_no_name_can_be_looked_up_for_is_told(host: str) -> None:
    with pytest.raises(ClusterError, match="SW-Y01") as refused:
        RayRunner(BUILD, {}, address=f"{host}:6379")
    assert f"nothing answers at ray.address={host}:6379" in refused.value.message


@pytest.mark.parametrize(
    "address", ["head", "head:", ":6379", "head:port", "head:99999", f"head:{'9' * 5000}", "ray://head:10001", 6379]
)
def test_an_address_has_a_form(address: Any) -> None:
    with pytest.raises(ClusterError, match="SW-Y01"):
        asked_address(address)


def test_an_address_of_the_environment_is_blamed_by_its_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAY_ADDRESS", "ray://head:10001")
    with pytest.raises(ClusterError) as refused:
        RayRunner(BUILD, {})
    assert refused.value.message == "RAY_ADDRESS='ray://head:10001' is no address of a cluster's head node"
    assert "ray.address=local" in str(refused.value.fix)
    monkeypatch.setenv("RAY_ADDRESS", "a..b:6379")
    with pytest.raises(ClusterError, match=r"nothing answers at RAY_ADDRESS=a\.\.b:6379"):
        RayRunner(BUILD, {})


def test_no_address_is_the_environments(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    assert asked_address(None) is None
    monkeypatch.setenv("RAY_ADDRESS", "head:6379")
    assert asked_address(None) == "head:6379"
    assert asked_address("auto") == "auto"
    assert asked_address("local") is None


@pytest.mark.parametrize(
    ("given", "named"),
    [
        ({"workers": 0}, "ray.workers"),
        ({"workers": 1.5}, "ray.workers"),
        ({"workers": True}, "ray.workers"),
        ({"num_cpus": 0}, "ray.num_cpus"),
        ({"num_cpus": "2"}, "ray.num_cpus"),
        ({"num_cpus": float("nan")}, "ray.num_cpus"),
        ({"num_cpus": float("inf")}, "ray.num_cpus"),
        ({"num_gpus": -1}, "ray.num_gpus"),
    ],
)
def test_amounts_are_numbers(given: dict[str, Any], named: str) -> None:
    with pytest.raises(ClusterError, match="SW-Y06") as refused:
        RayRunner(BUILD, {}, **given)
    assert named in refused.value.message


@pytest.mark.parametrize("value", [object(), {1, 2}, float("nan")])
def test_living_objects_do_not_travel(value: object) -> None:
    with pytest.raises(ClusterError, match="SW-Y06"):
        RayRunner(BUILD, {"seed": value})


@pytest.mark.parametrize(
    "build", ["worker_samples", "worker_samples:", "worker_samples:none", "nowhere.at.all:f", ":f", 3, None]
)
def test_what_builds_must_be_importable(build: Any) -> None:
    with pytest.raises(ClusterError, match="SW-Y05"):
        RayRunner(build, {})


def test_what_builds_must_be_python(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "broken_parts.py").write_text("def parts(:\n")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(ClusterError, match=r"SW-Y05.*invalid syntax"):
        RayRunner("broken_parts:parts", {})


def test_without_ray_the_install_command_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(MissingExtraError) as missing:
        RayRunner(BUILD, {})
    assert missing.value.fix == "pip install 'seewhy[ray]'"


def test_of_what_is_said_while_ray_starts_one_line_is_kept_back(capfd: pytest.CaptureFixture[str]) -> None:
    said = ["[2026 I 1 1] logging.cc:303: Set ray log level from environment variable\n", "[2026 E] disk is full\n"]

    def start() -> None:
        with standard_error_without(ABOUT_ITS_LOG):
            for line in said:
                os.write(2, line.encode())
            raise OSError("no")

    with pytest.raises(OSError, match="no"):
        start()
    os.write(2, b"after\n")
    assert capfd.readouterr().err == said[1] + "after\n"


def test_a_cluster_that_fails_while_it_is_asked_for_room_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    class LostError(Exception):
        pass

    def nodes() -> list[object]:
        raise LostError("the head node is gone\n")

    ray = SimpleNamespace(nodes=nodes, exceptions=SimpleNamespace(RayError=LostError))
    runner = RayRunner(BUILD, {}, address="local")
    monkeypatch.setitem(sys.modules, "ray", ray)
    with pytest.raises(ClusterError, match="SW-Y04") as refused:
        list(runner._rows(None, [], started=True))  # type: ignore[arg-type]
    assert refused.value.message == "Ray ended the work: the head node is gone"


def test_a_handler_of_another_language_is_left_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    before = signal.getsignal(signal.SIGINT)
    monkeypatch.setattr(signal, "getsignal", {signal.SIGINT: before, signal.SIGTERM: None}.get)
    with signals_kept():
        signal.signal(signal.SIGINT, signal.SIG_IGN)
    monkeypatch.undo()
    assert signal.getsignal(signal.SIGINT) is before


TWO = [{"CPU": 4.0, "GPU": 2.0}, {"CPU": 2.0}]


@pytest.mark.parametrize(
    ("asked", "room"),
    [
        ({"num_gpus": 0}, Room(6, 6, 0)),
        ({}, Room(2, 2, 1)),
        ({"num_gpus": 0.5}, Room(4, 4, 0.5)),
        ({"num_gpus": 0, "num_cpus": 3}, Room(1, 1, 0)),
        ({"num_gpus": 0, "num_cpus": 0.1, "workers": 3}, Room(3, 3, 0)),
        ({"num_gpus": 0, "workers": 9, "grows": True}, Room(6, 9, 0)),
    ],
)
def test_workers_are_as_many_as_fit(asked: dict[str, Any], room: Room) -> None:
    assert room_for(TWO, 100, **asked) == room


def test_no_more_workers_than_shards() -> None:
    assert room_for(TWO, 3, num_gpus=0) == Room(3, 3, 0)


@pytest.mark.parametrize("asked", [{"workers": 7, "num_gpus": 0}, {"num_gpus": 3, "grows": True}, {"num_cpus": 5}])
def test_what_does_not_fit_is_refused(asked: dict[str, Any]) -> None:
    with pytest.raises(ClusterError, match="SW-Y02"):
        room_for(TWO, 100, **asked)
